//! The measures of a row: stored counts, and values derived from them.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::action::{self, ActionOptions};
use super::counts::{Count, Counts, Windows};
use super::sum::decimal;
use crate::money::{major, ratio};

/// The measures of one row.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all rows are counted, and no box is made for each")]
pub(crate) enum Measures<'a> {
    Counted(Counts),
    EventRecord(&'a Map<String, Value>),
    Summed(Map<String, Value>),
}

/// How a row's measures are formatted.
#[derive(Clone, Copy)]
pub(crate) struct FormatOptions<'a> {
    pub(crate) currency: &'a str,
    pub(crate) action_options: &'a ActionOptions,
    /// Whether counts of unique people are known for the row.
    pub(crate) unique: Unique,
}

/// Which counts of unique people Meta reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unique {
    Known,
    /// Hourly rows contain 0.
    Zero,
    /// With breakdowns they are kept for 13 months only, and absent for older days.
    Expired,
}

/// The stored fields of a generated row; others are derived from them.
pub(crate) const STORED_FIELDS: [&str; 9] = [
    "impressions",
    "reach",
    "frequency",
    "clicks",
    "inline_link_clicks",
    "spend",
    "actions",
    "action_values",
    "purchase_roas",
];

impl Measures<'_> {
    /// Returns a copy that does not borrow the recorded row.
    pub(crate) fn into_owned(self) -> Measures<'static> {
        match self {
            Self::Counted(counts) => Measures::Counted(counts),
            Self::EventRecord(row) => Measures::Summed(row.clone()),
            Self::Summed(row) => Measures::Summed(row),
        }
    }

    /// Returns the recorded or summed row, if there is one; its values take precedence over derived ones.
    fn row(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Counted(_) => None,
            Self::EventRecord(row) => Some(row),
            Self::Summed(row) => Some(row),
        }
    }

    /// Returns a field, if it is stored or can be derived.
    pub(crate) fn field(&self, name: &str, options: FormatOptions<'_>) -> Option<Value> {
        if is_unique(name) && options.unique != Unique::Known {
            return (options.unique == Unique::Zero && !is_list(name)).then(|| json!("0"));
        }
        if let Some(row) = self.row()
            && let Some(value) = row.get(name)
        {
            return Some(listed(value, options.action_options));
        }
        if let Self::Counted(counts) = self
            && let Some(value) = list(counts, name, options)
        {
            return Some(value);
        }
        if let Some(value) = self.ratio(name, options.currency) {
            return Some(json!(value.to_string()));
        }
        match self {
            Self::Counted(counts) => match name {
                "spend" | "social_spend" => self.number(name, options.currency).map(|n| json!(n.to_string())),
                _ => scalar(counts, name).map(|number| json!(number.to_string())),
            },
            _ if name == "cost_per_action_type" => self.cost_per_action(options.currency),
            _ => None,
        }
    }

    /// Returns a measure as a number; money in major units.
    pub(crate) fn number(&self, name: &str, currency: &str) -> Option<Decimal> {
        match (self, name) {
            (Self::Counted(counts), "spend") => Some(major(counts[Count::Spend], currency)),
            (Self::Counted(_), "social_spend") => Some(Decimal::ZERO),
            (Self::Counted(counts), _) => {
                scalar(counts, name).map(Decimal::from).or_else(|| self.ratio(name, currency))
            }
            (Self::EventRecord(row), _) => decimal(row.get(name)).or_else(|| self.ratio(name, currency)),
            (Self::Summed(row), _) => decimal(row.get(name)).or_else(|| self.ratio(name, currency)),
        }
    }

    /// Returns a measure that is a ratio of two others.
    fn ratio(&self, name: &str, currency: &str) -> Option<Decimal> {
        let (dividend, factor, divisor) = match name {
            "frequency" => ("impressions", 1, "reach"),
            "cpm" => ("spend", 1_000, "impressions"),
            "cpp" => ("spend", 1_000, "reach"),
            "cpc" => ("spend", 1, "clicks"),
            "ctr" => ("clicks", 100, "impressions"),
            "cost_per_inline_link_click" => ("spend", 1, "inline_link_clicks"),
            "inline_link_click_ctr" => ("inline_link_clicks", 100, "impressions"),
            "cost_per_inline_post_engagement" => ("spend", 1, "inline_post_engagement"),
            "cost_per_unique_click" => ("spend", 1, "unique_clicks"),
            "unique_ctr" => ("unique_clicks", 100, "reach"),
            "cost_per_unique_inline_link_click" => ("spend", 1, "unique_inline_link_clicks"),
            "unique_inline_link_click_ctr" | "unique_link_clicks_ctr" => {
                ("unique_inline_link_clicks", 100, "reach")
            }
            _ => return None,
        };
        // A recording without one of the two has no ratio either.
        ratio(self.number(dividend, currency)? * Decimal::from(factor), self.number(divisor, currency)?)
    }

    fn cost_per_action(&self, currency: &str) -> Option<Value> {
        let spend = self.number("spend", currency)?;
        let costs = self.row()?.get("actions")?.as_array()?.iter().filter_map(|action| {
            let cost = ratio(spend, decimal(action.get("value"))?)?;
            Some(json!({ "action_type": action.get("action_type")?, "value": cost.to_string() }))
        });
        Some(costs.collect())
    }

    /// Returns the count of an action type.
    pub(crate) fn action(&self, kind: &str) -> Option<Decimal> {
        match self {
            Self::Counted(counts) => {
                let found = action::actions(counts).find(|(name, _)| *name == kind)?;
                Some(found.1.value.into())
            }
            _ => {
                let actions = self.row()?.get("actions")?.as_array()?;
                let found = actions.iter().find(|action| action.get("action_type") == Some(&json!(kind)))?;
                decimal(found.get("value"))
            }
        }
    }
}

