//! Whose data it is, as a value that nobody can make up.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use crate::id::WorkspaceId;

/// A workspace that somebody was let into, or that work was left for by somebody who was.
///
/// There is no way from text to a tenant, nor from a [`WorkspaceId`] of a path or a body: it is only read out of what
/// nobody but us writes, by a field that says so with [`trusted`]: the claims of a session whose signature holds, the
/// table, and our queues. The table takes nothing else, so that whoever forgets to check a session has no key.
///
/// The id of a path cannot be wrapped, nor is it taken for a tenant:
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

/// In answers it is a workspace's id.
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

/// For `#[serde(with = "…")]` on a field of what only we write.
pub mod trusted {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Tenant;
    use crate::id::WorkspaceId;

    /// Writes the workspace's id.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(tenant: &Tenant, serializer: S) -> Result<S::Ok, S::Error> {
        tenant.serialize(serializer)
    }

    /// Reads a tenant back.
    ///
    /// # Errors
    /// The deserializer's, and for text that cannot be a workspace's id.
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

    // No way from text, and none out of a body whose field does not say that only we write it.
    assert_not_impl_any!(Tenant: FromStr, TryFrom<String>, From<String>, From<&'static str>, From<WorkspaceId>);
    assert_not_impl_any!(Tenant: DeserializeOwned, Default);
}
