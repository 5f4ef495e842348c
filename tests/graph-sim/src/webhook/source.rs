//! What happens by itself and is told of: objects that leave processing or get issues, and reports that end.

use std::mem;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::happen;
use crate::event::{AccountEvent, Happened};
use crate::reports;
use crate::state::State;

/// Turns all that has happened by now into changes.
pub(super) fn gather(state: &mut State, now: Timestamp) {
    state.world.settle(now);
    for event in mem::take(&mut state.world.events) {
        let (field, value) = told(&event);
        happen(state, "ad_account", field, value, event.at);
    }
    if !state.webhooks.wants("application", "async_requests") {
        return;
    }
    reports::settle(&mut state.world, now);
    for run in state.world.reports.seen() {
        let Some(ended) = run.ended else { continue };
        if state.webhooks.told_reports.insert(run.id.clone()) {
            let verb = if run.status == "Job Completed" { "complete" } else { "fail" };
            // What Meta writes as the category of a report is not documented.
            let value = json!({ "category": "ads_insights", "verb": verb, "report_id": run.id });
            happen(state, "application", "async_requests", value, ended);
        }
    }
}

/// The field and value of an event.
fn told(event: &AccountEvent) -> (&'static str, Value) {
    match &event.what {
        Happened::LeftInProcess { status } => {
            ("in_process_ad_objects", json!({ "id": event.id, "level": event.level, "status_name": status }))
        }
        Happened::GotIssue(issue) => (
            "with_issues_ad_objects",
            json!({
                "id": event.id,
                "level": event.level,
                "error_code": issue.code,
                "error_summary": issue.summary,
                "error_message": issue.message,
            }),
        ),
    }
}
