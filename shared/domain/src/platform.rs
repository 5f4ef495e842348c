//! Ad platforms, and data of theirs that only their own crates read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;

/// An ad platform. Each has a crate of its own and a variant of the connector's account client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Facebook and Instagram.
    Meta,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 1] = [Self::Meta];

    /// Returns the platform's name in keys and routes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
        }
    }

    /// Returns what the ids of its ad accounts begin with, which tells them from those of other platforms.
    pub fn account_prefix(self) -> &'static str {
        match self {
            // Meta's own prefix, under which people know their accounts.
            Self::Meta => "act_",
        }
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
