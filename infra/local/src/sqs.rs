//! SQS, embedded: standard queues that are fair to the groups of their messages, as those of AWS are. A signal for every
//! sent message lets the runner sleep instead of polling constantly.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runtime::random;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use winterbaume_core::{MockRequest, MockResponse, MockService};

const URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/";
const ARN: &str = "arn:aws:sqs:us-east-1:123456789012:";

/// The time for which a received message is hidden unless its queue says otherwise.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);

/// Messages of a call at most.
const MAX_BATCH: usize = 10;

/// The longest delay of a message.
const MAX_DELAY_SECONDS: u64 = 900;

/// The queues of the embedded cloud, with the operations that functions and the runner use.
pub struct Sqs {
    queues: Mutex<HashMap<String, MessageQueue>>,
    sent: Arc<Notify>,
}

/// Messages in the order of their sending, and what decides which is received next.
#[derive(Default)]
struct MessageQueue {
    messages: Vec<Message>,
    visibility: Option<Duration>,
    redrive: Option<Redrive>,
    /// Receives so far.
    receives: u64,
    /// The number of the last receive of each group, since the queue was last empty.
    served: HashMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: String,
    max_receive_count: u32,
}

struct Message {
    id: String,
    body: String,
    attributes: Value,
    group: Option<String>,
    visible_at: Instant,
    /// How often it was received.
    receives: u32,
    /// What deletes it: the handles of its receives.
    receipts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendBody {
    #[serde(default)]
    id: String,
    message_body: String,
    #[serde(default)]
    delay_seconds: u64,
    #[serde(default)]
    message_attributes: Value,
    message_group_id: Option<String>,
}

/// The code of an error, and its message.
struct Refusal(&'static str, String);

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self("InvalidParameterValue", error.to_string())
    }
}

impl Sqs {
    /// Creates a service without queues that signals `sent` for every message.
    pub fn new(sent: Arc<Notify>) -> Self {
        Self { queues: Mutex::default(), sent }
    }

    fn answer(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        let now = now();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match operation {
            "CreateQueue" => create(&mut queues, body)?,
            "GetQueueAttributes" => {
                let name = name_of(body);
                attributes(name, queue(&mut queues, name)?, now)
            }
            "SendMessage" => {
                let id = queue(&mut queues, name_of(body))?.send(SendBody::deserialize(body)?, now)?;
                json!({"MessageId": id})
            }
            "SendMessageBatch" => {
                let entries = Vec::<SendBody>::deserialize(&body["Entries"])?;
                require((1..=MAX_BATCH).contains(&entries.len()), "one to ten entries")?;
                let queue = queue(&mut queues, name_of(body))?;
                let send = |entry: SendBody| {
                    let of_entry = entry.id.clone();
                    Ok(json!({"Id": of_entry, "MessageId": queue.send(entry, now)?}))
                };
                let sent: Vec<Value> = entries.into_iter().map(send).collect::<Result<_, Refusal>>()?;
                json!({"Successful": sent, "Failed": []})
            }
            "ReceiveMessage" => receive(&mut queues, body, now)?,
            "DeleteMessage" => {
                queue(&mut queues, name_of(body))?.delete(body["ReceiptHandle"].as_str());
                json!({})
            }
            _ => return Err(Refusal("UnsupportedOperation", operation.to_owned())),
        };
        drop(queues);
        if operation.starts_with("SendMessage") {
            self.sent.notify_waiters();
        }
        Ok(answer)
    }
}

/// Returns the real time: a clock that a test sets ahead must not give a message that is being processed to another worker.
#[expect(clippy::disallowed_methods, reason = "messages are hidden and delayed by real time")]
fn now() -> Instant {
    Instant::now()
}

type Queues<'a> = MutexGuard<'a, HashMap<String, MessageQueue>>;

/// Returns the name of a queue from its URL in a request.
fn name_of(body: &Value) -> &str {
    body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default()
}

fn queue<'a>(queues: &'a mut Queues<'_>, name: &str) -> Result<&'a mut MessageQueue, Refusal> {
    let unknown = || Refusal("QueueDoesNotExist", format!("There is no queue {name:?}."));
    queues.get_mut(name).ok_or_else(unknown)
}

fn create(queues: &mut Queues<'_>, body: &Value) -> Result<Value, Refusal> {
    let name = body["QueueName"].as_str().unwrap_or_default();
    let attribute = |name: &str| body["Attributes"][name].as_str();
    let visibility = attribute("VisibilityTimeout").map(serde_json::from_str).transpose()?;
    let queue = queues.entry(name.to_owned()).or_default();
    queue.visibility = visibility.map(Duration::from_secs);
    queue.redrive = attribute("RedrivePolicy").map(serde_json::from_str).transpose()?;
    Ok(json!({"QueueUrl": format!("{URL}{name}")}))
}

fn attributes(name: &str, queue: &MessageQueue, now: Instant) -> Value {
    let count = |of: fn(&Message, Instant) -> bool| {
        queue.messages.iter().filter(|message| of(message, now)).count().to_string()
    };
    json!({"Attributes": {
        "QueueArn": format!("{ARN}{name}"),
        "ApproximateNumberOfMessages": count(|message, now| message.visible_at <= now),
        "ApproximateNumberOfMessagesNotVisible": count(Message::is_in_flight),
        "ApproximateNumberOfMessagesDelayed":
            count(|message, now| message.visible_at > now && !message.is_in_flight(now)),
    }})
}

