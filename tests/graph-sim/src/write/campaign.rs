//! Rules for campaigns.

use serde_json::{Value, json};

use super::draft::{Draft, ValidationRule};
use super::param_rules::ParamRules;
use super::{budget, budget_schedule, object_limits};
use crate::error::{GraphError, invalid, required, rule_violation, with_blame};
use crate::node::Kind;

const OBJECTIVES: [&str; 6] = [
    "OUTCOME_AWARENESS",
    "OUTCOME_TRAFFIC",
    "OUTCOME_ENGAGEMENT",
    "OUTCOME_LEADS",
    "OUTCOME_APP_PROMOTION",
    "OUTCOME_SALES",
];
/// The default bid strategy. Source: Marketing API, "Campaign".
pub(super) const DEFAULT_STRATEGY: &str = "LOWEST_COST_WITH_BID_CAP";
/// With more ad sets a campaign's budget and bid strategy cannot be changed any more.
const MAX_ADSETS_TO_SWITCH_BUDGET: usize = 70;

/// The old objectives are still in Meta's enumeration, but cannot be created.
pub(super) const PARAM_RULES: ParamRules = ParamRules {
    required: &["name", "objective", "special_ad_categories"],
    max_chars: &[],
    one_of: &[("objective", &OBJECTIVES), ("buying_type", &["AUCTION", "RESERVED"])],
};

pub(super) const RULES: &[ValidationRule] = &[
    object_limits::check_new,
    budget::check_one,
    check_categories,
    check_sharing,
    check_strategy,
    check_cap,
    check_switch,
    budget_schedule::check_new,
];

/// Rejects NONE together with a category. A category requires countries.
fn check_categories(draft: &Draft<'_>) -> Result<(), GraphError> {
    let names = draft.params.names("special_ad_categories")?.unwrap_or_default();
    if names.len() > 1 && names.iter().any(|name| name == "NONE") {
        return Err(invalid("Param special_ad_categories cannot hold NONE beside other categories"));
    }
    let countries = draft.fields.get("special_ad_category_country").and_then(Value::as_array);
    if names.iter().any(|name| name != "NONE") && countries.is_none_or(Vec::is_empty) {
        return Err(required("special_ad_category_country"));
    }
    Ok(())
}

/// Since v24 a campaign without a budget must say whether its ad sets share theirs.
fn check_sharing(draft: &Draft<'_>) -> Result<(), GraphError> {
    let has_budget = budget::of(&draft.fields).is_some();
    if draft.before.is_some() || has_budget || draft.params.text("is_adset_budget_sharing_enabled").is_some()
    {
        return Ok(());
    }
    Err(rule_violation(
        4834011,
        "Say in is_adset_budget_sharing_enabled whether ad sets may share budgets, as the campaign has none.",
    ))
}

fn check_strategy(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.params.text("bid_strategy").is_some()
        && budget::of(&draft.fields).is_none()
        && draft.params.text("adset_budgets").is_none()
    {
        return Err(invalid("Param bid_strategy is set on the ad sets of a campaign without a budget"));
    }
    Ok(())
}

/// Checks the minimum spend cap, about a hundred dollars.
fn check_cap(draft: &Draft<'_>) -> Result<(), GraphError> {
    let minimum = budget::minimum(draft.account) * 100;
    if draft.params.text("spend_cap").is_some() && draft.amount("spend_cap").is_some_and(|cap| cap < minimum)
    {
        return Err(with_blame(
            rule_violation(2446307, "The spending limit of the campaign is too low."),
            &["spend_cap"],
        ));
    }
    Ok(())
}

/// Checks a switch of the budget from the campaign to its ad sets, or of the bids of the ad sets to a new bid strategy.
fn check_switch(draft: &Draft<'_>) -> Result<(), GraphError> {
    let Some(before) = draft.before else { return Ok(()) };
    let id = before.text("id").unwrap_or_default();
    let adsets = object_limits::live_children(draft.world, id);
    let budgets = draft.params.json("adset_budgets")?;
    let strategy = draft.params.text("bid_strategy").filter(|new| before.text("bid_strategy") != Some(*new));
    if adsets.len() > MAX_ADSETS_TO_SWITCH_BUDGET && (budgets.is_some() || strategy.is_some()) {
        return Err(invalid(
            "The campaign has more than 70 ad sets: its budget and bid strategy stay as they are",
        ));
    }
    if let Some(bids) = draft.params.json("adset_bid_amounts")? {
        let known = |id: &String| adsets.iter().any(|adset| adset.text("id") == Some(id));
        if !bids.as_object().is_some_and(|bids| bids.keys().all(known)) {
            return Err(invalid("Param adset_bid_amounts must have ids of ad sets of this campaign"));
        }
    }
    let Some(budgets) = budgets else { return Ok(()) };
    if budget::of(&before.fields).is_none() {
        return Err(invalid("Param adset_budgets is for a campaign that has a budget"));
    }
    let entries = budgets.as_array().map(Vec::as_slice).unwrap_or_default();
    for adset in &adsets {
        let entry = entries.iter().find(|entry| entry.get("adset_id") == adset.fields.get("id"));
        let Some(budget) = entry.and_then(|entry| budget::of(entry.as_object()?)) else {
            return Err(invalid("Param adset_budgets must have a budget for every ad set of the campaign"));
        };
        budget::check_minimum(draft.account, Kind::AdSet, budget)?;
    }
    Ok(())
}

/// Adds the fields that Meta sets on a new campaign.
pub(super) fn complete(fields: &mut serde_json::Map<String, serde_json::Value>) {
    fields.entry("buying_type").or_insert_with(|| json!("AUCTION"));
    if budget::of(fields).is_some() {
        fields.entry("bid_strategy").or_insert_with(|| json!(DEFAULT_STRATEGY));
    }
}
