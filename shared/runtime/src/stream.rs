//! The table's stream: items written into the table are published by the function that serves as the outbox, at least
//! once and in order per partition. The stream carries keys only; a consumer reads the item itself.

use std::future::Future;

use domain::Error;
use serde::Deserialize;

use crate::clock::Clock;
use crate::problem;
use crate::telemetry::{self, Outcome, UnitOfWork};

/// A created item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedItem {
    /// Sequence number in the stream.
    pub sequence_number: String,
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
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
    /// Returns the created items, in order.
    pub fn created(self) -> Vec<CreatedItem> {
        let created = self.records.into_iter().filter(|record| record.event_name == "INSERT");
        let item = |Record { dynamodb: Change { sequence_number, keys }, .. }| CreatedItem {
            sequence_number,
            pk: keys.pk.text,
            sk: keys.sk.text,
        };
        created.map(item).collect()
    }
}

/// Publishes created items as one unit of work of a function. Returns whether they are published; if not, they must be
/// delivered again.
pub async fn publish<P, PF>(
    function: &'static str,
    clock: &Clock,
    items: Vec<CreatedItem>,
    publish: P,
) -> bool
where
    P: FnOnce(Vec<CreatedItem>) -> PF,
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
    fn created_items_of_a_batch_are_read_and_other_changes_are_left_out() {
        let record = |name: &str, sk: &str| {
            serde_json::json!({
                "eventID": "1", "eventName": name, "eventSource": "aws:dynamodb",
                "dynamodb": {"Keys": {"pk": {"S": "WS#a#AUDIT"}, "sk": {"S": sk}}, "SequenceNumber": format!("1-{sk}"),
                             "StreamViewType": "KEYS_ONLY"},
            })
        };
        let batch = serde_json::json!({"Records": [record("INSERT", "ENTRY#1"), record("MODIFY", "HEAD")]});
        let batch: StreamBatch = serde_json::from_value(batch).unwrap();
        let expected = CreatedItem {
            sequence_number: "1-ENTRY#1".to_owned(),
            pk: "WS#a#AUDIT".to_owned(),
            sk: "ENTRY#1".to_owned(),
        };
        assert_eq!(batch.created(), [expected]);
    }
}
