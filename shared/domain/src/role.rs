//! Roles of workspace members.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::FieldError;

/// What a person may do. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and changes campaigns and rules.
    Editor,
    /// Everything, connections included.
    Owner,
}

/// The source of a person's role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleSource {
    /// The member's row, which can be read again.
    #[default]
    Membership,
    /// The issuer's claim in the session.
    Claim,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        })
    }
}

impl FromStr for Role {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let role =
            [Self::Viewer, Self::Editor, Self::Owner].into_iter().find(|role| role.to_string() == text);
        role.ok_or_else(|| FieldError::new("role", "must be viewer, editor or owner"))
    }
}
