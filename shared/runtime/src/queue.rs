//! Queues: sending jobs and processing received messages.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use domain::Error;
use domain::job::{Job, Queue};

use crate::clock::Clock;
use crate::problem;
use crate::telemetry::{self, MessageMetadata, Outcome, UnitOfWork};

/// Maximum delay of an SQS message: 15 minutes.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Maximum number of messages per SQS batch call.
const MAX_BATCH_MESSAGES: usize = 10;

/// Address of a queue.
#[derive(Debug, Clone)]
pub struct QueueAddress {
    /// URL, for sending and receiving.
    pub url: String,
    /// ARN, for schedules that send to it.
    pub arn: String,
}

/// Returns the name of the dead-letter queue of `queue`.
pub fn dead_letter_queue_name(queue: Queue) -> String {
    format!("{}-dead", queue.name())
}

/// Queues of a deployment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queues {
    client: Client,
    addresses: Arc<HashMap<String, QueueAddress>>,
}

impl Queues {
    /// Creates the queues with these addresses, by name.
    pub fn new(client: Client, addresses: HashMap<String, QueueAddress>) -> Self {
        Self { client, addresses: Arc::new(addresses) }
    }

    /// Returns the address of a queue.
    pub fn address(&self, queue: &str) -> Result<&QueueAddress, Error> {
        let unknown = || Error::Internal(format!("no address for queue {queue} is configured"));
        self.addresses.get(queue).ok_or_else(unknown)
    }

