//! The table's stream: items written into the table are published by its consumers, each of them at least once and in
//! order per partition. The stream carries keys only; a consumer reads the item itself.

use std::future::Future;

use domain::Error;
use serde::Deserialize;

use crate::clock::Clock;
use crate::problem;
use crate::telemetry::{self, Outcome, UnitOfWork};

/// An item that was created or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenItem {
    /// Sequence number in the stream.
    pub sequence_number: String,
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Whether it was created.
    pub is_new: bool,
}

/// A batch of a DynamoDB stream, as Lambda delivers it.
#[derive(Debug, Deserialize)]
pub struct StreamBatch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: String,
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    sequence_number: String,
    keys: Keys,
}

#[derive(Debug, Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

impl StreamBatch {
    /// Returns the items that were written, in order.
    pub fn written(self) -> Vec<WrittenItem> {
        let item = |Record { event_name, dynamodb: Change { sequence_number, keys } }: Record| {
            let is_new = event_name == "INSERT";
            let item = WrittenItem { sequence_number, pk: keys.pk.text, sk: keys.sk.text, is_new };
            (is_new || event_name == "MODIFY").then_some(item)
        };
        self.records.into_iter().filter_map(item).collect()
    }
}

/// Publishes written items as one unit of work of a function. Returns whether they are published; if not, they must be
/// delivered again.
pub async fn publish<P, PF>(
    function: &'static str,
    clock: &Clock,
    items: Vec<WrittenItem>,
    publish: P,
) -> bool
where
    P: FnOnce(Vec<WrittenItem>) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let work = async {
        telemetry::record_operation("publish");
        let Err(error) = publish(items).await else {
            telemetry::record_outcome(Outcome::Done);
            return true;
        };
        telemetry::record_problem(problem::kind(&error));
        telemetry::record_outcome(Outcome::WillRetry);
        tracing::error!(%error, "Events were not published and will be delivered again.");
        false
    };
    UnitOfWork::event(function, clock).run(Box::pin(work)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_items_of_a_batch_are_read_and_deleted_ones_are_left_out() {
        let record = |name: &str, sk: &str| {
            serde_json::json!({
                "eventID": "1", "eventName": name, "eventSource": "aws:dynamodb",
                "dynamodb": {"Keys": {"pk": {"S": "WS#a#AUDIT"}, "sk": {"S": sk}}, "SequenceNumber": format!("1-{sk}"),
                             "StreamViewType": "KEYS_ONLY"},
            })
        };
        let records = [record("INSERT", "ENTRY#1"), record("MODIFY", "HEAD"), record("REMOVE", "EVENT#1")];
        let batch: StreamBatch = serde_json::from_value(serde_json::json!({"Records": records})).unwrap();
        let item = |sk: &str, is_new| WrittenItem {
            sequence_number: format!("1-{sk}"),
            pk: "WS#a#AUDIT".to_owned(),
            sk: sk.to_owned(),
            is_new,
        };
        assert_eq!(batch.written(), [item("ENTRY#1", true), item("HEAD", false)]);
    }
}
