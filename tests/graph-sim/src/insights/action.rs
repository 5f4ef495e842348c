//! Lists of actions, by action type, attribution window and action breakdown.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::counts::{Count, Counts, Windows, slice};
use crate::error::GraphError;
use crate::generator::SeededRng;
use crate::params::Params;

/// The action types under which Meta lists the same purchase. They must not be added up.
const PURCHASE: [&str; 5] = [
    "omni_purchase",
    "purchase",
    "offsite_conversion.fb_pixel_purchase",
    "onsite_web_purchase",
    "web_in_store_purchase",
];
const ADD_TO_CART: [&str; 3] = ["omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart"];

/// The custom conversion of every account: what leads on the web are counted by, too.
pub(crate) const CUSTOM_CONVERSION_ID: &str = "640000000000001";
const CUSTOM_CONVERSION: &str = "offsite_conversion.custom.640000000000001";

/// An action type and its count (or its value in minor units).
pub(crate) type Action = (&'static str, Windows);

/// The options of a call that affect lists of actions.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActionOptions {
    windows: Vec<String>,
    /// Action breakdowns in addition to `action_type`, which is always included.
    breakdowns: Vec<String>,
    /// The only action types requested, by `filtering`.
    pub(crate) only: Option<Vec<String>>,
}

impl ActionOptions {
    pub(crate) fn read(params: Params<'_>) -> Result<Self, GraphError> {
        let mut breakdowns = params.names("action_breakdowns")?.unwrap_or_default();
        breakdowns.retain(|name| name != "action_type");
        let windows = params.names("action_attribution_windows")?.unwrap_or_default();
        Ok(Self { windows, breakdowns, only: None })
    }

    pub(crate) fn breakdowns(&self) -> &[String] {
        &self.breakdowns
    }

    /// Returns whether actions of this type are requested.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == kind))
    }

    /// Returns a list of actions with the requested options, each number formatted by `show`; `None` when it is empty.
    pub(crate) fn list(
        &self,
        actions: impl IntoIterator<Item = Action>,
        show: impl Fn(u64) -> Option<Decimal>,
    ) -> Option<Value> {
        let mut entries = Vec::new();
        for (kind, number) in actions {
            if number.value > 0 && self.wants(kind) {
                self.divide(kind, number, &show, &mut entries);
            }
        }
        (!entries.is_empty()).then_some(Value::Array(entries))
    }

    /// Splits an action by the action breakdowns that apply to it.
    fn divide(
        &self,
        kind: &'static str,
        number: Windows,
        show: &impl Fn(u64) -> Option<Decimal>,
        entries: &mut Vec<Value>,
    ) {
        let mut parts = vec![(Map::new(), number)];
        for breakdown in &self.breakdowns {
            let values = values(breakdown, kind);
            if !values.is_empty() {
                parts = parts.iter().flat_map(|part| split(part, breakdown, values)).collect();
            }
        }
        entries.extend(parts.into_iter().filter_map(|part| self.entry(kind, part, show)));
    }

    /// Builds the entry of an action with its value and the requested windows; windows without actions are omitted.
    fn entry(
        &self,
        kind: &'static str,
        (mut entry, number): Part,
        show: &impl Fn(u64) -> Option<Decimal>,
    ) -> Option<Value> {
        let text = |number: u64| Some(Value::String(show(number)?.to_string()));
        entry.insert("action_type".into(), Value::String(kind.to_owned()));
        entry.insert("value".into(), text(number.value)?);
        for window in &self.windows {
            let of_window = match window.as_str() {
                "1d_view" => number.view_1d,
                "1d_click" => number.click_1d,
                "7d_click" => number.click_7d(),
                "28d_click" => number.click_28d,
                // `7d_view` and `28d_view` have silently returned nothing since 2026-01-12; other windows are not
                // simulated.
                _ => 0,
            };
            if of_window > 0
                && let Some(value) = text(of_window)
            {
                entry.insert(window.clone(), value);
            }
        }
        Some(Value::Object(entry))
    }
}

/// A part of an action: its breakdown values and its numbers.
type Part = (Map<String, Value>, Windows);

fn split<'a>(
    (keys, number): &'a Part,
    breakdown: &'a str,
    values: &'static [(&'static str, u64)],
) -> impl Iterator<Item = Part> + 'a {
    let all = values.iter().map(|(_, weight)| weight).sum();
    let mut before = 0;
    values.iter().filter_map(move |(value, weight)| {
        let span = (before, before + weight);
        before = span.1;
        // The same generator for all numbers, so that a window never exceeds its total.
        let rng = SeededRng::new(all);
        let part = number.map(|number| slice(number, span.0, span.1, all, rng));
        let mut keys = keys.clone();
        keys.insert(breakdown.to_owned(), Value::String((*value).to_owned()));
        (part.value > 0).then_some((keys, part))
    })
}

