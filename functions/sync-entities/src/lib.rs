//! Syncs campaigns, ad sets and ads, and plans the chunks to measure.
//!
//! A full sync takes its place in the order of fetches, reads every page of the three levels, stores what is new or
//! changed, refetches by id what is no longer listed, and plans the weeks to measure. An account that is too large for one
//! invocation is read by several. It runs when an account is
//! selected, when the due index says so, and on request, and resumes what an earlier run left undone. An hourly watch
//! checks that this happens for every selected account.

mod activities;
mod conversions;
mod due;
mod entities;
mod plan;
mod reach;
mod run;
mod status;
mod watch;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use connector::{Connector, Purpose};
use domain::Error;
use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use http::Request;
use jiff::SignedDuration;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::{Host, Response};
use serde_json::{Value, json};
use store::account::{AdAccount, SyncProblem, SyncProblemKind};
use store::audit::AuditEvent;

use crate::entities::{EntitySync, EntitySyncStats};

/// A recurring sync of an account that was synced a shorter time ago is a second one, and ends at once.
const MIN_AGE: SignedDuration = SignedDuration::from_mins(10);

/// Time that must be left to read what nothing waits for: the activity log and the custom conversions.
const EXTRAS_TIME: SignedDuration = SignedDuration::from_secs(60);

