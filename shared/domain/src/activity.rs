//! What an ad platform itself says was changed in an ad account, by whomever and with whichever program.

use jiff::Timestamp;
use serde_json::Value;

use crate::entity::Level;
use crate::id::EntityId;

/// An entry of a platform's log of changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// When it happened.
    pub at: Timestamp,
    /// What it was, as the platform's API names it.
    pub event: String,
    /// What was done, such as `created` or `changed`.
    pub verb: &'static str,
    /// The level of the entity.
    pub level: Level,
    /// The entity.
    pub entity: EntityId,
    /// Its name then.
    pub name: Option<String>,
    /// Who did it, as the platform names them.
    pub by: Option<String>,
    /// What it was, in the platform's words.
    pub summary: Option<String>,
    /// Values before, as far as they are known. Budgets are in minor units.
    pub before: Value,
    /// Values after.
    pub after: Value,
}
