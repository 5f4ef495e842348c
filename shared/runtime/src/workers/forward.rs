//! Forwards messages from the edge's queue to the queue at AWS.

use domain::Error;
use domain::job::Queue;
use worker::Env;
use worker::worker_sys::MessageBatch;

use super::message::{Message, messages};
use super::poison_marker::PoisonMarker;
use super::queues::dead_letter;
use super::sqs::{OutgoingMessage, SEND_BATCH_LIMITS, SendOutcome, Sqs};
use super::telemetry;
use crate::Clock;
use crate::envelope::Envelope;
use crate::telemetry::{Outcome, TelemetryMetric, UnitOfWork, count, record_operation, record_outcome};

/// Processing time after which the rest of a batch is returned, before Cloudflare aborts it.
const MAX_BATCH_MS: u64 = 120_000;

/// Forwards the messages of a batch to the queue of `queue`'s function at AWS and settles each one: a message that SQS
/// accepted is acknowledged, one it could not accept is retried with a growing delay, and one that can never be
/// processed is dead-lettered with its reason.
///
/// A message whose handling panics ends the whole run, and Cloudflare redelivers the batch. Its messages are then
/// handled one by one, and the one whose id is in the poison marker is dead-lettered unread.
pub async fn forward(batch: &MessageBatch, env: &Env, queue: Queue) {
    telemetry::init();
    // A function has the name of its queue.
    let unit = UnitOfWork::event(queue.name(), &Clock::system());
    unit.run(Box::pin(forward_all(batch, env, queue))).await;
}

async fn forward_all(batch: &MessageBatch, env: &Env, queue: Queue) {
    record_operation("forward");
    let started_at_ms = worker::Date::now().as_millis();
    PoisonMarker::recover();
    let messages = messages(batch);
    let received = messages.len();
    let mut run = ForwardRun {
        env,
        queue,
        started_at_ms,
        sqs: Sqs::from_env(env),
        forwarded: 0,
        dead_lettered: 0,
        retried: 0,
    };
    let (mut retries, fresh): (Vec<_>, Vec<_>) = messages.into_iter().partition(|one| one.attempt() > 1);
    // Reversed on every other attempt, so that messages on both sides of one that stops the run are reached.
    if retries.first().is_some_and(|one| one.attempt().is_multiple_of(2)) {
        retries.reverse();
    }
    let fresh = run.read(fresh).await;
    for batch in SEND_BATCH_LIMITS.batches(fresh, |read| read.outgoing.body.len()) {
        run.send(batch).await;
    }
    for retry in retries {
        let read = run.read(vec![retry]).await;
        run.send(read).await;
    }
    let ForwardRun { forwarded, dead_lettered, retried, sqs, .. } = run;
    record_outcome(if retried > 0 { Outcome::WillRetry } else { Outcome::Done });
    let sqs_error = sqs.err().map(|why| why.to_string());
    tracing::info!(received, forwarded, dead_lettered, retried, sqs_error, "A batch was forwarded.");
}

/// A parsed message.
struct ReadMessage {
    message: Message,
    outgoing: OutgoingMessage,
}

/// State of forwarding one batch.
struct ForwardRun<'a> {
    env: &'a Env,
    queue: Queue,
    started_at_ms: u64,
    /// The queue at AWS, or why this run sends nothing more: after one failed call the next would fail too.
    sqs: Result<Sqs, Error>,
    forwarded: usize,
    dead_lettered: usize,
    retried: usize,
}

