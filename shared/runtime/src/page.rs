//! Pages of a list: how many rows, and where it goes on.

use ads::Invalid;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// `limit`: the rows of a page, `USUAL` unless the caller says otherwise, and `MOST` at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit<const USUAL: u16, const MOST: u16>(u16);

impl<const USUAL: u16, const MOST: u16> Limit<USUAL, MOST> {
    /// So many rows.
    pub fn rows(self) -> usize {
        self.0.into()
    }
}

impl<const USUAL: u16, const MOST: u16> Default for Limit<USUAL, MOST> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<const USUAL: u16, const MOST: u16> TryFrom<u64> for Limit<USUAL, MOST> {
    type Error = String;

    fn try_from(rows: u64) -> Result<Self, String> {
        let limit = u16::try_from(rows).ok().filter(|rows| (1..=MOST).contains(rows));
        limit.map(Self).ok_or_else(|| format!("must be 1 to {MOST}"))
    }
}

/// `after`: where a list goes on. Opaque to the caller, text to us.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct After(String);

impl After {
    /// The place that the page before ended at.
    pub fn place(&self) -> &str {
        &self.0
    }

    /// What is said of an `after` that names no place of this list.
    pub fn unknown() -> Invalid {
        Invalid::new("after", "must be the `after` of the page before")
    }
}

impl TryFrom<String> for After {
    type Error = String;

    fn try_from(cursor: String) -> Result<Self, String> {
        let place = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        place.filter(|place| !place.is_empty()).map(Self).ok_or_else(|| Self::unknown().problem)
    }
}

/// The opaque form of a place.
pub fn cursor(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

#[cfg(feature = "describe")]
mod describe {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{After, Limit};

    impl<const USUAL: u16, const MOST: u16> JsonSchema for Limit<USUAL, MOST> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("Limit{USUAL}Of{MOST}").into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL})
        }
    }

    impl JsonSchema for After {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "After".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "string", "format": "cursor", "pattern": "^[A-Za-z0-9_-]+$"})
        }
    }
}
