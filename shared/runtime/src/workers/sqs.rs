//! SQS client for a Worker, with signed requests. The AWS SDK would double the Worker's size.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use domain::Error;
use futures_util::future::{Either, select};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use worker::wasm_bindgen::JsValue;
use worker::{AbortController, Delay, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

use super::{Settings, unavailable};
use crate::envelope::BatchLimits;

/// SQS limits: ten messages and 1 MiB per call, with overhead for each message's frame, group and correlation id.
pub(super) const SEND_BATCH_LIMITS: BatchLimits =
    BatchLimits { max_messages: 10, max_bytes: 1_000_000, overhead_bytes: 500 };
/// Timeout of a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A message for SQS.
#[derive(Debug)]
pub(super) struct OutgoingMessage {
    pub(super) body: String,
    /// Fair queues: one busy tenant must not hold up the others.
    pub(super) group: String,
    pub(super) correlation: String,
}

/// Result of sending one message of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// SQS accepted it.
    Accepted,
    /// SQS will never accept it, with its reason.
    Rejected(String),
    /// SQS did not accept it this time, with its reason.
    Retry(String),
}

/// The queue of the function on Lambda.
pub(super) struct Sqs {
    url: String,
    region: String,
    access_key_id: SecretString,
    key: SecretString,
}

/// A signed call that is not sent yet.
pub(super) struct SignedCall(Request);

/// Status and body of a response.
pub(super) struct SqsResponse {
    status: u16,
    body: String,
}

impl Sqs {
    /// Returns the queue of the Worker's settings.
    pub(super) fn from_env(env: &Env) -> Result<Self, Error> {
        let mut settings = Settings::from_env(env);
        let sqs = Self {
            url: settings.var("WEBHOOK_QUEUE_URL"),
            region: settings.var("AWS_REGION"),
            access_key_id: settings.secret("AWS_ACCESS_KEY_ID"),
            key: settings.secret("AWS_SECRET_ACCESS_KEY"),
        };
        settings.check()?;
        Ok(sqs)
    }

    /// Creates a call that sends these messages, in order.
    pub(super) fn send_batch_call<'a>(
        &self,
        messages: impl Iterator<Item = &'a OutgoingMessage>,
    ) -> Result<SignedCall, Error> {
        let entries = messages.enumerate().map(|(index, message)| Entry {
            id: index.to_string(),
            message_body: &message.body,
            message_group_id: &message.group,
            message_attributes: Attributes {
                correlation: Attribute { data_type: "String", string_value: &message.correlation },
            },
        });
        let body = SendMessageBatchRequest { queue_url: &self.url, entries: entries.collect() };
        self.call("AmazonSQS.SendMessageBatch", &body)
    }

    /// Creates a call for the number of waiting messages.
    pub(super) fn queue_attributes_call(&self) -> Result<SignedCall, Error> {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let body = GetQueueAttributesRequest { queue_url: &self.url, attribute_names: names };
        self.call("AmazonSQS.GetQueueAttributes", &body)
    }

    fn call<T: Serialize>(&self, target: &'static str, body: &T) -> Result<SignedCall, Error> {
        let defect = |error: &dyn std::fmt::Display| Error::Internal(format!("a call of SQS: {error}"));
        let body = serde_json::to_string(body).map_err(|error| defect(&error))?;
        let endpoint = endpoint(&self.url)?;
        let known = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
        let (access_key_id, key) = (self.access_key_id.expose_secret(), self.key.expose_secret());
        let identity = Credentials::new(access_key_id, key, None, None, "worker").into();
        let since_epoch = Duration::from_millis(worker::Date::now().as_millis());
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sqs")
            .time(SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| defect(&error))?
            .into();
        let to_sign =
            SignableRequest::new("POST", endpoint, known.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let signed = to_sign.and_then(|request| sign(request, &params)).map_err(|error| defect(&error))?;
        let (instructions, _) = signed.into_parts();
        let headers = Headers::new();
        for (name, value) in known.into_iter().chain(instructions.headers()) {
            headers.set(name, value).map_err(|error| defect(&error))?;
        }
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_headers(headers).with_body(Some(JsValue::from_str(&body)));
        // SQS does not redirect, and a signed request must not be sent elsewhere.
        init.with_redirect(RequestRedirect::Manual);
        Request::new_with_init(endpoint, &init).map(SignedCall).map_err(|error| defect(&error))
    }
}

/// Returns `https://host/` of the queue's URL.
fn endpoint(url: &str) -> Result<&str, Error> {
    let host = url.find("://").map(|at| at.saturating_add(3));
    let slash = host.and_then(|host| Some(host.saturating_add(url.get(host..)?.find('/')?)));
    let endpoint = slash.and_then(|slash| url.get(..=slash));
    endpoint.ok_or_else(|| Error::Internal("WEBHOOK_QUEUE_URL is no address of a queue".to_owned()))
}

