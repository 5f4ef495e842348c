//! Asynchronous events that webhooks report: objects that leave processing or get issues, and reports that end.

use std::mem;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{edits, record_change};
use crate::event::{AccountEvent, AccountEventKind};
use crate::reports;
use crate::state::State;

/// Records a change for every event up to `now`.
pub(super) fn collect_changes(state: &mut State, now: Timestamp) {
    state.world.advance(now);
    for event in mem::take(&mut state.world.events) {
        let (field, value) = webhook_field(&event);
        record_change(state, "ad_account", field, value, event.at);
    }
    edits::collect(state, now);
    if !state.webhooks.is_subscribed("application", "async_requests") {
        return;
    }
    reports::advance(&mut state.world, now);
    for run in state.world.reports.list() {
        let Some(ended) = run.ended_at else { continue };
        if state.webhooks.reported_runs.insert(run.id.clone()) {
            let verb = if run.status == "Job Completed" { "complete" } else { "fail" };
            // The category that Meta writes for a report is not documented.
            let value = json!({ "category": "ads_insights", "verb": verb, "report_id": run.id });
            record_change(state, "application", "async_requests", value, ended);
        }
    }
}

/// Returns the webhook field and value of an event.
fn webhook_field(event: &AccountEvent) -> (&'static str, Value) {
    match &event.kind {
        AccountEventKind::Processed { status } => {
            ("in_process_ad_objects", json!({ "id": event.id, "level": event.level, "status_name": status }))
        }
        AccountEventKind::IssueAdded(issue) => (
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