/// Returns a recorded value; lists are reduced to the requested action types.
fn listed(value: &Value, action_options: &ActionOptions) -> Value {
    let Value::Array(entries) = value else { return value.clone() };
    let wanted = |entry: &&Value| {
        entry.get("action_type").and_then(Value::as_str).is_none_or(|kind| action_options.wants(kind))
    };
    entries.iter().filter(wanted).cloned().collect()
}

/// Returns whether a field counts unique people.
fn is_unique(name: &str) -> bool {
    name == "reach"
        || name == "frequency"
        || name == "cpp"
        || name.contains("unique")
        || name == "full_view_reach"
}

fn is_list(name: &str) -> bool {
    name.contains("action")
        || name.contains("outbound")
        || name.contains("conversion")
        || name.contains("video")
}

/// Estimates how many of `number` actions were by different people.
fn unique(counts: &Counts, number: u64) -> u64 {
    (number - number / 12).min(counts[Count::Reach])
}

fn scalar(counts: &Counts, name: &str) -> Option<u64> {
    Some(match name {
        "impressions" => counts[Count::Impressions],
        "reach" => counts[Count::Reach],
        "clicks" => counts[Count::Clicks],
        "inline_link_clicks" => counts[Count::LinkClicks],
        "inline_post_engagement" => action::post_engagement(counts),
        "unique_clicks" => unique(counts, counts[Count::Clicks]),
        "unique_inline_link_clicks" => unique(counts, counts[Count::LinkClicks]),
        "full_view_impressions" => counts[Count::Impressions] / 3,
        "full_view_reach" => counts[Count::Reach] / 3,
        "canvas_avg_view_percent" | "canvas_avg_view_time" => 0,
        _ => return None,
    })
}

/// Returns a list field of a generated row.
fn list(counts: &Counts, name: &str, options: FormatOptions<'_>) -> Option<Value> {
    let (action_options, currency) = (options.action_options, options.currency);
    let spend = major(counts[Count::Spend], currency);
    let (impressions, reach) = (counts[Count::Impressions], counts[Count::Reach]);
    let each = |number: u64| Some(Decimal::from(number));
    let cost = |number: u64| ratio(spend, number.into());
    let single = |number: u64| Some(Decimal::from(unique(counts, number)));
    let single_cost = |number: u64| ratio(spend, unique(counts, number).into());
    let rate = |number: u64| ratio(Decimal::from(number * 100), impressions.into());
    let single_rate = |number: u64| ratio(Decimal::from(unique(counts, number) * 100), reach.into());
    let money = |number: u64| Some(major(number, currency));
    let roas = |number: u64| ratio(money(number)?, spend);
    let one = |kind: &'static str, count: Count| [(kind, Windows::immediate(counts[count]))];
    let outbound = || one("outbound_click", Count::OutboundClicks);
    let bought = |kind: &'static str| [(kind, counts.windows(Count::PurchaseValue))];
    match name {
        "actions" => action_options.list(action::actions(counts), each),
        "unique_actions" => action_options.list(action::actions(counts), single),
        "cost_per_action_type" => action_options.list(action::actions(counts), cost),
        "cost_per_unique_action_type" => action_options.list(action::actions(counts), single_cost),
        "action_values" => action_options.list(action::values_of(counts), money),
        "purchase_roas" => action_options.list(bought("omni_purchase"), roas),
        "website_purchase_roas" => action_options.list(bought("offsite_conversion.fb_pixel_purchase"), roas),
        "outbound_clicks" => action_options.list(outbound(), each),
        "outbound_clicks_ctr" => action_options.list(outbound(), rate),
        "cost_per_outbound_click" => action_options.list(outbound(), cost),
        "unique_outbound_clicks" => action_options.list(outbound(), single),
        "unique_outbound_clicks_ctr" => action_options.list(outbound(), single_rate),
        "cost_per_unique_outbound_click" => action_options.list(outbound(), single_cost),
        "website_ctr" => action_options.list(one("link_click", Count::LinkClicks), rate),
        "cost_per_thruplay" | "cost_per_15_sec_video_view" => {
            action_options.list(one("video_view", Count::ThruPlays), cost)
        }
        "cost_per_2_sec_continuous_video_view" => {
            action_options.list(one("video_view", Count::VideoTwoSeconds), cost)
        }
        "cost_per_6_sec_video_view" => action_options.list(one("video_view", Count::VideoSixSeconds), cost),
        "video_avg_time_watched_actions" => {
            let average = counts[Count::SecondsWatched].checked_div(counts[Count::VideoPlays])?;
            action_options.list([("video_view", Windows::immediate(average))], each)
        }
        "video_play_curve_actions" => play_curve(counts),
        _ => action_options.list(one("video_view", video_count(name)?), each),
    }
}

