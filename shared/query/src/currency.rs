//! Amounts of several currencies as amounts of one, by rates that the caller states.

use std::collections::BTreeMap;

use domain::metrics::Measures;
use domain::money::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::numbers::Numbers;

/// Decimal places of a converted amount.
const CONVERTED_PLACES: u32 = 6;

/// No currency is worth more of another one. Amounts of any size can be multiplied by it.
const MAX_RATE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// How amounts are converted. Nobody's rate is assumed: the answer repeats what was stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Convert {
    /// The currency of every amount of the answer.
    pub to: Currency,
    /// What one unit of each other currency is worth in that one.
    pub rates: BTreeMap<Currency, Rate>,
}

/// A rate above zero, and 1,000,000 at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Rate(
    #[serde(deserialize_with = "deserialize_rate")]
    #[cfg_attr(feature = "describe", schemars(with = "String", extend("pattern" = domain::text::NON_NEGATIVE_DECIMAL_PATTERN)))]
    pub Decimal,
);

fn deserialize_rate<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let rate = domain::text::deserialize_decimal(deserializer)?;
    let is_possible = rate > Decimal::ZERO && rate <= MAX_RATE;
    is_possible
        .then_some(rate)
        .ok_or_else(|| serde::de::Error::custom("must be above 0, and 1,000,000 at most"))
}

impl Convert {
    /// Returns the rate of a currency; `None` where none is stated.
    pub(crate) fn rate(&self, from: Currency) -> Option<Decimal> {
        if from == self.to { Some(Decimal::ONE) } else { self.rates.get(&from).map(|rate| rate.0) }
    }
}

/// Converts every amount of these numbers.
pub(crate) fn convert(numbers: &mut Numbers, rate: Decimal) {
    if rate == Decimal::ONE {
        return;
    }
    let amount = |amount: &mut Decimal| *amount = (*amount * rate).round_dp(CONVERTED_PLACES).normalize();
    if let Some(Measures { spend, purchase_value, action_values, by_window, .. }) = &mut numbers.measures {
        amount(spend);
        purchase_value.iter_mut().for_each(amount);
        action_values.values_mut().for_each(amount);
        by_window.values_mut().filter_map(|window| window.purchase_value.as_mut()).for_each(amount);
    }
    numbers.daily_budget.iter_mut().for_each(amount);
    numbers.lifetime_budget.iter_mut().for_each(amount);
}
