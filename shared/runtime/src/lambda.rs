//! AWS Lambda: one entry point for requests of the HTTP API, batches of the function's queue, and the table's stream.

use std::future::Future;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::Error;
use domain::job::{Job, Queue};
use http::header::{CONTENT_ENCODING, COOKIE, SET_COOKIE};
use http::{HeaderValue, Request};
use jiff::Timestamp;
pub use lambda_runtime::Error as BoxError;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::deadline;
use crate::problem;
use crate::queue::{Delivery, Queues, consume};
use crate::request::Origin;
use crate::response::Response;
use crate::stream::{self, StreamBatch, WrittenItem};
use crate::telemetry::{self, MessageMetadata, Outcome, UnitOfWork};

/// Serves a function that handles requests and has no queue.
pub async fn serve_requests<H, HF>(handle: H) -> Result<(), BoxError>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Response>,
{
    let handle = &handle;
    let event = |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context } = event;
        run_invocation(context, handle_request(handle, payload.get())).await
    };
    // Boxed: the future's type is too deep for the compiler.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// Serves a function that handles requests and publishes items written into the table.
pub async fn serve_with_stream<H, HF, P, PF>(
    clock: &Clock,
    function: &'static str,
    handle: H,
    publish: P,
) -> Result<(), BoxError>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Response>,
    P: Fn(Vec<WrittenItem>) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let (handle, publish) = (&handle, &publish);
    let event = |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context } = event;
        let shape: EventShape = serde_json::from_str(payload.get())?;
        let work = async {
            match shape {
                EventShape { records: Some(_), .. } => {
                    publish_batch(clock, function, publish, payload.get()).await
                }
                EventShape { .. } => handle_request(handle, payload.get()).await,
            }
        };
        Box::pin(run_invocation(context, work)).await
    };
    // Boxed: the future's type is too deep for the compiler.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// Publishes a batch of the table's stream. Lambda delivers the batch again from its first failed record on.
async fn publish_batch<P, PF>(
    clock: &Clock,
    function: &'static str,
    publish: &P,
    event: &str,
) -> Result<Box<RawValue>, BoxError>
where
    P: Fn(Vec<WrittenItem>) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let items = serde_json::from_str::<StreamBatch>(event)?.written();
    let first = items.first().map(|item| item.sequence_number.clone());
    let mut response = SqsBatchResponse::default();
    if let Some(first) = first
        && !stream::publish(function, clock, items, publish).await
    {
        response.add_failure(first);
    }
    to_raw(&response)
}

/// Serves a function with a queue: requests, batches of messages, and jobs that a schedule of the template invokes
/// directly.
pub async fn serve<H, HF, P, PF>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    handle: H,
    process: P,
) -> Result<(), BoxError>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Response>,
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let (handle, process) = (&handle, &process);
    let event = |event| dispatch(queues, clock, queue, handle, process, event);
    // Boxed: the future's type is too deep for the compiler.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// Determines the kind of an event and processes it.
async fn dispatch<H, HF, P, PF>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    handle: &H,
    process: &P,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, BoxError>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Response>,
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let LambdaEvent { payload, context } = event;
    let event = payload.get();
    let event_shape: EventShape = serde_json::from_str(event)?;
    let work = async {
        match event_shape {
            EventShape { records: Some(_), .. } => process_batch(queues, clock, queue, process, event).await,
            EventShape { job: Some(_), .. } => process_direct(clock, queue, process, event).await,
            EventShape { .. } => handle_request(handle, event).await,
        }
    };
    // Boxed: the future's type is too deep for the compiler.
    Box::pin(run_invocation(context, work)).await
}

/// Runs work with the deadline and the request id of its Lambda invocation.
async fn run_invocation<F: Future>(context: Context, work: F) -> F::Output {
    let end = i64::try_from(context.deadline).ok().and_then(|end| Timestamp::from_millisecond(end).ok());
    deadline::with_deadline(
        end.unwrap_or(Timestamp::MAX),
        telemetry::with_request_id(context.request_id, work),
    )
    .await
}

/// Distinguishes a batch of messages and a single job from a request.
#[derive(Deserialize)]
struct EventShape {
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    job: Option<IgnoredAny>,
}

async fn handle_request<H, HF>(handle: &H, event: &str) -> Result<Box<RawValue>, BoxError>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Response>,
{
    to_raw(&gateway_response(handle(gateway_request(serde_json::from_str(event)?)?).await))
}

