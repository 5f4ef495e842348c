//! The queue between the door at the edge and AWS, as a producer sees it.

use std::fmt;

use ads::job::Job;
use ads::{Failure, Invalid};
use worker::js_sys::{Function, JSON, JsString, Object, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{BatchMessageBuilder, Env, Queue, QueueContentType, RawMessageBuilder};

use super::{DEAD_LETTERS, QUEUE, out_of_reach};
use crate::envelope::{Envelope, Limits};
use crate::telemetry::{self, Correlation};

/// Cloudflare's: 100 messages and 256 KB a call, with 100 bytes of its own for each.
const CALL: Limits = Limits { messages: 100, bytes: 256_000, each: 100 };
/// 128 KB a message.
const LARGEST_MESSAGE: usize = 128_000;
/// Of a message that cannot be used so many characters are kept, for each may become six bytes of JSON.
const KEPT_OF_POISON: u32 = 20_000;

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
    /// The queue behind the Worker's binding.
    pub(super) fn of(env: &Env) -> Result<Self, Failure> {
        let queue = env.queue(QUEUE).map_err(|error| Failure::Defect(format!("{QUEUE}: {error}")))?;
        Ok(Self { queue })
    }

    /// Leaves jobs. Ok means that the queue has every one of them.
    pub async fn send(&self, jobs: &[Job]) -> Result<(), Failure> {
        let correlation = telemetry::correlation().unwrap_or_else(Correlation::fresh);
        let mut messages = Vec::with_capacity(jobs.len());
        for job in jobs {
            let envelope = Envelope { correlation: correlation.to_string(), job: job.clone() };
            let message = envelope.seal()?;
            // No queue takes it, now or later; refused before a part of the request is accepted.
            if CALL.weigh(message.len()) > LARGEST_MESSAGE {
                return Err(Invalid::new("body", "has a change that is too large for a queue").into());
            }
            messages.push(message);
        }
        for portion in CALL.portions(messages, String::len) {
            let texts = portion.iter().map(|text| {
                RawMessageBuilder::new(JsValue::from_str(text))
                    .build_with_content_type(QueueContentType::Text)
            });
            let batch = BatchMessageBuilder::new().messages(texts).build();
            let sent = self.queue.send_raw_batch(batch).await;
            sent.map_err(|error| out_of_reach("the queue of the edge", &error))?;
        }
        Ok(())
    }
}

/// Puts a message that nobody can use into the dead letters, with the reason. The message stays on
/// JavaScript's side: it may be the one that breaks the code when it is read.
pub(super) async fn bury(env: &Env, message: &JsValue, reason: &str) -> Result<(), Failure> {
    let dead_letters = env.queue(DEAD_LETTERS).map_err(|error| out_of_reach(DEAD_LETTERS, &error))?;
    let text = match message.dyn_ref::<JsString>() {
        Some(text) => text.clone(),
        None => JSON::stringify(message).unwrap_or_else(|_| JsString::from("")),
    };
    let letter = Object::new();
    for (name, value) in [("reason", &reason.into()), ("message", text.slice(0, KEPT_OF_POISON).as_ref())] {
        // A fresh object takes every property.
        let _set = Reflect::set(&letter, &name.into(), value);
    }
    let letter = RawMessageBuilder::new(letter.into()).build_with_content_type(QueueContentType::Json);
    let sent = dead_letters.send_raw(letter).await;
    sent.map_err(|error| out_of_reach(DEAD_LETTERS, &error))
}

/// How many messages wait in the queue of a binding, where Cloudflare tells.
pub(super) async fn backlog(env: &Env, binding: &str) -> Option<u64> {
    let queue = JsValue::from(env.queue(binding).ok()?);
    let metrics: Function = Reflect::get(&queue, &"metrics".into()).ok()?.dyn_into().ok()?;
    let told: Promise = metrics.call0(&queue).ok()?.dyn_into().ok()?;
    let told = JsFuture::from(told).await.ok()?;
    // The queue counts in whole numbers.
    Reflect::get(&told, &"backlogCount".into()).ok()?.as_f64().map(|count| count as u64)
}
