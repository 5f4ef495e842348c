//! Currency units: budgets are integers in minor units, insights give major units with decimals.

use rust_decimal::Decimal;

/// Decimal places of the minor unit by Meta's own table, which differs from ISO 4217 (HUF, IDR, COP, CRC and TWD
/// have cents there, none here).
pub(crate) fn decimals(currency: &str) -> u32 {
    const WITHOUT: [&str; 11] = ["CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"];
    if WITHOUT.contains(&currency) { 0 } else { 2 }
}

/// An amount of minor units as insights write it: major units, no trailing zeros.
pub(crate) fn major(minor: u64, currency: &str) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(minor), decimals(currency)).normalize()
}

/// A ratio as insights write it: at most six decimals, no trailing zeros; none without a divisor.
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
    fn a_ratio_without_divisor_does_not_exist() {
        assert_eq!(
            ratio(Decimal::from(284), Decimal::from(251)).map(|r| r.to_string()),
            Some("1.131474".into())
        );
        assert_eq!(ratio(Decimal::ONE, Decimal::ZERO), None);
    }
}