fn receive(queues: &mut Queues<'_>, body: &Value, now: Instant) -> Result<Value, Refusal> {
    let max = body["MaxNumberOfMessages"].as_u64().unwrap_or(1);
    require((1..=MAX_BATCH as u64).contains(&max), "one to ten messages")?;
    let source = queue(queues, name_of(body))?;
    let mut received = Vec::new();
    let mut dead = Vec::new();
    while (received.len() as u64) < max
        && let Some(index) = source.next(now)
    {
        let limit = source.redrive.as_ref().map(|redrive| redrive.max_receive_count);
        if limit.is_some_and(|limit| source.messages[index].receives >= limit) {
            dead.push(source.messages.remove(index));
        } else {
            received.push(source.take(index, now)?);
        }
    }
    let target =
        source.redrive.as_ref().and_then(|redrive| redrive.dead_letter_target_arn.rsplit(':').next());
    if let Some(target) = target.map(str::to_owned).and_then(|target| queues.get_mut(&target)) {
        let waiting = |message| Message { receives: 0, receipts: Vec::new(), visible_at: now, ..message };
        target.messages.extend(dead.into_iter().map(waiting));
    }
    Ok(json!({"Messages": received}))
}

impl MessageQueue {
    fn send(&mut self, message: SendBody, now: Instant) -> Result<String, Refusal> {
        require(message.delay_seconds <= MAX_DELAY_SECONDS, "a delay of 15 minutes at most")?;
        require(!message.message_body.is_empty(), "a body")?;
        let id = new_id()?;
        self.messages.push(Message {
            id: id.clone(),
            body: message.message_body,
            attributes: message.message_attributes,
            group: message.message_group_id,
            visible_at: now + Duration::from_secs(message.delay_seconds),
            receives: 0,
            receipts: Vec::new(),
        });
        Ok(id)
    }

    fn delete(&mut self, receipt: Option<&str>) {
        self.messages.retain(|message| !message.receipts.iter().any(|known| Some(&**known) == receipt));
        if self.messages.is_empty() {
            self.served.clear();
        }
    }

    /// Returns the message to receive next: of the group with the fewest messages in flight, of those the group that
    /// waits longest since it was served, of its messages the oldest. Messages without a group come first: AWS never
    /// holds them back.
    fn next(&self, now: Instant) -> Option<usize> {
        let mut in_flight = HashMap::<&str, usize>::new();
        for group in self.messages.iter().filter(|one| one.is_in_flight(now)).filter_map(Message::group) {
            *in_flight.entry(group).or_default() += 1;
        }
        let visible = self.messages.iter().enumerate().filter(|(_, message)| message.visible_at <= now);
        let turn = |group: &str| (in_flight.get(group).copied(), self.served.get(group).copied());
        visible.min_by_key(|(_, message)| message.group().map(turn)).map(|(index, _)| index)
    }

    /// Hides a message for the time in which it is processed, and returns it as its receiver gets it.
    fn take(&mut self, index: usize, now: Instant) -> Result<Value, Refusal> {
        self.receives += 1;
        let message = &mut self.messages[index];
        let receipt = new_id()?;
        message.receives += 1;
        message.visible_at = now + self.visibility.unwrap_or(DEFAULT_VISIBILITY);
        message.receipts.push(receipt.clone());
        let received = json!({
            "MessageId": message.id, "Body": message.body, "ReceiptHandle": receipt,
            "Attributes": {"ApproximateReceiveCount": message.receives.to_string()},
            "MessageAttributes": message.attributes,
        });
        if let Some(group) = message.group.clone() {
            self.served.insert(group, self.receives);
        }
        Ok(received)
    }
}

impl Message {
    fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    fn is_in_flight(&self, now: Instant) -> bool {
        !self.receipts.is_empty() && self.visible_at > now
    }
}

/// Refuses what AWS refuses.
fn require(holds: bool, what: &str) -> Result<(), Refusal> {
    let refusal = || Refusal("InvalidParameterValue", format!("The request must have {what}."));
    holds.then_some(()).ok_or_else(refusal)
}

fn new_id() -> Result<String, Refusal> {
    random::id().map_err(|error| Refusal("InternalFailure", error.to_string()))
}

impl MockService for Sqs {
    fn service_name(&self) -> &str {
        "sqs"
    }

    fn url_patterns(&self) -> Vec<&str> {
        vec![r"https?://sqs\..*\.amazonaws\.com"]
    }

    fn handle(&self, request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.split('.').next_back()).unwrap_or_default();
        let body = serde_json::from_slice(&request.body).unwrap_or_else(|_| Value::Object(Map::new()));
        let (status, answer) = match self.answer(operation, &body) {
            Ok(answer) => (200, answer),
            Err(Refusal(code, message)) => {
                (400, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message}))
            }
        };
        Box::pin(std::future::ready(MockResponse::json(status, answer.to_string())))
    }
}
