//! From the queue of the edge to the queue at AWS.

use ads::Failure;
use ads::job::Queue;
use worker::Env;
use worker::worker_sys::MessageBatch;

use super::in_hand::InHand;
use super::message::{Message, messages};
use super::queues::bury;
use super::sqs::{CALL, Fate, Outgoing, Sqs};
use super::telemetry;
use crate::Clock;
use crate::envelope::Envelope;
use crate::telemetry::{Metric, Outcome, Unit, count, ends, names};

/// A batch is given back after this, so that Cloudflare need not break it off.
const LONGEST_BATCH_MS: u64 = 120_000;

/// Forwards the messages of a batch to the queue of `queue`'s function at AWS, and settles each by itself: what
/// SQS has is acknowledged, what it could not take comes again later and later, and what nobody can ever use
/// goes to the dead letters with its reason.
///
/// A message whose handling breaks the code takes the whole run along, and Cloudflare brings the batch again.
/// Then its messages are handled one by one, and the one whose name was left in hand is buried unread.
pub async fn forward(batch: &MessageBatch, env: &Env, queue: Queue) {
    telemetry::init();
    // The functions bear the names of their queues.
    let unit = Unit::event(queue.name(), &Clock::system());
    unit.run(Box::pin(forward_all(batch, env, queue))).await;
}

async fn forward_all(batch: &MessageBatch, env: &Env, queue: Queue) {
    names("forward");
    let began = worker::Date::now().as_millis();
    InHand::look_back();
    let messages = messages(batch);
    let received = messages.len();
    let mut run = Run { env, queue, began, sqs: Sqs::of(env), forwarded: 0, buried: 0, again: 0 };
    let (mut suspects, fresh): (Vec<_>, Vec<_>) = messages.into_iter().partition(|one| one.tries() > 1);
    // From the other end at every other try: whatever stops the run, both sides of it are reached.
    if suspects.first().is_some_and(|one| one.tries().is_multiple_of(2)) {
        suspects.reverse();
    }
    let fresh = run.read(fresh).await;
    for portion in CALL.portions(fresh, |read| read.outgoing.body.len()) {
        run.send(portion).await;
    }
    for suspect in suspects {
        let read = run.read(vec![suspect]).await;
        run.send(read).await;
    }
    let Run { forwarded, buried, again, sqs, .. } = run;
    ends(if again > 0 { Outcome::Again } else { Outcome::Done });
    let out_of_reach = sqs.err().map(|why| why.to_string());
    tracing::info!(received, forwarded, buried, again, out_of_reach, "A batch was forwarded.");
}

/// A message that was read.
struct Read {
    message: Message,
    outgoing: Outgoing,
}

/// The work on one batch.
struct Run<'a> {
    env: &'a Env,
    queue: Queue,
    began: u64,
    /// Where to, or why nothing more can be sent in this run: what one call did not reach, the next will not.
    sqs: Result<Sqs, Failure>,
    forwarded: usize,
    buried: usize,
    again: usize,
}

impl Run<'_> {
    /// Reads messages; those that cannot be used are settled here.
    async fn read(&mut self, messages: Vec<Message>) -> Vec<Read> {
        let mut read = Vec::with_capacity(messages.len());
        for message in messages {
            let name = message.name();
            if InHand::was_left(&name) {
                self.bury(&message, "the Worker broke while it handled this message").await;
                continue;
            }
            let opened = {
                let _in_hand = InHand::of(&name);
                match message.text() {
                    Some(text) => open(&text, self.queue),
                    None => Err("not a job: not a text".to_owned()),
                }
            };
            match opened {
                Ok(outgoing) => read.push(Read { message, outgoing }),
                Err(reason) => self.bury(&message, &reason).await,
            }
        }
        read
    }

    /// Sends messages and settles each of them.
    async fn send(&mut self, read: Vec<Read>) {
        if read.is_empty() {
            return;
        }
        match self.call(&read).await {
            Ok(fates) => {
                for (read, fate) in read.iter().zip(fates) {
                    self.settle(read, fate).await;
                }
            }
            // One of them is at fault, and SQS does not say which.
            Err(Failure::Refused(_)) if read.len() > 1 => {
                for one in read {
                    Box::pin(self.send(vec![one])).await;
                }
            }
            Err(Failure::Refused(reason)) => {
                for one in &read {
                    self.bury(&one.message, &reason).await;
                }
            }
            Err(failure) => {
                for one in &read {
                    self.again = self.again.saturating_add(1);
                    one.message.come_again();
                }
                self.sqs = Err(failure);
            }
        }
    }

    async fn call(&self, read: &[Read]) -> Result<Vec<Fate>, Failure> {
        let sqs = self.sqs.as_ref().map_err(Failure::clone)?;
        if worker::Date::now().as_millis().saturating_sub(self.began) > LONGEST_BATCH_MS {
            return Err(Failure::Unavailable("the batch took too long".to_owned()));
        }
        // Of one message alone its name; of several no name fits, and the next try takes them one by one.
        let name = || match read {
            [one] => one.message.name(),
            _ => String::new(),
        };
        let call = {
            let _in_hand = InHand::of(&name());
            sqs.sending(read.iter().map(|read| &read.outgoing))?
        };
        let answer = call.send().await?;
        let _in_hand = InHand::of(&name());
        answer.fates(read.len())
    }

    async fn settle(&mut self, Read { message, outgoing }: &Read, fate: Fate) {
        match fate {
            Fate::Taken => {
                self.forwarded = self.forwarded.saturating_add(1);
                message.settle();
            }
            Fate::Refused(reason) => self.bury(message, &reason).await,
            Fate::Later(why) => {
                let correlation = &outgoing.correlation;
                tracing::warn!(message_id = message.name(), correlation, why, "A message will come again.");
                self.again = self.again.saturating_add(1);
                message.come_again();
            }
        }
    }

    async fn bury(&mut self, message: &Message, reason: &str) {
        let name = message.name();
        match bury(self.env, &message.raw(), reason).await {
            Ok(()) => {
                // Why is said there: a reason may quote what the message says.
                tracing::error!(message_id = name, "A message went to the dead letters.");
                count(Metric::DeadLettered, 1);
                self.buried = self.buried.saturating_add(1);
                message.settle();
            }
            Err(failure) => {
                tracing::error!(message_id = name, %failure, "A message cannot even be buried yet.");
                self.again = self.again.saturating_add(1);
                message.come_again();
            }
        }
    }
}

/// What SQS gets of a message.
fn open(text: &str, queue: Queue) -> Result<Outgoing, String> {
    let Envelope { correlation, job } = Envelope::open(text, queue)?;
    let body = serde_json::to_string(&job).map_err(|error| error.to_string())?;
    Ok(Outgoing { body, group: job.fairness_group().to_owned(), correlation })
}
