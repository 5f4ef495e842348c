//! The webhook inbox: stores each change once per workspace.

use domain::job::WebhookChange;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table, text};

/// Retention of a change, in seconds. Meta repeats a delivery for 36 hours; a week leaves margin for a stalled queue.
const INBOX_TTL_SECONDS: i64 = 7 * 24 * 3600;

/// Time for which one delivery may process a change before another one takes over. Processing takes a few small writes,
/// and every queue waits longer than this before it redelivers a message.
const CLAIM_TTL: SignedDuration = SignedDuration::from_secs(10);

/// The result of claiming a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The caller processes the change.
    Acquired,
    /// Another delivery of the change is being processed; a wall clock decides for how long this counts.
    InProgress {
        /// End of that claim, if the delivery is interrupted.
        until: Timestamp,
    },
    /// The effect of the change is already in progress.
    Processed,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InboxState {
    /// Stored; its effect may be missing.
    Accepted,
    /// Its effect is in progress elsewhere.
    Processed,
}

#[derive(Serialize, Deserialize)]
struct InboxItem {
    change: WebhookChange,
    state: InboxState,
    received_at: Timestamp,
    /// End of the latest claim.
    claimed_until: Timestamp,
}

impl Table {
    /// Keeps a change that could not be read, with its reason, for whoever looks into it. Repeating it changes nothing.
    pub async fn set_aside(&self, change: &WebhookChange, now: Timestamp) -> Result<(), StoreError> {
        let expires = now.as_second() + INBOX_TTL_SECONDS;
        self.put_with_ttl(&key::unreadable_change(&change.digest), change, expires, None).await
    }

    /// Stores a change and claims it for processing. Of two simultaneous deliveries, one acquires the claim. An
    /// interrupted one is taken over by the next delivery after `CLAIM_TTL`.
    pub async fn claim(
        &self,
        ws: &Tenant,
        change: &WebhookChange,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let key = key::inbox(ws, &change.digest);
        let until = now + CLAIM_TTL;
        let state = InboxState::Accepted;
        let item = InboxItem { change: change.clone(), state, received_at: now, claimed_until: until };
        let expires = now.as_second() + INBOX_TTL_SECONDS;
        match self.put_with_ttl(&key, &item, expires, Some(ITEM_NOT_EXISTS)).await {
            Err(StoreError::Conflict) => {}
            done => return done.map(|()| Claim::Acquired),
        }
        let Some(stored) = self.get::<InboxItem>(&key).await? else {
            return Ok(Claim::InProgress { until });
        };
        if stored.state == InboxState::Processed {
            return Ok(Claim::Processed);
        }
        if stored.claimed_until > now {
            return Ok(Claim::InProgress { until: stored.claimed_until });
        }
        let (expression, condition) =
            ("SET claimed_until = :until", "claimed_until = :seen AND #state = :accepted");
        let values = vec![
            (":until", text(until)),
            (":seen", text(stored.claimed_until)),
            (":accepted", text("accepted")),
        ];
        match self.update::<InboxItem>(&key, expression, Some(condition), values).await {
            Ok(_) => Ok(Claim::Acquired),
            Err(StoreError::Conflict) => Ok(Claim::InProgress { until }),
            Err(error) => Err(error),
        }
    }

    /// Records that the effect of a change is in progress.
    pub async fn mark_processed(&self, ws: &Tenant, digest: &str) -> Result<(), StoreError> {
        let key = key::inbox(ws, digest);
        let done = self.update::<InboxItem>(
            &key,
            "SET #state = :processed",
            None,
            vec![(":processed", text("processed"))],
        );
        done.await.map(drop)
    }
}
