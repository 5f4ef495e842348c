//! Decodes rows of insights without copying the parts of the response that are not stored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use domain::dataset::Breakdown;
use domain::id::EntityId;
use domain::metrics::{ByActionType, DayFacts, InsightsRow, Measures, Names};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::conversions::{VIDEO_VIEW, WindowedValues, choose_conversions};

/// A row as Graph returns it.
#[derive(Debug)]
pub struct GraphRow(pub InsightsRow);

impl<'de> Deserialize<'de> for GraphRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Row::deserialize(deserializer)?.try_into().map(Self).map_err(de::Error::custom)
    }
}

/// A row in Graph's form.
#[derive(Deserialize)]
struct Row<'a> {
    ad_id: EntityId,
    adset_id: EntityId,
    campaign_id: EntityId,
    #[serde(default)]
    ad_name: Option<String>,
    #[serde(default)]
    adset_name: Option<String>,
    #[serde(default)]
    campaign_name: Option<String>,
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
    #[serde(default, borrow)]
    actions: Vec<ActionValue<'a>>,
    #[serde(default, borrow)]
    action_values: Vec<ActionValue<'a>>,
    #[serde(default, borrow)]
    video_thruplay_watched_actions: Vec<ActionValue<'a>>,
    attribution_setting: Option<String>,
    #[serde(default)]
    publisher_platform: Option<String>,
    #[serde(default)]
    platform_position: Option<String>,
    #[serde(default)]
    age: Option<String>,
    #[serde(default)]
    gender: Option<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    comscore_market: Option<String>,
    #[serde(default)]
    device_platform: Option<String>,
    #[serde(default)]
    impression_device: Option<String>,
    #[serde(default)]
    hourly_stats_aggregated_by_advertiser_time_zone: Option<String>,
}

impl Row<'_> {
    /// Takes what splits the row.
    fn take_breakdowns(&mut self) -> BTreeMap<Breakdown, String> {
        // Meta writes hours as `05:00:00 - 05:59:59`.
        let hour = self.hourly_stats_aggregated_by_advertiser_time_zone.take();
        let hour = hour.map(|hour| hour.chars().take_while(char::is_ascii_digit).collect());
        let all = [
            (Breakdown::PublisherPlatform, self.publisher_platform.take()),
            (Breakdown::PlatformPosition, self.platform_position.take()),
            (Breakdown::Age, self.age.take()),
            (Breakdown::Gender, self.gender.take()),
            (Breakdown::Country, self.country.take()),
            (Breakdown::ComscoreMarket, self.comscore_market.take()),
            (Breakdown::DevicePlatform, self.device_platform.take()),
            (Breakdown::ImpressionDevice, self.impression_device.take()),
            (Breakdown::HourOfDay, hour),
        ];
        all.into_iter().filter_map(|(breakdown, value)| Some((breakdown, value?))).collect()
    }
}

/// An entry of a list of actions: its total under the ad set's own attribution setting and, if requested, under each
/// window.
struct ActionValue<'a> {
    action_type: Cow<'a, str>,
    value: Option<Decimal>,
    windows: Vec<(Cow<'a, str>, Decimal)>,
}

/// Text that is borrowed from the response where possible.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ActionValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ActionVisitor;
        impl<'de> Visitor<'de> for ActionVisitor {
            type Value = ActionValue<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an action with its values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut action_type, mut value, mut windows) = (None, None, Vec::new());
                while let Some(Text(name)) = map.next_key()? {
                    match &*name {
                        "action_type" => action_type = Some(map.next_value::<Text<'_>>()?.0),
                        "value" => value = Some(map.next_value::<Number>()?.0),
                        _ if is_window(&name) => windows.push((name, map.next_value::<Number>()?.0)),
                        // The place of the action, and the other fields that breakdowns add.
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let action_type = action_type.ok_or_else(|| de::Error::missing_field("action_type"))?;
                Ok(ActionValue { action_type, value, windows })
            }
        }
        deserializer.deserialize_map(ActionVisitor)
    }
}

