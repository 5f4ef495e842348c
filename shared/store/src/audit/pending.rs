//! Events that are recorded twice: an intent before the effect, and the outcome after it.

use domain::Error;
use domain::id::ConnectionId;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Table;
use crate::audit::{AuditEvent, Phase};

/// Maximum number of events per transaction of the log.
pub const MAX_EVENTS_PER_TRANSACTION: usize = 49;

/// An event whose intent is recorded. It must be completed, whatever its result; one that is not appears as an event
/// that may have happened. Work that is retried under the same event completes it.
#[derive(Debug)]
#[must_use]
pub struct PendingEvent {
    table: Table,
    workspace: Tenant,
    event: AuditEvent,
}

/// Returns the audit target of a connection. It is hashed because the connection id contains Meta's id of a person,
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
        self.record_event(workspace, &event, now).await?;
        Ok(PendingEvent { table: self.clone(), workspace: workspace.clone(), event })
    }

    /// [`Table::record_intent`] for up to [`MAX_EVENTS_PER_TRANSACTION`] events, recorded all or none.
    pub async fn record_intents(
        &self,
        workspace: &Tenant,
        events: Vec<AuditEvent>,
        now: Timestamp,
    ) -> Result<Vec<PendingEvent>, Error> {
        self.record_events(workspace, &events, now).await?;
        let pending = |event| PendingEvent { table: self.clone(), workspace: workspace.clone(), event };
        Ok(events.into_iter().map(pending).collect())
    }

    /// Records an event as given.
    pub async fn record_event(
        &self,
        workspace: &Tenant,
        event: &AuditEvent,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.record_events(workspace, std::slice::from_ref(event), now).await
    }

    async fn record_events(
        &self,
        workspace: &Tenant,
        events: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), Error> {
        Ok(self.append_audit_events(workspace, events, now).await?)
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
        let event = finished(event, &result, meta);
        if let Err(error) = table.record_event(&workspace, &event, now).await {
            tracing::error!(%workspace, action = event.action, %error, "The end of an event left no trace.");
        }
        result
    }

    /// [`PendingEvent::complete`] for events that were recorded together.
    pub async fn complete_all<T>(
        all: Vec<Self>,
        results: Vec<Result<T, Error>>,
        now: Timestamp,
    ) -> Vec<Result<T, Error>> {
        let Some(Self { table, workspace, .. }) = all.first() else { return results };
        let (table, workspace) = (table.clone(), workspace.clone());
        let events = all.into_iter().zip(&results).map(|(one, result)| finished(one.event, result, None));
        let events: Vec<_> = events.collect();
        if let Err(error) = table.record_events(&workspace, &events, now).await {
            tracing::error!(%workspace, events = events.len(), %error, "The ends of events left no trace.");
        }
        results
    }
}

/// Returns the event with its outcome.
fn finished<T>(event: AuditEvent, result: &Result<T, Error>, meta: Option<String>) -> AuditEvent {
    let (phase, reason) = match result {
        Ok(_) => (Phase::Done, None),
        Err(error @ (Error::Indeterminate(_) | Error::Unavailable(_))) => {
            (Phase::Unknown, Some(error.public_detail()))
        }
        Err(error) => (Phase::Failed, Some(error.public_detail())),
    };
    AuditEvent { phase, reason, meta, ..event }
}
