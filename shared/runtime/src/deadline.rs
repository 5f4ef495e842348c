//! How long the invocation that runs may still take.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

tokio::task_local! {
    static END: Timestamp;
}

/// What an invocation needs after its last call out: to write down how far it came.
const LAST_WORDS: SignedDuration = SignedDuration::from_secs(5);

/// Runs an invocation that the host ends at `end`.
pub async fn within<F: Future>(end: Timestamp, work: F) -> F::Output {
    END.scope(end, work).await
}

/// When the work of this invocation should stop calling out. None where nothing ends it.
pub fn of_this_invocation() -> Option<Timestamp> {
    end_of_this_invocation().map(|end| end.checked_sub(LAST_WORDS).unwrap_or(end))
}

/// When the host ends this invocation. None where nothing ends it.
pub fn end_of_this_invocation() -> Option<Timestamp> {
    END.try_with(|end| *end).ok()
}