/// Returns whether a field is an attribution window, such as `7d_click`.
fn is_window(name: &str) -> bool {
    ["_click", "_view", "_ev"].iter().any(|end| name.ends_with(end))
        && name.starts_with(|c: char| c.is_ascii_digit())
}

/// A decimal number. Graph writes all metrics as text; its older samples show numbers, so both are accepted.
#[derive(Default)]
pub(super) struct Number(pub(super) Decimal);

/// Decimal places of a metric. Platforms report six at most; what follows the twelfth is the error of a binary fraction, as
/// in `109.97000000000001`, and would not fit into a column of facts.
const MAX_DECIMAL_PLACES: u32 = 12;

/// The exclusive upper bound of a metric, which no ad reaches in a day in any currency. Sums of such numbers do not
/// overflow.
const MAX_METRIC_VALUE: u64 = 1_000_000_000_000_000;

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number of possible size, or text that holds one")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                let exact = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
                let possible = exact.ok().filter(|number| number.abs() < MAX_METRIC_VALUE.into());
                let possible = possible.map(|number| number.round_dp(MAX_DECIMAL_PLACES));
                possible.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                let possible = Some(number).filter(|number| *number < MAX_METRIC_VALUE);
                possible
                    .map(Decimal::from)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
                let possible = Some(number).filter(|number| number.unsigned_abs() < MAX_METRIC_VALUE);
                possible
                    .map(Decimal::from)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
                // The shortest text that parses to this number is what was sent.
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(NumberVisitor).map(Number)
    }
}

impl Number {
    fn count(self, field: &str) -> Result<u64, String> {
        u64::try_from(self.0).map_err(|_| format!("{field} is not a count: {}", self.0))
    }
}

