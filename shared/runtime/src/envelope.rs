//! Message format and batch limits of the edge's queue.

use domain::Error;
use domain::job::{Job, Queue};
use serde::{Deserialize, Serialize};

/// A message of the edge's queue.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    /// Correlation id of the request that sent it.
    pub(crate) correlation: String,
    /// The job.
    pub(crate) job: Job,
}

impl Envelope {
    /// Parses a message of `queue`. The error says why it can never be processed.
    pub(crate) fn parse(text: &str, queue: Queue) -> Result<Self, String> {
        let envelope: Self = serde_json::from_str(text).map_err(|error| format!("not a job: {error}"))?;
        if envelope.job.queue() != queue {
            return Err(envelope.job.wrong_queue().to_string());
        }
        Ok(envelope)
    }

    /// Serializes to JSON.
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Internal(error.to_string()))
    }
}

/// Limits of one batch call to a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// Maximum number of messages.
    pub(crate) max_messages: usize,
    /// Maximum size of all messages together, in bytes.
    pub(crate) max_bytes: usize,
    /// Overhead per message, in bytes.
    pub(crate) overhead_bytes: usize,
}

impl BatchLimits {
    /// Returns the size that one message counts, in bytes.
    pub(crate) fn message_bytes(&self, text: usize) -> usize {
        text.saturating_add(self.overhead_bytes)
    }

    /// Splits a list into batches within the limits, in order. An item that exceeds them alone gets a batch of its own.
    pub(crate) fn batches<T>(&self, items: Vec<T>, text: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
        let mut batches = Vec::new();
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        for item in items {
            let size = self.message_bytes(text(&item));
            let full = batch.len() >= self.max_messages || bytes.saturating_add(size) > self.max_bytes;
            if full && !batch.is_empty() {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            batch.push(item);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH_LIMITS: BatchLimits = BatchLimits { max_messages: 3, max_bytes: 100, overhead_bytes: 10 };

    #[test]
    fn batches_keep_both_limits_the_order_and_every_item() {
        let batches = BATCH_LIMITS.batches(vec![20, 20, 20, 20, 70, 10, 200, 1], |bytes| *bytes);
        assert_eq!(batches, [vec![20, 20, 20], vec![20], vec![70, 10], vec![200], vec![1]]);
        assert!(BATCH_LIMITS.batches(Vec::<usize>::new(), |bytes| *bytes).is_empty());
    }

    #[test]
    fn an_envelope_is_parsed_or_says_why_it_cannot_be() {
        let parse = |text: &str| Envelope::parse(text, Queue::WebhookIngest);
        let text = r#"{"correlation":"c","job":{"job":"webhook_changes","changes":[{"digest":"d","object":"o","field":"f","time":1}]}}"#;
        let envelope = parse(text).unwrap();
        assert_eq!(envelope.to_json().unwrap(), text);
        let evaluate =
            r#"{"correlation":"c","job":{"job":"evaluate_rules","workspace":"w","ad_account":"act_1"}}"#;
        assert_eq!(parse(evaluate).unwrap_err(), "a job of evaluate-rules came to another function");
        for broken in ["", "[]", "{}", "x", r#"{"correlation":"c","job":{"job":"dance"}}"#] {
            assert!(parse(broken).unwrap_err().starts_with("not a job"), "{broken}");
        }
    }
}
