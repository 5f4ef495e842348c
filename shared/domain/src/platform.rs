//! Ad platforms, and data of theirs that only their own crates read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::money::Currency;

/// Currencies without minor units *at Meta*. This is Meta's table, not ISO 4217: HUF, IDR, COP, CRC and TWD have cents
/// elsewhere and none here; BHD and JOD have three decimals elsewhere, two here. Source: Marketing API, "Currencies".
const ZERO_DECIMAL_CURRENCIES_OF_META: [&str; 11] =
    ["CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"];

/// Currencies without minor units by ISO 4217, as other platforms write them.
const ZERO_DECIMAL_CURRENCIES: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF",
    "XPF",
];

/// An ad platform. Each has a crate of its own and a variant of the connector's account client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Facebook and Instagram.
    Meta,
    /// Any other: the workspace sends the numbers itself, and there is nothing to call.
    Imported,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 2] = [Self::Meta, Self::Imported];

    /// Returns the platform's name in keys and routes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Imported => "imported",
        }
    }

    /// Returns what the ids of its ad accounts begin with, which tells them from those of other platforms.
    pub fn account_prefix(self) -> &'static str {
        match self {
            // Meta's own prefix, under which people know their accounts.
            Self::Meta => "act_",
            Self::Imported => "import_",
        }
    }

    /// Returns how many minor units make one major unit: 1 or 100. Of imported accounts it says how amounts are shown.
    pub fn minor_units(self, currency: Currency) -> u32 {
        let whole = match self {
            Self::Meta => &ZERO_DECIMAL_CURRENCIES_OF_META[..],
            Self::Imported => &ZERO_DECIMAL_CURRENCIES[..],
        };
        if whole.contains(&currency.code()) { 1 } else { 100 }
    }
}

/// JSON of a type that only the platform's crate knows, such as a launch document. It is stored as text and never
/// inspected in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlatformData(Box<str>);

impl PlatformData {
    /// Serializes a value.
    pub fn new<T: Serialize>(value: &T) -> Result<Self, Error> {
        let text = serde_json::to_string(value);
        text.map(|text| Self(text.into())).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Deserializes the value. Fails with [`Error::Internal`] when it is of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let unreadable = |error| Error::Internal(format!("data of a platform cannot be read: {error}"));
        serde_json::from_str(&self.0).map_err(unreadable)
    }
}

impl Default for PlatformData {
    /// An empty object.
    fn default() -> Self {
        Self("{}".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_follow_metas_table_and_not_iso() {
        let units = |code: &str| Platform::Meta.minor_units(code.parse().unwrap());
        assert_eq!(["SGD", "JOD", "JPY", "HUF", "TWD"].map(units), [100, 100, 1, 1, 1]);
        let units = |code: &str| Platform::Imported.minor_units(code.parse().unwrap());
        assert_eq!(["SGD", "JPY", "HUF", "TWD"].map(units), [100, 1, 100, 100]);
    }
}
