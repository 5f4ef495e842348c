//! The deadline of the current invocation.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

tokio::task_local! {
    static DEADLINE: Timestamp;
}

/// Time that an invocation needs after its last call: to save its progress.
const SHUTDOWN_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// Runs an invocation that the host ends at `deadline`.
pub async fn with_deadline<F: Future>(deadline: Timestamp, work: F) -> F::Output {
    DEADLINE.scope(deadline, work).await
}

/// When the work of this invocation should stop calling out. None where nothing ends it.
pub fn soft_deadline() -> Option<Timestamp> {
    invocation_deadline().map(|end| end.checked_sub(SHUTDOWN_MARGIN).unwrap_or(end))
}

/// When the host ends this invocation. None where nothing ends it.
pub fn invocation_deadline() -> Option<Timestamp> {
    DEADLINE.try_with(|end| *end).ok()
}
