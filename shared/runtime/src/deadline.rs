//! Deadline of the current invocation.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

tokio::task_local! {
    static DEADLINE: Timestamp;
}

/// Time reserved after the last call, to save progress.
const SHUTDOWN_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// Runs an invocation that the host ends at `deadline`.
pub async fn with_deadline<F: Future>(deadline: Timestamp, work: F) -> F::Output {
    DEADLINE.scope(deadline, work).await
}

/// Returns when this invocation should stop making calls. None where no host ends it.
pub fn soft_deadline() -> Option<Timestamp> {
    invocation_deadline().map(|end| end.checked_sub(SHUTDOWN_MARGIN).unwrap_or(end))
}

/// Returns when the host ends this invocation. None where no host ends it.
pub fn invocation_deadline() -> Option<Timestamp> {
    DEADLINE.try_with(|end| *end).ok()
}
