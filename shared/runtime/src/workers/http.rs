//! HTTP as a Worker gets it, and as our functions speak it.

use std::future::Future;

use ads::{Failure, Invalid};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{Method, Request, Uri};
use worker::{Env, Headers, Response, ResponseBuilder};

use super::{Queues, app_secrets, telemetry};
use crate::route::{LARGEST_BODY, too_large};
use crate::telemetry::{Correlation, HEADER};
use crate::{AppSecrets, Reply, problem};

/// Answers a request with `answer`, which gets the queue and the secrets of this Worker. Only the headers that
/// the function reads are brought over from JavaScript: copying all of them costs more than a signature.
pub async fn serve<F, Fut>(
    request: worker::Request,
    env: &Env,
    headers: &[&'static str],
    answer: F,
) -> worker::Result<Response>
where
    F: FnOnce(Request<Bytes>, Queues, AppSecrets) -> Fut,
    Fut: Future<Output = Reply>,
{
    telemetry::init();
    let began = worker::Date::now().as_millis();
    let correlation = correlation(request.headers());
    let reply = match prepare(request, env, headers, &correlation).await {
        Ok((request, queues, secrets)) => answer(request, queues, secrets).await,
        Err(reply) => {
            // It did not reach the function, whose door tells of every other request.
            let status = reply.status().as_u16();
            let duration_ms = worker::Date::now().as_millis().saturating_sub(began);
            tracing::warn!(status, %correlation, duration_ms, "A request was refused at the edge.");
            *reply
        }
    };
    to_worker(reply)
}

async fn prepare(
    request: worker::Request,
    env: &Env,
    headers: &[&'static str],
    correlation: &Correlation,
) -> Result<(Request<Bytes>, Queues, AppSecrets), Box<Reply>> {
    let failed = |failure: Failure| Box::new(problem::answer(&failure));
    let queues = Queues::of(env).map_err(failed)?;
    let secrets = app_secrets(env).map_err(failed)?;
    Ok((from_worker(request, headers, correlation).await?, queues, secrets))
}

/// Cloudflare's own name of the request, so that its logs and ours meet; else a name of ours.
fn correlation(headers: &Headers) -> Correlation {
    let ray = headers.get("cf-ray").ok().flatten();
    ray.and_then(|ray| ray.parse().ok()).unwrap_or_else(Correlation::fresh)
}

async fn from_worker(
    mut request: worker::Request,
    wanted: &[&'static str],
    correlation: &Correlation,
) -> Result<Request<Bytes>, Box<Reply>> {
    let odd = || Box::new(problem::answer(&Invalid::new("request", "is not HTTP").into()));
    let method = request.inner().method().parse::<Method>().map_err(|_| odd())?;
    let uri = request.inner().url().parse::<Uri>().map_err(|_| odd())?;
    let mut taken = Request::builder().method(method).uri(uri).header(HEADER, correlation.as_str());
    for name in wanted {
        // Two headers of one name come as one value with a comma.
        if let Some(value) = request.headers().get(name).ok().flatten() {
            taken = taken.header(*name, value);
        }
    }
    let body = body(&mut request).await?;
    taken.body(body).map_err(|_| odd())
}

/// The body, as far as it keeps to the limit: by what it claims, else by counting as it comes.
async fn body(request: &mut worker::Request) -> Result<Bytes, Box<Reply>> {
    let broken_off = |_| Box::new(problem::answer(&Invalid::new("body", "did not come whole").into()));
    let claimed = request.headers().get("content-length").ok().flatten();
    if let Some(claimed) = claimed.and_then(|digits| digits.parse::<usize>().ok()) {
        if claimed > LARGEST_BODY {
            return Err(Box::new(too_large()));
        }
        // HTTP holds it to its claim.
        return request.bytes().await.map(Bytes::from).map_err(broken_off);
    }
    // A GET has no stream at all.
    let Ok(mut stream) = request.stream() else { return Ok(Bytes::new()) };
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(broken_off)?);
        if body.len() > LARGEST_BODY {
            return Err(Box::new(too_large()));
        }
    }
    Ok(body.freeze())
}

fn to_worker(reply: Reply) -> worker::Result<Response> {
    let (head, body) = reply.into_parts();
    let headers = Headers::new();
    for (name, value) in &head.headers {
        headers.append(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    let response = ResponseBuilder::new().with_status(head.status.as_u16()).with_headers(headers);
    if body.is_empty() { Ok(response.empty()) } else { Ok(response.fixed(body.to_vec())) }
}
