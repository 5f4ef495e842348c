//! Bid strategies and their amounts.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::findings::Findings;
use super::{AdSetSpec, LaunchSpec};

/// Meta bids by itself.
pub(super) const WITHOUT_CAP: &str = "LOWEST_COST_WITHOUT_CAP";
const WITH_BID_CAP: &str = "LOWEST_COST_WITH_BID_CAP";
const COST_CAP: &str = "COST_CAP";
const WITH_MIN_ROAS: &str = "LOWEST_COST_WITH_MIN_ROAS";

/// Meta writes a ROAS times this. Source: Marketing API, "Bidding".
pub(crate) const ROAS_SCALE: i64 = 10_000;

/// The highest minimum ROAS that Meta takes.
const MAX_ROAS: i64 = 1_000;

pub(crate) const INVALID_ROAS: &str =
    "must be above 0 and at most 1000, with 4 decimal places at most, such as 1.5";

/// The words of `bid_strategy`.
#[cfg(feature = "describe")]
#[derive(schemars::JsonSchema)]
#[schemars(inline, rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "Meta's words")]
pub enum BidStrategy {
    LowestCostWithoutCap,
    LowestCostWithBidCap,
    CostCap,
    LowestCostWithMinRoas,
}

/// Returns the strategy of a launch. Meta's own default requires a bid, so that one is always sent.
pub(super) fn strategy(spec: &LaunchSpec) -> &str {
    spec.bid_strategy.as_deref().unwrap_or(WITHOUT_CAP)
}

/// The bid strategies.
pub(crate) const STRATEGIES: [&str; 4] = [WITHOUT_CAP, WITH_BID_CAP, COST_CAP, WITH_MIN_ROAS];

/// Returns whether a strategy takes the bid of an ad set, which it needs then.
pub(crate) fn needs_bid(strategy: &str) -> bool {
    [WITH_BID_CAP, COST_CAP].contains(&strategy)
}

/// Returns whether a strategy takes the least ROAS of an ad set, which it needs then.
pub(crate) fn needs_roas(strategy: &str) -> bool {
    strategy == WITH_MIN_ROAS
}

/// Returns the minimum ROAS of a document in Meta's scale; `None` for text that is none.
pub(super) fn read_roas(text: &str) -> Option<i64> {
    roas_floor(text.parse().ok()?)
}

/// Returns a minimum ROAS in Meta's scale; `None` for a number that is none.
pub(crate) fn roas_floor(roas: Decimal) -> Option<i64> {
    let fits = roas > Decimal::ZERO && roas <= Decimal::from(MAX_ROAS);
    let scaled = roas.checked_mul(Decimal::from(ROAS_SCALE)).filter(|scaled| fits && scaled.is_integer());
    scaled?.to_i64().filter(|floor| *floor > 0)
}

/// Checks that every ad set has the amount that the strategy needs, and no other.
pub(super) fn check_strategy(spec: &LaunchSpec, found: &mut Findings) {
    let strategy = strategy(spec);
    let message = format!("must be one of {}", STRATEGIES.join(", "));
    found.require(STRATEGIES.contains(&strategy), "bid_strategy", message);
    for (step, ad_set) in spec.steps_of_ad_sets() {
        check_amounts(ad_set, strategy, &spec.path_of(step), found);
    }
}

fn check_amounts(ad_set: &AdSetSpec, strategy: &str, path: &str, found: &mut Findings) {
    let needs_bid = needs_bid(strategy);
    let field = format!("{path}.bid_amount");
    found.require_budget(ad_set.bid_amount, &field);
    let message = match needs_bid {
        true => format!("must be there: {strategy} bids this amount at most"),
        false => format!("must be absent: {strategy} takes none"),
    };
    found.require(ad_set.bid_amount.is_some() == needs_bid, &field, message);
    let field = format!("{path}.min_roas");
    let needs_roas = needs_roas(strategy);
    let message = match needs_roas {
        true => format!("must be there: {strategy} spends while the ROAS is at least this"),
        false => format!("must be absent: {strategy} takes none"),
    };
    found.require(ad_set.min_roas.is_some() == needs_roas, &field, message);
    let is_roas = ad_set.min_roas.as_deref().is_none_or(|roas| read_roas(roas).is_some());
    found.require(is_roas, &field, INVALID_ROAS);
}
