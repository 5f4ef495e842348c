//! What travels through the queue of the edge, and how much of it at once.

use ads::Failure;
use ads::job::{Job, Queue};
use serde::{Deserialize, Serialize};

/// A message of the edge's queue.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    /// Which request brought it.
    pub(crate) correlation: String,
    /// The job.
    pub(crate) job: Job,
}

impl Envelope {
    /// What is in a message of `queue`, or why it can never be used.
    pub(crate) fn open(text: &str, queue: Queue) -> Result<Self, String> {
        let envelope: Self = serde_json::from_str(text).map_err(|error| format!("not a job: {error}"))?;
        if envelope.job.queue() != queue {
            return Err(envelope.job.misdirected().to_string());
        }
        Ok(envelope)
    }

    /// As it travels.
    pub(crate) fn seal(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::Defect(error.to_string()))
    }
}

/// How much a queue takes in one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Messages.
    pub(crate) messages: usize,
    /// Bytes, of all messages together.
    pub(crate) bytes: usize,
    /// Bytes that each message weighs beyond its text.
    pub(crate) each: usize,
}

impl Limits {
    /// What one message counts.
    pub(crate) fn weigh(&self, text: usize) -> usize {
        text.saturating_add(self.each)
    }

    /// Cuts a list into portions that a call may carry, in order. An item that is too heavy by itself gets a
    /// portion of its own.
    pub(crate) fn portions<T>(&self, items: Vec<T>, text: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
        let mut portions = Vec::new();
        let (mut portion, mut bytes) = (Vec::new(), 0_usize);
        for item in items {
            let weight = self.weigh(text(&item));
            let full = portion.len() >= self.messages || bytes.saturating_add(weight) > self.bytes;
            if full && !portion.is_empty() {
                portions.push(std::mem::take(&mut portion));
                bytes = 0;
            }
            bytes = bytes.saturating_add(weight);
            portion.push(item);
        }
        if !portion.is_empty() {
            portions.push(portion);
        }
        portions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { messages: 3, bytes: 100, each: 10 };

    #[test]
    fn portions_keep_both_limits_the_order_and_every_item() {
        let portions = LIMITS.portions(vec![20, 20, 20, 20, 70, 10, 200, 1], |bytes| *bytes);
        assert_eq!(portions, [vec![20, 20, 20], vec![20], vec![70, 10], vec![200], vec![1]]);
        assert!(LIMITS.portions(Vec::<usize>::new(), |bytes| *bytes).is_empty());
    }

    #[test]
    fn an_envelope_is_opened_or_says_why_it_cannot_be() {
        let open = |text: &str| Envelope::open(text, Queue::WebhookIngest);
        let text = r#"{"correlation":"c","job":{"job":"webhook_change","digest":"d","object":"o","field":"f","time":1}}"#;
        let envelope = open(text).unwrap();
        assert_eq!(envelope.seal().unwrap(), text);
        let evaluate =
            r#"{"correlation":"c","job":{"job":"evaluate_rules","workspace":"w","ad_account":"act_1"}}"#;
        assert_eq!(open(evaluate).unwrap_err(), "a job of evaluate-rules came to another function");
        for broken in ["", "[]", "{}", "x", r#"{"correlation":"c","job":{"job":"dance"}}"#] {
            assert!(open(broken).unwrap_err().starts_with("not a job"), "{broken}");
        }
    }
}
