//! AWS Lambda: one entry for requests of the HTTP API and for batches of the function's queue.

use std::future::Future;

use ads::Failure;
use ads::job::{Job, Queue};
use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Request, Response};
use jiff::Timestamp;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
pub use lambda_runtime::Error;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::deadline;
use crate::problem;
use crate::queue::{Delivery, Queues, consume};
use crate::reply::Reply;
use crate::route::Origin;
use crate::telemetry::{self, Envelope, Outcome, Unit};

/// Serves a function that answers requests and has no queue, until Lambda ends the process.
pub async fn serve_requests<H, HF>(handle: H) -> Result<(), Error>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Reply>,
{
    let handle = &handle;
    let event = |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context } = event;
        invocation(context, answer(handle, payload.get())).await
    };
    // In a box, for its type is deeper than the compiler cares to look.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// Serves a function with a queue: its requests, batches of its messages, and jobs that a schedule of the template
/// gives to it directly.
pub async fn serve<H, HF, P, PF>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    handle: H,
    process: P,
) -> Result<(), Error>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Reply>,
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    let (handle, process) = (&handle, &process);
    let event = |event| attend(queues, clock, queue, handle, process, event);
    // In a box, for its type is deeper than the compiler cares to look.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// Finds out what an event is and does it.
async fn attend<H, HF, P, PF>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    handle: &H,
    process: &P,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, Error>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Reply>,
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    let LambdaEvent { payload, context } = event;
    let event = payload.get();
    let shape: Shape = serde_json::from_str(event)?;
    let work = async {
        match shape {
            Shape { records: Some(_), .. } => work(queues, clock, queue, process, event).await,
            Shape { job: Some(_), .. } => work_directly(clock, queue, process, event).await,
            Shape { .. } => answer(handle, event).await,
        }
    };
    // In a box, for its type is deeper than the compiler cares to look.
    Box::pin(invocation(context, work)).await
}

/// Work that Lambda ends at a certain time, and knows by an id.
async fn invocation<F: Future>(context: Context, work: F) -> F::Output {
    let end = i64::try_from(context.deadline).ok().and_then(|end| Timestamp::from_millisecond(end).ok());
    deadline::within(end.unwrap_or(Timestamp::MAX), telemetry::invoked(context.request_id, work)).await
}

/// What tells a batch of messages and a single job from a request.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    job: Option<IgnoredAny>,
}

async fn answer<H, HF>(handle: &H, event: &str) -> Result<Box<RawValue>, Error>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Reply>,
{
    let mut request = lambda_http::request::from_str(event)?.map(|body| Bytes::from(body.to_vec()));
    if let Some(RequestContext::ApiGatewayV2(gateway)) = request.request_context_ref()
        && let Some(domain) = &gateway.domain_name
    {
        let origin = Origin(format!("https://{domain}"));
        request.extensions_mut().insert(origin);
    }
    raw(&gateway_response(handle(request).await))
}

async fn work<P, PF>(
    queues: &Queues,
    clock: &Clock,
    queue: Queue,
    process: &P,
    event: &str,
) -> Result<Box<RawValue>, Error>
where
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    let batch: SqsEvent = serde_json::from_str(event)?;
    let deliveries = batch.records.into_iter().map(delivery).collect();
    let mut answer = SqsBatchResponse::default();
    for id in consume(queues, clock, queue, deliveries, process).await {
        answer.add_failure(id);
    }
    raw(&answer)
}

fn delivery(record: SqsMessage) -> Delivery {
    let correlation = record.message_attributes.get(telemetry::ATTRIBUTE);
    let envelope = Envelope {
        // An empty id in the answer makes Lambda repeat the whole batch, which is right for a record without one.
        message_id: record.message_id.unwrap_or_default(),
        attempt: record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()),
        correlation: correlation.and_then(|value| value.string_value.as_deref()?.parse().ok()),
    };
    Delivery { envelope, body: record.body.unwrap_or_default() }
}

/// One job that came without a queue. Lambda invokes again, some time later, what fails: so only a failure that
/// may pass fails the invocation.
async fn work_directly<P, PF>(
    clock: &Clock,
    queue: Queue,
    process: &P,
    event: &str,
) -> Result<Box<RawValue>, Error>
where
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    let work = async {
        let job = serde_json::from_str::<Job>(event).map_err(|error| {
            telemetry::names("unreadable");
            Failure::Defect(format!("not a job: {error}"))
        });
        let ended = match job {
            Ok(job) => {
                telemetry::does(&job);
                process(job).await
            }
            Err(failure) => Err(failure),
        };
        let Err(failure) = ended else {
            telemetry::ends(Outcome::Done);
            return raw(&());
        };
        telemetry::meets(problem::kind(&failure));
        if failure.may_pass() {
            tracing::warn!(%failure, "An event will come again.");
            telemetry::ends(Outcome::Again);
            return Err("the event will come again".into());
        }
        tracing::error!(%failure, "An event cannot be done.");
        telemetry::ends(Outcome::Failed);
        raw(&())
    };
    Unit::event(queue.name(), clock).run(Box::pin(work)).await
}

fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, Error> {
    Ok(serde_json::value::to_raw_value(value)?)
}