/// Returns the values of an action breakdown, with their weights, for actions of this type; empty where it does not
/// apply. Web conversions have no device, destination or target (Meta, "Limitations" of breakdowns, type 2).
fn values(breakdown: &str, kind: &str) -> &'static [(&'static str, u64)] {
    match (breakdown, kind) {
        ("action_device", _) if !is_off_meta(kind) => {
            &[("iphone", 41), ("android_smartphone", 38), ("desktop", 15), ("ipad", 6)]
        }
        ("action_destination", "link_click" | "outbound_click" | "landing_page_view") => {
            &[("shop.example.com", 1)]
        }
        ("action_target_id", _) if !is_off_meta(kind) => &[("610000000000001", 3), ("610000000000002", 1)],
        ("action_reaction", "post_reaction") => &[("like", 78), ("love", 15), ("wow", 4), ("haha", 3)],
        ("action_video_sound", "video_view") => &[("on", 35), ("off", 65)],
        ("action_video_type", "video_view") => &[("auto_played", 90), ("click_to_play", 10)],
        ("action_carousel_card_id", "link_click") => &[("1", 5), ("2", 3), ("3", 2)],
        ("action_carousel_card_name", "link_click") => {
            &[("First card", 5), ("Second card", 3), ("Third card", 2)]
        }
        _ => &[],
    }
}

/// Returns whether actions of this type happen outside of Meta.
pub(crate) fn is_off_meta(kind: &str) -> bool {
    kind.starts_with("offsite_conversion") || PURCHASE.contains(&kind) || ADD_TO_CART.contains(&kind)
}

/// Returns all actions with their counts.
pub(crate) fn actions(counts: &Counts) -> impl Iterator<Item = Action> {
    let (form, web) = (counts.windows(Count::FormLeads), counts.windows(Count::WebLeads));
    let (purchases, adds) = (counts.windows(Count::Purchases), counts.windows(Count::AddsToCart));
    let post_engagement = post_engagement(counts);
    let others = [
        ("link_click", Windows::immediate(counts[Count::LinkClicks])),
        ("landing_page_view", Windows::immediate(counts[Count::LandingPageViews])),
        ("omni_landing_page_view", Windows::immediate(counts[Count::LandingPageViews])),
        ("video_view", Windows::immediate(counts[Count::VideoViews])),
        ("post_reaction", Windows::immediate(counts[Count::Reactions])),
        ("like", Windows::immediate(counts[Count::PageLikes])),
        ("post_engagement", Windows::immediate(post_engagement)),
        ("page_engagement", Windows::immediate(post_engagement + counts[Count::PageLikes])),
        ("lead", form.plus(web)),
        ("onsite_conversion.lead_grouped", form),
        ("offsite_conversion.fb_pixel_lead", web),
        (CUSTOM_CONVERSION, web),
    ];
    let adds = ADD_TO_CART.map(|name| (name, adds));
    others.into_iter().chain(adds).chain(PURCHASE.map(|name| (name, purchases)))
}

/// Returns the actions that have a value, with their values.
pub(crate) fn values_of(counts: &Counts) -> impl Iterator<Item = Action> {
    let paid = counts.windows(Count::PurchaseValue);
    PURCHASE.map(|name| (name, paid)).into_iter()
}

/// Returns the sum of reactions, link clicks and video views.
pub(crate) fn post_engagement(counts: &Counts) -> u64 {
    counts[Count::LinkClicks] + counts[Count::VideoViews] + counts[Count::Reactions]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn action_options(pairs: &[(&str, &str)]) -> Result<ActionOptions, GraphError> {
        let params: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ActionOptions::read(Params(&params))
    }

    fn count(number: u64) -> Option<Decimal> {
        Some(number.into())
    }

    #[test]
    fn windows_stand_beside_the_value_and_dead_ones_are_silent() {
        let bought = Windows { value: 12, view_1d: 2, click_1d: 7, click_28d: 11 };
        let wanted = action_options(&[(
            "action_attribution_windows",
            r#"["1d_click","7d_click","1d_view","7d_view"]"#,
        )]);
        assert_eq!(
            wanted.unwrap().list([("purchase", bought), ("lead", Windows::default())], count),
            Some(json!([{"action_type": "purchase", "value": "12", "1d_click": "7", "7d_click": "10",
                         "1d_view": "2"}]))
        );
    }

    #[test]
    fn an_action_breakdown_divides_only_what_it_applies_to() {
        let wanted =
            action_options(&[("action_breakdowns", r#"["action_type","action_reaction"]"#)]).unwrap();
        let list = wanted
            .list([("post_reaction", Windows::immediate(100)), ("link_click", Windows::immediate(5))], count);
        let entries = list.unwrap().as_array().unwrap().clone();
        let reactions: u64 = entries
            .iter()
            .filter(|entry| entry.get("action_reaction").is_some())
            .map(|entry| entry["value"].as_str().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!((entries.len(), reactions), (5, 100));
        assert_eq!(entries[4], json!({"action_type": "link_click", "value": "5"}));
    }
}