impl ForwardRun<'_> {
    /// Parses messages; settles those that cannot be processed.
    async fn read(&mut self, messages: Vec<Message>) -> Vec<ReadMessage> {
        let mut read = Vec::with_capacity(messages.len());
        for message in messages {
            let name = message.message_id();
            if PoisonMarker::is_poison(&name) {
                self.dead_letter(&message, "the Worker broke while it handled this message").await;
                continue;
            }
            let parsed = {
                let _marker = PoisonMarker::set(&name);
                match message.text() {
                    Some(text) => to_outgoing(&text, self.queue),
                    None => Err("not a job: not a text".to_owned()),
                }
            };
            match parsed {
                Ok(outgoing) => read.push(ReadMessage { message, outgoing }),
                Err(reason) => self.dead_letter(&message, &reason).await,
            }
        }
        read
    }

    /// Sends messages and settles each one.
    async fn send(&mut self, read: Vec<ReadMessage>) {
        if read.is_empty() {
            return;
        }
        match self.call(&read).await {
            Ok(outcomes) => {
                for (read, outcome) in read.iter().zip(outcomes) {
                    self.settle(read, outcome).await;
                }
            }
            // One of them is invalid, and SQS does not say which.
            Err(Error::RejectedByPlatform(_)) if read.len() > 1 => {
                for one in read {
                    Box::pin(self.send(vec![one])).await;
                }
            }
            Err(Error::RejectedByPlatform(reason)) => {
                for one in &read {
                    self.dead_letter(&one.message, &reason).await;
                }
            }
            Err(error) => {
                for one in &read {
                    self.retried = self.retried.saturating_add(1);
                    one.message.retry_later();
                }
                self.sqs = Err(error);
            }
        }
    }

    async fn call(&self, read: &[ReadMessage]) -> Result<Vec<SendOutcome>, Error> {
        let sqs = self.sqs.as_ref().map_err(Error::clone)?;
        if worker::Date::now().as_millis().saturating_sub(self.started_at_ms) > MAX_BATCH_MS {
            return Err(Error::Unavailable("the batch took too long".to_owned()));
        }
        // Marks a single message by its id. A batch has no single id; the next attempt sends its messages one by one.
        let name = || match read {
            [one] => one.message.message_id(),
            _ => String::new(),
        };
        let call = {
            let _marker = PoisonMarker::set(&name());
            sqs.send_batch_call(read.iter().map(|read| &read.outgoing))?
        };
        let response = call.send().await?;
        let _marker = PoisonMarker::set(&name());
        response.outcomes(read.len())
    }

    async fn settle(&mut self, ReadMessage { message, outgoing }: &ReadMessage, outcome: SendOutcome) {
        match outcome {
            SendOutcome::Accepted => {
                self.forwarded = self.forwarded.saturating_add(1);
                message.acknowledge();
            }
            SendOutcome::Rejected(reason) => self.dead_letter(message, &reason).await,
            SendOutcome::Retry(why) => {
                let correlation = &outgoing.correlation;
                tracing::warn!(
                    message_id = message.message_id(),
                    correlation,
                    why,
                    "A message will come again."
                );
                self.retried = self.retried.saturating_add(1);
                message.retry_later();
            }
        }
    }

    async fn dead_letter(&mut self, message: &Message, reason: &str) {
        let name = message.message_id();
        match dead_letter(self.env, &message.raw(), reason).await {
            Ok(()) => {
                // The reason is in the dead letter only: it may quote the message.
                tracing::error!(message_id = name, "A message went to the dead letters.");
                count(TelemetryMetric::DeadLettered, 1);
                self.dead_lettered = self.dead_lettered.saturating_add(1);
                message.acknowledge();
            }
            Err(error) => {
                tracing::error!(message_id = name, %error, "A message could not be dead-lettered yet.");
                self.retried = self.retried.saturating_add(1);
                message.retry_later();
            }
        }
    }
}

/// Converts a message for SQS.
fn to_outgoing(text: &str, queue: Queue) -> Result<OutgoingMessage, String> {
    let Envelope { correlation, job } = Envelope::parse(text, queue)?;
    let body = serde_json::to_string(&job).map_err(|error| error.to_string())?;
    Ok(OutgoingMessage { body, group: job.message_group_id().to_owned(), correlation })
}
