//! The inbox: each webhook change once per workspace.

use domain::job::WebhookChange;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table, text};

/// Meta repeats a delivery for 36 hours; a week leaves room for a queue that stood still.
const INBOX_TTL_SECONDS: i64 = 7 * 24 * 3600;

/// How long one delivery of a change may be worked on before another one takes over. A few small writes, and less
/// than any queue waits before it delivers a message again.
const CLAIM_TTL: SignedDuration = SignedDuration::from_secs(10);

/// Whether what a change causes is to be caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// By whoever asked.
    Acquired,
    /// Another delivery of the change is worked on; a wall clock decides how long that may count.
    InProgress {
        /// Until then, if it breaks off.
        until: Timestamp,
    },
    /// No more: it is under way.
    Processed,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InboxState {
    /// Kept; its effect may be missing.
    Accepted,
    /// Its effect is under way elsewhere.
    Processed,
}

#[derive(Serialize, Deserialize)]
struct InboxItem {
    change: WebhookChange,
    state: InboxState,
    received_at: Timestamp,
    /// Until when the delivery that took it last may work on it.
    claimed_until: Timestamp,
}

impl Table {
    /// Keeps a change, and says whether its effect is to be caused now. Of two deliveries in the same instant one
    /// gets it. One whose handling broke off is taken over by the next delivery after a while.
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

    /// Records that the effect of a change is under way.
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
