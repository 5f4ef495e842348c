//! How long the invocation that runs may still take.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

tokio::task_local! {
    static DEADLINE: Timestamp;
}

/// What an invocation needs after its last call out: to write down how far it came.
const LAST_WORDS: SignedDuration = SignedDuration::from_secs(5);

/// Runs an invocation that the host ends at `end`.
pub async fn within<F: Future>(end: Timestamp, work: F) -> F::Output {
    let deadline = end.checked_sub(LAST_WORDS).unwrap_or(end);
    DEADLINE.scope(deadline, work).await
}

/// When the work of this invocation should stop calling out. None where nothing ends it.
pub fn of_this_invocation() -> Option<Timestamp> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}
