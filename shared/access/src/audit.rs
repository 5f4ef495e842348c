//! Leaving a trace of what is done: an intent before it, and how it ended.

use domain::Error;
use domain::id::ConnectionId;
use domain::tenant::Tenant;
use jiff::Timestamp;
use runtime::route::RequestContext;
use runtime::{problem, random};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Table;
pub use store::audit::{Actor, AuditEvent, Phase};

use crate::Connector;

/// The number of events that one transaction of the log has room for.
pub const MAX_EVENTS_PER_TRANSACTION: usize = 49;

/// An event whose intent is in the log. It is to be ended, whatever comes of it; what is not is shown as an event that
/// may have happened. Work that comes again under the same event ends it then.
#[derive(Debug)]
#[must_use]
pub struct PendingEvent {
    table: Table,
    workspace: Tenant,
    event: AuditEvent,
}

/// What a person does with a request. Each request is an event of its own.
pub fn user_event<E>(context: &RequestContext<E>, action: &str, target: String) -> Result<AuditEvent, Error> {
    let actor = Actor::Person { subject: context.session()?.subject.clone() };
    Ok(AuditEvent::new(random::id()?, actor, action, target))
}

/// A connection in the log. Its id holds Meta's id of a person, which must not outlive them there.
pub fn connection_target(workspace: &Tenant, id: &ConnectionId) -> String {
    let digest = Sha256::digest(format!("{workspace}|connection|{id}"));
    format!("connection/{}", hex::encode(&digest[..8]))
}

impl Connector {
    /// Records the intent. Nothing may be done before this has succeeded.
    pub async fn record_intent(&self, workspace: &Tenant, event: AuditEvent) -> Result<PendingEvent, Error> {
        record_intent(&self.table, workspace, event, self.graph.now()).await
    }

    /// [`Connector::record_intent`] for up to [`MAX_EVENTS_PER_TRANSACTION`] events: the log has all of them or none.
    pub async fn record_intents(
        &self,
        workspace: &Tenant,
        events: Vec<AuditEvent>,
    ) -> Result<Vec<PendingEvent>, Error> {
        append_all(&self.table, workspace, &events, self.graph.now()).await?;
        let pending = |event| PendingEvent { table: self.table.clone(), workspace: workspace.clone(), event };
        Ok(events.into_iter().map(pending).collect())
    }
}

/// [`Connector::record_intent`] where nobody calls Meta.
pub async fn record_intent(
    table: &Table,
    workspace: &Tenant,
    event: AuditEvent,
    now: Timestamp,
) -> Result<PendingEvent, Error> {
    append(table, workspace, &event, now).await?;
    Ok(PendingEvent { table: table.clone(), workspace: workspace.clone(), event })
}

impl PendingEvent {
    /// Says what it has changed things into, where that was not known before.
    pub fn with_after(mut self, after: Value) -> Self {
        self.event.after = after;
        self
    }

    /// Says how it ended, by what is about to be answered, and hands that on. The event stands as it is, whether or
    /// not this can be written: then its intent remains.
    pub async fn complete<T>(
        self,
        result: Result<T, Error>,
        meta: Option<String>,
        now: Timestamp,
    ) -> Result<T, Error> {
        let Self { table, workspace, event } = self;
        let event = finished(event, &result, meta);
        if let Err(error) = append(&table, &workspace, &event, now).await {
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
        if let Err(error) = append_all(&table, &workspace, &events, now).await {
            tracing::error!(%workspace, events = events.len(), %error, "The ends of events left no trace.");
        }
        results
    }
}

/// What the log says of how an event ended.
fn finished<T>(event: AuditEvent, result: &Result<T, Error>, meta: Option<String>) -> AuditEvent {
    let (stage, reason) = match result {
        Ok(_) => (Phase::Done, None),
        Err(error @ (Error::Indeterminate(_) | Error::Unavailable(_))) => {
            (Phase::Unknown, Some(problem::detail(error)))
        }
        Err(error) => (Phase::Failed, Some(problem::detail(error))),
    };
    AuditEvent { phase: stage, reason, meta, ..event }
}

/// Leaves an entry, and its hash where nobody can change it any more.
pub async fn append(
    table: &Table,
    workspace: &Tenant,
    event: &AuditEvent,
    now: Timestamp,
) -> Result<(), Error> {
    append_all(table, workspace, std::slice::from_ref(event), now).await
}

async fn append_all(
    table: &Table,
    workspace: &Tenant,
    events: &[AuditEvent],
    now: Timestamp,
) -> Result<(), Error> {
    if let Some(head) = table.append_audit_events(workspace, events, now).await? {
        tracing::info!(%workspace, seq = head.seq, hash = head.hash, "An entry of the audit log.");
    }
    Ok(())
}
