//! AWS as the Worker calls it: SQS by its JSON protocol over HTTP, with simulated outages, and behind it the function
//! that processes changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use domain::job::{Job, Queue};
use hosts::edge::AWS_KEY;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use local::calls::Recorders;
use local::cloud::Cloud;
use local::data::Data;
use local::tenant::tenant;
use runtime::Clock;
use runtime::queue::{Delivery, consume};
use runtime::telemetry::MessageMetadata;
use serde_json::{Value, json};
use store::account::AdAccount;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webhook_ingest::WebhookIngest;

use super::aws_signature;

/// The ad account of the changes, selected in one workspace.
pub(super) const ACCOUNT: &str = "77";

/// How AWS responds at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    /// Normally.
    Available,
    /// With 503.
    Unavailable,
    /// Never.
    Hanging,
    /// Accepts messages, and responds so that a crashable Worker crashes before it reads the response.
    CrashesWorker,
}

/// The queue at AWS and the function behind it.
pub(super) struct AwsBackend {
    /// The URL of the queue.
    pub(super) queue_url: String,
    state: Arc<BackendState>,
    ingest: WebhookIngest,
    server: JoinHandle<()>,
}

struct BackendState {
    cloud: Cloud,
    availability: Mutex<Availability>,
    calls: Mutex<Vec<Value>>,
}

impl AwsBackend {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let clock = Clock::system();
        let data = Data::Memory;
        let cloud = Cloud::start(&data, &data.secrets()?, &clock, 300, Recorders::default()).await?;
        let (workspace, account) = (tenant("demo")?, format!("act_{ACCOUNT}").parse()?);
        let account = AdAccount {
            connection: Some("c1".parse()?),
            accessible: true,
            selected: true,
            ..AdAccount::new(account, "SGD".parse()?, "Asia/Singapore".to_owned())
        };
        cloud.table.upsert_account(&workspace, &account, None).await?;
        let ingest = WebhookIngest::new(cloud.table.clone(), cloud.queues.clone(), clock);
        let state = BackendState {
            cloud,
            availability: Mutex::new(Availability::Available),
            calls: Mutex::default(),
        };
        let state = Arc::new(state);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let queue_url = format!("http://{}/123456789012/webhook-ingest", listener.local_addr()?);
        let router = Router::new().fallback(handle).with_state(state.clone());
        let server = tokio::spawn(async move {
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { queue_url, state, ingest, server })
    }

    pub(super) fn set_availability(&self, availability: Availability) {
        *lock(&self.state.availability) = availability;
    }

    /// Returns every call in order: its path, its target and its document.
    pub(super) fn calls(&self) -> Vec<Value> {
        lock(&self.state.calls).clone()
    }

    /// Returns the number of messages that have arrived and are not processed yet.
    pub(super) async fn waiting_messages(&self) -> anyhow::Result<u64> {
        let url = &self.state.cloud.queues.address(Queue::WebhookIngest.name())?.url;
        let request = self.state.cloud.sqs.get_queue_attributes().queue_url(url);
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let response = request.attribute_names(name.clone()).send().await?.attributes.unwrap_or_default();
        let count = response.get(&name).context("a queue without a count")?;
        Ok(count.parse()?)
    }

    /// Processes the messages that have arrived, and returns their number.
    pub(super) async fn process_messages(&self) -> anyhow::Result<usize> {
        let mut taken = 0;
        loop {
            let bodies = self.receive(Queue::WebhookIngest).await?;
            if bodies.is_empty() {
                return Ok(taken);
            }
            taken += bodies.len();
            let delivery = |(id, body): (usize, _)| {
                let metadata =
                    MessageMetadata { message_id: id.to_string(), attempt: None, correlation: None };
                Delivery { metadata, body }
            };
            let deliveries = bodies.into_iter().enumerate().map(delivery).collect();
            let process = |job| self.ingest.process(job);
            let Cloud { queues, clock, .. } = &self.state.cloud;
            let again = consume(queues, clock, Queue::WebhookIngest, deliveries, process).await;
            anyhow::ensure!(again.is_empty(), "{} messages were not taken in", again.len());
        }
    }

