//! The scope of rate limits and idempotency keys.

use domain::id::MemberId;
use domain::tenant::Tenant;

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// All people of a workspace together.
    Workspace(Tenant),
    /// A person, identified by the issuer's name for them, for requests outside of any workspace.
    User(MemberId),
}

impl From<Tenant> for RateLimitKey {
    fn from(workspace: Tenant) -> Self {
        Self::Workspace(workspace)
    }
}
