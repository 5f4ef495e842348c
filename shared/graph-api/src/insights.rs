//! Insights: an account's numbers per ad and day.

use ads::date::DateRange;
use ads::id::{AdAccountId, ObjectId};
use ads::metrics::{ByActionType, DayFacts, Measures};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::client::Caller;
use crate::page::Pages;

/// Rows of an insights page.
const PAGE: u32 = 500;

/// No breakdowns and no `action_breakdowns`: they multiply rows and change totals.
const FIELDS: &str = "campaign_id,adset_id,ad_id,impressions,clicks,inline_link_clicks,spend,reach,frequency,\
                      actions,action_values,attribution_setting";

impl Caller {
    /// One row per ad and day with delivery, for a whole account. Days are the account's own.
    ///
    /// Unfiltered on purpose: with any `filtering` Meta reports active objects only, and the numbers of
    /// archived and deleted ads would be missing.
    pub fn ad_days(&self, account: &AdAccountId, range: DateRange) -> Pages<AdDay> {
        let time_range = serde_json::json!({"since": range.since, "until": range.until});
        let query = vec![
            ("level", "ad".to_owned()),
            ("time_increment", "1".to_owned()),
            ("time_range", time_range.to_string()),
            ("fields", FIELDS.to_owned()),
        ];
        Pages::new(self.clone(), format!("{account}/insights"), query, PAGE)
    }
}

/// One ad's numbers for one day, with the ad's place in the hierarchy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Row")]
pub struct AdDay {
    /// The ad.
    pub ad: ObjectId,
    /// Its ad set.
    pub adset: ObjectId,
    /// Its campaign.
    pub campaign: ObjectId,
    /// The numbers.
    pub facts: DayFacts,
}

/// A row in Graph's shape. All metrics are strings; older samples show numbers, so both are read.
#[derive(Deserialize)]
struct Row {
    ad_id: ObjectId,
    adset_id: ObjectId,
    campaign_id: ObjectId,
    date_start: Date,
    date_stop: Date,
    #[serde(default)]
    impressions: Option<Number>,
    #[serde(default)]
    clicks: Option<Number>,
    #[serde(default)]
    inline_link_clicks: Option<Number>,
    #[serde(default)]
    spend: Option<Number>,
    #[serde(default)]
    reach: Option<Number>,
    #[serde(default)]
    frequency: Option<Number>,
    #[serde(default)]
    actions: Vec<ActionValue>,
    #[serde(default)]
    action_values: Vec<ActionValue>,
    attribution_setting: Option<String>,
}

#[derive(Deserialize)]
struct ActionValue {
    action_type: String,
    value: Number,
}

/// A decimal that Graph sends as text, or as a number.
#[derive(Deserialize)]
#[serde(try_from = "TextOrNumber")]
struct Number(Decimal);

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(serde_json::Number),
}

impl TryFrom<TextOrNumber> for Number {
    type Error = String;

    fn try_from(value: TextOrNumber) -> Result<Self, String> {
        let text = match value {
            TextOrNumber::Text(text) => text,
            TextOrNumber::Number(number) => number.to_string(),
        };
        let decimal = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text));
        decimal.map(Self).map_err(|_| format!("{text:?} is not a decimal number"))
    }
}

impl Number {
    fn count(self, field: &str) -> Result<u64, String> {
        u64::try_from(self.0).map_err(|_| format!("{field} is not a count: {}", self.0))
    }
}

impl TryFrom<Row> for AdDay {
    type Error = String;

    fn try_from(row: Row) -> Result<Self, String> {
        if row.date_start != row.date_stop {
            return Err(format!("a row spans {} to {}, not one day", row.date_start, row.date_stop));
        }
        let count = |number: Option<Number>, field| number.map(|n| n.count(field)).transpose();
        let by_type = |list: Vec<ActionValue>| {
            let mut sums = ByActionType::new();
            // A type may come more than once when Meta splits it by destination; its parts add up.
            for item in list {
                *sums.entry(item.action_type).or_default() += item.value.0;
            }
            sums
        };
        let mut measures = Measures {
            impressions: count(row.impressions, "impressions")?.unwrap_or(0),
            clicks: count(row.clicks, "clicks")?.unwrap_or(0),
            link_clicks: count(row.inline_link_clicks, "inline_link_clicks")?,
            spend: row.spend.map_or(Decimal::ZERO, |spend| spend.0),
            actions: by_type(row.actions),
            action_values: by_type(row.action_values),
            ..Measures::default()
        };
        measures.choose_conversions();
        Ok(Self {
            ad: row.ad_id,
            adset: row.adset_id,
            campaign: row.campaign_id,
            facts: DayFacts {
                day: row.date_start,
                measures,
                reach: count(row.reach, "reach")?,
                frequency: row.frequency.map(|frequency| frequency.0),
                attribution_setting: row.attribution_setting,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"campaign_id":"2","adset_id":"3","ad_id":"4","date_start":"2026-11-19","date_stop":"2026-11-19",
        "impressions":"8801","clicks":120,"spend":"42.17","reach":"7000","frequency":"1.257286",
        "actions":[{"action_type":"omni_purchase","value":"3","7d_click":"2"},{"action_type":"purchase","value":"3"}],
        "action_values":[{"action_type":"omni_purchase","value":"289.9"}]}"#;

    #[test]
    fn a_row_is_read_to_the_cent_whether_text_or_number() {
        let day: AdDay = serde_json::from_str(ROW).unwrap();
        assert_eq!(day.facts.measures.spend.to_string(), "42.17");
        assert_eq!(day.facts.measures.clicks, 120);
        assert_eq!(day.facts.measures.purchases, Some(Decimal::from(3)));
        assert_eq!(day.facts.measures.purchase_value.unwrap().to_string(), "289.9");
        assert_eq!(day.facts.measures.link_clicks, None);
    }

    #[test]
    fn a_broken_number_says_which_and_where() {
        let body = ROW.replace("\"8801\"", "\"88 01\"");
        let error = serde_json::from_str::<AdDay>(&body).unwrap_err().to_string();
        assert!(error.contains("88 01"), "{error}");
        let error =
            serde_json::from_str::<AdDay>(&ROW.replace("\"8801\"", "\"-1\"")).unwrap_err().to_string();
        assert!(error.contains("impressions"), "{error}");
    }
}
