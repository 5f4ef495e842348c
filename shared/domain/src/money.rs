//! Money. Budgets are integers in the platform's minor units; measured amounts are decimals in major units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::FieldError;

/// A currency code, such as `SGD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(!try_from, !into, extend("pattern" = "^[A-Z]{3}$")))]
pub struct Currency(#[cfg_attr(feature = "describe", schemars(with = "String"))] [u8; 3]);

impl Currency {
    /// Returns the three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(FieldError::new("currency", "must be three capital letters, such as SGD")),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|error: FieldError| error.message)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A budget, bid or cap: an integer in the platform's minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: 5000 is SGD 50.00, and JPY 5,000.
    pub amount: i64,
    /// The ad account's currency.
    pub currency: Currency,
}

/// Maximum daily budget, in minor units of any currency. Nobody spends more a day; a larger amount is a typing error.
const MAX_BUDGET_MINOR_UNITS: i64 = 1_000_000_000_000;

impl Money {
    /// Returns whether this amount is a valid budget.
    pub fn is_budget(&self) -> bool {
        (1..=MAX_BUDGET_MINOR_UNITS).contains(&self.amount)
    }

    /// Returns the error message for an invalid budget.
    pub fn invalid_budget_message() -> String {
        format!("must be 1 to {MAX_BUDGET_MINOR_UNITS} minor units")
    }
}

/// [`Money`] that [is a budget](Money::is_budget), as openapi.yaml shows it.
#[cfg(feature = "describe")]
#[derive(schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is wanted")]
pub struct Budget {
    /// Minor units: 5000 is SGD 50.00, and JPY 5,000.
    #[schemars(range(min = 1, max = MAX_BUDGET_MINOR_UNITS))]
    amount: i64,
    /// The ad account's currency.
    currency: Currency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("SGD".parse::<Currency>().unwrap().code(), "SGD");
        assert!("sgd".parse::<Currency>().is_err());
    }
}
