//! Status of an account's sync, and the request for one.

use domain::dataset::Dataset;
use domain::date::{DateRange, Day, IsoWeek};
use domain::gap::Gaps;
use domain::id::{AdAccountId, SyncRunId};
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::civil::Date;
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::account::{AdAccount, SyncProblem};
use store::chunk::{Chunk, ChunkState};
use store::sync_run::SyncRun;
use store::totals::{TotalsDifference, unchecked_days};

use crate::SyncEntities;

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct SyncStatus {
    selected: bool,
    /// Why the ad account is not up to date: what failed, since when, and what happens next.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<SyncProblem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entities_synced_at: Option<Timestamp>,
    /// When the account is synced next by itself; absent while it is not selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_sync_at: Option<Timestamp>,
    /// What that sync waits for, where the platform made it wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
    chunks: ChunkCounts,
    facts: FactCounts,
    totals: TotalsStatus,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<ChunkFailure>,
    /// What Meta's answers did not say readably. Everything else is stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<SyncGaps>,
}

/// Gaps of the entities, or of the metrics of a week.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct SyncGaps {
    /// The dataset; absent for entities.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<Dataset>,
    /// The week; absent for entities.
    #[serde(skip_serializing_if = "Option::is_none")]
    week: Option<IsoWeek>,
    #[serde(flatten)]
    gaps: Gaps,
}

/// Which days to measure.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncRequest {
    /// First day: 37 months ago at most. Without it, everything that may have changed is read again.
    since: Option<Day>,
    /// Last day, included; today when it is left out.
    until: Option<Day>,
    /// What to measure of these days; `ad_day` when it is left out. A dataset that was asked for once is kept fresh from
    /// those days on.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_DATASETS)))]
    datasets: Option<Vec<Dataset>>,
}

/// Datasets of a request at most.
const MAX_DATASETS: usize = Dataset::ALL.len();

/// A sync was asked for.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct SyncAccepted {
    accepted: bool,
    /// The request, where it names days: `GET sync/{run}` says how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<SyncRunId>,
    /// Weeks of datasets that are measured for the requested days.
    #[serde(skip_serializing_if = "Option::is_none")]
    weeks: Option<usize>,
}

/// Counted from the chunks themselves: a counter would drift with every repeated message.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct ChunkCounts {
    planned: usize,
    running: usize,
    done: usize,
    failed: usize,
}

/// Of the last completed run of each week.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct FactCounts {
    /// One for each ad and day with delivery.
    rows: u64,
    /// Stored pieces of a day's numbers.
    segments_written: u64,
    segments_unchanged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_completion: Option<Timestamp>,
}

/// How the sums of days compare with the account's own totals.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct TotalsStatus {
    /// Days whose sum was compared since they were last measured.
    checked_days: usize,
    /// Days that are over and were measured since they were compared.
    unchecked_days: usize,
    /// Days that differed when they were last compared. They are measured again; no rule acts on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differing_days: Vec<DifferingDay>,
}

/// A day whose sum is not the account's own total.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct DifferingDay {
    day: Date,
    #[serde(flatten)]
    difference: TotalsDifference,
    /// When they were compared.
    checked_at: Timestamp,
}

