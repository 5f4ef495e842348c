//! A write under an `Idempotency-Key` is done once, and answered the same way as often as it comes.
//!
//! That somebody works on it is written down before, the answer after. A process that dies in between leaves a row
//! that says "in progress" until its worker cannot be alive any more; then a repeated request begins anew.

use std::future::Future;

use ads::Failure;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use jiff::SignedDuration;
use runtime::{Clock, Reply, deadline, random, reply};
use sha2::{Digest, Sha256};
use store::answer::{KeptAnswer, KeptRequest};
use store::asker::Asker;
use store::{StoreError, Table};

/// How long a worker counts as alive where no host ends its invocation.
const WORKER_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// Larger answers are not kept: an item of the table has room for 400 KB.
const LARGEST: usize = 256 * 1024;

/// The headers that belong to the answer itself.
const HEADERS: [HeaderName; 2] = [CONTENT_TYPE, LOCATION];

/// A write under a key.
pub(crate) struct Repeat<'a> {
    table: &'a Table,
    clock: &'a Clock,
    asker: Asker,
    key_hash: String,
    request_hash: String,
}

impl<'a> Repeat<'a> {
    pub(crate) fn new(
        table: &'a Table,
        clock: &'a Clock,
        asker: Asker,
        key: &str,
        request: &Request<Bytes>,
    ) -> Self {
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let body = hex::encode(Sha256::digest(request.body()));
        let request_hash = hex::encode(Sha256::digest(format!("{} {path}\n{body}", request.method())));
        let key_hash = hex::encode(Sha256::digest(key));
        Self { table, clock, asker, key_hash, request_hash }
    }

    /// Does the work, or answers what was answered.
    pub(crate) async fn once(
        self,
        work: impl Future<Output = Result<Reply, Failure>>,
    ) -> Result<Reply, Failure> {
        let worker = random::id()?;
        if let Some(answer) = self.begin(&worker).await? {
            return restored(answer);
        }
        let answer = work.await;
        // What was done stands. A row that is not completed is taken over when it is old enough.
        if let Err(error) = self.end(&worker, &answer).await {
            tracing::warn!(%error, "The answer under an Idempotency-Key was not kept.");
        }
        answer
    }

    /// Takes the key, or finds what was answered under it.
    async fn begin(&self, worker: &str) -> Result<Option<KeptAnswer>, Failure> {
        let now = self.clock.now();
        let kept = KeptRequest {
            request_hash: Some(self.request_hash.clone()),
            worker: worker.to_owned(),
            worker_until: deadline::end_of_this_invocation().unwrap_or(now + WORKER_LASTS),
            answer: None,
        };
        match self.keep(&kept, None).await {
            Ok(()) => return Ok(None),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        let under_way = || {
            let why = "a request with this Idempotency-Key is under way; ask again in a moment";
            Failure::Conflict(why.to_owned())
        };
        let earlier = self.table.kept_request(&self.asker, &self.key_hash).await?;
        let earlier = earlier.ok_or_else(under_way)?;
        if earlier.request_hash.is_some_and(|hash| hash != self.request_hash) {
            let why = "this Idempotency-Key was used with another method, path or body; take a new key for a new request";
            return Err(Failure::Conflict(why.to_owned()));
        }
        if earlier.answer.is_some() {
            return Ok(earlier.answer);
        }
        if earlier.worker_until > now {
            return Err(under_way());
        }
        match self.keep(&kept, Some(&earlier.worker)).await {
            Ok(()) => Ok(None),
            Err(StoreError::Conflict) => Err(under_way()),
            Err(error) => Err(error.into()),
        }
    }

    /// A success is kept. After a failure the key is free at once: for the same request where nobody knows what came
    /// of it, for any where nothing did.
    async fn end(&self, worker: &str, answer: &Result<Reply, Failure>) -> Result<(), StoreError> {
        let nothing_came_of_it = match answer {
            Ok(reply) => reply.status().is_client_error(),
            Err(failure) => !failure.may_pass() && !matches!(failure, Failure::Defect(_)),
        };
        let kept = KeptRequest {
            request_hash: (!nothing_came_of_it).then(|| self.request_hash.clone()),
            worker: worker.to_owned(),
            worker_until: self.clock.now(),
            answer: answer.as_ref().ok().filter(|reply| reply.status().is_success()).and_then(kept),
        };
        match self.keep(&kept, Some(worker)).await {
            // It took so long that another one has begun anew; that one's answer counts.
            Err(StoreError::Conflict) => Ok(()),
            kept => kept,
        }
    }

    async fn keep(&self, kept: &KeptRequest, instead_of: Option<&str>) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.table.keep_request(&self.asker, &self.key_hash, kept, instead_of, now).await
    }
}

fn kept(reply: &Reply) -> Option<KeptAnswer> {
    let body = std::str::from_utf8(reply.body()).ok().filter(|body| body.len() <= LARGEST)?;
    let text =
        |name: &HeaderName| Some((name.to_string(), reply.headers().get(name)?.to_str().ok()?.to_owned()));
    let headers = HEADERS.iter().filter_map(text).collect();
    Some(KeptAnswer { status: reply.status().as_u16(), headers, body: body.to_owned() })
}

fn restored(kept: KeptAnswer) -> Result<Reply, Failure> {
    let unreadable = |_| Failure::Defect("a kept answer is unreadable".to_owned());
    let status = StatusCode::from_u16(kept.status).map_err(|error| unreadable(error.to_string()))?;
    let mut reply =
        if kept.body.is_empty() { reply::no_content() } else { reply::typed(status, "", kept.body) };
    *reply.status_mut() = status;
    for (name, value) in kept.headers {
        let name = HeaderName::try_from(name).map_err(|error| unreadable(error.to_string()))?;
        let value = HeaderValue::try_from(value).map_err(|error| unreadable(error.to_string()))?;
        reply.headers_mut().insert(name, value);
    }
    Ok(reply)
}
