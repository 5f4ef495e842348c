//! The client's clock and pauses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{DefaultSleeper, Sleeper};
use jiff::Timestamp;

/// The client's source of time. Cheap to clone.
#[derive(Clone)]
pub struct Time {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pass: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
}

impl Time {
    /// Creates a source with this clock and real pauses.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), pass: None }
    }

    /// Creates a source whose clock is advanced instead of waiting: `pass` gets the length of every pause.
    pub fn simulated(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        pass: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), pass: Some(Arc::new(pass)) }
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(crate) async fn pause(&self, length: Duration) {
        match &self.pass {
            Some(pass) => pass(length),
            None => DefaultSleeper::default().sleep(length).await,
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}
