//! Custom audiences of an ad account: people whom its ad sets can name, or leave out.

use crate::id::EntityId;

/// A custom audience, as its platform returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAudience {
    /// Its id, which `custom_audiences` of a launch document names.
    pub id: EntityId,
    /// Its name.
    pub name: Option<String>,
    /// What it was made from, in the platform's words, such as `WEBSITE` or `LOOKALIKE`.
    pub subtype: Option<String>,
    /// About how many people it has, at least and at most; absent while the platform does not say.
    pub people: Option<(u64, u64)>,
    /// Whether ads can be shown to it now.
    pub is_ready: bool,
    /// Why not, in the platform's words.
    pub problem: Option<String>,
}
