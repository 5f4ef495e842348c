//! Pagination: the number of rows per page and the cursor of the next page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::FieldError;
use http::Request;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::router::parse_query;

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

/// `after`: the position at which a list continues. Opaque to the caller, and bound to the parameters of the list: with
/// others the position would mean another place, or none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor {
    parameters: String,
    position: String,
}

impl Cursor {
    /// Returns the position at which the previous page ended.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// Returns the position in the list that a document describes. Refuses a cursor of another document.
    pub fn position_in(&self, document: &str) -> Result<&str, FieldError> {
        if self.parameters == digest(document) { Ok(&self.position) } else { Err(other_list()) }
    }

    /// Returns the error of an `after` that is no position of this list.
    pub fn invalid() -> FieldError {
        FieldError::new("after", "must be the `after` of the page before")
    }

    /// Refuses a cursor of a list with other parameters. A query without a readable cursor is refused elsewhere.
    pub(crate) fn check<B>(request: &Request<B>, query: &[(String, String)]) -> Result<(), FieldError> {
        let after = query.iter().find(|(name, _)| name == AFTER);
        let cursor = after.and_then(|(_, text)| Self::try_from(text.clone()).ok());
        if cursor.is_none_or(|cursor| cursor.parameters == parameters(request)) {
            return Ok(());
        }
        Err(other_list())
    }
}

impl TryFrom<String> for Cursor {
    type Error = String;

    fn try_from(cursor: String) -> Result<Self, String> {
        let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let parts = text.as_deref().and_then(|text| text.split_once(' '));
        let parts = parts.filter(|(_, position)| !position.is_empty());
        let (parameters, position) = parts.ok_or_else(|| Self::invalid().message)?;
        Ok(Self { parameters: parameters.to_owned(), position: position.to_owned() })
    }
}

const AFTER: &str = "after";

/// Parameters that may differ from page to page.
const OF_A_PAGE: [&str; 2] = [AFTER, "limit"];

/// Returns the cursor of a position in the list of a request.
pub fn encode_cursor<B>(request: &Request<B>, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {position}", parameters(request)))
}

/// Returns the cursor of a position in the list that a document describes.
pub fn document_cursor(document: &str, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {position}", digest(document)))
}

fn other_list() -> FieldError {
    let message = "belongs to a list with other parameters; repeat those, or leave it out to begin anew";
    FieldError::new(AFTER, message)
}

/// Identifies the list of a request: its path and its parameters, in whatever order.
fn parameters<B>(request: &Request<B>) -> String {
    let mut query = parse_query(request.uri().query().unwrap_or_default());
    query.retain(|(name, _)| !OF_A_PAGE.contains(&name.as_str()));
    query.sort();
    digest(&format!("{} {query:?}", request.uri().path()))
}

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text).get(..6).unwrap_or_default())
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
