//! The inbox: each webhook change once per workspace.

use ads::job::WebhookChange;
use ads::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ABSENT, StoreError, Table, text};

/// Meta repeats a delivery for 36 hours; a week leaves room for a queue that stood still.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// How long one delivery of a change may be worked on before another one takes over. A few small writes, and less
/// than any queue waits before it delivers a message again.
const IN_HAND: SignedDuration = SignedDuration::from_secs(10);

/// Whether what a change causes is to be caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// By whoever asked.
    Ours,
    /// Another delivery of the change is worked on; a wall clock decides how long that may count.
    Elsewhere {
        /// Until then, if it breaks off.
        until: Timestamp,
    },
    /// No more: it is under way.
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InboxState {
    /// Kept; its effect may be missing.
    Accepted,
    /// Its effect is under way elsewhere.
    Done,
}

#[derive(Serialize, Deserialize)]
struct InboxItem {
    change: WebhookChange,
    state: InboxState,
    received_at: Timestamp,
    /// Until when the delivery that took it last may work on it.
    in_hand_until: Timestamp,
}

impl Table {
    /// Keeps a change, and says whether its effect is to be caused now. Of two deliveries in the same instant one
    /// gets it. One whose handling broke off is taken over by the next delivery after a while.
    pub async fn take_change(
        &self,
        ws: &Tenant,
        change: &WebhookChange,
        now: Timestamp,
    ) -> Result<Taking, StoreError> {
        let key = key::inbox(ws, &change.digest);
        let until = now + IN_HAND;
        let state = InboxState::Accepted;
        let item = InboxItem { change: change.clone(), state, received_at: now, in_hand_until: until };
        let expires = now.as_second() + KEPT_SECONDS;
        match self.put_expiring(&key, &item, expires, Some(ABSENT)).await {
            Err(StoreError::Conflict) => {}
            done => return done.map(|()| Taking::Ours),
        }
        let Some(kept) = self.get::<InboxItem>(&key).await? else {
            return Ok(Taking::Elsewhere { until });
        };
        if kept.state == InboxState::Done {
            return Ok(Taking::Done);
        }
        if kept.in_hand_until > now {
            return Ok(Taking::Elsewhere { until: kept.in_hand_until });
        }
        let (expression, condition) =
            ("SET in_hand_until = :until", "in_hand_until = :seen AND #state = :accepted");
        let values = vec![
            (":until", text(until)),
            (":seen", text(kept.in_hand_until)),
            (":accepted", text("accepted")),
        ];
        match self.update::<InboxItem>(&key, expression, Some(condition), values).await {
            Ok(_) => Ok(Taking::Ours),
            Err(StoreError::Conflict) => Ok(Taking::Elsewhere { until }),
            Err(error) => Err(error),
        }
    }

    /// Records that the effect of a change is under way.
    pub async fn change_is_done(&self, ws: &Tenant, digest: &str) -> Result<(), StoreError> {
        let key = key::inbox(ws, digest);
        let done = self.update::<InboxItem>(&key, "SET #state = :done", None, vec![(":done", text("done"))]);
        done.await.map(drop)
    }
}
