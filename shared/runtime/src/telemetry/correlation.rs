//! Correlation id shared by everything that one request, message or event causes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::random;

/// HTTP header that carries it, in requests and responses.
pub const CORRELATION_HEADER: &str = "x-correlation-id";

/// SQS message attribute that carries it.
pub const CORRELATION_ATTRIBUTE: &str = "correlation";

/// An id that is safe to log and to forward: 8 to 64 ASCII letters, digits, `-` and `_`. UUIDs and trace ids fit; line
/// breaks, quotes and session tokens do not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

/// Error for text of another form.
#[derive(Debug, thiserror::Error)]
#[error("a correlation id has 8 to 64 letters, digits, - and _")]
pub struct InvalidCorrelationId;

impl CorrelationId {
    /// Generates an id of 96 random bits.
    pub fn generate() -> Self {
        Self(random::id().map_or_else(|_| "no-randomness".into(), Into::into))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, InvalidCorrelationId> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (8..=64).contains(&text.len()) && text.bytes().all(safe) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCorrelationId)
        }
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CorrelationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CorrelationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_safe_id_is_accepted() {
        for safe in ["5f2c9d1e", "0f8fad5b-d9cb-469f-a165-70867728950e", "A_b-3456", &"x".repeat(64)] {
            assert_eq!(safe.parse::<CorrelationId>().unwrap().as_str(), safe);
        }
        let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln";
        for other in ["", "short", &"x".repeat(65), "a\nlevel=ERROR", "a\"b,c\":1", "ümlaut-id", token] {
            assert!(other.parse::<CorrelationId>().is_err(), "{other:?}");
        }
        assert!(CorrelationId::generate().as_str().parse::<CorrelationId>().is_ok());
        assert_ne!(CorrelationId::generate(), CorrelationId::generate());
    }
}
