//! Currency units: budgets are integers in minor units, insights use major units with decimals.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

/// Returns the number of decimal places of a currency by Meta's own table, which differs from ISO 4217 (HUF, IDR, COP,
/// CRC and TWD have cents there, but none here).
pub(crate) fn decimals(currency: &str) -> u32 {
    const ZERO_DECIMAL_CURRENCIES: [&str; 11] =
        ["CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"];
    if ZERO_DECIMAL_CURRENCIES.contains(&currency) { 0 } else { 2 }
}

/// Converts an amount in minor units to major units as insights write it, without trailing zeros.
pub(crate) fn major(minor: u64, currency: &str) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(minor), decimals(currency)).normalize()
}

/// Parses an amount in major units and returns it in minor units; `None` if it is not an amount.
pub(crate) fn minor(major: &str, currency: &str) -> Option<u64> {
    let amount: Decimal = major.trim().parse().ok()?;
    let scaled = amount.checked_mul(Decimal::from(10_u64.pow(decimals(currency))))?;
    if scaled.fract().is_zero() { scaled.to_u64() } else { None }
}

/// The minimum daily budgets for impressions, in minor units: about a dollar. The exact numbers depend on exchange
/// rates.
const MIN_DAILY_BUDGETS: [(&str, u64); 40] = [
    ("AED", 367),
    ("ARS", 140_000),
    ("AUD", 150),
    ("BRL", 550),
    ("CAD", 140),
    ("CHF", 100),
    ("CLP", 950),
    ("COP", 4_000),
    ("CRC", 500),
    ("CZK", 2_100),
    ("DKK", 650),
    ("EGP", 4_800),
    ("EUR", 100),
    ("GBP", 100),
    ("HKD", 780),
    ("HUF", 330),
    ("IDR", 16_500),
    ("ILS", 340),
    ("INR", 8_800),
    ("ISK", 125),
    ("JOD", 100),
    ("JPY", 100),
    ("KRW", 1_400),
    ("MXN", 1_850),
    ("MYR", 420),
    ("NOK", 1_000),
    ("NZD", 170),
    ("PEN", 350),
    ("PHP", 5_800),
    ("PLN", 370),
    ("PYG", 7_200),
    ("RON", 440),
    ("SEK", 950),
    ("SGD", 100),
    ("THB", 3_250),
    ("TRY", 4_200),
    ("TWD", 31),
    ("USD", 100),
    ("VND", 26_000),
    ("ZAR", 1_750),
];

/// Returns the minimum daily budget in a currency, in minor units.
pub(crate) fn min_daily_budget(currency: &str) -> u64 {
    MIN_DAILY_BUDGETS.iter().find(|(code, _)| *code == currency).map_or(100, |(_, minimum)| *minimum)
}

/// Returns the rows of `GET /act_X/minimum_budgets`: one for every currency, whatever the account's is.
pub(crate) fn minimum_budgets() -> Vec<Value> {
    let row = |(currency, minimum): &(&str, u64)| {
        json!({
            "currency": currency,
            "min_daily_budget_imp": minimum,
            "min_daily_budget_high_freq": minimum * 5,
            "min_daily_budget_low_freq": minimum * 40,
            "min_daily_budget_video_views": minimum * 5,
        })
    };
    MIN_DAILY_BUDGETS.iter().map(row).collect()
}

/// Returns a ratio as insights write it: at most six decimals, no trailing zeros; `None` when the divisor is zero.
pub(crate) fn ratio(dividend: Decimal, divisor: Decimal) -> Option<Decimal> {
    Some(dividend.checked_div(divisor)?.round_dp(6).normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_currency_decides_about_cents() {
        assert_eq!(major(4217, "SGD").to_string(), "42.17");
        assert_eq!(major(4210, "SGD").to_string(), "42.1");
        assert_eq!(major(4210, "JPY").to_string(), "4210");
        assert_eq!(major(0, "EUR").to_string(), "0");
    }

    #[test]
    fn what_people_write_becomes_minor_units_by_metas_table() {
        assert_eq!(minor("12.5", "SGD"), Some(1_250));
        assert_eq!(minor("12.345", "SGD"), None);
        assert_eq!(minor("12000", "JPY"), Some(12_000));
        assert_eq!(minor("12000.5", "JPY"), None);
        // These have cents by ISO 4217, but none here.
        assert_eq!((minor("990", "HUF"), minor("15000", "IDR")), (Some(990), Some(15_000)));
        // JOD has thousandths by ISO 4217, but hundredths here.
        assert_eq!((minor("1.25", "JOD"), minor("1.255", "JOD")), (Some(125), None));
        assert_eq!((minor("-1", "SGD"), minor("much", "SGD")), (None, None));
    }

    #[test]
    fn a_ratio_without_divisor_does_not_exist() {
        assert_eq!(
            ratio(Decimal::from(284), Decimal::from(251)).map(|r| r.to_string()),
            Some("1.131474".into())
        );
        assert_eq!(ratio(Decimal::ONE, Decimal::ZERO), None);
    }
}
