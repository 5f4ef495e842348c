//! One report run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ReportError, ReportOutcome, ReportRun, ReportSettings};
use crate::call::GraphCall;
use crate::error::GraphError;
use crate::insights::{ReportRequest, Snapshot, Subject};
use crate::paging::Link;
use crate::world::World;

/// One report run.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) subject: Subject,
    pub(super) request: ReportRequest,
    params: BTreeMap<String, String>,
    outcome: ReportOutcome,
    pub(super) ordered_at: Timestamp,
    pub(super) polls: u32,
    state: RunState,
}

/// The state of a run.
#[derive(Clone)]
enum RunState {
    NotStarted,
    Started,
    /// The percentage; 100 is not complete yet.
    Running(u8),
    Failed(Timestamp, ReportError),
    Skipped(Timestamp),
    /// The snapshot is missing only until `complete` is called.
    Completed(Timestamp, Option<Snapshot>),
}

impl Run {
    pub(super) fn new(
        subject: Subject,
        request: ReportRequest,
        params: BTreeMap<String, String>,
        outcome: ReportOutcome,
        ordered_at: Timestamp,
    ) -> Self {
        Self { subject, request, params, outcome, ordered_at, polls: 0, state: RunState::NotStarted }
    }

    /// Advances the run to its state at `now`; returns the completion time when its rows are to be created.
    pub(super) fn advance(&mut self, settings: &ReportSettings, now: Timestamp) -> Option<Timestamp> {
        if self.ended().is_some() {
            return None;
        }
        let progress = self.progress(settings, now);
        let end = now.min(self.ordered_at + settings.duration);
        self.state = match (&self.outcome, progress) {
            (ReportOutcome::Failed(error), 50..) => RunState::Failed(end, error.clone()),
            (ReportOutcome::Skipped, 100) => RunState::Skipped(end),
            (ReportOutcome::Skipped, _) | (_, 0..10) => RunState::NotStarted,
            (_, 10..25) => RunState::Started,
            (ReportOutcome::Stuck { percent }, progress) => RunState::Running(progress.min(*percent)),
            (_, 100) => RunState::Completed(end, None),
            // For a moment a run reports 100 percent while it is still running (practitioners, since 2017).
            (_, 95..) => RunState::Running(100),
            (_, progress) => RunState::Running(progress),
        };
        matches!(self.state, RunState::Completed(..)).then_some(end)
    }

    /// Returns the progress in percent, by the clock or by polls, whichever is further.
    fn progress(&self, settings: &ReportSettings, now: Timestamp) -> u8 {
        let share = |part: i128, whole: i128| u8::try_from(part * 100 / whole).unwrap_or(100).min(100);
        let duration = settings.duration.as_millis();
        let by_clock =
            if duration > 0 { share(now.duration_since(self.ordered_at).as_millis(), duration) } else { 100 };
        let by_polls = match (settings.polls, self.polls) {
            (0, _) | (_, 0) => 0,
            (all, polled) if polled >= all => 100,
            (all, polled) => share(i128::from(polled - 1), i128::from(all - 1)),
        };
        by_clock.max(by_polls)
    }

    pub(super) fn complete(&mut self, rows: Snapshot) {
        if let RunState::Completed(_, snapshot) = &mut self.state {
            *snapshot = Some(rows);
        }
    }

    fn ended(&self) -> Option<Timestamp> {
        match self.state {
            RunState::Failed(at, _) | RunState::Skipped(at) | RunState::Completed(at, _) => Some(at),
            RunState::NotStarted | RunState::Started | RunState::Running(_) => None,
        }
    }

    /// Returns `async_status` and `async_percent_completion`.
    fn status(&self) -> (&'static str, u8) {
        match self.state {
            RunState::NotStarted => ("Job Not Started", 0),
            RunState::Started => ("Job Started", 0),
            RunState::Running(percent) => ("Job Running", percent),
            RunState::Failed(..) => ("Job Failed", 50),
            RunState::Skipped(_) => ("Job Skipped", 0),
            RunState::Completed(..) => ("Job Completed", 100),
        }
    }

    /// Returns the fields of a run, which Graph also returns when none are requested.
    pub(super) fn fields(&self, id: &str) -> Map<String, Value> {
        let (status, percent) = self.status();
        let (since, until) = self.request.bounds();
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        set("id", json!(id));
        set("account_id", json!(self.subject.account));
        set("time_ref", json!(self.ordered_at.as_second()));
        set("async_status", json!(status));
        set("async_percent_completion", json!(percent));
        set("is_running", json!(self.ended().is_none()));
        set("is_bookmarked", json!(false));
        set("date_start", json!(since.to_string()));
        set("date_stop", json!(until.to_string()));
        if let Some(ended) = self.ended() {
            set("time_completed", json!(ended.as_second()));
        }
        if let RunState::Failed(_, error) = &self.state {
            set("error_code", json!(error.code));
            if let Some(subcode) = error.subcode {
                set("error_subcode", json!(subcode));
            }
            set("error_message", json!(error.message));
            set("error_user_title", json!(error.user_title));
            set("error_user_msg", json!(error.user_msg));
        }
        fields
    }

    /// Rejects the first reads of the rows if the run's outcome says so.
    pub(super) fn count_read(&mut self) -> Result<(), GraphError> {
        match &mut self.outcome {
            ReportOutcome::RowsDelayed { reads, error_response }
                if *reads > 0 && matches!(self.state, RunState::Completed(..)) =>
            {
                *reads -= 1;
                Err(error_response.error())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn rows(&self, world: &World, call: &GraphCall, link: &Link<'_>) -> Result<Value, GraphError> {
        match &self.state {
            RunState::Completed(_, Some(rows)) => rows.page(world, &self.request, call, link),
            _ => Err(not_ready()),
        }
    }

    pub(super) fn view(&self, id: &str) -> ReportRun {
        let (status, percent) = self.status();
        ReportRun {
            id: id.to_owned(),
            account: format!("act_{}", self.subject.account),
            object: self.subject.id.clone(),
            params: self.params.clone(),
            status: status.to_owned(),
            percent,
            ordered_at: self.ordered_at,
            ended_at: self.ended(),
            polls: self.polls,
        }
    }
}

fn not_ready() -> GraphError {
    GraphError {
        is_transient: Some(true),
        ..GraphError::new(2601, "Error accessing adreport job.").subcode(1_815_107).user_message(
            "Sorry, the report cannot be loaded successfully. Please check if your job status is completed instead \
             of failed or running before fetching the data.",
        )
    }
}
