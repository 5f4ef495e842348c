//! Measures a dataset of one ad account for one ISO week, and reach, and takes the numbers of imported ad accounts; the
//! only writer of facts.
//!
//! It leases the week's chunk, reads the days that are due from insights page by page (level ad, one row per day),
//! publishes each day as blocks, and completes the chunk. Every write is conditional on the lease, so that running
//! twice, late or concurrently changes nothing. A finished day is progress: an account that is too large for one
//! invocation is measured by several. Once no week is open, sums are held against the account's own totals.

mod entities;
mod fact_row;
mod ingest;
mod measure;
mod places;
mod reach;
mod totals;
mod unread;

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use connector::{Connector, Purpose};
use domain::Error;
use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::id::AdAccountId;
use domain::job::Job;
use domain::tenant::Tenant;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::{Host, Response, deadline};
use serde_json::{Value, json};
use store::StoreError;
use store::account::{SyncProblem, SyncProblemKind};
use store::audit::AuditEvent;
use store::chunk::{Chunk, ChunkState, Lease, LeaseAttempt, RunTotals};

use crate::measure::RunResult;

/// Lease of a run, after which others take over. Extended while pages come, but never beyond the end of the invocation,
/// so that a run that the host has ended blocks nobody.
const LEASE_TTL: SignedDuration = SignedDuration::from_mins(5);

/// A dataset's week.
type ChunkId = (Dataset, IsoWeek);

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<SyncMetricsChunk>>> =
    LazyLock::new(|| vec![ingest::ingest_facts()]);

/// The `sync-metrics-chunk` function.
#[derive(Debug, Clone)]
pub struct SyncMetricsChunk {
    connector: Connector,
    host: Host,
    middleware: Middleware,
}

