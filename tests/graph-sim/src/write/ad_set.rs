//! `POST /act_X/adsets`.

use serde_json::Value;

use super::campaign::BID_STRATEGIES;
use super::{Done, Write, budget, finish, new_fields};
use crate::error::{GraphError, invalid, refused, required};
use crate::node::{Account, Kind};
use crate::params::Params;
use crate::world::World;

pub(super) fn create(world: &mut World, account: &Account, write: &Write) -> Result<Done, GraphError> {
    let params = Params(&write.params);
    params.required("name")?;
    let campaign_id = params.required("campaign_id")?;
    params.required("billing_event")?;
    params.required("optimization_goal")?;
    let targeting = params.json("targeting")?.ok_or_else(|| required("targeting"))?;
    params.one_of("bid_strategy", &BID_STRATEGIES)?;

    let campaign = world
        .nodes
        .get(campaign_id)
        .filter(|node| node.kind == Kind::Campaign && node.account == account.digits)
        .ok_or_else(|| invalid("Param campaign_id must be a campaign of this ad account"))?;
    if matches!(world.effective_status(campaign).as_str(), "ARCHIVED" | "DELETED") {
        return Err(refused(1487566, "The campaign is archived or deleted: nothing can be added to it."));
    }
    check_targeting(&targeting)?;
    match (campaign.has_budget(), budget::given(params)?) {
        (true, Some(_)) => return Err(budget::on_both_levels()),
        (false, None) => {
            return Err(refused(1885650, "The ad set needs a budget, as its campaign has none."));
        }
        (false, Some(("lifetime_budget", _))) if params.text("end_time").is_none() => {
            return Err(refused(1487007, "A lifetime budget needs an end_time."));
        }
        _ => {}
    }
    let strategy = params.text("bid_strategy").or_else(|| campaign.text("bid_strategy"));
    check_bid(strategy, params.amount("bid_amount")?)?;

    let fields = new_fields(Kind::AdSet, account, write)?;
    finish(world, Kind::AdSet, account, write, fields)
}

fn check_targeting(targeting: &Value) -> Result<(), GraphError> {
    if !targeting.get("geo_locations").is_some_and(Value::is_object) {
        return Err(refused(1885364, "The targeting needs geo_locations."));
    }
    let advantage =
        targeting.get("targeting_automation").and_then(|automation| automation.get("advantage_audience"));
    if !advantage.and_then(Value::as_i64).is_some_and(|value| value == 0 || value == 1) {
        return Err(refused(
            1870227,
            "Say in targeting.targeting_automation.advantage_audience whether the audience may be widened: 0 or 1.",
        ));
    }
    Ok(())
}

fn check_bid(strategy: Option<&str>, amount: Option<u64>) -> Result<(), GraphError> {
    match (strategy, amount) {
        (Some("LOWEST_COST_WITH_BID_CAP" | "COST_CAP"), None) => {
            Err(refused(1815857, "The bid strategy needs a bid_amount."))
        }
        (Some("LOWEST_COST_WITHOUT_CAP"), Some(_)) => {
            Err(refused(1885204, "The bid strategy does not take a bid_amount."))
        }
        _ => Ok(()),
    }
}
