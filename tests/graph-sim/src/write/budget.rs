//! Budget rules, shared by campaigns and ad sets.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::draft::{Draft, amount};
use crate::error::{GraphError, invalid, required, rule_violation, with_blame_object};
use crate::money;
use crate::node::{Account, Kind, Node};
use crate::world::World;

/// Budget changes per object and hour.
const MAX_CHANGES_PER_HOUR: usize = 4;
/// Quarter hours of a day: a lowered daily budget must cover what may be spent in the next quarter hour.
const QUARTER_HOURS_PER_DAY: u64 = 96;

/// A budget: its field and its amount in minor units.
pub(super) type Budget = (&'static str, u64);

/// Returns the budget of an object. The other of the two fields is 0 or absent.
pub(super) fn of(fields: &Map<String, Value>) -> Option<Budget> {
    ["daily_budget", "lifetime_budget"].into_iter().find_map(|field| {
        let amount = amount(fields.get(field)?).filter(|amount| *amount > 0)?;
        Some((field, amount))
    })
}

/// Returns the minimum daily budget in an account, in minor units.
pub(super) fn minimum(account: &Account) -> u64 {
    let configured = account.fields.get("min_daily_budget").and_then(amount);
    configured.unwrap_or_else(|| money::min_daily_budget(&account.currency))
}

/// Checks that a budget is either daily or lifetime, is large enough, and does not change too often.
pub(super) fn check_one(draft: &Draft<'_>) -> Result<(), GraphError> {
    let given = |name| draft.params.amount(name);
    let budget = match (given("daily_budget")?, given("lifetime_budget")?) {
        (Some(_), Some(_)) => {
            return Err(invalid("You can only set one of daily_budget and lifetime_budget"));
        }
        (Some(daily), None) => ("daily_budget", daily),
        (None, Some(lifetime)) => ("lifetime_budget", lifetime),
        (None, None) => return Ok(()),
    };
    check_minimum(draft.account, draft.kind, budget)?;
    draft.before.map_or(Ok(()), |before| check_change(draft, before, budget))
}

pub(super) fn check_minimum(
    account: &Account,
    kind: Kind,
    (field, amount): Budget,
) -> Result<(), GraphError> {
    if amount >= minimum(account) {
        return Ok(());
    }
    let text = "The budget is too low: raise it to the account's minimum.";
    Err(match kind {
        Kind::AdSet => with_blame_object(rule_violation(1487901, text), &[field]),
        _ => rule_violation(1885272, text),
    })
}

fn check_change(draft: &Draft<'_>, before: &Node, (field, amount): Budget) -> Result<(), GraphError> {
    let other = if field == "daily_budget" { "lifetime_budget" } else { "daily_budget" };
    let Some((had, old)) = of(&before.fields) else { return Ok(()) };
    if had == other {
        return Err(invalid(format!("{field} cannot be set: the object has a {other}")));
    }
    if old == amount {
        return Ok(());
    }
    let id = before.text("id").unwrap_or_default();
    check_change_rate(draft.world, id, draft.now)?;
    if field == "daily_budget" && amount < old / QUARTER_HOURS_PER_DAY {
        return Err(with_blame_object(
            rule_violation(
                1885650,
                "The budget is too low to cover what may be spent in the next 15 minutes.",
            ),
            &[field],
        ));
    }
    Ok(())
}

/// Checks that an ad set and its campaign do not both have a budget, and that one of them has.
pub(super) fn check_level(draft: &Draft<'_>) -> Result<(), GraphError> {
    let on_campaign = draft.campaign().and_then(|campaign| of(&campaign.fields));
    let given = ["daily_budget", "lifetime_budget"].iter().any(|name| draft.params.text(name).is_some());
    match (on_campaign, given) {
        (Some(_), true) => Err(rule_violation(
            1885621,
            "A budget can be set on the campaign or on its ad sets, not on both.",
        )),
        (None, false) if draft.before.is_none() => Err(required("daily_budget")),
        _ => Ok(()),
    }
}

/// Returns whether a change of these fields changes the existing budget.
pub(super) fn changes(before: &Node, after: &Map<String, Value>) -> bool {
    of(&before.fields) != of(after)
}

/// Rejects the fifth change within an hour.
fn check_change_rate(world: &World, id: &str, now: Timestamp) -> Result<(), GraphError> {
    let hour_ago = now - SignedDuration::from_hours(1);
    let recent =
        world.budget_changes.get(id).map_or(0, |times| times.iter().filter(|time| **time > hour_ago).count());
    if recent < MAX_CHANGES_PER_HOUR {
        return Ok(());
    }
    Err(GraphError::new(613, "Calls to this api have exceeded the rate limit.")
        .subcode(1487632)
        .user_message(
            "The budget was changed four times within an hour: it can be changed again in an hour.",
        ))
}
