//! Decisions: what a rule saw and did, at most one for a rule, an object and a day.

use ads::id::RuleId;
use ads::rule::Decision;
use ads::tenant::Tenant;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{Condition, StoreError, Table, text};

/// After this long the act of a decision that is still open is taken up by another worker.
const WORKER_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// What came of recording a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is ours to carry out.
    Ours,
    /// The rule has decided on this object today.
    Already,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    decision: Decision,
    worker_until: Timestamp,
}

impl Table {
    /// Records a decision before its act. One that the guard held back may be decided again.
    pub async fn decide(
        &self,
        ws: &Tenant,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let open = Condition {
            expression: "attribute_not_exists(pk) OR outcome = :guarded",
            values: vec![(":guarded", text("guarded"))],
        };
        let kept = Kept { decision: decision.clone(), worker_until: now + WORKER_LASTS };
        match self.put(&key_of(ws, decision), &kept, Some(open)).await {
            Ok(()) => Ok(Recorded::Ours),
            Err(StoreError::Conflict) => Ok(Recorded::Already),
            Err(error) => Err(error),
        }
    }

    /// Takes over a decision whose act was never confirmed; `None` when it was, or somebody is at it.
    pub async fn take_decision(
        &self,
        ws: &Tenant,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<Option<Decision>, StoreError> {
        let values =
            vec![(":until", text(now + WORKER_LASTS)), (":now", text(now)), (":deciding", text("deciding"))];
        let condition = Some("outcome = :deciding AND worker_until < :now");
        let key = key_of(ws, decision);
        match self.update::<Kept>(&key, "SET worker_until = :until", condition, values).await {
            Ok(kept) => Ok(Some(kept.decision)),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes how far the act of an open decision is, or how it ended. Ended ones stay as they are.
    /// One that stays open is another worker's to take after `worker_until`.
    pub async fn conclude(
        &self,
        ws: &Tenant,
        decision: &Decision,
        worker_until: Timestamp,
    ) -> Result<(), StoreError> {
        let open =
            Condition { expression: "outcome = :deciding", values: vec![(":deciding", text("deciding"))] };
        let kept = Kept { decision: decision.clone(), worker_until };
        match self.put(&key_of(ws, decision), &kept, Some(open)).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A page of a rule's decisions, newest day first. `before` is the day and object of the last one seen.
    pub async fn decisions(
        &self,
        ws: &Tenant,
        rule: &RuleId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Decision>, StoreError> {
        let before = before.map(|before| format!("DECISION#{before}"));
        self.list_backwards(&key::decision_partition(ws, rule), "DECISION#", before.as_deref(), limit).await
    }

    /// A rule's decisions since a day.
    pub async fn decisions_since(
        &self,
        ws: &Tenant,
        rule: &RuleId,
        since: Date,
    ) -> Result<Vec<Decision>, StoreError> {
        let pk = key::decision_partition(ws, rule);
        self.list_between(&pk, &format!("DECISION#{since}"), "DECISION#\u{7f}").await
    }
}

fn key_of(ws: &Tenant, decision: &Decision) -> key::Key {
    key::decision(ws, &decision.rule, decision.day, &decision.object)
}
