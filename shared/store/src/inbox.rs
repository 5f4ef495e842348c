//! The inbox: each webhook change once per workspace.

use ads::id::WorkspaceId;
use ads::job::WebhookChange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ABSENT, StoreError, Table, text};

/// Meta repeats a delivery for 36 hours; a week leaves room for a queue that stood still.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// Whether what a change causes has been caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxState {
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
}

impl Table {
    /// Keeps a change and says whether its effect is still to be caused. A second delivery of a change
    /// whose first handling broke off finds it accepted, and causes the effect.
    pub async fn accept_change(
        &self,
        ws: &WorkspaceId,
        change: &WebhookChange,
        now: Timestamp,
    ) -> Result<InboxState, StoreError> {
        let key = key::inbox(ws, &change.digest);
        let item = InboxItem { change: change.clone(), state: InboxState::Accepted, received_at: now };
        let expires = now.as_second() + KEPT_SECONDS;
        match self.put_expiring(&key, &item, expires, Some(ABSENT)).await {
            Ok(()) => Ok(InboxState::Accepted),
            Err(StoreError::Conflict) => {
                let kept: Option<InboxItem> = self.get(&key).await?;
                Ok(kept.map_or(InboxState::Accepted, |item| item.state))
            }
            Err(error) => Err(error),
        }
    }

    /// Records that the effect of a change is under way.
    pub async fn change_is_done(&self, ws: &WorkspaceId, digest: &str) -> Result<(), StoreError> {
        let key = key::inbox(ws, digest);
        let done = self.update::<InboxItem>(&key, "SET #state = :done", None, vec![(":done", text("done"))]);
        done.await.map(drop)
    }
}
