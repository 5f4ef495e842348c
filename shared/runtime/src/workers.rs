//! Cloudflare Workers: the queue between the door at the edge and AWS.

use std::fmt;

use ads::Failure;
use ads::job::Job;
use worker::Queue;

/// Where a function at the edge leaves jobs: the Cloudflare Queue whose consumer forwards them to AWS.
#[derive(Clone)]
pub struct Queues {
    queue: Queue,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queues")
    }
}

impl Queues {
    /// The queue behind this binding.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// Leaves jobs. Ok means that the queue has every one of them.
    pub async fn send(&self, jobs: &[Job]) -> Result<(), Failure> {
        for job in jobs {
            let body = serde_json::to_string(job).map_err(|error| Failure::Defect(error.to_string()))?;
            let sent = self.queue.send(body).await;
            sent.map_err(|error| Failure::Unavailable(format!("the queue of the edge: {error}")))?;
        }
        Ok(())
    }
}
