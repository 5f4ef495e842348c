//! Asynchronous report runs: for what is too much for one answer.
//!
//! A run is started, watched until it says both "Job Completed" and 100 %, and then read like any edge. Its states
//! and their spelling, and that a result may not be there at once although the run is complete: Marketing API,
//! "Asynchronous and batch requests", and issues of Meta's own SDK.

use std::time::Duration;

use ads::id::ObjectId;
use reqwest::Method;
use serde::Deserialize;

use crate::answer::decode;
use crate::call::{Call, Effect};
use crate::client::Caller;
use crate::code::Scope;
use crate::error::{Details, GraphError};

/// A run that has not moved for so long does not move any more.
const STUCK: Duration = Duration::from_secs(600);

/// The pauses between looks double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a run that came to nothing is started again.
pub(super) const STARTS: u32 = 3;

#[derive(Deserialize)]
struct Started {
    report_run_id: ObjectId,
}

#[derive(Deserialize)]
struct Run {
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
    let started: Started = decode(&caller.persistently(&call).await?)?;
    Ok(started.report_run_id)
}

/// How a run ended.
pub(super) enum Ended {
    Complete,
    /// Without a reason that another way of asking could heed: another start may do better.
    InVain(Details),
}

/// Watches a run to its end. [`GraphError::Wait`] when the deadline comes first; the run goes on meanwhile.
pub(super) async fn watch(caller: &Caller, run: &ObjectId) -> Result<Ended, GraphError> {
    let fields =
        "async_status,async_percent_completion,error_code,error_subcode,error_message,error_user_msg";
    let (mut pause, mut still, mut percent) = (Duration::from_secs(1), Duration::ZERO, 0);
    loop {
        let seen: Run = caller.get(run.as_str(), &[("fields", fields)]).await?;
        match seen.async_status.as_str() {
            "Job Completed" if seen.async_percent_completion >= 100 => return Ok(Ended::Complete),
            "Job Failed" => return failed(seen),
            // Meta forgot it before it began.
            "Job Skipped" => return Ok(Ended::InVain(Details::of("Meta skipped the report"))),
            _ => {}
        }
        if seen.async_percent_completion != percent {
            (percent, still) = (seen.async_percent_completion, Duration::ZERO);
        }
        if still >= STUCK {
            return Ok(Ended::InVain(Details::of(format!("the report stands still at {percent} %"))));
        }
        if !caller.pause(pause).await {
            let details = Details::of("the report is not ready yet");
            return Err(GraphError::Wait { after: LONGEST_PAUSE, scope: Scope::Action, details });
        }
        still += pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Since v25 a failed run says why, in the numbers of all errors.
fn failed(run: Run) -> Result<Ended, GraphError> {
    let message = run.error_user_msg.or(run.error_message).unwrap_or_else(|| "the report failed".to_owned());
    let details =
        Details { code: run.error_code.unwrap_or(0), subcode: run.error_subcode, ..Details::of(message) };
    match GraphError::of_numbers(details) {
        GraphError::TryLater(details) => Ok(Ended::InVain(details)),
        error => Err(error),
    }
}