impl TotalsStatus {
    fn new(account: &AdAccount, chunks: &[Chunk]) -> Result<Self, Error> {
        let (mut checked_days, mut differing_days) = (0, Vec::new());
        for chunk in chunks {
            for day in chunk.week.range().days_within(chunk.week.range()) {
                checked_days += usize::from(chunk.check(day).is_some());
                let Some(check) = chunk.last_check(day) else { continue };
                let differing = |difference| DifferingDay { day, difference, checked_at: check.checked_at };
                differing_days.extend(check.difference.map(differing));
            }
        }
        Ok(Self { checked_days, unchecked_days: unchecked_days(account, chunks)?.len(), differing_days })
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ChunkFailure {
    pub(crate) dataset: Dataset,
    pub(crate) week: IsoWeek,
    pub(crate) reason: String,
}

const SYNC: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync";

pub(crate) fn request_sync() -> Endpoint<SyncEntities> {
    endpoint::member(Method::POST, SYNC, Role::Editor)
        .named("request_sync", "Requests a sync of an ad account")
        .description(
            "Without days, entities and every day whose numbers may still change are read again. With them, these are measured, of the datasets that are named.",
        )
        .fails_with(Error::Conflict, "The ad account is imported.")
        .fails_with(Error::NotSelected, "The ad account is not selected.")
        .responds(StatusCode::ACCEPTED, "The sync is queued.", SyncEntities::request_sync)
}

pub(crate) fn get_sync() -> Endpoint<SyncEntities> {
    endpoint::member(Method::GET, SYNC, Role::Viewer)
        .named("get_sync", "Returns the status of an ad account's sync")
        .responds(StatusCode::OK, "The status.", SyncEntities::get_sync)
}

impl SyncEntities {
    async fn request_sync(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Option<Json<SyncRequest>>>,
    ) -> Result<Json<SyncAccepted>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, body, .. } = context;
        let workspace = &session.workspace;
        let account = self.selected_account(workspace, &ad_account).await?;
        let body = body.map(|Json(body)| body);
        let SyncRequest { since, until, datasets } =
            body.unwrap_or(SyncRequest { since: None, until: None, datasets: None });
        if let Some(datasets) = &datasets {
            if since.is_none() {
                return Err(FieldError::new("since", "is missing, although datasets are there").into());
            }
            if !(1..=MAX_DATASETS).contains(&datasets.len()) {
                let message = format!("must have 1 to {MAX_DATASETS} entries");
                return Err(FieldError::new("datasets", message).into());
            }
        }
        let mut datasets = datasets.unwrap_or_else(|| vec![Dataset::AD_DAY]);
        datasets.sort_unstable_by_key(|dataset| dataset.name);
        datasets.dedup();
        let range = match (since, until) {
            (Some(Day(since)), until) => {
                Some(self.requested_range(&account, &datasets, since, until.map(|Day(until)| until))?)
            }
            (None, Some(_)) => {
                return Err(FieldError::new("since", "is missing, although until is there").into());
            }
            (None, None) => None,
        };
        let event = user_event(&session, "ad_account.sync_requested", format!("ad_account/{ad_account}"))?;
        let event = match range {
            Some(range) => {
                let DateRange { since, until } = range;
                event.with_change(Value::Null, json!({"since": since, "until": until, "datasets": datasets}))
            }
            None => event,
        };
        let (event, now) = (event.in_account(&ad_account), self.host.clock.now());
        let event = self.connector.table.record_intent(workspace, event, now).await?;
        let sent = match range {
            Some(range) => {
                let run = SyncRun { id: random::id()?.parse()?, range, datasets, requested_at: now };
                self.measure_range(workspace, &account, run).await.map(Some)
            }
            None => {
                let (workspace, cause) = (workspace.clone(), SyncCause::Request);
                self.host
                    .queues
                    .send(&[Job::SyncAccount { workspace, ad_account, cause }])
                    .await
                    .map(|()| None)
            }
        };
        let (run, weeks) = event.complete(sent, None, self.host.clock.now()).await?.unzip();
        Ok(Json(SyncAccepted { accepted: true, run, weeks }))
    }

    /// Returns an ad account that is synced. Imported ones are not.
    pub(crate) async fn selected_account(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
    ) -> Result<AdAccount, Error> {
        let account = self.connector.table.require_account(workspace, ad_account).await?;
        account.require_connection()?;
        account.require_selected()?;
        Ok(account)
    }

    /// Requests and queues days. What is requested and not queued, because this ends in between, the next sync queues.
    /// Returns the request, and the number of its weeks.
    async fn measure_range(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        run: SyncRun,
    ) -> Result<(SyncRunId, usize), Error> {
        let chunks = self.plan_range(workspace, account, &run.datasets, run.range).await?;
        // After the days are requested, of which it tells when they are done.
        self.connector.table.store_sync_run(workspace, &account.id, &run).await?;
        let count = chunks.len();
        self.request_chunks(workspace, &account.id, chunks).await?;
        Ok((run.id, count))
    }

    async fn get_sync(
        self,
        context: RequestContext<Session, AdAccountPath>,
    ) -> Result<Json<SyncStatus>, Error> {
        let workspace = &context.caller.workspace;
        let account = self.connector.table.require_account(workspace, &context.path.ad_account).await?;
        let chunks = self.connector.table.chunks(workspace, &account.id).await?;
        let due = self.connector.table.due_account(workspace, &account.id).await?;
        let due = due.filter(|_| account.selected);
        let totals = TotalsStatus::new(&account, &chunks)?;
        let count = |state| chunks.iter().filter(|chunk| chunk.state == state).count();
        let sum = |of: fn(&Chunk) -> u64| chunks.iter().map(of).sum();
        let of_weeks = chunks.iter().map(|chunk| SyncGaps {
            dataset: Some(chunk.dataset),
            week: Some(chunk.week),
            gaps: chunk.gaps(),
        });
        let of_entities = SyncGaps { dataset: None, week: None, gaps: account.entity_gaps };
        let gaps =
            std::iter::once(of_entities).chain(of_weeks).filter(|gaps| !gaps.gaps.is_empty()).collect();
        Ok(Json(SyncStatus {
            gaps,
            selected: account.selected,
            problem: account.sync_problem,
            entities_synced_at: account.entities_synced_at,
            next_sync_at: due.as_ref().map(|due| due.sync_at),
            waits_for: due.and_then(|due| due.waits_for),
            chunks: ChunkCounts {
                planned: count(ChunkState::Planned),
                running: count(ChunkState::Running),
                done: count(ChunkState::Done),
                failed: count(ChunkState::Failed),
            },
            facts: FactCounts {
                rows: sum(|chunk| chunk.manifest.rows()),
                segments_written: sum(|chunk| chunk.written),
                segments_unchanged: sum(|chunk| chunk.unchanged),
                oldest_completion: chunks.iter().filter_map(|chunk| chunk.completed_at).min(),
            },
            totals,
            failures: chunks
                .into_iter()
                .filter_map(|chunk| {
                    let Chunk { dataset, week, failure, .. } = chunk;
                    Some(ChunkFailure { dataset, week, reason: failure? })
                })
                .collect(),
        }))
    }
}
