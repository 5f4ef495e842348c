//! Strict parsing of a token, before any verification.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::session::TokenError;

/// Maximum size of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Three base64url parts, each in its only canonical encoding.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: String,
    pub(super) key_id: String,
    pub(super) payload: JsonObject,
    /// Signed bytes: the first two parts as received.
    pub(super) signed: &'a [u8],
    pub(super) signature: &'a str,
}

/// A JSON object without duplicate names. Of two values, one program could check the first and another use the second.
#[derive(Debug)]
pub(super) struct JsonObject(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UniqueNamesVisitor;
        impl<'de> Visitor<'de> for UniqueNamesVisitor {
            type Value = JsonObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<JsonObject, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if object.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(JsonObject(object))
            }
        }
        deserializer.deserialize_map(UniqueNamesVisitor)
    }
}

impl<'a> Token<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed("is longer than 8 KB"));
        }
        let three = TokenError::Malformed("must have three parts with dots between them");
        let (signed, signature) = token.rsplit_once('.').ok_or(three)?;
        let (header, payload) =
            signed.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or(three)?;
        // Decodes all parts before it interprets any.
        let [Ok(header), Ok(payload), Ok(_)] =
            [header, payload, signature].map(|part| URL_SAFE_NO_PAD.decode(part))
        else {
            return Err(TokenError::Malformed("must be written in base64url without padding"));
        };
        let JsonObject(header) =
            serde_json::from_slice(&header).map_err(|_| TokenError::Malformed("has no readable header"))?;
        if header.contains_key("crit") {
            return Err(TokenError::Malformed("demands extensions that are not known here"));
        }
        if header.get("typ").is_some_and(|typ| !is_session_type(typ)) {
            return Err(TokenError::Malformed("is of another type than JWT"));
        }
        let text = |name| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm = text("alg").ok_or(TokenError::Malformed("names no algorithm"))?;
        let key_id = text("kid").ok_or(TokenError::Malformed("does not name its key (kid)"))?;
        let payload =
            serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed("has no readable claims"))?;
        Ok(Self { algorithm, key_id, payload, signed: signed.as_bytes(), signature })
    }
}

/// Checks the `typ` that providers use for session tokens. Their other tokens (logout, events) are signed with the same
/// keys.
fn is_session_type(typ: &Value) -> bool {
    let Some(typ) = typ.as_str().map(str::to_ascii_lowercase) else { return false };
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}
