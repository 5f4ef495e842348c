//! One report run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ReportError, ReportFate, ReportRun, Reports};
use crate::call::GraphCall;
use crate::error::GraphError;
use crate::insights::{Frozen, Order, Subject};
use crate::paging::Link;
use crate::world::World;

/// One report run.
pub(super) struct Run {
    pub(super) subject: Subject,
    pub(super) order: Order,
    params: BTreeMap<String, String>,
    fate: ReportFate,
    pub(super) ordered: Timestamp,
    pub(super) polls: u32,
    stage: Stage,
}

/// How far a run is.
enum Stage {
    NotStarted,
    Started,
    /// The percentage; 100 is not complete yet.
    Running(u8),
    Failed(Timestamp, ReportError),
    Skipped(Timestamp),
    /// The rows are missing only until `complete` is called.
    Completed(Timestamp, Option<Frozen>),
}

impl Run {
    pub(super) fn new(
        subject: Subject,
        order: Order,
        params: BTreeMap<String, String>,
        fate: ReportFate,
        ordered: Timestamp,
    ) -> Self {
        Self { subject, order, params, fate, ordered, polls: 0, stage: Stage::NotStarted }
    }

    /// Goes on to where the run is by now; gives the moment of completion when its rows are to be made.
    pub(super) fn advance(&mut self, plan: &Reports, now: Timestamp) -> Option<Timestamp> {
        if self.ended().is_some() {
            return None;
        }
        let progress = self.progress(plan, now);
        let end = now.min(self.ordered + plan.takes);
        self.stage = match (&self.fate, progress) {
            (ReportFate::Fails(error), 50..) => Stage::Failed(end, error.clone()),
            (ReportFate::IsSkipped, 100) => Stage::Skipped(end),
            (ReportFate::IsSkipped, _) | (_, 0..10) => Stage::NotStarted,
            (_, 10..25) => Stage::Started,
            (ReportFate::IsStuck { percent }, progress) => Stage::Running(progress.min(*percent)),
            (_, 100) => Stage::Completed(end, None),
            // For a moment a run says 100 percent and is still running (practitioners, since 2017).
            (_, 95..) => Stage::Running(100),
            (_, progress) => Stage::Running(progress),
        };
        matches!(self.stage, Stage::Completed(..)).then_some(end)
    }

    /// Percent of the way, by the clock or by polls, whichever is further.
    fn progress(&self, plan: &Reports, now: Timestamp) -> u8 {
        let share = |part: i128, whole: i128| u8::try_from(part * 100 / whole).unwrap_or(100).min(100);
        let takes = plan.takes.as_millis();
        let by_clock =
            if takes > 0 { share(now.duration_since(self.ordered).as_millis(), takes) } else { 100 };
        let by_polls = match (plan.polls, self.polls) {
            (0, _) | (_, 0) => 0,
            (all, made) if made >= all => 100,
            (all, made) => share(i128::from(made - 1), i128::from(all - 1)),
        };
        by_clock.max(by_polls)
    }

    pub(super) fn complete(&mut self, rows: Frozen) {
        if let Stage::Completed(_, frozen) = &mut self.stage {
            *frozen = Some(rows);
        }
    }

    fn ended(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Failed(at, _) | Stage::Skipped(at) | Stage::Completed(at, _) => Some(at),
            Stage::NotStarted | Stage::Started | Stage::Running(_) => None,
        }
    }

    /// `async_status` and `async_percent_completion`.
    fn status(&self) -> (&'static str, u8) {
        match self.stage {
            Stage::NotStarted => ("Job Not Started", 0),
            Stage::Started => ("Job Started", 0),
            Stage::Running(percent) => ("Job Running", percent),
            Stage::Failed(..) => ("Job Failed", 50),
            Stage::Skipped(_) => ("Job Skipped", 0),
            Stage::Completed(..) => ("Job Completed", 100),
        }
    }

    /// The fields of a run, which Graph also gives when none are asked for.
    pub(super) fn fields(&self, id: &str) -> Map<String, Value> {
        let (status, percent) = self.status();
        let (since, until) = self.order.bounds();
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        set("id", json!(id));
        set("account_id", json!(self.subject.account));
        set("time_ref", json!(self.ordered.as_second()));
        set("async_status", json!(status));
        set("async_percent_completion", json!(percent));
        set("is_running", json!(self.ended().is_none()));
        set("is_bookmarked", json!(false));
        set("date_start", json!(since.to_string()));
        set("date_stop", json!(until.to_string()));
        if let Some(ended) = self.ended() {
            set("time_completed", json!(ended.as_second()));
        }
        if let Stage::Failed(_, error) = &self.stage {
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

    /// Refuses the first reads of the rows where that is the run's fate.
    pub(super) fn count_read(&mut self) -> Result<(), GraphError> {
        match &mut self.fate {
            ReportFate::HidesRows { reads, refusal }
                if *reads > 0 && matches!(self.stage, Stage::Completed(..)) =>
            {
                *reads -= 1;
                Err(refusal.error())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn rows(&self, world: &World, call: &GraphCall, link: &Link<'_>) -> Result<Value, GraphError> {
        match &self.stage {
            Stage::Completed(_, Some(rows)) => rows.page(world, &self.order, call, link),
            _ => Err(not_ready()),
        }
    }

    pub(super) fn seen(&self, id: &str) -> ReportRun {
        let (status, percent) = self.status();
        ReportRun {
            id: id.to_owned(),
            account: format!("act_{}", self.subject.account),
            object: self.subject.id.clone(),
            params: self.params.clone(),
            status: status.to_owned(),
            percent,
            ordered: self.ordered,
            ended: self.ended(),
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
