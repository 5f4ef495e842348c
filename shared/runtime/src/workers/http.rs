//! Converts HTTP between a Worker and a function.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use domain::{Error, FieldError};
use futures_util::StreamExt;
use http::{Method, Request, Uri};
use worker::{Env, Headers, ResponseBuilder};

use super::{Queues, app_secrets, telemetry};
use crate::router::{MAX_READ_BYTES, too_large};
use crate::telemetry::{CORRELATION_HEADER, CorrelationId};
use crate::{AppSecrets, Response, problem};

/// Handles a request with `handler`, which gets the queue and the secrets of this Worker. Copies only the headers that
/// the function reads from JavaScript: copying all of them costs more than verifying a signature.
pub async fn serve<F, Fut>(
    request: worker::Request,
    env: &Env,
    headers: &[&'static str],
    handler: F,
) -> worker::Result<worker::Response>
where
    F: FnOnce(Request<Bytes>, Queues, AppSecrets) -> Fut,
    Fut: Future<Output = Response>,
{
    telemetry::init();
    let started_at_ms = worker::Date::now().as_millis();
    let correlation = correlation(request.headers());
    let response = match prepare(request, env, headers, &correlation).await {
        Ok((request, queues, secrets)) => handler(request, queues, secrets).await,
        Err(response) => {
            // It did not reach the function, which logs every other request.
            let status = response.status().as_u16();
            let duration_ms = worker::Date::now().as_millis().saturating_sub(started_at_ms);
            tracing::warn!(status, %correlation, duration_ms, "A request was refused at the edge.");
            *response
        }
    };
    to_worker(response)
}

async fn prepare(
    request: worker::Request,
    env: &Env,
    headers: &[&'static str],
    correlation: &CorrelationId,
) -> Result<(Request<Bytes>, Queues, AppSecrets), Box<Response>> {
    let failed = |error: Error| Box::new(problem::to_response(&error));
    let queues = Queues::from_env(env).map_err(failed)?;
    let secrets = app_secrets(env).map_err(failed)?;
    Ok((from_worker(request, headers, correlation).await?, queues, secrets))
}

/// Returns Cloudflare's id of the request, which correlates its logs with ours; otherwise a generated id.
fn correlation(headers: &Headers) -> CorrelationId {
    let ray = headers.get("cf-ray").ok().flatten();
    ray.and_then(|ray| ray.parse().ok()).unwrap_or_else(CorrelationId::generate)
}

async fn from_worker(
    mut request: worker::Request,
    wanted: &[&'static str],
    correlation: &CorrelationId,
) -> Result<Request<Bytes>, Box<Response>> {
    let invalid = || Box::new(problem::to_response(&FieldError::new("request", "is not HTTP").into()));
    let method = request.inner().method().parse::<Method>().map_err(|_| invalid())?;
    let uri = request.inner().url().parse::<Uri>().map_err(|_| invalid())?;
    let mut builder =
        Request::builder().method(method).uri(uri).header(CORRELATION_HEADER, correlation.as_str());
    for name in wanted {
        // Repeated headers arrive as one comma-separated value.
        if let Some(value) = request.headers().get(name).ok().flatten() {
            builder = builder.header(*name, value);
        }
    }
    let body = body(&mut request).await?;
    builder.body(body).map_err(|_| invalid())
}

/// Reads the body within the limit: by its declared length, otherwise by counting.
async fn body(request: &mut worker::Request) -> Result<Bytes, Box<Response>> {
    let broken_off =
        |_| Box::new(problem::to_response(&FieldError::new("body", "did not come whole").into()));
    let declared_length = request.headers().get("content-length").ok().flatten();
    if let Some(declared_length) = declared_length.and_then(|digits| digits.parse::<usize>().ok()) {
        if declared_length > MAX_READ_BYTES {
            return Err(Box::new(too_large(MAX_READ_BYTES)));
        }
        // HTTP enforces the declared length.
        return request.bytes().await.map(Bytes::from).map_err(broken_off);
    }
    // A GET has no stream.
    let Ok(mut stream) = request.stream() else { return Ok(Bytes::new()) };
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(broken_off)?);
        if body.len() > MAX_READ_BYTES {
            return Err(Box::new(too_large(MAX_READ_BYTES)));
        }
    }
    Ok(body.freeze())
}

fn to_worker(response: Response) -> worker::Result<worker::Response> {
    let (head, body) = response.into_parts();
    let headers = Headers::new();
    for (name, value) in &head.headers {
        headers.append(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    let builder = ResponseBuilder::new().with_status(head.status.as_u16()).with_headers(headers);
    if body.is_empty() { Ok(builder.empty()) } else { Ok(builder.fixed(body.to_vec())) }
}