    /// Sends jobs to the queues of their functions. Ok means that every job is enqueued.
    pub async fn send(&self, jobs: &[Job]) -> Result<(), Error> {
        for queue in Queue::ALL {
            let of_queue: Vec<&Job> = jobs.iter().filter(|job| job.queue() == queue).collect();
            self.send_to(queue, &of_queue, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Sends a job that becomes visible after a delay of at most 15 minutes.
    pub async fn send_delayed(&self, job: &Job, delay: Duration) -> Result<(), Error> {
        self.send_to(job.queue(), &[job], delay).await
    }

    async fn send_to(&self, queue: Queue, jobs: &[&Job], delay: Duration) -> Result<(), Error> {
        let name = queue.name();
        let delay = i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or(0);
        let attributes = correlation_attribute()?;
        for batch in jobs.chunks(MAX_BATCH_MESSAGES) {
            let mut entries = Vec::with_capacity(batch.len());
            for (index, job) in batch.iter().enumerate() {
                let body = serde_json::to_string(job).map_err(|error| Error::Internal(error.to_string()))?;
                // Fair queues: one busy tenant must not hold up the others.
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(body)
                    .delay_seconds(delay)
                    .message_group_id(job.message_group_id())
                    .set_message_attributes(attributes.clone())
                    .build()
                    .map_err(|error| Error::Internal(error.to_string()))?;
                entries.push(entry);
            }
            let url = &self.address(name)?.url;
            let response =
                self.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
            let response = response.map_err(|error| {
                Error::Unavailable(format!("queue {name}: {}", DisplayErrorContext(error)))
            })?;
            if let Some(failed) = response.failed.first() {
                let why = failed.message.as_deref().unwrap_or("no reason given");
                return Err(Error::Unavailable(format!("queue {name} refused a message: {why}")));
            }
        }
        Ok(())
    }

    /// Sends a message that cannot be processed to the dead-letter queue, with the reason.
    async fn dead_letter(&self, queue: Queue, body: &str, reason: &str) -> Result<(), Error> {
        let name = dead_letter_queue_name(queue);
        let send = self.client.send_message().queue_url(&self.address(&name)?.url).message_body(body);
        let send = send.set_message_attributes(correlation_attribute()?);
        let sent = send.message_attributes("reason", text(reason)?).send().await;
        sent.map(drop)
            .map_err(|error| Error::Unavailable(format!("queue {name}: {}", DisplayErrorContext(error))))
    }
}

fn text(value: &str) -> Result<MessageAttributeValue, Error> {
    let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    value.map_err(|error| Error::Internal(error.to_string()))
}

/// Returns the correlation id of the current unit of work as a message attribute.
fn correlation_attribute() -> Result<Option<HashMap<String, MessageAttributeValue>>, Error> {
    let correlation =
        telemetry::correlation_id().map(|correlation| text(correlation.as_str())).transpose()?;
    Ok(correlation
        .map(|correlation| HashMap::from([(telemetry::CORRELATION_ATTRIBUTE.to_owned(), correlation)])))
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Metadata of the message. Partial batch responses contain its id.
    pub metadata: MessageMetadata,
    /// Message body.
    pub body: String,
}

/// Processes received messages one by one, each as a unit of work, and returns the ids of those to redeliver.
///
/// A message that is unreadable or fails permanently is sent to the dead-letter queue at once, with its reason. One
/// that requires a reconnect is dropped, because the account's recurring job creates it again. A rate-limited one is
/// sent again with a delay, so that waiting does not count as a failed attempt. After any other error the queue
/// redelivers the message once its visibility timeout ends, up to the queue's number of attempts.
pub async fn consume<F, Fut>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    deliveries: Vec<Delivery>,
    process: F,
) -> Vec<String>
where
    F: Fn(Job) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let mut to_retry = Vec::new();
    for delivery in deliveries {
        let unit = UnitOfWork::message(queue.name(), clock, delivery.metadata.clone());
        let work = async {
            let settled = match serde_json::from_str::<Job>(&delivery.body) {
                Ok(job) => {
                    telemetry::record_job(&job);
                    settle(queues, queue, &delivery, &job, process(job.clone()).await).await
                }
                Err(error) => dead_letter_unreadable(queues, queue, &delivery, &error).await,
            };
            let outcome = settled.unwrap_or_else(|error| {
                telemetry::record_problem(problem::kind(&error));
                tracing::warn!(%error, "A message will come again.");
                Outcome::WillRetry
            });
            telemetry::record_outcome(outcome);
            outcome
        };
        if unit.run(Box::pin(work)).await == Outcome::WillRetry {
            to_retry.push(delivery.metadata.message_id);
        }
    }
    to_retry
}

/// Dead-letters an unreadable message. Its content stays out of the log.
async fn dead_letter_unreadable(
    queues: &Queues,
    queue: Queue,
    delivery: &Delivery,
    error: &serde_json::Error,
) -> Result<Outcome, Error> {
    telemetry::record_operation("unreadable");
    tracing::error!("A message is not a job.");
    queues.dead_letter(queue, &delivery.body, &format!("not a job: {error}")).await?;
    Ok(Outcome::DeadLettered)
}

/// Settles a message by the result of its job. An error leaves the message in its queue.
async fn settle(
    queues: &Queues,
    queue: Queue,
    delivery: &Delivery,
    job: &Job,
    ended: Result<(), Error>,
) -> Result<Outcome, Error> {
    let Err(error) = ended else { return Ok(Outcome::Done) };
    telemetry::record_problem(problem::kind(&error));
    match error {
        Error::RateLimited { retry_after: after, reason: why } => {
            tracing::info!(delay_secs = after.as_secs(), why, "A job waits.");
            queues.send_delayed(job, after).await?;
            Ok(Outcome::Deferred)
        }
        error if error.is_retryable() => Err(error),
        // The connection's state shows this, and the job is created again after a person reconnects.
        Error::Reconnect(why) => {
            tracing::warn!(why, "A job needs a new connection.");
            Ok(Outcome::NeedsReconnect)
        }
        error => {
            tracing::error!(%error, "A job cannot be done.");
            queues.dead_letter(queue, &delivery.body, &error.to_string()).await?;
            Ok(Outcome::DeadLettered)
        }
    }
}
