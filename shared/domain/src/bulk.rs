//! Changes of many entities at once.

use serde::{Deserialize, Serialize};

use crate::entity::{Changes, Entity, Level, Status};
use crate::id::{AdAccountId, BulkChangeId, EntityId};

/// How far a bulk change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BulkState {
    /// Objects are being changed.
    Running,
    /// Every object has its result.
    Done,
}

/// What became of an object of a bulk change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BulkObjectState {
    /// It waits.
    Pending,
    /// Its change was sent, and is looked up until it is known.
    Sent,
    /// The platform shows what was asked for.
    Done,
    /// It was so already.
    Unchanged,
    /// The platform refused the change, or shows something else after it.
    Rejected,
    /// Somebody has changed it since the preview; it was left alone.
    ChangedMeanwhile,
    /// The platform does not show it.
    Gone,
    /// Whether it was changed could not be found out within a day.
    Unknown,
    /// The bulk change was stopped before the platform took its change.
    Stopped,
}

/// An object of a bulk change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkObject {
    /// Its level.
    pub level: Level,
    /// Its id.
    pub id: EntityId,
    /// Its name before the change.
    pub name: Option<String>,
    /// What it is to have had: nothing else is changed.
    pub before: Changes,
    /// What it is to have.
    pub after: Changes,
    /// What became of it.
    pub state: BulkObjectState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of one that was sent: whether every request so far was refused for now, so that nothing of it can be under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_up: bool,
}

/// A change of many entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkChange {
    /// Its id; ids sort by time.
    pub id: BulkChangeId,
    /// Its ad account.
    pub ad_account: AdAccountId,
    /// How far it has come.
    pub state: BulkState,
    /// Its objects, each at most once.
    pub objects: Vec<BulkObject>,
}

impl BulkObject {
    /// Returns whether nothing more will become of it.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state, BulkObjectState::Pending | BulkObjectState::Sent)
    }

    /// Returns whether nothing of its change can be under way.
    pub fn is_waiting(&self) -> bool {
        self.state == BulkObjectState::Pending || (self.state == BulkObjectState::Sent && self.held_up)
    }

    /// Returns whether another try may do what this one could not.
    pub fn has_failed(&self) -> bool {
        matches!(self.state, BulkObjectState::Rejected | BulkObjectState::Unknown | BulkObjectState::Stopped)
    }

    /// Decides by what the platform shows now: returns whether the change is to be sent. What it has had in between is
    /// not overwritten.
    pub fn decide(&mut self, shown: &Entity) -> bool {
        let now = self.after.values_of(shown);
        if shown.status == Some(Status::Deleted) {
            self.settle(BulkObjectState::Gone, "it was deleted".to_owned());
        } else if now == self.after {
            // What the platform never took was done by somebody else: an undo leaves it.
            let is_ours = !self.is_waiting();
            self.state = if is_ours { BulkObjectState::Done } else { BulkObjectState::Unchanged };
        } else if now != self.before {
            self.settle(
                BulkObjectState::ChangedMeanwhile,
                format!("it has {now} instead of {}", self.before),
            );
        }
        !self.is_settled()
    }

    /// Holds what the platform shows after it has confirmed the change against what was asked for. Returns whether that
    /// settles it: it may still show what was there before.
    pub fn confirm(&mut self, shown: &Entity) -> bool {
        let now = self.after.values_of(shown);
        if now == self.after {
            self.state = BulkObjectState::Done;
        } else if now != self.before {
            let why = format!("the platform confirmed the change, and shows {now}");
            self.settle(BulkObjectState::Rejected, why);
        }
        self.is_settled()
    }

    /// Ends it with a reason.
    pub fn settle(&mut self, state: BulkObjectState, reason: String) {
        (self.state, self.reason) = (state, Some(reason));
    }

    /// Returns what undoes it: only what it has changed, and only as long as nobody has changed it since.
    pub fn undone(&self) -> Option<Self> {
        (self.state == BulkObjectState::Done).then(|| Self {
            name: self.after.name.clone().or_else(|| self.name.clone()),
            before: self.after.clone(),
            after: self.before.clone(),
            state: BulkObjectState::Pending,
            reason: None,
            held_up: false,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_and_may_have_been_taken_counts_as_done() {
        let renamed = |name: &str| Changes { name: Some(name.to_owned()), ..Changes::default() };
        let id: EntityId = "7".parse().unwrap();
        let shown = Entity { name: Some("New".to_owned()), ..Entity::new(Level::Campaign, id.clone()) };
        let decided = |state, held_up| {
            let (before, after) = (renamed("Old"), renamed("New"));
            let mut object = BulkObject {
                level: Level::Campaign,
                id: id.clone(),
                name: None,
                before,
                after,
                state,
                held_up,
                reason: None,
            };
            assert!(!object.decide(&shown));
            object.state
        };
        assert_eq!(decided(BulkObjectState::Sent, false), BulkObjectState::Done);
        assert_eq!(decided(BulkObjectState::Pending, false), BulkObjectState::Unchanged);
        assert_eq!(decided(BulkObjectState::Sent, true), BulkObjectState::Unchanged, "Meta asked to wait");
    }
}
