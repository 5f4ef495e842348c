//! Decisions: what a rule evaluated and did, at most one per rule, entity and day.

use domain::decision::Decision;
use domain::id::RuleId;
use domain::tenant::Tenant;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, StoreError, Table, millis, text};

/// Time after which another worker may take over the action of an open decision. One change takes less, including all
/// retries.
pub const DECISION_LEASE_TTL: SignedDuration = SignedDuration::from_mins(5);

/// The result of recording a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionClaim {
    /// The caller executes the action.
    Acquired,
    /// The rule has already decided on this entity today.
    AlreadyDecided,
}

#[derive(Serialize, Deserialize)]
struct StoredDecision {
    #[serde(flatten)]
    decision: Decision,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    lease_until: Timestamp,
}

impl Table {
    /// Records a decision before its action is executed. One with insufficient data may be decided again.
    pub async fn record_decision(
        &self,
        ws: &Tenant,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<DecisionClaim, StoreError> {
        let open = ConditionExpression {
            expression: "attribute_not_exists(pk) OR outcome = :insufficient_data",
            values: vec![(":insufficient_data", text("insufficient_data"))],
        };
        let stored = StoredDecision { decision: decision.clone(), lease_until: now + DECISION_LEASE_TTL };
        match self.put(&decision_key(ws, decision), &stored, Some(open)).await {
            Ok(()) => Ok(DecisionClaim::Acquired),
            Err(StoreError::Conflict) => Ok(DecisionClaim::AlreadyDecided),
            Err(error) => Err(error),
        }
    }

    /// Takes over a decision whose action was never confirmed; `None` when it was, or when another worker holds the
    /// lease.
    pub async fn claim_decision(
        &self,
        ws: &Tenant,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<Option<Decision>, StoreError> {
        let values = vec![
            (":until", millis(now + DECISION_LEASE_TTL)),
            (":now", millis(now)),
            (":pending", text("pending")),
        ];
        let condition = Some("outcome = :pending AND lease_until < :now");
        let key = decision_key(ws, decision);
        match self.update::<StoredDecision>(&key, "SET lease_until = :until", condition, values).await {
            Ok(stored) => Ok(Some(stored.decision)),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores the progress or the outcome of an open decision, with its event if there is one; a closed decision stays
    /// as it is. Returns whether it was open. Another worker may take over one that stays open after `lease_until`.
    pub async fn update_open_decision(
        &self,
        ws: &Tenant,
        decision: &Decision,
        lease_until: Timestamp,
        event: Option<&EventRecord>,
    ) -> Result<bool, StoreError> {
        let open = ConditionExpression {
            expression: "outcome = :pending",
            values: vec![(":pending", text("pending"))],
        };
        let stored = StoredDecision { decision: decision.clone(), lease_until };
        let put = self.put_action_if(&decision_key(ws, decision), &stored, open)?;
        match self.transact_recorded(ws, vec![put], event).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists a page of a rule's decisions, newest day first. `before` is the day and entity of the last one seen.
    pub async fn decisions(
        &self,
        ws: &Tenant,
        rule: &RuleId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Decision>, StoreError> {
        let before = before.map(|before| format!("DECISION#{before}"));
        self.query_desc(&key::decision_partition(ws, rule), "DECISION#", before.as_deref(), limit).await
    }

    /// Lists a rule's decisions since a day, inclusive.
    pub async fn decisions_since(
        &self,
        ws: &Tenant,
        rule: &RuleId,
        since: Date,
    ) -> Result<Vec<Decision>, StoreError> {
        let pk = key::decision_partition(ws, rule);
        self.query_between(&pk, &format!("DECISION#{since}"), "DECISION#\u{7f}").await
    }
}

fn decision_key(ws: &Tenant, decision: &Decision) -> key::Key {
    key::decision(ws, &decision.rule, decision.day, &decision.entity)
}
