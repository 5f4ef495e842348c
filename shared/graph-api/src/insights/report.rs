//! Asynchronous report runs, for queries that are too large for one response.
//!
//! A run is started, polled until it reports both "Job Completed" and 100 %, and then read like any edge. Sources for
//! its states, for their spelling, and for results that are not readable at once although the run is complete:
//! Marketing API, "Asynchronous and batch requests", and issues of Meta's own SDK.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;

use crate::call::{Call, Effect};
use crate::client::UserClient;
use crate::error::{Details, GraphError};
use crate::error_code::ThrottleScope;
use crate::id::ObjectId;
use crate::response::decode;

/// The time without progress after which a run is abandoned.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// The maximum pause between polls; pauses double up to it.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The number of times that a run is started.
pub(super) const MAX_STARTS: u32 = 3;

#[derive(Deserialize)]
struct StartedRun {
    report_run_id: ObjectId,
}

#[derive(Deserialize)]
struct RunStatus {
    async_status: String,
    #[serde(default)]
    async_percent_completion: u32,
    error_code: Option<i64>,
    error_subcode: Option<i64>,
    error_message: Option<String>,
    error_user_msg: Option<String>,
}

/// Starts a run of the query that a GET would read. Retried: a duplicate run is merely never read.
pub(super) async fn start(
    caller: &UserClient,
    path: &str,
    query: &[(&'static str, String)],
) -> Result<ObjectId, GraphError> {
    let params: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let call = Call { method: Method::POST, path, params: &params, file: None, effect: Effect::Set };
    let started: StartedRun = decode(&caller.send_with_retry(&call).await?)?;
    Ok(started.report_run_id)
}

/// The end of a run.
pub(super) enum RunEnd {
    Complete,
    /// Failed without a reason that a different query could avoid; a new run may succeed.
    Retryable(Details),
}

/// Polls a run until it ends. Fails with [`GraphError::RateLimited`] when the deadline comes first; the run continues.
pub(super) async fn await_run(caller: &UserClient, run: &ObjectId) -> Result<RunEnd, GraphError> {
    let fields =
        "async_status,async_percent_completion,error_code,error_subcode,error_message,error_user_msg";
    let (mut pause, mut stalled_for, mut percent) = (Duration::from_secs(1), Duration::ZERO, 0);
    loop {
        let status: RunStatus = caller.get(run.as_str(), &[("fields", fields)]).await?;
        match status.async_status.as_str() {
            "Job Completed" if status.async_percent_completion >= 100 => return Ok(RunEnd::Complete),
            "Job Failed" => return failed(status),
            // Meta dropped it before it started.
            "Job Skipped" => return Ok(RunEnd::Retryable(Details::of("Meta skipped the report"))),
            _ => {}
        }
        if status.async_percent_completion != percent {
            (percent, stalled_for) = (status.async_percent_completion, Duration::ZERO);
        }
        if stalled_for >= STALL_TIMEOUT {
            return Ok(RunEnd::Retryable(Details::of(format!("the report stands still at {percent} %"))));
        }
        if !caller.pause(pause).await {
            let details = Details::of("the report is not ready yet");
            return Err(GraphError::RateLimited {
                after: MAX_POLL_INTERVAL,
                scope: ThrottleScope::Action,
                details,
            });
        }
        stalled_for += pause;
        pause = (pause * 2).min(MAX_POLL_INTERVAL);
    }
}

/// Classifies a failed run, which since v25 carries Meta's usual error codes.
fn failed(run: RunStatus) -> Result<RunEnd, GraphError> {
    let message = run.error_user_msg.or(run.error_message).unwrap_or_else(|| "the report failed".to_owned());
    let details =
        Details { code: run.error_code.unwrap_or(0), subcode: run.error_subcode, ..Details::of(message) };
    match GraphError::from_codes(details) {
        GraphError::Transient(details) => Ok(RunEnd::Retryable(details)),
        error => Err(error),
    }
}