impl TryFrom<Row<'_>> for InsightsRow {
    type Error = String;

    fn try_from(mut row: Row<'_>) -> Result<Self, String> {
        let breakdowns = row.take_breakdowns();
        if row.date_start != row.date_stop {
            return Err(format!("a row spans {} to {}, not one day", row.date_start, row.date_stop));
        }
        let count = |number: Option<Number>, field| number.map(|n| n.count(field)).transpose();
        let mut measures = Measures {
            impressions: count(row.impressions, "impressions")?.unwrap_or(0),
            clicks: count(row.clicks, "clicks")?.unwrap_or(0),
            link_clicks: count(row.inline_link_clicks, "inline_link_clicks")?,
            spend: row.spend.map_or(Decimal::ZERO, |spend| spend.0),
            actions: by_type(&row.actions),
            action_values: by_type(&row.action_values),
            thruplays: by_type(&row.video_thruplay_watched_actions).remove(VIDEO_VIEW),
            ..Measures::default()
        };
        choose_conversions(&mut measures, &windowed(&row.actions), &windowed(&row.action_values));
        Ok(Self {
            ad: row.ad_id,
            adset: row.adset_id,
            campaign: row.campaign_id,
            names: Names { campaign: row.campaign_name, adset: row.adset_name, ad: row.ad_name },
            breakdowns,
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

/// Sums values by action type. A type may come more than once when Meta splits it by destination. A type with values
/// only under windows was not counted under the ad set's own setting, and is left out.
fn by_type(list: &[ActionValue<'_>]) -> ByActionType {
    let mut sums = ByActionType::new();
    for (item, value) in list.iter().filter_map(|item| Some((item, item.value?))) {
        match sums.get_mut(&*item.action_type) {
            Some(sum) => *sum += value,
            None => drop(sums.insert(item.action_type.to_string(), value)),
        }
    }
    sums
}

fn windowed<'a>(list: &'a [ActionValue<'_>]) -> WindowedValues<'a> {
    let values = list
        .iter()
        .flat_map(|item| item.windows.iter().map(|(window, value)| (&*item.action_type, &**window, *value)));
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"campaign_id":"2","adset_id":"3","ad_id":"4","date_start":"2026-11-19","date_stop":"2026-11-19",
        "impressions":"8801","clicks":120,"spend":"42.17","reach":"7000","frequency":1.257286,
        "actions":[{"action_type":"omni_purchase","value":"3","7d_click":"2","1d_view":"1"},
                   {"action_type":"purchase","value":"3","7d_click":"5"},
                   {"action_type":"li\u006ek_click","value":"1","action_destination":"x"},
                   {"action_type":"link_click","value":"1"},{"action_type":"lead","28d_click":"1"}],
        "action_values":[{"action_type":"omni_purchase","value":"289.9","7d_click":"200"}]}"#;

    #[test]
    fn a_row_is_read_to_the_cent_whether_text_or_number() {
        let GraphRow(day) = serde_json::from_str(ROW).unwrap();
        let measures = &day.facts.measures;
        assert_eq!(measures.spend.to_string(), "42.17");
        assert_eq!(measures.clicks, 120);
        assert_eq!(measures.purchases, Some(Decimal::from(3)));
        assert_eq!(measures.purchase_value.unwrap().to_string(), "289.9");
        assert_eq!(measures.link_clicks, None);
        assert_eq!(measures.actions["link_click"], Decimal::from(2));
        assert_eq!(day.facts.frequency.unwrap().to_string(), "1.257286");
    }

    #[test]
    fn conversions_are_known_by_window_under_the_chosen_key() {
        let GraphRow(day) = serde_json::from_str(ROW).unwrap();
        let windows = &day.facts.measures.by_window;
        assert_eq!(windows.keys().collect::<Vec<_>>(), ["1d_view", "28d_click", "7d_click"]);
        assert_eq!(windows["7d_click"].purchases, Some(Decimal::from(2)));
        assert_eq!(windows["7d_click"].purchase_value, Some(Decimal::from(200)));
        assert_eq!(windows["1d_view"].purchase_value, None, "unknown, which is not zero");
        assert_eq!(windows["28d_click"].leads, Some(Decimal::ONE));
        assert_eq!(day.facts.measures.leads, None, "no lead under the ad set's own setting");
    }

    #[test]
    fn the_error_of_a_binary_fraction_is_no_part_of_a_number() {
        for text in [r#""109.97000000000001""#, "109.97000000000001"] {
            let GraphRow(day) = serde_json::from_str(&ROW.replace("\"289.9\"", text)).unwrap();
            assert_eq!(
                day.facts.measures.purchase_value.unwrap().normalize().to_string(),
                "109.97",
                "{text}"
            );
        }
    }

    #[test]
    fn a_broken_number_says_which_and_where() {
        let body = ROW.replace("\"8801\"", "\"88 01\"");
        let error = serde_json::from_str::<GraphRow>(&body).unwrap_err().to_string();
        assert!(error.contains("88 01"), "{error}");
        let error =
            serde_json::from_str::<GraphRow>(&ROW.replace("\"8801\"", "\"-1\"")).unwrap_err().to_string();
        assert!(error.contains("impressions"), "{error}");
        let body = ROW.replace("289.9", "79228162514264337593543950335");
        assert!(serde_json::from_str::<GraphRow>(&body).is_err(), "two of these cannot be added");
        let body = ROW.replace("\"8801\"", "\"88 01\"");
        let page = format!(r#"{{"data":[{ROW},{body}]}}"#);
        let (rows, gaps) = crate::fuzzing::rows::<GraphRow>(page.as_bytes(), true).unwrap();
        assert_eq!(
            (rows.len(), gaps[0].id.as_deref(), gaps[0].day.as_deref()),
            (1, Some("4"), Some("2026-11-19"))
        );
        assert!(gaps[0].reason.starts_with("impressions: ") && !gaps[0].reason.contains("88 01"), "{gaps:?}");
    }
}
