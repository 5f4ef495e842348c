//! Launches: the document, what exists already, and who works on it.

use ads::id::LaunchId;
use ads::launch::Launch;
use ads::tenant::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ABSENT, Condition, StoreError, Table, number, text};

/// A launch as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLaunch {
    /// The launch.
    #[serde(flatten)]
    pub launch: Launch,
    /// Hash of the request: the same `Idempotency-Key` with another body is an error.
    pub request_hash: String,
    /// The subject of the session that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// Raised with every write; each write is conditional on the one before.
    pub version: u64,
    /// Until when somebody works on it.
    pub worker_until: Timestamp,
}

impl Table {
    /// Begins a launch; [`StoreError::Conflict`] when its id is taken.
    pub async fn begin_launch(&self, ws: &Tenant, launch: &KeptLaunch) -> Result<(), StoreError> {
        self.put(&key::launch(ws, &launch.launch.id), launch, Some(ABSENT)).await
    }

    /// One launch.
    pub async fn launch(&self, ws: &Tenant, id: &LaunchId) -> Result<Option<KeptLaunch>, StoreError> {
        self.get(&key::launch(ws, id)).await
    }

    /// Every launch of a workspace.
    pub async fn launches(&self, ws: &Tenant) -> Result<Vec<KeptLaunch>, StoreError> {
        self.list(&key::workspace(ws), "LAUNCH#").await
    }

    /// Takes over a launch on which nobody works any more; [`StoreError::Conflict`] when somebody does.
    pub async fn take_launch(
        &self,
        ws: &Tenant,
        id: &LaunchId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<KeptLaunch, StoreError> {
        self.update(
            &key::launch(ws, id),
            "SET worker_until = :until, version = version + :one",
            Some("attribute_exists(pk) AND worker_until < :now"),
            vec![(":until", text(until)), (":one", number(1)), (":now", text(now))],
        )
        .await
    }

    /// Writes a launch that this worker holds until then, and raises its version.
    pub async fn save_launch(
        &self,
        ws: &Tenant,
        kept: &mut KeptLaunch,
        worker_until: Timestamp,
    ) -> Result<(), StoreError> {
        let condition =
            Condition { expression: "version = :version", values: vec![(":version", number(kept.version))] };
        let next = KeptLaunch { version: kept.version + 1, worker_until, ..kept.clone() };
        self.put(&key::launch(ws, &kept.launch.id), &next, Some(condition)).await?;
        *kept = next;
        Ok(())
    }
}
