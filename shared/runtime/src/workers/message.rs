//! A message as a consumer receives it. The type of the `worker` crate does not expose the number of attempts.

use worker::js_sys::{self, JsString, Object, Reflect};
use worker::wasm_bindgen::prelude::*;
use worker::worker_sys::MessageBatch;

#[wasm_bindgen(wasm_bindgen = ::worker::wasm_bindgen, js_sys = ::worker::js_sys)]
extern "C" {
    #[wasm_bindgen(extends = js_sys::Object)]
    pub(super) type Message;

    #[wasm_bindgen(method, catch, getter)]
    fn id(this: &Message) -> Result<JsString, JsValue>;

    #[wasm_bindgen(method, catch, getter)]
    fn body(this: &Message) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch, getter)]
    fn attempts(this: &Message) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn ack(this: &Message) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn retry(this: &Message, options: &Object) -> Result<(), JsValue>;
}

/// Maximum delay between two attempts, in seconds.
const MAX_RETRY_DELAY_SECS: u32 = 3600;

/// Returns the messages of a batch.
pub(super) fn messages(batch: &MessageBatch) -> Vec<Message> {
    let messages = batch.messages().unwrap_or_default();
    messages.iter().map(JsCast::unchecked_into).collect()
}

impl Message {
    /// Returns the queue's id of the message.
    pub(super) fn message_id(&self) -> String {
        self.id().map(String::from).unwrap_or_default()
    }

    /// Returns the number of the attempt, from 1 on.
    pub(super) fn attempt(&self) -> u32 {
        let count = self.attempts().ok().and_then(|attempts| attempts.as_f64());
        // The queue counts in small integers.
        count.map_or(1, |attempts| attempts as u32).max(1)
    }

    /// Returns the body if it is text, as in everything we send.
    pub(super) fn text(&self) -> Option<String> {
        self.body().ok()?.as_string()
    }

    /// Returns the body as received.
    pub(super) fn raw(&self) -> JsValue {
        self.body().unwrap_or(JsValue::UNDEFINED)
    }

    /// Acknowledges the message.
    pub(super) fn acknowledge(&self) {
        if self.ack().is_err() {
            tracing::error!(
                message_id = self.message_id(),
                "A message could not be acknowledged and will come again."
            );
        }
    }

    /// Retries the message with exponential backoff: after 2, 4, 8 seconds and so on, up to an hour.
    pub(super) fn retry_later(&self) {
        let delay = 2_u32.saturating_pow(self.attempt().min(31)).min(MAX_RETRY_DELAY_SECS);
        let options = Object::new();
        let set = Reflect::set(&options, &"delaySeconds".into(), &delay.into());
        if set.and_then(|_| self.retry(&options)).is_err() {
            tracing::error!(message_id = self.message_id(), "A message could not be sent back.");
        }
    }
}