impl SyncMetricsChunk {
    /// Creates the function.
    pub fn new(connector: Connector, host: Host) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("sync-metrics-chunk", &ENDPOINTS, self, request).await
    }

    /// Processes a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        let (done, workspace, ad_account) = match &job {
            Job::SyncChunk { workspace, ad_account, dataset, week } => {
                (self.sync(workspace, ad_account, (*dataset, *week)).await, workspace, ad_account)
            }
            Job::CheckTotals { workspace, ad_account } => {
                (self.check_totals(workspace, ad_account).await, workspace, ad_account)
            }
            Job::MeasureReach { workspace, ad_account, level, periods } => {
                (self.measure_reach(workspace, ad_account, *level, periods).await, workspace, ad_account)
            }
            other => return Err(other.wrong_queue()),
        };
        let Err(error) = done else { return Ok(()) };
        // The account's next syncs request again what is left; reach after an hour.
        let wait = self.connector.long_wait(error)?;
        Ok(self.connector.table.defer_numbers(workspace, ad_account, &wait.reason).await?)
    }

    async fn sync(&self, workspace: &Tenant, ad_account: &AdAccountId, chunk: ChunkId) -> Result<(), Error> {
        let table = &self.connector.table;
        let began_at = self.host.clock.now().as_millisecond().unsigned_abs();
        match table.account(workspace, ad_account).await? {
            Some(account) if account.selected => {}
            Some(_) => return Ok(()),
            // Deleted, perhaps while a run was writing.
            None => {
                return Ok(table.delete_orphaned_facts(workspace, ad_account, chunk, began_at).await?);
            }
        }
        let client = match self.connector.open(workspace, ad_account, Purpose::Reporting).await {
            // The account is throttled: another call would only prolong it.
            Err(error @ Error::RateLimited { .. }) => return Err(error),
            client => client,
        };
        let now = self.host.clock.now();
        let leased = table.lease_chunk(workspace, ad_account, chunk, now, lease_end(now)).await?;
        let mut lease = match leased {
            LeaseAttempt::Acquired(lease) => *lease,
            other => {
                if let Ok(client) = client {
                    client.close(Ok(())).await?;
                }
                return match other {
                    LeaseAttempt::Held { until } => Err(Error::RateLimited {
                        retry_after: retry_delay(now, until),
                        reason: "another run holds the lease of this chunk".to_owned(),
                    }),
                    // Already measured. The run that completed it may have crashed before it requested the evaluation.
                    _ => self.request_evaluation(workspace, ad_account, chunk).await,
                };
            }
        };
        let run = match client {
            Ok(client) => {
                let run = self.run(&client, &mut lease).await;
                client.close(run).await
            }
            Err(error) => Err(error),
        };
        match run {
            Ok(RunResult::Superseded) => match table.account(workspace, ad_account).await? {
                Some(_) => Ok(()),
                None => Ok(table.delete_orphaned_facts(workspace, ad_account, chunk, lease.fence()).await?),
            },
            Ok(RunResult::Unfinished) => {
                table.release_chunk(&lease).await?;
                self.host.queues.send(&[job(workspace, ad_account, chunk)]).await
            }
            Ok(RunResult::Complete(totals)) => {
                self.complete(workspace, ad_account, chunk, &lease, totals).await
            }
            // Retryable: the week stays planned and its message is redelivered.
            Err(error) if error.is_retryable() => {
                table.release_chunk(&lease).await?;
                Err(error)
            }
            // Permanent: the reason is stored with the week, where the API shows it, and the next sync plans it again.
            Err(error) => {
                let (dataset, week) = (chunk.0.name, chunk.1);
                tracing::warn!(%workspace, %ad_account, dataset, %week, %error, "A chunk failed.");
                let (reason, now) = (error.public_detail(), self.host.clock.now());
                let problem = SyncProblem {
                    kind: SyncProblemKind::Failed,
                    since: now,
                    reason: format!(
                        "week {week} of {dataset} cannot be measured: {reason}; every sync tries it again"
                    ),
                };
                let id = format!("chunk/{ad_account}/{dataset}/{week}/{}", lease.fence());
                let event = AuditEvent::sync(id, "sync.failed", ad_account)
                    .with_change(Value::Null, json!({"dataset": dataset, "week": week}))
                    .done_at(now);
                // The event leaves Meta's message out, which may name a person. A connection that must be renewed has an
                // event of its own.
                let problem = (!matches!(error, Error::Reconnect(_))).then_some((&problem, &event));
                table.fail_chunk(workspace, ad_account, &lease, &reason, problem).await?;
                self.request_evaluation(workspace, ad_account, chunk).await
            }
        }
    }

    /// Completes the run, and queues another one when the week was requested again meanwhile.
    async fn complete(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        chunk: ChunkId,
        lease: &Lease,
        totals: RunTotals,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let state = match table.complete_chunk(lease, &totals, self.host.clock.now()).await {
            Ok(state) => state,
            Err(StoreError::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        tracing::info!(
            dataset = chunk.0.name,
            week = %chunk.1,
            pages = totals.pages,
            rows = lease.chunk.manifest.rows(),
            segments_written = totals.written,
            segments_unchanged = totals.unchanged,
            ?state,
            "Measured a chunk."
        );
        if state == ChunkState::Planned {
            return self.host.queues.send(&[job(workspace, ad_account, chunk)]).await;
        }
        self.request_evaluation(workspace, ad_account, chunk).await
    }

    /// Requests a rule evaluation when no week that rules read is open any more, and a check of the totals when one is
    /// due. If no week of any dataset is open or has failed, the account's sync problem is over.
    async fn request_evaluation(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        (dataset, _): ChunkId,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let chunks = table.chunks(workspace, ad_account).await?;
        if chunks.iter().all(|chunk| chunk.state == ChunkState::Done) {
            self.end_sync_problem(workspace, ad_account).await?;
        }
        let is_open = |chunk: &Chunk| {
            chunk.dataset == Dataset::AD_DAY
                && matches!(chunk.state, ChunkState::Planned | ChunkState::Running)
        };
        if dataset != Dataset::AD_DAY || chunks.iter().any(is_open) {
            return Ok(());
        }
        let account = table.account(workspace, ad_account).await?;
        let now = self.host.clock.now();
        let is_due = account.map_or(Ok(false), |account| totals::is_check_due(&account, &chunks, now))?;
        let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
        // The check requests the evaluation at its end: no rule is to act on what it may find missing.
        let job = match is_due {
            true => Job::CheckTotals { workspace, ad_account },
            false => Job::EvaluateRules { workspace, ad_account },
        };
        self.host.queues.send(&[job]).await
    }

    async fn end_sync_problem(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Error> {
        let table = &self.connector.table;
        let account = table.account(workspace, ad_account).await?;
        match account.and_then(|account| account.sync_problem) {
            Some(problem) if problem.kind == SyncProblemKind::Failed => {
                Ok(table.end_sync_problem(workspace, ad_account, &problem, self.host.clock.now()).await?)
            }
            _ => Ok(()),
        }
    }
}

fn job(workspace: &Tenant, ad_account: &AdAccountId, (dataset, week): ChunkId) -> Job {
    Job::SyncChunk { workspace: workspace.clone(), ad_account: ad_account.clone(), dataset, week }
}

/// Returns the lease end of a run at `now`.
fn lease_end(now: Timestamp) -> Timestamp {
    let longest = now + LEASE_TTL;
    deadline::invocation_deadline().map_or(longest, |end| end.min(longest))
}

/// Returns the time until a moment, at least one second.
fn retry_delay(now: Timestamp, until: Timestamp) -> Duration {
    let seconds = until.duration_since(now).as_secs().max(1);
    Duration::from_secs(seconds.unsigned_abs())
}
