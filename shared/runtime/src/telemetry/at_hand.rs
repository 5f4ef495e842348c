//! What code in the middle of a unit of work says of it, without being handed the unit. Outside of one nobody
//! listens.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use ads::id::{AdAccountId, WorkspaceId};
use ads::job::Job;
use http::StatusCode;
use tracing::field::display;

use crate::telemetry::correlation::Correlation;
use crate::telemetry::metric::Metric;
use crate::telemetry::unit::{Outcome, Unit};

tokio::task_local! {
    static AT_HAND: Arc<Unit>;
}

/// Does work with this unit at hand.
pub(super) async fn scope<F: Future>(unit: Arc<Unit>, work: F) -> F::Output {
    AT_HAND.scope(unit, work).await
}

/// Adds to a count of the unit at hand. Nothing outside of one.
pub fn count(metric: Metric, by: u64) {
    at_hand(|unit| {
        let mut learnt = unit.learnt();
        let counted = learnt.counts.entry(metric).or_default();
        *counted = counted.saturating_add(by);
    });
}

/// What the unit at hand is part of, to be given to what it causes.
pub fn correlation() -> Option<Correlation> {
    AT_HAND.try_with(|unit| unit.correlation.clone()).ok()
}

/// Says whose work the unit at hand is. For names that are certain: a path can say anything before the session is
/// checked.
pub fn concerns(workspace: &WorkspaceId, ad_account: Option<&AdAccountId>) {
    at_hand(|unit| {
        let mut learnt = unit.learnt();
        unit.span.record("workspace", display(workspace));
        learnt.workspace = Some(workspace.clone());
        if let Some(ad_account) = ad_account {
            unit.span.record("ad_account", display(ad_account));
            learnt.ad_account = Some(ad_account.clone());
        }
    });
}

/// Says which job the unit at hand does.
pub fn does(job: &Job) {
    let about = job.about();
    names(about.name);
    if let Some(workspace) = about.workspace {
        concerns(workspace, about.ad_account);
    }
}

/// Names what the unit at hand does: the pattern of a route, or a job.
pub fn names(what: impl Into<Cow<'static, str>>) {
    at_hand(|unit| {
        let what = what.into();
        unit.span.record("what", &*what);
        unit.learnt().what = Some(what);
    });
}

/// Says how the unit at hand ends.
pub fn ends(outcome: Outcome) {
    at_hand(|unit| unit.learnt().outcome = Some(outcome));
}

/// Says what stood in the way of the unit at hand, by the stable last part of a problem's type.
pub fn meets(problem: &'static str) {
    at_hand(|unit| unit.learnt().problem = Some(problem));
}

/// Says what the unit at hand answers.
pub(super) fn answers(status: StatusCode) {
    at_hand(|unit| {
        let mut learnt = unit.learnt();
        learnt.status = Some(status.as_u16());
        learnt.outcome = Some(Outcome::of_status(status));
    });
}

fn at_hand(tell: impl FnOnce(&Unit)) {
    // Outside of a unit there is nobody to tell.
    let _outside = AT_HAND.try_with(|unit| tell(unit));
}
