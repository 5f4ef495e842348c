//! Dimensions: the fields of a row that come from objects rather than from counts.

use serde_json::{Map, Value, json};

use super::measures::Measures;
use super::query::Level;
use crate::facts::AdRef;
use crate::money::ratio;
use crate::node::Account;
use crate::world::World;

/// The dimension fields of an ad-day row.
pub(crate) const DIMENSION_FIELDS: [&str; 10] = [
    "account_id",
    "account_name",
    "account_currency",
    "attribution_setting",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
];
/// Below this number of impressions Meta does not rank an ad.
const MIN_RANKED_IMPRESSIONS: u64 = 500;

/// The dimensions of rows of one level.
#[derive(Clone, Copy)]
pub(crate) struct Dimensions<'a> {
    pub(crate) world: &'a World,
    pub(crate) account: &'a Account,
    pub(crate) level: Level,
}

/// Returns whether a field is a dimension; only [`Dimensions::field`] can then know its value.
pub(crate) fn is_dimension(field: &str) -> bool {
    level(field).is_some()
}

/// Returns the widest level whose rows have a field, if the field is a dimension.
fn level(field: &str) -> Option<Level> {
    Some(match field {
        "account_id" | "account_name" | "account_currency" | "attribution_setting" => Level::Account,
        "campaign_id"
        | "campaign_name"
        | "objective"
        | "buying_type"
        | "created_time"
        | "updated_time"
        | "results"
        | "cost_per_result"
        | "objective_results"
        | "cost_per_objective_result" => Level::Campaign,
        "adset_id" | "adset_name" | "optimization_goal" | "adset_start" | "adset_end" => Level::AdSet,
        "ad_id" | "ad_name" | "quality_ranking" | "engagement_rate_ranking" | "conversion_rate_ranking" => {
            Level::Ad
        }
        _ => return None,
    })
}

impl Dimensions<'_> {
    /// Returns a dimension of a row. A value in `sample`, a recorded row of the object, takes precedence.
    pub(crate) fn field(
        &self,
        field: &str,
        ad: &AdRef,
        sample: Option<&Map<String, Value>>,
        measures: &Measures<'_>,
    ) -> Option<Value> {
        if level(field).is_none_or(|widest| widest > self.level) {
            return None;
        }
        if let Some(written) = sample.and_then(|sample| sample.get(field)) {
            return Some(written.clone());
        }
        let node = |id: &str, field: &str| self.world.nodes.get(id)?.fields.get(field).cloned();
        match field {
            "account_id" => Some(json!(self.account.digits)),
            "account_name" => self.account.fields.get("name").cloned(),
            "account_currency" => Some(json!(self.account.currency)),
            "campaign_id" => Some(json!(ad.campaign)),
            "campaign_name" => node(&ad.campaign, "name"),
            "objective" | "buying_type" => node(&ad.campaign, field),
            "adset_id" => Some(json!(ad.adset)),
            "adset_name" => node(&ad.adset, "name"),
            "optimization_goal" => node(&ad.adset, field),
            "adset_start" => node(&ad.adset, "start_time"),
            "adset_end" => node(&ad.adset, "end_time"),
            "ad_id" => Some(json!(ad.ad)),
            "ad_name" => node(&ad.ad, "name"),
            "created_time" | "updated_time" => {
                // Insights contain the date only.
                let moment = node(self.object(ad), field)?;
                moment.as_str().and_then(|moment| moment.get(..10)).map(Value::from)
            }
            "attribution_setting" => self.attribution(ad),
            "results" | "objective_results" => self.results(ad, measures, |count, _| Some(count)),
            "cost_per_result" | "cost_per_objective_result" => {
                self.results(ad, measures, |count, spend| ratio(spend, count))
            }
            ranking if ranking.ends_with("_ranking") => {
                let ranked =
                    measures.number("impressions", &self.account.currency)? >= MIN_RANKED_IMPRESSIONS.into();
                Some(json!(if ranked { "AVERAGE" } else { "UNKNOWN" }))
            }
            _ => None,
        }
    }

    /// Returns the id of the object a row is about.
    pub(crate) fn object<'b>(&'b self, ad: &'b AdRef) -> &'b str {
        match self.level {
            Level::Account => &self.account.digits,
            Level::Campaign => &ad.campaign,
            Level::AdSet => &ad.adset,
            Level::Ad => &ad.ad,
        }
    }

    /// Returns the ad set's attribution setting; for recordings, it is the one its learning stage was measured with.
    /// Above ad sets Meta returns it only where all ad sets have the same.
    fn attribution(&self, ad: &AdRef) -> Option<Value> {
        if self.account.facts.is_generated() {
            return Some(json!("7d_click_1d_view"));
        }
        if self.level < Level::AdSet {
            return None;
        }
        let learning = self.world.nodes.get(&ad.adset)?.fields.get("learning_stage_info")?;
        let windows: Vec<&str> =
            learning.get("attribution_windows")?.as_array()?.iter().filter_map(Value::as_str).collect();
        Some(json!(windows.join("_")))
    }

    /// Returns the results the ad set is optimised for. Where there are none, Meta returns the indicator without values
    /// (observed by practitioners in 2026).
    fn results(
        &self,
        ad: &AdRef,
        measures: &Measures<'_>,
        show: impl Fn(rust_decimal::Decimal, rust_decimal::Decimal) -> Option<rust_decimal::Decimal>,
    ) -> Option<Value> {
        let adset = self.world.nodes.get(&ad.adset)?;
        let event = adset.fields.get("promoted_object").and_then(|object| object.get("custom_event_type"));
        let action = match (adset.text("optimization_goal")?, event.and_then(Value::as_str)) {
            ("OFFSITE_CONVERSIONS" | "VALUE", Some("LEAD")) => "offsite_conversion.fb_pixel_lead",
            ("OFFSITE_CONVERSIONS" | "VALUE", _) => "offsite_conversion.fb_pixel_purchase",
            ("LEAD_GENERATION" | "QUALITY_LEAD", _) => "onsite_conversion.lead_grouped",
            ("LANDING_PAGE_VIEWS", _) => "landing_page_view",
            ("LINK_CLICKS", _) => "link_click",
            _ => return None,
        };
        let mut result = json!({ "indicator": format!("actions:{action}") });
        let count = measures.action(action).filter(|count| !count.is_zero());
        let spend = measures.number("spend", &self.account.currency)?;
        if let Some(value) = count.and_then(|count| show(count, spend)) {
            result["values"] = json!([{ "value": value.to_string(), "attribution_windows": ["default"] }]);
        }
        Some(json!([result]))
    }
}
