//! Meters what functions use of AWS: capacity of the table, messages, and calls of other services.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use winterbaume_core::{MockRequest, MockResponse};

use crate::dynamo::Dynamo;

/// What was used so far. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<BTreeMap<Usage, Quantity>>>);

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usage {
    /// The function that called, or `-` for what the host does itself.
    pub function: &'static str,
    /// The service, such as `dynamodb`.
    pub service: String,
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The kind of the first item that a call names, such as `CHUNK`, or the queue.
    pub subject: String,
}

/// How much was used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    /// Calls; of queues the messages.
    pub calls: u64,
    /// Units of the table's capacity: a written KB, or 4 KB that were read consistently.
    pub units: f64,
}

impl Meter {
    /// Returns what was used since the last time.
    pub fn take(&self) -> BTreeMap<Usage, Quantity> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the table say what a call consumes.
    pub(crate) fn request_capacity(service: &str, request: &mut MockRequest) {
        if service == "dynamodb"
            && let Ok(Value::Object(mut body)) = serde_json::from_slice(&request.body)
        {
            body.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
            request.body = Value::Object(body).to_string().into();
        }
    }

    /// Counts a call.
    pub(crate) fn count(
        &self,
        function: &'static str,
        service: &str,
        request: &MockRequest,
        answer: &MockResponse,
    ) {
        let operation = Dynamo::operation(request).to_owned();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (subject, calls) = match service {
            "sqs" => {
                let queue = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next());
                let messages = ["Successful", "Messages"].map(|list| answer[list].as_array().map(Vec::len));
                let messages = messages.into_iter().flatten().next().unwrap_or(1);
                (queue.unwrap_or_default().to_owned(), messages as u64)
            }
            "dynamodb" => (kind(&operation, &body).unwrap_or_default(), 1),
            _ => (String::new(), 1),
        };
        // A write whose condition does not hold is charged, but the answer does not say so.
        let is_refused = answer["__type"].as_str().is_some_and(|kind| {
            kind.ends_with("ConditionalCheckFailedException")
                || kind.ends_with("TransactionCanceledException")
        });
        let consumed = match &answer["ConsumedCapacity"] {
            Value::Null if is_refused => 1.0,
            Value::Array(of_tables) => of_tables.iter().filter_map(|one| one["CapacityUnits"].as_f64()).sum(),
            one => one["CapacityUnits"].as_f64().unwrap_or_default(),
        };
        let usage = Usage { function, service: service.to_owned(), operation, subject };
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quantity = used.entry(usage).or_default();
        quantity.calls += calls;
        quantity.units += consumed;
    }
}

/// Returns the kind of the first item that a call names.
fn kind(operation: &str, body: &Value) -> Option<String> {
    let values = &body["ExpressionAttributeValues"];
    let key = match operation {
        "PutItem" => &body["Item"],
        "TransactWriteItems" => {
            let parts =
                body["TransactItems"].as_array()?.iter().filter_map(|part| part.as_object()?.values().next());
            let keys = parts.map(|part| if part["Item"].is_object() { &part["Item"] } else { &part["Key"] });
            // An entry of the audit log accompanies what it is about.
            let mut kinds = keys.filter_map(kind_of_key);
            let first = kinds.next()?;
            return Some(if first == "AUDIT" { kinds.next().unwrap_or(first) } else { first });
        }
        "BatchGetItem" => body["RequestItems"].as_object()?.values().next()?["Keys"].get(0)?,
        "Query" => {
            return kind_of(values[":pk"]["S"].as_str()?, values[":first"]["S"].as_str().unwrap_or_default());
        }
        _ => &body["Key"],
    };
    kind_of_key(key)
}

fn kind_of_key(key: &Value) -> Option<String> {
    kind_of(key["pk"]["S"].as_str()?, key["sk"]["S"].as_str()?)
}

/// Returns the kind of an item by its key: the first word of its sort key, or of the partition where that says more.
fn kind_of(pk: &str, sk: &str) -> Option<String> {
    let partition = pk.split('#').next().filter(|first| *first != "WS");
    let of_workspace =
        ["FACTS", "AUDIT", "RULE"].into_iter().find(|part| pk.split('#').any(|word| word == *part));
    let name = partition.or(of_workspace).or_else(|| sk.split('#').next())?;
    Some(name.to_owned())
}