/// Returns the count that a list of video views contains.
fn video_count(name: &str) -> Option<Count> {
    Some(match name {
        "video_play_actions" => Count::VideoPlays,
        "video_continuous_2_sec_watched_actions" => Count::VideoTwoSeconds,
        "video_6_sec_watched_actions" => Count::VideoSixSeconds,
        "video_15_sec_watched_actions" | "video_thruplay_watched_actions" => Count::ThruPlays,
        "video_30_sec_watched_actions" => Count::VideoThirtySeconds,
        "video_p25_watched_actions" => Count::VideoQuarter,
        "video_p50_watched_actions" => Count::VideoHalf,
        "video_p75_watched_actions" => Count::VideoThreeQuarters,
        "video_p95_watched_actions" => Count::VideoNearlyAll,
        "video_p100_watched_actions" => Count::VideoAll,
        "video_time_watched_actions" => Count::SecondsWatched,
        _ => return None,
    })
}

/// Returns the percentage of plays that were still watched at 22 points of the video. Unlike in all other lists the
/// values are numbers.
fn play_curve(counts: &Counts) -> Option<Value> {
    let plays = counts[Count::VideoPlays];
    let percent = |count: Count| (counts[count] * 100).checked_div(plays);
    let (start, end) = (percent(Count::VideoViews)?, percent(Count::VideoAll)?);
    let curve: Vec<u64> = std::iter::once(100)
        .chain((0..21).map(|point| start - start.saturating_sub(end) * point / 20))
        .collect();
    Some(json!([{ "action_type": "video_view", "value": curve }]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::SeededRng;
    use crate::numbers::Numbers;

    fn written(row: Value) -> Measures<'static> {
        Measures::Summed(row.as_object().unwrap().clone())
    }

    fn counted(numbers: Numbers) -> Measures<'static> {
        Measures::Counted(Counts::of(&numbers, SeededRng::new(1)))
    }

    fn field(measures: &Measures<'_>, name: &str) -> Option<Value> {
        let action_options = ActionOptions::default();
        measures.field(
            name,
            FormatOptions { currency: "SGD", action_options: &action_options, unique: Unique::Known },
        )
    }

    #[test]
    fn ratios_follow_from_what_is_known() {
        let row = written(json!({"spend": "7.02", "impressions": "284", "clicks": "0"}));
        assert_eq!(field(&row, "cpm"), Some(json!("24.71831")));
        assert_eq!(field(&row, "ctr"), Some(json!("0")));
        assert_eq!(field(&row, "cpc"), None);
        assert_eq!(field(&row, "cpp"), None);
    }

    #[test]
    fn a_row_is_made_of_text_and_leaves_out_what_did_not_happen() {
        let row =
            counted(Numbers { spend: 4210, impressions: 8801, reach: 7000, clicks: 3, ..Numbers::default() });
        let names =
            [&STORED_FIELDS[..], &["cost_per_action_type", "video_p25_watched_actions", "unique_clicks"]]
                .concat();
        let fields: Map<String, Value> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), field(&row, name)?))).collect();
        assert_eq!(
            Value::Object(fields),
            json!({"spend": "42.1", "impressions": "8801", "reach": "7000", "frequency": "1.257286",
                   "clicks": "3", "inline_link_clicks": "0", "unique_clicks": "3"})
        );
    }

    #[test]
    fn a_purchase_is_in_every_list_it_belongs_to() {
        let numbers = Numbers {
            spend: 1_000,
            impressions: 9,
            reach: 9,
            purchases: 2,
            purchase_value: 5_001,
            ..Numbers::default()
        };
        let row = counted(numbers);
        assert!(STORED_FIELDS.iter().all(|name| field(&row, name).is_some()));
        assert_eq!(field(&row, "actions").unwrap()[0], json!({"action_type": "omni_purchase", "value": "2"}));
        assert_eq!(
            field(&row, "action_values").unwrap()[1],
            json!({"action_type": "purchase", "value": "50.01"})
        );
        assert_eq!(field(&row, "cost_per_action_type").unwrap()[0]["value"], "5");
        assert_eq!(field(&row, "purchase_roas").unwrap()[0]["value"], "5.001");
    }

    #[test]
    fn people_are_not_counted_by_the_hour() {
        let row = counted(Numbers { impressions: 9, reach: 9, clicks: 2, ..Numbers::default() });
        let action_options = ActionOptions::default();
        let field = |name, unique| {
            row.field(name, FormatOptions { currency: "SGD", action_options: &action_options, unique })
        };
        assert_eq!(field("reach", Unique::Zero), Some(json!("0")));
        assert_eq!(field("unique_actions", Unique::Zero), None);
        assert_eq!(field("unique_clicks", Unique::Expired), None);
        assert_eq!(field("clicks", Unique::Expired), Some(json!("2")));
    }
}
