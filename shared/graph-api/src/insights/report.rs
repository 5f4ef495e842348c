//! Asynchronous report runs: for what is too much for one answer.
//!
//! A run is started, watched until it says both "Job Completed" and 100 %, and then read like any edge. Its states
//! and their spelling, and that a result may not be there at once although the run is complete: Marketing API,
//! "Asynchronous and batch requests", and issues of Meta's own SDK.

use std::time::Duration;

use domain::id::ObjectId;
use reqwest::Method;
use serde::Deserialize;

use crate::call::{Call, Effect};
use crate::client::Caller;
use crate::error::{Details, GraphError};
use crate::error_code::ThrottleScope;
use crate::response::decode;

/// A run that has not moved for so long does not move any more.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// The pauses between looks double up to this.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(30);

/// How often a run that came to nothing is started again.
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

/// Starts a run over what the same query by GET would read. Started twice, one of the two is never read.
pub(super) async fn start(
    caller: &Caller,
    path: &str,
    query: &[(&'static str, String)],
) -> Result<ObjectId, GraphError> {
    let params: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let call = Call { method: Method::POST, path, params: &params, file: None, effect: Effect::Set };
    let started: StartedRun = decode(&caller.send_with_retry(&call).await?)?;
    Ok(started.report_run_id)
}

/// How a run ended.
pub(super) enum RunEnd {
    Complete,
    /// Without a reason that another way of asking could avoid: another start may do better.
    Retryable(Details),
}

/// Watches a run to its end. [`GraphError::RateLimited`] when the deadline comes first; the run goes on meanwhile.
pub(super) async fn await_run(caller: &Caller, run: &ObjectId) -> Result<RunEnd, GraphError> {
    let fields =
        "async_status,async_percent_completion,error_code,error_subcode,error_message,error_user_msg";
    let (mut pause, mut stalled_for, mut percent) = (Duration::from_secs(1), Duration::ZERO, 0);
    loop {
        let status: RunStatus = caller.get(run.as_str(), &[("fields", fields)]).await?;
        match status.async_status.as_str() {
            "Job Completed" if status.async_percent_completion >= 100 => return Ok(RunEnd::Complete),
            "Job Failed" => return failed(status),
            // Meta forgot it before it began.
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

/// Since v25 a failed run says why, in the numbers of all errors.
fn failed(run: RunStatus) -> Result<RunEnd, GraphError> {
    let message = run.error_user_msg.or(run.error_message).unwrap_or_else(|| "the report failed".to_owned());
    let details =
        Details { code: run.error_code.unwrap_or(0), subcode: run.error_subcode, ..Details::of(message) };
    match GraphError::from_codes(details) {
        GraphError::Transient(details) => Ok(RunEnd::Retryable(details)),
        error => Err(error),
    }
}
