//! Pagination: the number of rows per page and the cursor of the next page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::FieldError;
use serde::Deserialize;

/// `limit`: rows per page, `DEFAULT` unless given and at most `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit<const DEFAULT: u16, const MAX: u16>(u16);

impl<const DEFAULT: u16, const MAX: u16> Limit<DEFAULT, MAX> {
    /// Returns the number of rows.
    pub fn rows(self) -> usize {
        self.0.into()
    }
}

impl<const DEFAULT: u16, const MAX: u16> Default for Limit<DEFAULT, MAX> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const DEFAULT: u16, const MAX: u16> TryFrom<u64> for Limit<DEFAULT, MAX> {
    type Error = String;

    fn try_from(rows: u64) -> Result<Self, String> {
        let limit = u16::try_from(rows).ok().filter(|rows| (1..=MAX).contains(rows));
        limit.map(Self).ok_or_else(|| format!("must be 1 to {MAX}"))
    }
}

/// `after`: the position at which a list continues. Opaque to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor(String);

impl Cursor {
    /// Returns the position at which the previous page ended.
    pub fn position(&self) -> &str {
        &self.0
    }

    /// Returns the error of an `after` that is no position of this list.
    pub fn invalid() -> FieldError {
        FieldError::new("after", "must be the `after` of the page before")
    }
}

impl TryFrom<String> for Cursor {
    type Error = String;

    fn try_from(cursor: String) -> Result<Self, String> {
        let position = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        position.filter(|position| !position.is_empty()).map(Self).ok_or_else(|| Self::invalid().message)
    }
}

/// Encodes a position as an opaque cursor.
pub fn encode_cursor(position: &str) -> String {
    URL_SAFE_NO_PAD.encode(position)
}

#[cfg(feature = "describe")]
mod describe {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Cursor, Limit};

    impl<const DEFAULT: u16, const MAX: u16> JsonSchema for Limit<DEFAULT, MAX> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("Limit{DEFAULT}Of{MAX}").into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "integer", "minimum": 1, "maximum": MAX, "default": DEFAULT})
        }
    }

    impl JsonSchema for Cursor {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Cursor".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "string", "format": "cursor", "pattern": "^[A-Za-z0-9_-]+$"})
        }
    }
}
