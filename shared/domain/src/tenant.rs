//! The owner of data, as a type that untrusted input cannot create.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use crate::id::WorkspaceId;

/// A workspace that a caller is authorized for, or for which an authorized caller has queued work.
///
/// Neither text nor a [`WorkspaceId`] of a path or body converts to a tenant. A tenant is only deserialized from data
/// that nobody but us writes, by a field marked with [`trusted`]: the claims of a session whose signature is valid, the
/// table, and our queues. The table accepts nothing else, so code that forgets to check a session cannot build a key.
///
/// The id of a path can neither be wrapped nor passed as a tenant:
///
/// ```compile_fail,E0423
/// fn forged(path: domain::id::WorkspaceId) -> domain::tenant::Tenant {
///     domain::tenant::Tenant(path)
/// }
/// ```
///
/// ```compile_fail,E0308
/// fn mistaken(path: domain::id::WorkspaceId) -> domain::tenant::Tenant {
///     path
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(WorkspaceId);

impl Deref for Tenant {
    type Target = WorkspaceId;

    fn deref(&self) -> &WorkspaceId {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Tenant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Uses the schema of a workspace id.
#[cfg(feature = "describe")]
impl schemars::JsonSchema for Tenant {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WorkspaceId::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        WorkspaceId::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WorkspaceId::json_schema(generator)
    }
}

/// Serde functions for `#[serde(with = "…")]` on a field of data that only we write.
pub mod trusted {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Tenant;
    use crate::id::WorkspaceId;

    /// Serializes the workspace's id.
    ///
    /// # Errors
    /// Returns the serializer's error.
    pub fn serialize<S: Serializer>(tenant: &Tenant, serializer: S) -> Result<S::Ok, S::Error> {
        tenant.serialize(serializer)
    }

    /// Deserializes a tenant.
    ///
    /// # Errors
    /// Returns the deserializer's error, or one for text that is not a workspace id.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tenant, D::Error> {
        WorkspaceId::deserialize(deserializer).map(Tenant)
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use serde::de::DeserializeOwned;
    use static_assertions::assert_not_impl_any;

    use super::*;

    // A tenant cannot be created from text, nor read from a body by a field that is not marked as trusted.
    assert_not_impl_any!(Tenant: FromStr, TryFrom<String>, From<String>, From<&'static str>, From<WorkspaceId>);
    assert_not_impl_any!(Tenant: DeserializeOwned, Default);
}
