//! Rules for ad sets.

use serde_json::Value;

use super::campaign::DEFAULT_STRATEGY;
use super::draft::{Draft, ValidationRule};
use super::param_rules::ParamRules;
use super::{budget, budget_schedule, goal, object_limits, targeting, timing};
use crate::error::{GraphError, invalid, required, rule_violation, with_blame};
use crate::node::Kind;

/// More parameters are required than the specification says: Meta rejects an ad set without them.
pub(super) const PARAM_RULES: ParamRules = ParamRules {
    required: &["name", "campaign_id", "billing_event", "optimization_goal", "targeting"],
    max_chars: &[("dsa_beneficiary", 512), ("dsa_payor", 512)],
    one_of: &[],
};

pub(super) const RULES: &[ValidationRule] = &[
    check_campaign,
    object_limits::check_new,
    timing::check_not_over,
    targeting::check,
    targeting::check_special_categories,
    targeting::check_dsa,
    targeting::check_regional,
    targeting::check_identities,
    budget::check_level,
    budget::check_one,
    timing::check_times,
    timing::check_schedule,
    check_bid,
    check_spend_limits,
    budget_schedule::check_new,
    goal::check_goal,
    goal::check_promoted,
    goal::check_attribution,
];

fn check_campaign(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.before.is_some() {
        return Ok(());
    }
    let campaign = draft
        .campaign()
        .filter(|node| node.kind == Kind::Campaign && node.account == draft.account.digits)
        .ok_or_else(|| invalid("Param campaign_id must be a campaign of this ad account"))?;
    if matches!(draft.world.effective_status(campaign).as_str(), "ARCHIVED" | "DELETED") {
        return Err(rule_violation(
            1487566,
            "The campaign is archived or deleted: nothing can be added to it.",
        ));
    }
    Ok(())
}

/// Checks that the bid parameters match the bid strategy.
fn check_bid(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["bid_strategy", "bid_amount", "bid_constraints"]) {
        return Ok(());
    }
    let on_campaign = draft.campaign().filter(|campaign| budget::of(&campaign.fields).is_some());
    let strategy = match (on_campaign, draft.before) {
        (Some(campaign), _) => campaign.text("bid_strategy"),
        (None, None) => draft.text("bid_strategy").or(Some(DEFAULT_STRATEGY)),
        (None, Some(_)) => draft.text("bid_strategy"),
    };
    // An object that was not created here may have no strategy.
    let Some(strategy) = strategy else { return Ok(()) };
    let bids = draft.amount("bid_amount").is_some_and(|bid| bid > 0);
    let floor = draft.fields.get("bid_constraints").and_then(|bids| bids.get("roas_average_floor"));
    match strategy {
        "LOWEST_COST_WITH_BID_CAP" | "COST_CAP" if !bids => {
            Err(with_blame(rule_violation(1815857, "The bid strategy needs a bid_amount."), &["bid_amount"]))
        }
        "LOWEST_COST_WITHOUT_CAP" if bids || floor.is_some() => Err(rule_violation(
            1885204,
            "The bid strategy bids by itself and takes neither bid_amount nor bid_constraints.",
        )),
        "LOWEST_COST_WITH_MIN_ROAS" if !floor.is_some_and(Value::is_u64) => {
            Err(required("bid_constraints[roas_average_floor]"))
        }
        _ => Ok(()),
    }
}

/// Checks that spend limits are daily or lifetime ones, like the campaign's budget.
fn check_spend_limits(draft: &Draft<'_>) -> Result<(), GraphError> {
    let on_campaign =
        draft.campaign().and_then(|campaign| budget::of(&campaign.fields)).map(|(field, _)| field);
    for (name, goes_with) in [
        ("daily_min_spend_target", "daily_budget"),
        ("daily_spend_cap", "daily_budget"),
        ("lifetime_min_spend_target", "lifetime_budget"),
        ("lifetime_spend_cap", "lifetime_budget"),
    ] {
        if draft.params.text(name).is_some() && on_campaign != Some(goes_with) {
            return Err(invalid(format!("{name} goes with a {goes_with} of the campaign")));
        }
    }
    Ok(())
}

/// Adds the fields that Meta sets on a new ad set.
pub(super) fn complete(draft: &mut Draft<'_>) {
    let budgeted = budget::of(&draft.fields).is_some();
    if budgeted {
        draft.fields.entry("bid_strategy").or_insert_with(|| DEFAULT_STRATEGY.into());
    }
    targeting::complete(draft);
    timing::complete(draft);
    let windows = goal::default_attribution(&draft.fields);
    draft.fields.entry("attribution_spec").or_insert(windows);
}