/// Converts a request of the HTTP API, which decodes paths and passes queries on as they were sent.
fn gateway_request(event: ApiGatewayV2httpRequest) -> Result<Request<Bytes>, BoxError> {
    let ApiGatewayV2httpRequest { raw_path, raw_query_string, mut headers, cookies, body, .. } = event;
    let body = body.unwrap_or_default();
    let body = if event.is_base64_encoded { BASE64_STANDARD.decode(body)? } else { body.into_bytes() };
    let mut uri = encoded(&raw_path.unwrap_or_default(), "");
    if let Some(query) = raw_query_string.filter(|query| !query.is_empty()) {
        uri = format!("{uri}?{}", encoded(&query, "?"));
    }
    let cookies = cookies.map(|cookies| HeaderValue::from_str(&cookies.join("; "))).transpose();
    if let Ok(Some(cookies)) = cookies {
        headers.insert(COOKIE, cookies);
    }
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = event.request_context.http.method;
    *request.uri_mut() = uri.parse()?;
    *request.headers_mut() = headers;
    if let Some(domain) = event.request_context.domain_name {
        request.extensions_mut().insert(Origin(format!("https://{domain}")));
    }
    Ok(request)
}

/// Percent-encodes what a part of an address may not have, so that nothing that a stranger sends is no address.
fn encoded(text: &str, also: &str) -> String {
    let is_allowed = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || "-._~!$&'()*+,;=:@/%".contains(char::from(byte))
            || also.contains(char::from(byte))
    };
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match is_allowed(byte) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

async fn process_batch<P, PF>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    process: &P,
    event: &str,
) -> Result<Box<RawValue>, BoxError>
where
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let batch: SqsEvent = serde_json::from_str(event)?;
    let deliveries = batch.records.into_iter().map(delivery).collect();
    let mut response = SqsBatchResponse::default();
    for id in consume(queues, clock, queue, deliveries, process).await {
        response.add_failure(id);
    }
    to_raw(&response)
}

fn delivery(record: SqsMessage) -> Delivery {
    let correlation = record.message_attributes.get(telemetry::CORRELATION_ATTRIBUTE);
    let metadata = MessageMetadata {
        // An empty id in the response makes Lambda retry the whole batch, which is right for a record without an id.
        message_id: record.message_id.unwrap_or_default(),
        attempt: record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()),
        correlation: correlation.and_then(|value| value.string_value.as_deref()?.parse().ok()),
    };
    Delivery { metadata, body: record.body.unwrap_or_default() }
}