/// API Gateway takes cookies apart from the other headers.
fn gateway_response(reply: Response<Bytes>) -> ApiGatewayV2httpResponse {
    let (mut parts, body) = reply.into_parts();
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = parts.status.as_u16().into();
    response.cookies = parts
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok().map(str::to_owned))
        .collect();
    parts.headers.remove(SET_COOKIE);
    response.headers = parts.headers;
    response.body = Some(match String::from_utf8(body.to_vec()) {
        Ok(text) => Body::Text(text),
        Err(bytes) => {
            response.is_base64_encoded = true;
            Body::Binary(bytes.into_bytes())
        }
    });
    response
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use std::collections::HashMap;

    use super::*;
    use crate::telemetry::heard::Heard;

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
            let mut reply = crate::reply::typed(StatusCode::CREATED, "application/json", "{}");
            reply.headers_mut().append(SET_COOKIE, http::HeaderValue::from_static("x=1"));
            reply.headers_mut().append(SET_COOKIE, http::HeaderValue::from_static("y=2"));
            reply
        };
        let answer: serde_json::Value =
            serde_json::from_str(answer(&handle, REQUEST).await.unwrap().get()).unwrap();
        assert_eq!(answer["statusCode"], 201);
        assert_eq!(answer["cookies"], serde_json::json!(["x=1", "y=2"]));
        assert_eq!(answer["headers"]["content-type"], "application/json");
        assert_eq!(answer["body"], "{}");
    }

    fn queues() -> Queues {
        let config =
            aws_sdk_sqs::Config::builder().behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest());
        let region = aws_sdk_sqs::config::Region::new("us-east-1");
        Queues::new(aws_sdk_sqs::Client::from_conf(config.region(region).build()), HashMap::new())
    }

    /// What an event is answered, and the lines that it leaves.
    async fn attended<PF>(event: &str, process: impl Fn(Job) -> PF) -> (Result<String, Error>, Vec<Value>)
    where
        PF: Future<Output = Result<(), Failure>>,
    {
        let heard = Heard::listen("info");
        let mut context = Context::default();
        context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        context.deadline = 4_102_444_800_000;
        let event = LambdaEvent::new(RawValue::from_string(event.to_owned()).unwrap(), context);
        let handle = |_: Request<Bytes>| async { crate::reply::no_content() };
        let (queues, clock) = (queues(), Clock::system());
        let answer = attend(&queues, &clock, Queue::SyncMetricsChunk, &handle, &process, event).await;
        (answer.map(|answer| answer.get().to_owned()), heard.lines())
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
                    Err(Failure::Unavailable("not now".to_owned()))
                }
                _ => Ok(()),
            }
        };
        let (answer, lines) = attended(&batch.to_string(), process).await;
        assert_eq!(answer.unwrap(), r#"{"batchItemFailures":[{"itemIdentifier":"message-2"}]}"#);
        let told: Vec<_> = canonical(&lines)
            .into_iter()
            .map(|line| {
                ["correlation", "message_id", "what", "outcome", "attempt"].map(|name| line[name].to_string())
            })
            .collect();
        let quoted = |texts: [&str; 5]| texts.map(str::to_owned);
        assert_eq!(
            told,
            [
                quoted([r#""story-0001""#, r#""message-1""#, r#""sync_chunk""#, r#""done""#, "1"]),
                quoted([r#""message-2""#, r#""message-2""#, r#""sync_chunk""#, r#""again""#, "4"]),
            ]
        );
        for line in canonical(&lines) {
            assert_eq!(line["request_id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
            assert!(line["remaining_ms"].as_i64().unwrap() > 0, "{line}");
        }
        let told_once: Vec<_> = lines.iter().filter(|line| line["failure"] == "not now").collect();
        assert_eq!(told_once.len(), 1);
        assert_eq!(told_once[0]["correlation"], "message-2");
    }

    #[tokio::test]
    async fn a_scheduled_job_goes_straight_to_the_function_and_only_what_may_pass_fails_the_invocation() {
        let (answer, lines) = attended(CHUNK, |_| async { Ok(()) }).await;
        assert_eq!(answer.unwrap(), "null");
        let [line] = canonical(&lines)[..] else { panic!("{lines:?}") };
        assert_eq!(
            (&line["kind"], &line["what"], &line["outcome"]),
            (&Value::from("event"), &Value::from("sync_chunk"), &Value::from("done"))
        );
        assert_eq!(line["correlation"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");

        let passes = |_| async { Err(Failure::Unavailable("not now".to_owned())) };
        let stays = |_| async { Err(Failure::NotFound("this".to_owned())) };
        let (answer, lines) = attended(CHUNK, passes).await;
        assert_eq!(answer.unwrap_err().to_string(), "the event will come again");
        let [line] = canonical(&lines)[..] else { panic!("{lines:?}") };
        assert_eq!(
            (&line["outcome"], &line["problem"]),
            (&Value::from("again"), &Value::from("unavailable"))
        );
        for event in [CHUNK, r#"{"job":"dance"}"#] {
            let (answer, lines) = attended(event, stays).await;
            assert_eq!(answer.unwrap(), "null");
            let [line] = canonical(&lines)[..] else { panic!("{lines:?}") };
            assert_eq!(line["outcome"], "failed");
            assert_eq!(lines.len(), 2, "the reason is told once: {lines:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_told_apart_from_a_job_whatever_is_in_it() {
        let (answer, _) = attended(REQUEST, |_| async { panic!("not a job") }).await;
        assert!(answer.unwrap().contains(r#""statusCode":204"#));
    }
}
