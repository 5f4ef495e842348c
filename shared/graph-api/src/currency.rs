//! Meta's minor units of currencies.

use domain::money::Currency;

/// Currencies without minor units *at Meta*. This is Meta's table, not ISO 4217: HUF, IDR, COP, CRC and TWD have cents
/// elsewhere and none here; BHD and JOD have three decimals elsewhere, two here. Source: Marketing API, "Currencies".
const ZERO_DECIMAL_CURRENCIES: [&str; 11] =
    ["CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"];

/// Returns how many minor units make one major unit in budgets: 1 or 100.
pub fn minor_units(currency: Currency) -> u32 {
    if ZERO_DECIMAL_CURRENCIES.contains(&currency.code()) { 1 } else { 100 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_follow_metas_table_and_not_iso() {
        let units = |code: &str| minor_units(code.parse().unwrap());
        assert_eq!(["SGD", "JOD", "JPY", "HUF", "TWD"].map(units), [100, 100, 1, 1, 1]);
    }
}
