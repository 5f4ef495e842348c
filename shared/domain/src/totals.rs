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
    #[cfg_attr(feature = "describe", schemars(with = "String"))]
    pub spend: Decimal,
}

/// Half of the smallest amount that the platform reports: by as much a rounded row may be off.
const HALF_A_CENT: Decimal = Decimal::from_parts(5, 0, 0, false, 3);

impl DayTotals {
    /// Returns whether the sum of this many rows agrees with the account's own total. Counts must be equal. Each row's
    /// amount is rounded by itself, so amounts may differ by as much as that explains.
    pub fn agrees_with(&self, account: &Self, rows: u64) -> bool {
        let rounding = HALF_A_CENT.checked_mul(Decimal::from(rows)).unwrap_or(Decimal::MAX);
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
        for (account, rows, agrees) in [
            (account(100, 7, decimal("12.34")), 0, true),
            (account(100, 7, decimal("12.35")), 1, false),
            (account(100, 7, decimal("12.35")), 2, true),
            (account(100, 7, decimal("12.31")), 5, false),
            (account(101, 7, decimal("12.34")), 9, false),
            (account(100, 8, decimal("12.34")), 9, false),
        ] {
            assert_eq!(sum.agrees_with(&account, rows), agrees, "{account:?} of {rows} rows");
        }
    }
}
