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
const ROAS_SCALE: i64 = 10_000;

/// The highest minimum ROAS that Meta takes.
const MAX_ROAS: i64 = 1_000;

/// The words of `bid_strategy`.
#[cfg(feature = "describe")]
#[derive(schemars::JsonSchema)]
#[schemars(inline, rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Strategy {
    LowestCostWithoutCap,
    LowestCostWithBidCap,
    CostCap,
    LowestCostWithMinRoas,
}

/// Returns the strategy of a launch. Meta's own default requires a bid, so that one is always sent.
pub(super) fn strategy(spec: &LaunchSpec) -> &str {
    spec.bid_strategy.as_deref().unwrap_or(WITHOUT_CAP)
}

/// Returns a minimum ROAS in Meta's scale; `None` for text that is none.
pub(super) fn roas_floor(text: &str) -> Option<i64> {
    let roas: Decimal = text.parse().ok()?;
    let fits = roas > Decimal::ZERO && roas <= Decimal::from(MAX_ROAS);
    let scaled = roas.checked_mul(Decimal::from(ROAS_SCALE)).filter(|scaled| fits && scaled.is_integer());
    scaled?.to_i64().filter(|floor| *floor > 0)
}

/// Checks that every ad set has the amount that the strategy needs, and no other.
pub(super) fn check_strategy(spec: &LaunchSpec, found: &mut Findings) {
    let all = [WITHOUT_CAP, WITH_BID_CAP, COST_CAP, WITH_MIN_ROAS];
    let strategy = strategy(spec);
    let message = format!("must be one of {}", all.join(", "));
    found.require(all.contains(&strategy), "bid_strategy", message);
    for (step, ad_set) in spec.steps_of_ad_sets() {
        check_amounts(ad_set, strategy, &spec.path_of(step), found);
    }
}

fn check_amounts(ad_set: &AdSetSpec, strategy: &str, path: &str, found: &mut Findings) {
    let needs_bid = [WITH_BID_CAP, COST_CAP].contains(&strategy);
    let field = format!("{path}.bid_amount");
    found.require_budget(ad_set.bid_amount, &field);
    let message = match needs_bid {
        true => format!("must be there: {strategy} bids this amount at most"),
        false => format!("must be absent: {strategy} takes none"),
    };
    found.require(ad_set.bid_amount.is_some() == needs_bid, &field, message);
    let field = format!("{path}.min_roas");
    let needs_roas = strategy == WITH_MIN_ROAS;
    let message = match needs_roas {
        true => format!("must be there: {strategy} spends while the ROAS is at least this"),
        false => format!("must be absent: {strategy} takes none"),
    };
    found.require(ad_set.min_roas.is_some() == needs_roas, &field, message);
    let is_roas = ad_set.min_roas.as_deref().is_none_or(|roas| roas_floor(roas).is_some());
    let message =
        format!("must be above 0 and at most {MAX_ROAS}, with 4 decimal places at most, such as 1.5");
    found.require(is_roas, &field, message);
}
