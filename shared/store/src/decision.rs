//! Decisions: what a rule saw and did, at most one for a rule, an object and a day.

use ads::id::{RuleId, WorkspaceId};
use ads::rule::Decision;

use crate::key;
use crate::table::{Condition, StoreError, Table, text};

/// What came of recording a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is ours to carry out.
    Ours,
    /// The rule has decided on this object today.
    Already,
}

impl Table {
    /// Records a decision before its act. One that is still open (the guard held it back, or a crash came
    /// before the act was confirmed) may be decided again.
    pub async fn decide(&self, ws: &WorkspaceId, decision: &Decision) -> Result<Recorded, StoreError> {
        let open = Condition {
            expression: "attribute_not_exists(pk) OR outcome IN (:deciding, :guarded)",
            values: vec![(":deciding", text("deciding")), (":guarded", text("guarded"))],
        };
        let key = key::decision(ws, &decision.rule, decision.day, &decision.object);
        match self.put(&key, decision, Some(open)).await {
            Ok(()) => Ok(Recorded::Ours),
            Err(StoreError::Conflict) => Ok(Recorded::Already),
            Err(error) => Err(error),
        }
    }

    /// Records how the act of a decision ended.
    pub async fn conclude(&self, ws: &WorkspaceId, decision: &Decision) -> Result<(), StoreError> {
        let key = key::decision(ws, &decision.rule, decision.day, &decision.object);
        self.put(&key, decision, None).await
    }

    /// The decisions of a rule, oldest day first.
    pub async fn decisions(&self, ws: &WorkspaceId, rule: &RuleId) -> Result<Vec<Decision>, StoreError> {
        self.list(&key::decision_partition(ws, rule), "").await
    }
}
