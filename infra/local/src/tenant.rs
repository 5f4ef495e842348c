//! Workspaces that an operator names.

use anyhow::Context;
use domain::tenant::{Tenant, trusted};

/// Parses a workspace named by an operator: whoever runs the process owns its data.
pub fn tenant(workspace: &str) -> anyhow::Result<Tenant> {
    let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(workspace);
    trusted::deserialize(name).context("workspace")
}
