//! Whose requests are counted and remembered together.

use domain::id::MemberId;
use domain::tenant::Tenant;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// The people of a workspace, all together.
    Workspace(Tenant),
    /// A person, by the name that the issuer gives them, with what they ask in no workspace.
    User(MemberId),
}

impl From<Tenant> for RateLimitKey {
    fn from(workspace: Tenant) -> Self {
        Self::Workspace(workspace)
    }
}