/// A week, and the name of a dataset.
type ChunkId = (IsoWeek, &'static str);

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<SyncEntities>>> = LazyLock::new(|| {
    vec![status::request_sync(), status::get_sync(), run::get_sync_run(), reach::request_reach()]
});

/// The `sync-entities` function.
#[derive(Debug, Clone)]
pub struct SyncEntities {
    connector: Connector,
    host: Host,
    middleware: Middleware,
}

impl SyncEntities {
    /// Creates the function.
    pub fn new(connector: Connector, host: Host) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("sync-entities", &ENDPOINTS, self, request).await
    }

    /// Processes a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::SyncAccount { workspace, ad_account, cause } => {
                let synced = self.sync_account(&workspace, &ad_account, cause).await;
                let Err(error) = synced else { return Ok(()) };
                let wait = self.connector.long_wait(error)?;
                Ok(self
                    .connector
                    .table
                    .defer_sync(&workspace, &ad_account, cause, (wait.until, &wait.reason))
                    .await?)
            }
            Job::TakeDue => self.take_due().await,
            Job::WatchAccounts { shard } => self.watch(shard).await,
            Job::SyncChangedEntities { workspace, ad_account } => {
                self.sync_changed_entities(&workspace, &ad_account).await
            }
            other => Err(other.wrong_queue()),
        }
    }

    /// Reads the entities that the platform has reported as changed.
    async fn sync_changed_entities(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Error> {
        let table = &self.connector.table;
        let changed = table.take_changed_entities(workspace, ad_account).await?;
        let queues = &self.host.queues;
        if changed.iter().any(|(level, _)| *level == Level::Account) {
            let (workspace, ad_account, cause) = (workspace.clone(), ad_account.clone(), SyncCause::Request);
            queues.send(&[Job::SyncAccount { workspace, ad_account, cause }]).await?;
        } else if !changed.is_empty() {
            let client = self.connector.open(workspace, ad_account, Purpose::Sync).await?;
            let synced = entities::sync_changed(table, &client, &changed).await;
            let written = client.close(synced).await?;
            if written > 0 {
                let fetch_number = table.begin_fetch(workspace, ad_account).await?;
                table.wake_account(workspace, ad_account, fetch_number, self.host.clock.now()).await?;
            }
            tracing::info!(%workspace, %ad_account, changed = changed.len(), written, "Synced changed entities.");
        }
        let now = self.host.clock.now();
        let again = table.complete_changed_entities(workspace, ad_account, &changed, now).await?;
        let Some(delay) = again else { return Ok(()) };
        let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
        queues.send_delayed(&Job::SyncChangedEntities { workspace, ad_account }, delay).await
    }

    async fn sync_account(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        cause: SyncCause,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let account = table.account(workspace, ad_account).await?.filter(|account| account.selected);
        let Some(account) = account else { return self.leave_index(workspace, ad_account).await };
        let age = account.entities_synced_at.map(|synced_at| self.host.clock.now().duration_since(synced_at));
        if cause == SyncCause::Recurring && age.is_some_and(|age| age < MIN_AGE) {
            return Ok(());
        }
        let client = self.connector.open(workspace, ad_account, Purpose::Sync).await?;
        let account = client.account.clone();
        // Skipped in recurring syncs, because the subscription persists. A connection that may not subscribe is synced
        // all the same.
        if (cause != SyncCause::Recurring || account.entities_synced_at.is_none())
            && let Err(error) = client.subscribe_webhooks().await
        {
            tracing::warn!(%workspace, %ad_account, %error, "An ad account's webhooks could not be subscribed to.");
        }
        let sync = EntitySync::begin(&self.connector.table, &client, &self.host.clock).await;
        let stats = match sync {
            Ok(sync) => sync.run().await,
            Err(error) => Err(error),
        };
        let stats = match client.close(stats).await {
            Err(error) if error.is_retryable() || matches!(error, Error::Reconnect(_)) => return Err(error),
            Err(error) => Err(error),
            Ok(Some(stats)) => Ok(stats),
            Ok(None) => {
                let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
                return self.host.queues.send(&[Job::SyncAccount { workspace, ad_account, cause }]).await;
            }
        };
        // Planned before the sync is recorded: an account recorded as synced has its chunks planned. Numbers do not depend
        // on entities, so they are measured even when those cannot be read.
        let weeks = self.plan(workspace, &account, cause).await?;
        // Before the chunks are requested, which may say at once what they wait for.
        let is_quiet = self.plan_next_sync(workspace, &account, stats.as_ref().ok()).await?;
        self.request_chunks(workspace, ad_account, weeks).await?;
        self.request_due_reach(workspace, &account, cause, is_quiet).await?;
        let is_read = stats.is_ok();
        self.record_sync(&account, workspace, stats).await?;
        // Last, because nothing waits for it: what is not read now is read by the next sync.
        if is_read
            && entities::has_time(&self.host.clock, EXTRAS_TIME)
            && let Err(error) = self.sync_extras(workspace, ad_account).await
        {
            tracing::warn!(%workspace, %ad_account, %error, "The activity log or the custom conversions of an ad account were not read.");
        }
        Ok(())
    }

    /// Adds what was changed at the platform to the change log of an ad account, and reads its custom conversions.
    async fn sync_extras(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Error> {
        let client = self.connector.open(workspace, ad_account, Purpose::Sync).await?;
        let (table, now) = (&self.connector.table, self.host.clock.now());
        let activities = activities::sync(table, &client, now).await;
        let conversions = match &activities {
            Err(error) if error.is_retryable() => Ok(()),
            _ => conversions::sync(table, &client, now).await,
        };
        client.close(activities.and(conversions)).await
    }

    /// Records what a sync of the entities has read, or why it cannot read them.
    async fn record_sync(
        &self,
        account: &AdAccount,
        workspace: &Tenant,
        stats: Result<EntitySyncStats, Error>,
    ) -> Result<(), Error> {
        let (table, ad_account, now) = (&self.connector.table, &account.id, self.host.clock.now());
        let stats = match stats {
            Ok(stats) => stats,
            // A defect of ours: the message becomes a dead letter, which the operator sees.
            Err(error @ Error::Internal(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%workspace, %ad_account, %error, "The entities of an ad account cannot be read.");
                let reason = error.public_detail();
                let problem = SyncProblem {
                    kind: SyncProblemKind::Entities,
                    since: now,
                    reason: format!(
                        "campaigns, ad sets and ads cannot be read: {reason}; their numbers are measured all the same, and every sync tries it again"
                    ),
                };
                let event =
                    AuditEvent::sync(format!("entities/{ad_account}/{now}"), "sync.failed", ad_account)
                        .with_change(Value::Null, json!({"entities": true}))
                        .done_at(now);
                return Ok(table.begin_sync_problem(workspace, ad_account, &problem, &event).await?);
            }
        };
        let synced = table.record_entities_synced(workspace, ad_account, now, &stats.gaps).await?;
        let over = |problem: &SyncProblem| problem.kind != SyncProblemKind::Failed;
        if let Some(problem) = synced.sync_problem.filter(over) {
            table.end_sync_problem(workspace, ad_account, &problem, now).await?;
        }
        let EntitySyncStats { listed, written, refetched, .. } = stats;
        tracing::info!(listed, written, refetched, "Synced the entities.");
        Ok(())
    }

    /// Queues the chunks, newest first, because a person who has just connected looks at the current week.
    async fn request_chunks(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        chunks: BTreeSet<ChunkId>,
    ) -> Result<(), Error> {
        let job = |(week, dataset): ChunkId| {
            let dataset = Dataset::named(dataset)?;
            let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
            Some(Job::SyncChunk { workspace, ad_account, dataset, week })
        };
        let jobs: Vec<_> = chunks.into_iter().rev().filter_map(job).collect();
        self.host.queues.send(&jobs).await
    }
}
