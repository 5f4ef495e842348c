//! Whose requests are counted and remembered together.

use ads::id::MemberId;
use ads::tenant::Tenant;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Asker {
    /// The people of a workspace, all together.
    Workspace(Tenant),
    /// A person, by the name that the issuer gives them, with what they ask in no workspace.
    Person(MemberId),
}

impl From<Tenant> for Asker {
    fn from(workspace: Tenant) -> Self {
        Self::Workspace(workspace)
    }
}