impl SignedCall {
    /// Sends the call, with a timeout of [`CALL_TIMEOUT`].
    pub(super) async fn send(self) -> Result<SqsResponse, Error> {
        let abort = AbortController::default();
        let signal = abort.signal();
        let fetch = Fetch::Request(self.0);
        let work = async {
            let mut response = fetch.send_with_signal(&signal).await?;
            Ok(SqsResponse { status: response.status_code(), body: response.text().await? })
        };
        let done = match select(pin!(work), Delay::from(CALL_TIMEOUT)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        };
        let Some(done) = done else {
            abort.abort();
            return Err(Error::Unavailable(format!("SQS: no answer in {} s", CALL_TIMEOUT.as_secs())));
        };
        done.map_err(|error: worker::Error| unavailable("SQS", &error))
    }
}

impl SqsResponse {
    /// Returns the outcome of each of `count` messages, or why the whole call failed.
    pub(super) fn outcomes(&self, count: usize) -> Result<Vec<SendOutcome>, Error> {
        if self.status != 200 {
            return Err(self.failure());
        }
        let sent: SendMessageBatchResponse = self.read()?;
        let outcome = |id: String| {
            if sent.successful.iter().any(|entry| entry.id == id) {
                return SendOutcome::Accepted;
            }
            match sent.failed.iter().find(|entry| entry.id == id) {
                Some(failed) if failed.sender_fault && blames_message(&failed.code) => {
                    SendOutcome::Rejected(format!("SQS refused it: {} {}", failed.code, failed.message))
                }
                Some(failed) => SendOutcome::Retry(format!("SQS: {} {}", failed.code, failed.message)),
                None => SendOutcome::Retry("SQS did not say what became of it".to_owned()),
            }
        };
        Ok((0..count).map(|index| outcome(index.to_string())).collect())
    }

    /// Returns the numbers of waiting messages and of messages in flight at AWS.
    pub(super) fn backlog(&self) -> Result<(u64, u64), Error> {
        if self.status != 200 {
            return Err(self.failure());
        }
        let response: GetQueueAttributesResponse = self.read()?;
        let number = |text: String| text.parse().unwrap_or_default();
        Ok((number(response.attributes.waiting), number(response.attributes.in_flight)))
    }

    fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_str(&self.body).map_err(|error| Error::Unavailable(format!("SQS: {error}")))
    }

    /// Classifies a failed call. Returns [`Error::RejectedByPlatform`] when a message is at fault. Every other error
    /// concerns the key, the queue or SQS itself, and a later attempt may succeed.
    fn failure(&self) -> Error {
        let error: SqsError = serde_json::from_str(&self.body).unwrap_or_default();
        let code = error.kind.rsplit('#').next().unwrap_or_default();
        let why = format!("SQS answered {}: {code} {}", self.status, error.message);
        let of_message = ["InvalidMessageContents", "BatchRequestTooLong"];
        if of_message.iter().any(|known| code.starts_with(known)) {
            Error::RejectedByPlatform(why)
        } else {
            Error::Unavailable(why)
        }
    }
}

/// Checks whether a code blames a message. KMS and permission errors count as sender faults too, but not as the
/// message's.
fn blames_message(code: &str) -> bool {
    !["kms", "accessdenied", "throttl"].iter().any(|other| code.to_ascii_lowercase().contains(other))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatchRequest<'a> {
    queue_url: &'a str,
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: String,
    message_body: &'a str,
    message_group_id: &'a str,
    message_attributes: Attributes<'a>,
}

#[derive(Serialize)]
struct Attributes<'a> {
    correlation: Attribute<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'a> {
    data_type: &'static str,
    string_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributesRequest<'a> {
    queue_url: &'a str,
    attribute_names: [&'static str; 2],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatchResponse {
    #[serde(default)]
    successful: Vec<SuccessfulEntry>,
    #[serde(default)]
    failed: Vec<FailedEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SuccessfulEntry {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailedEntry {
    id: String,
    #[serde(default)]
    sender_fault: bool,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributesResponse {
    attributes: QueueAttributes,
}

#[derive(Deserialize)]
struct QueueAttributes {
    #[serde(rename = "ApproximateNumberOfMessages", default)]
    waiting: String,
    #[serde(rename = "ApproximateNumberOfMessagesNotVisible", default)]
    in_flight: String,
}

#[derive(Default, Deserialize)]
struct SqsError {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}