    /// Returns how often each object was listed to be synced.
    pub(super) async fn effects(&self) -> anyhow::Result<BTreeMap<u64, usize>> {
        let mut effects = BTreeMap::new();
        loop {
            let bodies = self.receive(Queue::SyncEntities).await?;
            if bodies.is_empty() {
                return Ok(effects);
            }
            for body in bodies {
                let Job::SyncChangedEntities { workspace, ad_account } = serde_json::from_str(&body)? else {
                    anyhow::bail!("another effect: {body}");
                };
                let table = &self.state.cloud.table;
                let changed = table.take_changed_entities(&workspace, &ad_account).await?;
                table
                    .complete_changed_entities(
                        &workspace,
                        &ad_account,
                        &changed,
                        self.state.cloud.clock.now(),
                    )
                    .await?;
                for (_, entity) in changed {
                    *effects.entry(entity.as_str().parse()?).or_default() += 1;
                }
            }
        }
    }

    async fn receive(&self, queue: Queue) -> anyhow::Result<Vec<String>> {
        let (sqs, url) = (&self.state.cloud.sqs, &self.state.cloud.queues.address(queue.name())?.url);
        let received = sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await?;
        let mut bodies = Vec::new();
        for message in received.messages.unwrap_or_default() {
            let receipt = message.receipt_handle.context("a message without a receipt")?;
            sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await?;
            bodies.push(message.body.unwrap_or_default());
        }
        Ok(bodies)
    }
}

/// Locks, ignoring a poisoned mutex: a scenario that failed elsewhere still reads its state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for AwsBackend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(
    State(state): State<Arc<BackendState>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    lock(&state.calls).push(json!({
        "uri": uri.to_string(), "target": target, "document": document,
    }));
    let availability = *lock(&state.availability);
    if availability == Availability::Hanging {
        return std::future::pending().await;
    }
    if availability == Availability::Unavailable {
        return respond(StatusCode::SERVICE_UNAVAILABLE, &json!({"__type": "ServiceUnavailable"}));
    }
    if let Err(why) = aws_signature::check(&headers, &body, "AKIAEDGE", AWS_KEY) {
        let error =
            json!({"__type": "com.amazon.coral.service#SignatureDoesNotMatch", "message": why.to_string()});
        return respond(StatusCode::FORBIDDEN, &error);
    }
    let outcome = match target {
        "AmazonSQS.SendMessageBatch" => send(&state.cloud, &document).await,
        "AmazonSQS.GetQueueAttributes" => Ok(json!({"Attributes": {
            "ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "2"}})),
        other => Err(anyhow::anyhow!("{other} is not implemented")),
    };
    match outcome {
        Ok(result) => {
            let mut response = respond(StatusCode::OK, &result);
            if availability == Availability::CrashesWorker {
                response.headers_mut().insert("crash-the-worker", HeaderValue::from_static("now"));
            }
            response
        }
        Err(error) => {
            respond(StatusCode::BAD_REQUEST, &json!({"__type": "Odd", "message": error.to_string()}))
        }
    }
}

/// Sends as SQS does: accepts what XML 1.0 can carry, and refuses the other messages of a batch one by one.
async fn send(cloud: &Cloud, document: &Value) -> anyhow::Result<Value> {
    let entries = document["Entries"].as_array().context("no entries")?;
    anyhow::ensure!((1..=10).contains(&entries.len()), "{} entries", entries.len());
    let bytes: usize = entries.iter().filter_map(|entry| entry["MessageBody"].as_str()).map(str::len).sum();
    anyhow::ensure!(bytes <= 1_048_576, "{bytes} bytes");
    let url = &cloud.queues.address(Queue::WebhookIngest.name())?.url;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let body = entry["MessageBody"].as_str().context("no body")?;
        let correlation = entry["MessageAttributes"]["correlation"]["StringValue"].as_str();
        correlation.filter(|correlation| !correlation.is_empty()).context("no correlation")?;
        let job: Job = serde_json::from_str(body)?;
        anyhow::ensure!(entry["MessageGroupId"] == job.message_group_id(), "{entry}");
        if body.contains(['\u{fffe}', '\u{ffff}']) {
            failed.push(json!({"Id": entry["Id"], "SenderFault": true, "Code": "InvalidMessageContents",
                "Message": "The message contains characters outside the allowed set."}));
            continue;
        }
        let sent = cloud.sqs.send_message().queue_url(url).message_body(body).send().await?;
        successful.push(json!({"Id": entry["Id"], "MessageId": sent.message_id}));
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn respond(status: StatusCode, document: &Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    response
}
