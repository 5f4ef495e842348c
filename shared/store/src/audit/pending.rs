//! Events that are recorded twice: an intent before the effect, and the outcome after it.

use domain::Error;
use domain::id::ConnectionId;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Table;
use crate::audit::{AuditEvent, EventRecord};

/// An event whose intent is recorded. It must be completed, whatever its result; one that is not appears as an event
/// that may have happened. Work that is retried under the same event completes it.
#[derive(Debug)]
#[must_use]
pub struct PendingEvent {
    table: Table,
    workspace: Tenant,
    event: AuditEvent,
}

/// Returns the audit target of a connection. It is hashed because the connection id contains the platform's id of a person,
/// which must not remain in the log after the person's data is deleted.
pub fn connection_target(workspace: &Tenant, id: &ConnectionId) -> String {
    let digest = Sha256::digest(format!("{workspace}|connection|{id}"));
    format!("connection/{}", hex::encode(&digest[..8]))
}

impl Table {
    /// Records the intent of an event. Must succeed before the effect.
    pub async fn record_intent(
        &self,
        workspace: &Tenant,
        event: AuditEvent,
        now: Timestamp,
    ) -> Result<PendingEvent, Error> {
        self.record_event(workspace, &event.clone().at(now)).await?;
        Ok(PendingEvent { table: self.clone(), workspace: workspace.clone(), event })
    }
}

impl PendingEvent {
    /// Sets the values after the change, where they were not known before.
    pub fn with_after(mut self, after: Value) -> Self {
        self.event.after = after;
        self
    }

    /// Records the outcome by the result of the work, and passes the result on. If recording fails, the intent remains.
    pub async fn complete<T>(
        self,
        result: Result<T, Error>,
        meta: Option<String>,
        now: Timestamp,
    ) -> Result<T, Error> {
        let Self { table, workspace, event } = self;
        let ended = event.ended(&result, meta).at(now);
        if let Err(error) = table.record_event(&workspace, &ended).await {
            tracing::error!(%workspace, action = ended.event.action, %error, "The outcome of an event could not be recorded.");
        }
        result
    }

    /// Returns the event as done, for the transaction that stores its result.
    pub fn done_at(&self, now: Timestamp) -> EventRecord {
        self.event.clone().done_at(now)
    }
}
