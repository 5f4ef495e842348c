//! How far a request to measure days is.

use domain::Error;
use domain::dataset::Dataset;
use domain::id::{AdAccountId, SyncRunId};
use http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::civil::Date;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, RequestContext};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use store::chunk::{Chunk, ChunkState};
use store::sync_run::SyncRun;

use crate::SyncEntities;
use crate::status::ChunkFailure;

/// A request of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct SyncRunPath {
    /// An ad account of the workspace.
    ad_account: AdAccountId,
    /// A request, as `POST sync` answered it.
    run: SyncRunId,
}

/// A request to measure days, and how far it is.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema), schemars(rename = "SyncRun"))]
pub(crate) struct SyncRunView {
    id: SyncRunId,
    requested_at: Timestamp,
    since: Date,
    until: Date,
    datasets: Vec<Dataset>,
    state: RunState,
    /// Days of all datasets that were measured since the request.
    days_done: usize,
    /// Days of all datasets.
    days_total: usize,
    /// What the measurements wait for, where the platform makes them wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
    /// When the next sync requests again what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_sync_at: Option<Timestamp>,
    /// Weeks that could not be measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<ChunkFailure>,
}

/// How a request is.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum RunState {
    /// Days are left.
    Running,
    /// Every day was measured.
    Done,
    /// What is left could not be measured; every sync tries it again.
    Failed,
}

pub(crate) fn get_sync_run() -> Endpoint<SyncEntities> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync/{run}";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("get_sync_run", "Returns how far a request to measure days is")
        .responds(StatusCode::OK, "The request.", SyncEntities::get_sync_run)
}

impl SyncEntities {
    async fn get_sync_run(
        self,
        context: RequestContext<Session, SyncRunPath>,
    ) -> Result<Json<SyncRunView>, Error> {
        let RequestContext { caller: session, path: SyncRunPath { ad_account, run }, .. } = context;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let account = table.require_account(workspace, &ad_account).await?;
        let run = table.sync_run(workspace, &ad_account, &run).await?;
        let run = run.ok_or_else(|| Error::NotFound("this run".to_owned()))?;
        let due = table.due_account(workspace, &ad_account).await?.filter(|_| account.selected);
        let SyncRun { id, range, datasets, requested_at } = run;
        let (mut days_done, mut days_total, mut failures) = (0, 0, Vec::new());
        let mut is_open = false;
        for dataset in &datasets {
            let chunks = table.chunks_of(workspace, &ad_account, *dataset, range).await?;
            for week in range.weeks() {
                let chunk = chunks.iter().find(|chunk| chunk.week == week);
                let done = |day: &Date| is_measured(chunk, *day, requested_at);
                let (total, measured) = (
                    week.range().days_within(range).count(),
                    week.range().days_within(range).filter(done).count(),
                );
                days_total += total;
                days_done += measured;
                if measured == total {
                    continue;
                }
                match chunk.filter(|chunk| chunk.state == ChunkState::Failed).map(|chunk| &chunk.failure) {
                    Some(Some(reason)) => {
                        failures.push(ChunkFailure { dataset: *dataset, week, reason: reason.clone() });
                    }
                    _ => is_open = true,
                }
            }
        }
        let state = match (is_open, failures.is_empty()) {
            (true, _) => RunState::Running,
            (false, true) => RunState::Done,
            (false, false) => RunState::Failed,
        };
        let due = due.filter(|_| !matches!(state, RunState::Done));
        Ok(Json(SyncRunView {
            id,
            requested_at,
            since: range.since,
            until: range.until,
            datasets,
            state,
            days_done,
            days_total,
            next_sync_at: due.as_ref().map(|due| due.sync_at),
            waits_for: due.and_then(|due| due.waits_for),
            failures,
        }))
    }
}

/// Whether a day was measured since a moment at which it was requested. A report that had begun before it may answer, too:
/// then no request is left.
fn is_measured(chunk: Option<&Chunk>, day: Date, since: Timestamp) -> bool {
    let Some(chunk) = chunk else { return false };
    chunk.measured_at(day).is_some_and(|measured_at| measured_at >= since || !chunk.is_due(day))
}