/// Processes one job that was invoked without a queue. Lambda retries a failed invocation later, so only a retryable
/// error fails it.
async fn process_direct<P, PF>(
    clock: &Clock,
    queue: Queue,
    process: &P,
    event: &str,
) -> Result<Box<RawValue>, BoxError>
where
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Error>>,
{
    let work = async {
        let job = serde_json::from_str::<Job>(event).map_err(|error| {
            telemetry::record_operation("unreadable");
            Error::Internal(format!("not a job: {error}"))
        });
        let ended = match job {
            Ok(job) => {
                telemetry::record_job(&job);
                process(job).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = ended else {
            telemetry::record_outcome(Outcome::Done);
            return to_raw(&());
        };
        telemetry::record_problem(problem::kind(&error));
        if error.is_retryable() {
            tracing::warn!(%error, "An event will come again.");
            telemetry::record_outcome(Outcome::WillRetry);
            return Err("the event will come again".into());
        }
        tracing::error!(%error, "An event cannot be done.");
        telemetry::record_outcome(Outcome::Failed);
        to_raw(&())
    };
    UnitOfWork::event(queue.name(), clock).run(Box::pin(work)).await
}

fn to_raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, BoxError> {
    Ok(serde_json::value::to_raw_value(value)?)
}

/// Converts a response. API Gateway takes cookies apart from the other headers.
fn gateway_response(response: Response) -> ApiGatewayV2httpResponse {
    let (mut parts, body) = response.into_parts();
    let mut gateway = ApiGatewayV2httpResponse::default();
    gateway.status_code = parts.status.as_u16().into();
    gateway.cookies = parts
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok().map(str::to_owned))
        .collect();
    parts.headers.remove(SET_COOKIE);
    gateway.headers = parts.headers;
    let is_text = !gateway.headers.contains_key(CONTENT_ENCODING);
    gateway.body = Some(match String::from_utf8(body.to_vec()) {
        Ok(text) if is_text => Body::Text(text),
        Ok(_) | Err(_) => {
            gateway.is_base64_encoded = true;
            Body::Binary(body.to_vec())
        }
    });
    gateway
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use std::collections::HashMap;

    use super::*;
    use crate::telemetry::capture::LogCapture;

    const REQUEST: &str = r#"{"version":"2.0","routeKey":"$default","rawPath":"/v1/x","rawQueryString":"a=1&a=2",
        "headers":{"authorization":"Bearer t","content-type":"application/json"},"cookies":["c=1"],
        "requestContext":{"accountId":"1","apiId":"1","domainName":"d","domainPrefix":"d","http":{"method":"POST",
        "path":"/v1/x","protocol":"HTTP/1.1","sourceIp":"1.1.1.1","userAgent":"a"},"requestId":"r","routeKey":"$default",
        "stage":"$default","time":"t","timeEpoch":1},"body":"eyJhIjoxfQ==","isBase64Encoded":true}"#;

    #[tokio::test]
    async fn a_request_of_the_http_api_arrives_whole_and_its_answer_leaves_whole() {
        let handle = |request: Request<Bytes>| async move {
            assert_eq!(request.method(), "POST");
            assert_eq!(request.uri().path(), "/v1/x");
            assert_eq!(request.uri().query(), Some("a=1&a=2"));
            assert_eq!(request.headers()["authorization"], "Bearer t");
            assert_eq!(&request.body()[..], br#"{"a":1}"#, "base64 is undone: signatures are over raw bytes");
            let mut response = crate::response::typed(StatusCode::CREATED, "application/json", "{}");
            response.headers_mut().append(SET_COOKIE, http::HeaderValue::from_static("x=1"));
            response.headers_mut().append(SET_COOKIE, http::HeaderValue::from_static("y=2"));
            response
        };
        let response: serde_json::Value =
            serde_json::from_str(handle_request(&handle, REQUEST).await.unwrap().get()).unwrap();
        assert_eq!(response["statusCode"], 201);
        assert_eq!(response["cookies"], serde_json::json!(["x=1", "y=2"]));
        assert_eq!(response["headers"]["content-type"], "application/json");
        assert_eq!(response["body"], "{}");
    }

    #[tokio::test]
    async fn what_is_no_address_is_answered_like_any_other_request() {
        let handle = |request: Request<Bytes>| async move {
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
            crate::response::typed(StatusCode::NOT_FOUND, "text/plain", format!("{path} {query}"))
        };
        for (path, query, seen) in [
            ("/v1/a#b", r#"x=\"<>\""#, "/v1/a%23b x=%22%3C%3E%22"),
            ("/v1/a?b", "x=1?2#3", "/v1/a%3Fb x=1?2%233"),
            ("/v1/act_1/../act_2", "", "/v1/act_1/../act_2 "),
            ("/v1/b ü", "q=%C3%BC ü", "/v1/b%20%C3%BC q=%C3%BC%20%C3%BC"),
        ] {
            let event = REQUEST.replace(
                "\"/v1/x\",\"rawQueryString\":\"a=1&a=2\"",
                &format!("\"{path}\",\"rawQueryString\":\"{query}\""),
            );
            let response: Value =
                serde_json::from_str(handle_request(&handle, &event).await.unwrap().get()).unwrap();
            assert_eq!((&response["statusCode"], &response["body"]), (&404.into(), &seen.into()));
        }
    }

    fn queues() -> Queues {
        let config =
            aws_sdk_sqs::Config::builder().behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest());
        let region = aws_sdk_sqs::config::Region::new("us-east-1");
        Queues::new(aws_sdk_sqs::Client::from_conf(config.region(region).build()), HashMap::new())
    }

    /// Dispatches an event. Returns the response and the log lines.
    async fn dispatched<PF>(
        event: &str,
        process: impl Fn(Job) -> PF,
    ) -> (Result<String, BoxError>, Vec<Value>)
    where
        PF: Future<Output = Result<(), Error>>,
    {
        let capture = LogCapture::start("info");
        let mut context = Context::default();
        context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        context.deadline = 4_102_444_800_000;
        let event = LambdaEvent::new(RawValue::from_string(event.to_owned()).unwrap(), context);
        let handle = |_: Request<Bytes>| async { crate::response::no_content() };
        let (queues, clock) = (queues(), Clock::system());
        let response = dispatch(&queues, &clock, Queue::SyncMetricsChunk, &handle, &process, event).await;
        (response.map(|response| response.get().to_owned()), capture.lines())
    }

    fn canonical(lines: &[Value]) -> Vec<&Value> {
        lines.iter().filter(|line| line.get("_aws").is_some()).collect()
    }

    const CHUNK: &str = r#"{"job":"sync_chunk","workspace":"w","ad_account":"act_1","week":"2026-W01"}"#;

    #[tokio::test]
    async fn of_a_batch_only_the_message_that_failed_comes_again_and_each_has_its_line() {
        let second = CHUNK.replace("W01", "W02");
        let batch = serde_json::json!({"Records": [
            {"messageId": "message-1", "body": CHUNK, "eventSource": "aws:sqs",
             "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes":
             {"correlation": {"stringValue": "story-0001", "dataType": "String"}}},
            {"messageId": "message-2", "body": second, "eventSource": "aws:sqs",
             "attributes": {"ApproximateReceiveCount": "4"}, "messageAttributes": {}}
        ]});
        let process = |job: Job| async move {
            match job {
                Job::SyncChunk { week, .. } if week.to_string() == "2026-W02" => {
                    Err(Error::Unavailable("not now".to_owned()))
                }
                _ => Ok(()),
            }
        };
        let (response, lines) = dispatched(&batch.to_string(), process).await;
        assert_eq!(response.unwrap(), r#"{"batchItemFailures":[{"itemIdentifier":"message-2"}]}"#);
        let emitted: Vec<_> = canonical(&lines)
            .into_iter()
            .map(|line| {
                ["correlation", "message_id", "operation", "outcome", "attempt"]
                    .map(|name| line[name].to_string())
            })
            .collect();
        let quoted = |texts: [&str; 5]| texts.map(str::to_owned);
        assert_eq!(
            emitted,
            [
                quoted([r#""story-0001""#, r#""message-1""#, r#""sync_chunk""#, r#""done""#, "1"]),
                quoted([r#""message-2""#, r#""message-2""#, r#""sync_chunk""#, r#""will_retry""#, "4"]),
            ]
        );
        for line in canonical(&lines) {
            assert_eq!(line["request_id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
            assert!(line["remaining_ms"].as_i64().unwrap() > 0, "{line}");
        }
        let logged_once: Vec<_> = lines.iter().filter(|line| line["error"] == "not now").collect();
        assert_eq!(logged_once.len(), 1);
        assert_eq!(logged_once[0]["correlation"], "message-2");
    }

    #[tokio::test]
    async fn a_scheduled_job_goes_straight_to_the_function_and_only_what_may_pass_fails_the_invocation() {
        let (response, lines) = dispatched(CHUNK, |_| async { Ok(()) }).await;
        assert_eq!(response.unwrap(), "null");
        let [line] = canonical(&lines)[..] else { panic!("{lines:?}") };
        assert_eq!(
            (&line["kind"], &line["operation"], &line["outcome"]),
            (&Value::from("event"), &Value::from("sync_chunk"), &Value::from("done"))
        );
        assert_eq!(line["correlation"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");

        let passes = |_| async { Err(Error::Unavailable("not now".to_owned())) };
        let stays = |_| async { Err(Error::NotFound("this".to_owned())) };
        let (response, lines) = dispatched(CHUNK, passes).await;
        assert_eq!(response.unwrap_err().to_string(), "the event will come again");
        let [line] = canonical(&lines)[..] else { panic!("{lines:?}") };
        assert_eq!(
            (&line["outcome"], &line["problem"]),
            (&Value::from("will_retry"), &Value::from("unavailable"))
        );
        for event in [CHUNK, r#"{"job":"dance"}"#] {
            let (response, lines) = dispatched(event, stays).await;
            assert_eq!(response.unwrap(), "null");
            let [line] = canonical(&lines)[..] else { panic!("{lines:?}") };
            assert_eq!(line["outcome"], "failed");
            assert_eq!(lines.len(), 2, "the reason is logged once: {lines:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_told_apart_from_a_job_whatever_is_in_it() {
        let (response, _) = dispatched(REQUEST, |_| async { panic!("not a job") }).await;
        assert!(response.unwrap().contains(r#""statusCode":204"#));
    }
}
