//! The unit of work of the current task: code records facts about it without passing it along. Outside of a unit of
//! work these functions do nothing.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use domain::id::{AdAccountId, WorkspaceId};
use domain::job::Job;
use http::StatusCode;
use tracing::field::display;

use crate::telemetry::correlation::CorrelationId;
use crate::telemetry::metric::TelemetryMetric;
use crate::telemetry::unit::{Outcome, UnitOfWork};

tokio::task_local! {
    static CURRENT: Arc<UnitOfWork>;
}

/// Runs work with this unit as the current one.
pub(super) async fn scope<F: Future>(unit: Arc<UnitOfWork>, work: F) -> F::Output {
    CURRENT.scope(unit, work).await
}

/// Adds to a counter of the current unit.
pub fn count(metric: TelemetryMetric, by: u64) {
    with_current(|unit| {
        let mut state = unit.state();
        let counted = state.counts.entry(metric).or_default();
        *counted = counted.saturating_add(by);
    });
}

/// Returns the correlation id of the current unit, for what it sends.
pub fn correlation_id() -> Option<CorrelationId> {
    CURRENT.try_with(|unit| unit.correlation.clone()).ok()
}

/// Records the workspace and the ad account of the current unit. Pass verified ids only: before the session is checked,
/// a path can name anything.
pub fn record_workspace(workspace: &WorkspaceId, ad_account: Option<&AdAccountId>) {
    with_current(|unit| {
        let mut state = unit.state();
        unit.span.record("workspace", display(workspace));
        state.workspace = Some(workspace.clone());
        if let Some(ad_account) = ad_account {
            unit.span.record("ad_account", display(ad_account));
            state.ad_account = Some(ad_account.clone());
        }
    });
}

/// Records the job of the current unit.
pub fn record_job(job: &Job) {
    let about = job.attributes();
    record_operation(about.name);
    if let Some(workspace) = about.workspace {
        record_workspace(workspace, about.ad_account);
    }
}

/// Records the operation of the current unit: the pattern of a route, or the name of a job.
pub fn record_operation(operation: impl Into<Cow<'static, str>>) {
    with_current(|unit| {
        let operation = operation.into();
        unit.span.record("operation", &*operation);
        unit.state().operation = Some(operation);
    });
}

/// Records the outcome of the current unit.
pub fn record_outcome(outcome: Outcome) {
    with_current(|unit| unit.state().outcome = Some(outcome));
}

/// Records the problem of the current unit, by the stable last segment of its type.
pub fn record_problem(problem: &'static str) {
    with_current(|unit| unit.state().problem = Some(problem));
}

/// Records the HTTP status of the current unit, and the outcome that follows from it.
pub(super) fn record_status(status: StatusCode) {
    with_current(|unit| {
        let mut state = unit.state();
        state.status = Some(status.as_u16());
        state.outcome = Some(Outcome::of_status(status));
    });
}

fn with_current(record: impl FnOnce(&UnitOfWork)) {
    // Outside of a unit there is nothing to record.
    let _outside = CURRENT.try_with(|unit| record(unit));
}
