//! An ad account's own totals, against which the sums of its rows are held.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What an ad account had on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct DayTotals {
    /// Impressions.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// Amount spent, in the account's currency.
    pub spend: Decimal,
}

impl DayTotals {
    /// Returns whether the sum of this many rows agrees with the account's own total. Counts must be equal. Each row's
    /// amount is rounded to the currency's minor units, so amounts may differ by half of one for each row.
    pub fn agrees_with(&self, account: &Self, rows: u64, minor_units: u32) -> bool {
        let rounding = Decimal::from(rows) / Decimal::from(2 * minor_units.max(1));
        let counts = |totals: &Self| (totals.impressions, totals.clicks);
        counts(self) == counts(account) && (self.spend - account.spend).abs() <= rounding
    }
}

/// A day of an ad account, as the platform reports it for the whole account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountDay {
    /// Local date of the ad account.
    pub day: Date,
    /// What it had.
    pub totals: DayTotals,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn only_rounding_may_make_a_difference() {
        let sum = DayTotals { impressions: 100, clicks: 7, spend: decimal("12.34") };
        let account = |impressions, clicks, spend| DayTotals { impressions, clicks, spend };
        for (account, rows, minor_units, agrees) in [
            (account(100, 7, decimal("12.34")), 0, 100, true),
            (account(100, 7, decimal("12.35")), 1, 100, false),
            (account(100, 7, decimal("12.35")), 2, 100, true),
            (account(100, 7, decimal("12.31")), 5, 100, false),
            (account(100, 7, decimal("13.34")), 2, 1, true),
            (account(100, 7, decimal("13.34")), 1, 1, false),
            (account(101, 7, decimal("12.34")), 9, 100, false),
            (account(100, 8, decimal("12.34")), 9, 100, false),
        ] {
            assert_eq!(sum.agrees_with(&account, rows, minor_units), agrees, "{account:?} of {rows} rows");
        }
    }
}
