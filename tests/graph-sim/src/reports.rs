//! Report runs: insights that are ordered by POST and fetched later.

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

/// How report runs go.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSettings {
    /// From order to completion, by the simulator's clock.
    pub duration: SignedDuration,
    /// The poll at which a run is complete even if the clock stands still: 1 is the first one, 0 leaves it to the
    /// clock alone.
    pub polls: u32,
    /// How many of a hundred runs have which outcome; the others complete.
    pub outcome_percentages: Vec<(u32, ReportOutcome)>,
}

impl Default for ReportSettings {
    /// Five seconds, or three polls.
    fn default() -> Self {
        Self { duration: SignedDuration::from_secs(5), polls: 3, outcome_percentages: Vec::new() }
    }
}

/// What becomes of a report run.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportOutcome {
    /// `Job Completed` at 100 percent.
    Completed,
    /// `Job Failed` half way.
    Failed(ReportError),
    /// `Job Skipped`: it expired before it was started, and must be ordered again.
    Skipped,
    /// `Job Running` for ever: at 99 percent as often seen, or at 100, which is not complete either.
    Stuck {
        /// The percentage it stays at.
        percent: u8,
    },
    /// It completes, but the first reads of its rows are refused.
    RowsDelayed {
        /// How many.
        reads: u32,
        /// In which words; [`ReportOutcome::rows_delayed`] has those Meta uses.
        error_response: ErrorResponse,
    },
}

impl ReportOutcome {
    /// The first reads of the rows are refused as if the run was not complete (code 2601, subcode 1815107, transient,
    /// as practitioners report).
    pub fn rows_delayed(reads: u32) -> Self {
        let message = Some("Error accessing adreport job.".to_owned());
        let error_response =
            ErrorResponse { message, ..ErrorResponse::new(2601, Some(1_815_107)).transient(true) };
        Self::RowsDelayed { reads, error_response }
    }
}

/// Why a run failed, as a run tells it since v25.0.
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
    /// Failed for no reason that is given: code -2, subcode 2490547.
    pub fn unexplained() -> Self {
        Self::new(-2, 2_490_547, "The report could not be generated.", "Report failed")
    }

    /// Asked for too much: code -3, subcode 1504045.
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
    /// The object whose insights were ordered: the account, or a campaign, ad set or ad.
    pub object: String,
    /// The parameters of the order.
    pub params: BTreeMap<String, String>,
    /// `async_status`, such as `Job Completed`, when it was last looked at.
    pub status: String,
    /// `async_percent_completion` then.
    pub percent: u8,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// When it came to an end, good or bad.
    pub ended_at: Option<Timestamp>,
    /// How often its status was read.
    pub polls: u32,
}

/// All runs.
#[derive(Default)]
pub(crate) struct ReportRuns {
    pub(crate) settings: ReportSettings,
    queued_outcomes: VecDeque<ReportOutcome>,
    runs: BTreeMap<String, Run>,
    created: u64,
}

/// Meta keeps runs so long.
const RUN_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

impl ReportRuns {
    /// Fates of the next runs, before those that chance would give them.
    pub(crate) fn queue_outcomes(&mut self, outcomes: impl IntoIterator<Item = ReportOutcome>) {
        self.queued_outcomes.extend(outcomes);
    }

    /// Begins a run and gives its id.
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

    /// Digits of the ad account of a run.
    pub(crate) fn account(&self, id: &str) -> Option<&str> {
        self.runs.get(id).map(|run| run.subject.account.as_str())
    }

    /// The fields of a run.
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

    /// Counts a read of a run's rows, which may be refused for a while.
    pub(crate) fn count_read(&mut self, id: &str) -> Result<(), GraphError> {
        self.runs.get_mut(id).map_or(Ok(()), Run::count_read)
    }

    /// A page of a run's rows.
    pub(crate) fn rows(
        &self,
        id: &str,
        world: &World,
        call: &GraphCall,
        link: &Link<'_>,
    ) -> Option<Result<Value, GraphError>> {
        Some(self.runs.get(id)?.rows(world, call, link))
    }

    /// All runs that are kept, the first ordered first.
    pub(crate) fn list(&self) -> Vec<ReportRun> {
        self.runs.iter().map(|(id, run)| run.view(id)).collect()
    }
}

/// Lets every run go as far as it is by now. Rows are made when a run is complete, and stay as they are.
pub(crate) fn advance(world: &mut World, now: Timestamp) {
    let mut reports = std::mem::take(&mut world.reports);
    reports.runs.retain(|_, run| now < run.ordered_at + RUN_RETENTION);
    for run in reports.runs.values_mut() {
        if let Some(at) = run.advance(&reports.settings, now) {
            let account = world.account(&run.subject.account).unwrap_or(world.main());
            let as_of = AsOf::new(account, at);
            world.facts.generate_until(as_of.today);
            run.complete(Snapshot::take(world, &run.subject, &run.request, as_of));
        }
    }
    world.reports = reports;
}
