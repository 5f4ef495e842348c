//! Long waits for the platform. A message that is sent anew again and again to wait is stopped by AWS, which takes it for
//! a loop; so the due index brings the account back.

use std::time::Duration;

use domain::Error;
use jiff::Timestamp;

use crate::Connector;

/// How long a job waits in its queue.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(15 * 60);

/// How long an account waits at most: the platform's limits are over within a day.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A wait that no message is to spend in its queue.
#[derive(Debug)]
pub struct LongWait {
    /// Its end.
    pub until: Timestamp,
    /// What it is for, and until when, for people.
    pub reason: String,
}

impl Connector {
    /// Returns the wait that an error asks for, if it is a long one; any other error is returned.
    pub fn long_wait(&self, error: Error) -> Result<LongWait, Error> {
        match error {
            Error::RateLimited { retry_after, reason } if retry_after > MAX_QUEUE_WAIT => {
                let until = self.graph.now() + retry_after.min(MAX_WAIT);
                let reason = format!("{reason}, until {}", until.strftime("%Y-%m-%dT%H:%MZ"));
                tracing::info!(%until, reason, "A job waits in the due index.");
                Ok(LongWait { until, reason })
            }
            error => Err(error),
        }
    }
}
