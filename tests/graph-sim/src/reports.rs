//! Report runs: insights that are requested by POST and read later.

mod run;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::call::GraphCall;
use crate::error::GraphError;
use crate::fault::ErrorResponse;
use crate::generator::SeededRng;
use crate::insights::{AsOf, ReportRequest, Snapshot, Subject};
use crate::paging::Link;
use crate::world::World;
use run::Run;

/// How report runs behave.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSettings {
    /// From request to completion, by the simulator's clock.
    pub duration: SignedDuration,
    /// The poll at which a run is complete even if the clock stands still: 1 is the first one; 0 means that only the
    /// clock counts.
    pub polls: u32,
    /// The percentage of runs with each outcome; the remaining runs complete.
    pub outcome_percentages: Vec<(u32, ReportOutcome)>,
}

impl Default for ReportSettings {
    /// Five seconds, or three polls.
    fn default() -> Self {
        Self { duration: SignedDuration::from_secs(5), polls: 3, outcome_percentages: Vec::new() }
    }
}

/// The outcome of a report run.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportOutcome {
    /// `Job Completed` at 100 percent.
    Completed,
    /// `Job Failed` half way.
    Failed(ReportError),
    /// `Job Skipped`: it expired before it was started and must be requested again.
    Skipped,
    /// `Job Running` for ever: at 99 percent, as often observed, or at 100, which is not complete either.
    Stuck {
        /// The percentage it stays at.
        percent: u8,
    },
    /// It completes, but the first reads of its rows are rejected.
    RowsDelayed {
        /// Number of rejected reads.
        reads: u32,
        /// The error; [`ReportOutcome::rows_delayed`] uses Meta's.
        error_response: ErrorResponse,
    },
}

impl ReportOutcome {
    /// Returns the outcome in which the first reads of the rows are rejected as if the run was not complete (code 2601,
    /// subcode 1815107, transient, as practitioners report).
    pub fn rows_delayed(reads: u32) -> Self {
        let message = Some("Error accessing adreport job.".to_owned());
        let error_response =
            ErrorResponse { message, ..ErrorResponse::new(2601, Some(1_815_107)).transient(true) };
        Self::RowsDelayed { reads, error_response }
    }
}

/// Why a run failed, in the fields runs have had since v25.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportError {
    /// `error_code`.
    pub code: i64,
    /// `error_subcode`.
    pub subcode: Option<i64>,
    /// `error_message`.
    pub message: String,
    /// `error_user_title`.
    pub user_title: String,
    /// `error_user_msg`.
    pub user_msg: String,
}

impl ReportError {
    /// Returns the error without a stated reason: code -2, subcode 2490547.
    pub fn unexplained() -> Self {
        Self::new(-2, 2_490_547, "The report could not be generated.", "Report failed")
    }

    /// Returns the error for a report that is too large: code -3, subcode 1504045.
    pub fn too_large() -> Self {
        Self::new(-3, 1_504_045, "The report is too large. Ask for less data.", "Report too large")
    }

    fn new(code: i64, subcode: i64, message: &str, title: &str) -> Self {
        let (message, user_title) = (message.to_owned(), title.to_owned());
        Self { code, subcode: Some(subcode), user_msg: message.clone(), message, user_title }
    }
}

/// A report run as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRun {
    /// `report_run_id`.
    pub id: String,
    /// The ad account, with its prefix: `act_1`.
    pub account: String,
    /// The object whose insights were requested: the account, or a campaign, ad set or ad.
    pub object: String,
    /// The parameters of the request.
    pub params: BTreeMap<String, String>,
    /// `async_status`, such as `Job Completed`, when it was last updated.
    pub status: String,
    /// `async_percent_completion` at that time.
    pub percent: u8,
    /// When it was requested.
    pub ordered_at: Timestamp,
    /// When it ended, successfully or not.
    pub ended_at: Option<Timestamp>,
    /// How often its status was read.
    pub polls: u32,
}

/// All runs.
#[derive(Clone, Default)]
pub(crate) struct ReportRuns {
    pub(crate) settings: ReportSettings,
    queued_outcomes: VecDeque<ReportOutcome>,
    runs: BTreeMap<String, Run>,
    created: u64,
}

/// How long Meta keeps runs.
const RUN_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

impl ReportRuns {
    /// Queues outcomes for the next runs, which take precedence over random ones.
    pub(crate) fn queue_outcomes(&mut self, outcomes: impl IntoIterator<Item = ReportOutcome>) {
        self.queued_outcomes.extend(outcomes);
    }

    /// Starts a run and returns its id.
    pub(crate) fn start(
        &mut self,
        subject: Subject,
        request: ReportRequest,
        call: &GraphCall,
        now: Timestamp,
    ) -> String {
        self.created += 1;
        // Sixteen digits, unlike the ids of advertising objects.
        let id = (6_100_000_000_000_000 + self.created * 7_919).to_string();
        let outcome = self.queued_outcomes.pop_front().unwrap_or_else(|| self.pick_outcome());
        self.runs.insert(id.clone(), Run::new(subject, request, call.params.clone(), outcome, now));
        id
    }

    fn pick_outcome(&self) -> ReportOutcome {
        let mut remaining = SeededRng::new(self.created).between(0, 99);
        for (cases, outcome) in &self.settings.outcome_percentages {
            match remaining.checked_sub(u64::from(*cases)) {
                None => return outcome.clone(),
                Some(rest) => remaining = rest,
            }
        }
        ReportOutcome::Completed
    }

    /// Returns the ad account id of a run, without the `act_` prefix.
    pub(crate) fn account(&self, id: &str) -> Option<&str> {
        self.runs.get(id).map(|run| run.subject.account.as_str())
    }

    /// Returns the fields of a run.
    pub(crate) fn fields(&self, id: &str) -> Option<Map<String, Value>> {
        let run = self.runs.get(id)?;
        Some(run.fields(id))
    }

    /// Counts a read of a run's status.
    pub(crate) fn count_poll(&mut self, id: &str) {
        if let Some(run) = self.runs.get_mut(id) {
            run.polls += 1;
        }
    }

    /// Counts a read of a run's rows, which may be rejected for a while.
    pub(crate) fn count_read(&mut self, id: &str) -> Result<(), GraphError> {
        self.runs.get_mut(id).map_or(Ok(()), Run::count_read)
    }

    /// Returns a page of a run's rows.
    pub(crate) fn rows(
        &self,
        id: &str,
        world: &World,
        call: &GraphCall,
        link: &Link<'_>,
    ) -> Option<Result<Value, GraphError>> {
        Some(self.runs.get(id)?.rows(world, call, link))
    }

    /// Returns all retained runs, in the order they were requested.
    pub(crate) fn list(&self) -> Vec<ReportRun> {
        self.runs.iter().map(|(id, run)| run.view(id)).collect()
    }
}

/// Advances every run to its state at `now`. Rows are created when a run completes, and do not change afterwards.
pub(crate) fn advance(world: &mut World, now: Timestamp) {
    let mut reports = std::mem::take(&mut world.reports);
    reports.runs.retain(|_, run| now < run.ordered_at + RUN_RETENTION);
    for run in reports.runs.values_mut() {
        if let Some(at) = run.advance(&reports.settings, now) {
            let account = world.account_of(&run.subject.account);
            let as_of = AsOf::new(account, at);
            world.generate_until(at);
            run.complete(Snapshot::take(world, &run.subject, &run.request, as_of));
        }
    }
    world.reports = reports;
}
