//! The queue from the webhook receiver at the edge to AWS, for producers.

use std::fmt;

use domain::job::Job;
use domain::{Error, FieldError};
use worker::js_sys::{Function, JSON, JsString, Object, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{BatchMessageBuilder, Env, Queue, QueueContentType, RawMessageBuilder};

use super::{DEAD_LETTER_BINDING, QUEUE_BINDING, unavailable};
use crate::envelope::{BatchLimits, Envelope};
use crate::telemetry::{self, CorrelationId};

/// Cloudflare's limits: 100 messages and 256 KB per call, with 100 bytes of overhead per message.
const SEND_BATCH_LIMITS: BatchLimits =
    BatchLimits { max_messages: 100, max_bytes: 256_000, overhead_bytes: 100 };
/// Cloudflare's limit: 128 KB per message.
const MAX_MESSAGE_BYTES: usize = 128_000;
/// Maximum characters stored of a message that cannot be processed; each may become six bytes of JSON.
const MAX_DEAD_LETTER_CHARS: u32 = 20_000;

/// Queue for jobs of a function at the edge: the Cloudflare Queue whose consumer forwards them to AWS.
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
    /// Returns the queue of the Worker's binding.
    pub(super) fn from_env(env: &Env) -> Result<Self, Error> {
        let queue =
            env.queue(QUEUE_BINDING).map_err(|error| Error::Internal(format!("{QUEUE_BINDING}: {error}")))?;
        Ok(Self { queue })
    }

    /// Sends jobs. Ok means that every job is enqueued.
    pub async fn send(&self, jobs: &[Job]) -> Result<(), Error> {
        let correlation = telemetry::correlation_id().unwrap_or_else(CorrelationId::generate);
        let mut messages = Vec::with_capacity(jobs.len());
        for job in jobs {
            let envelope = Envelope { correlation: correlation.to_string(), job: job.clone() };
            let message = envelope.to_json()?;
            // No queue ever accepts it; rejected before any part of the request is enqueued.
            if SEND_BATCH_LIMITS.message_bytes(message.len()) > MAX_MESSAGE_BYTES {
                return Err(FieldError::new("body", "has a change that is too large for a queue").into());
            }
            messages.push(message);
        }
        for batch in SEND_BATCH_LIMITS.batches(messages, String::len) {
            let texts = batch.iter().map(|text| {
                RawMessageBuilder::new(JsValue::from_str(text))
                    .build_with_content_type(QueueContentType::Text)
            });
            let batch = BatchMessageBuilder::new().messages(texts).build();
            let sent = self.queue.send_raw_batch(batch).await;
            sent.map_err(|error| unavailable("the queue of the edge", &error))?;
        }
        Ok(())
    }
}

/// Dead-letters a message that cannot be processed, with the reason. The message stays a JavaScript value, because
/// reading it may cause the panic.
pub(super) async fn dead_letter(env: &Env, message: &JsValue, reason: &str) -> Result<(), Error> {
    let dead_letters =
        env.queue(DEAD_LETTER_BINDING).map_err(|error| unavailable(DEAD_LETTER_BINDING, &error))?;
    let text = match message.dyn_ref::<JsString>() {
        Some(text) => text.clone(),
        None => JSON::stringify(message).unwrap_or_else(|_| JsString::from("")),
    };
    let letter = Object::new();
    for (name, value) in
        [("reason", &reason.into()), ("message", text.slice(0, MAX_DEAD_LETTER_CHARS).as_ref())]
    {
        // Setting a property of a new object cannot fail.
        let _set = Reflect::set(&letter, &name.into(), value);
    }
    let letter = RawMessageBuilder::new(letter.into()).build_with_content_type(QueueContentType::Json);
    let sent = dead_letters.send_raw(letter).await;
    sent.map_err(|error| unavailable(DEAD_LETTER_BINDING, &error))
}

/// Returns the backlog of a binding's queue, where Cloudflare reports it.
pub(super) async fn backlog(env: &Env, binding: &str) -> Option<u64> {
    let queue = JsValue::from(env.queue(binding).ok()?);
    let metrics: Function = Reflect::get(&queue, &"metrics".into()).ok()?.dyn_into().ok()?;
    let reported: Promise = metrics.call0(&queue).ok()?.dyn_into().ok()?;
    let reported = JsFuture::from(reported).await.ok()?;
    // The queue counts in integers.
    Reflect::get(&reported, &"backlogCount".into()).ok()?.as_f64().map(|count| count as u64)
}
