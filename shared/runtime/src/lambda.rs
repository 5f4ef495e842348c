//! AWS Lambda: one entry for requests of the HTTP API and for batches of the function's queue.

use std::future::Future;

use ads::Failure;
use ads::job::{Job, Queue};
use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Request, Response};
use jiff::Timestamp;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
pub use lambda_runtime::Error;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::deadline;
use crate::queue::{Delivery, Queues, consume};
use crate::reply::Reply;
use crate::route::Origin;

/// Serves a function that answers requests and has no queue, until Lambda ends the process.
pub async fn serve_requests<H, HF>(handle: H) -> Result<(), Error>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Reply>,
{
    let handle = &handle;
    let event = |event: LambdaEvent<Box<RawValue>>| async move {
        deadline::within(end_of(&event), answer(handle, event.payload.get())).await
    };
    // In a box, for its type is deeper than the compiler cares to look.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// Serves a function with a queue: its requests, and batches of its messages.
pub async fn serve<H, HF, P, PF>(queues: &Queues, queue: Queue, handle: H, process: P) -> Result<(), Error>
where
    H: Fn(Request<Bytes>) -> HF,
    HF: Future<Output = Reply>,
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    let (handle, process) = (&handle, &process);
    let event = |event: LambdaEvent<Box<RawValue>>| async move {
        let end = end_of(&event);
        let event = event.payload.get();
        match serde_json::from_str::<Shape>(event)?.records {
            Some(_) => deadline::within(end, work(queues, queue, process, event)).await,
            None => deadline::within(end, answer(handle, event)).await,
        }
    };
    // In a box, for its type is deeper than the compiler cares to look.
    Box::pin(lambda_runtime::run(service_fn(event))).await
}

/// When Lambda ends the invocation.
fn end_of<T>(event: &LambdaEvent<T>) -> Timestamp {
    let end = i64::try_from(event.context.deadline).ok();
    end.and_then(|end| Timestamp::from_millisecond(end).ok()).unwrap_or(Timestamp::MAX)
}

/// What tells a batch of messages from a request.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
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

async fn work<P, PF>(queues: &Queues, queue: Queue, process: &P, event: &str) -> Result<Box<RawValue>, Error>
where
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    let batch: SqsEvent = serde_json::from_str(event)?;
    let deliveries = batch.records.into_iter().map(|record| Delivery {
        // An empty id in the answer makes Lambda repeat the whole batch, which is right for a record without one.
        id: record.message_id.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
    });
    let mut answer = SqsBatchResponse::default();
    for id in consume(queues, queue, deliveries.collect(), process).await {
        answer.add_failure(id);
    }
    raw(&answer)
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
    use std::collections::HashMap;

    use http::StatusCode;

    use super::*;

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

    #[tokio::test]
    async fn of_a_batch_only_the_message_that_failed_comes_again() {
        let config =
            aws_sdk_sqs::Config::builder().behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest());
        let region = aws_sdk_sqs::config::Region::new("us-east-1");
        let client = aws_sdk_sqs::Client::from_conf(config.region(region).build());
        let queues = Queues::new(client, HashMap::new());
        let message = |id: &str, week: &str| {
            let body =
                format!(r#"{{"job":"sync_chunk","workspace":"w","ad_account":"act_1","week":"{week}"}}"#);
            serde_json::json!({"messageId": id, "body": body, "eventSource": "aws:sqs"})
        };
        let batch = serde_json::json!({"Records": [message("m1", "2026-W01"), message("m2", "2026-W02")]})
            .to_string();
        let process = |job: Job| async move {
            match job {
                Job::SyncChunk { week, .. } if week.to_string() == "2026-W02" => {
                    Err(Failure::Unavailable("not now".to_owned()))
                }
                _ => Ok(()),
            }
        };
        let answer = work(&queues, Queue::SyncMetricsChunk, &process, &batch).await.unwrap();
        assert_eq!(answer.get(), r#"{"batchItemFailures":[{"itemIdentifier":"m2"}]}"#);
        assert!(serde_json::from_str::<Shape>(&batch).unwrap().records.is_some());
        assert!(serde_json::from_str::<Shape>(REQUEST).unwrap().records.is_none());
    }
}
