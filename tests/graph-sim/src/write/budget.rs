//! Rules about budgets, shared by campaigns and ad sets.

use jiff::{SignedDuration, Timestamp};

use crate::error::{GraphError, invalid, refused};
use crate::params::Params;
use crate::world::World;

/// The least budget, in minor units.
const MINIMUM: u64 = 100;
/// Budget changes per object and hour.
const CHANGES: usize = 4;

/// The budget a call gives: its field and amount.
pub(super) fn given(params: Params<'_>) -> Result<Option<(&'static str, u64)>, GraphError> {
    let budget = match (params.amount("daily_budget")?, params.amount("lifetime_budget")?) {
        (Some(_), Some(_)) => {
            return Err(invalid("You can only set one of daily_budget and lifetime_budget"));
        }
        (Some(daily), None) => ("daily_budget", daily),
        (None, Some(lifetime)) => ("lifetime_budget", lifetime),
        (None, None) => return Ok(None),
    };
    if budget.1 < MINIMUM {
        return Err(refused(1885272, "The budget is too low: raise it to the account's minimum."));
    }
    Ok(Some(budget))
}

/// A budget both on a campaign and on one of its ad sets.
pub(super) fn on_both_levels() -> GraphError {
    refused(1885621, "A budget can be set on the campaign or on its ad sets, not on both.")
}

/// Refuses the fifth change within an hour.
pub(super) fn check_pace(world: &World, id: &str, now: Timestamp) -> Result<(), GraphError> {
    let hour_ago = now - SignedDuration::from_hours(1);
    let recent =
        world.budget_changes.get(id).map_or(0, |times| times.iter().filter(|time| **time > hour_ago).count());
    if recent < CHANGES {
        return Ok(());
    }
    Err(GraphError::new(613, "Calls to this api have exceeded the rate limit.")
        .subcode(1487632)
        .user_message(
            "The budget was changed four times within an hour: it can be changed again in an hour.",
        ))
}
