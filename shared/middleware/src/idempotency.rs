//! Idempotency: a write with an `Idempotency-Key` is executed once, and repeated requests get the same response.
//!
//! The key is claimed before the work, and the response is stored after it. A process that crashes in between leaves a
//! record in progress until its worker cannot be running any more; then a repeated request executes again.

use std::future::Future;

use bytes::Bytes;
use domain::Error;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use jiff::SignedDuration;
use runtime::{Clock, Response, deadline, random, response};
use sha2::{Digest, Sha256};
use store::idempotency::{IdempotencyRecord, StoredResponse};
use store::rate_limit_key::RateLimitKey;
use store::{StoreError, Table};

/// Lease of a worker where no host ends its invocation.
const WORKER_TTL: SignedDuration = SignedDuration::from_mins(5);

/// Maximum size of a stored body: an item of the table holds 400 KB.
const MAX_STORED_BODY_BYTES: usize = 256 * 1024;

/// Headers that are stored with the response.
const STORED_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// A write with an idempotency key.
pub(crate) struct Idempotency<'a> {
    table: &'a Table,
    clock: &'a Clock,
    rate_limit_key: RateLimitKey,
    key_hash: String,
    request_hash: String,
}

impl<'a> Idempotency<'a> {
    pub(crate) fn new(
        table: &'a Table,
        clock: &'a Clock,
        rate_limit_key: RateLimitKey,
        key: &str,
        request: &Request<Bytes>,
    ) -> Self {
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let body = hex::encode(Sha256::digest(request.body()));
        let request_hash = hex::encode(Sha256::digest(format!("{} {path}\n{body}", request.method())));
        let key_hash = hex::encode(Sha256::digest(key));
        Self { table, clock, rate_limit_key, key_hash, request_hash }
    }

    /// Executes the work, or returns the stored response.
    pub(crate) async fn execute(
        self,
        work: impl Future<Output = Result<Response, Error>>,
    ) -> Result<Response, Error> {
        let worker = random::id()?;
        if let Some(response) = self.acquire(&worker).await? {
            return restore(response);
        }
        let response = work.await;
        // The work stands. An incomplete record can be taken over after its lease.
        if let Err(error) = self.complete(&worker, &response).await {
            tracing::warn!(%error, "The response under an Idempotency-Key was not stored.");
        }
        response
    }

    /// Claims the key, or returns the response stored under it.
    async fn acquire(&self, worker: &str) -> Result<Option<StoredResponse>, Error> {
        let now = self.clock.now();
        let stored = IdempotencyRecord {
            request_hash: Some(self.request_hash.clone()),
            worker: worker.to_owned(),
            lease_until: deadline::invocation_deadline().unwrap_or(now + WORKER_TTL),
            response: None,
        };
        match self.write(&stored, None).await {
            Ok(()) => return Ok(None),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        let in_progress = || {
            let why = "a request with this Idempotency-Key is under way; ask again in a moment";
            Error::InProgress(why.to_owned())
        };
        let earlier = self.table.idempotency_record(&self.rate_limit_key, &self.key_hash).await?;
        let earlier = earlier.ok_or_else(in_progress)?;
        if earlier.request_hash.is_some_and(|hash| hash != self.request_hash) {
            let why = "this Idempotency-Key was used with another method, path or body; take a new key for a new request";
            return Err(Error::KeyReused(why.to_owned()));
        }
        if earlier.response.is_some() {
            return Ok(earlier.response);
        }
        if earlier.lease_until > now {
            return Err(in_progress());
        }
        match self.write(&stored, Some(&earlier.worker)).await {
            Ok(()) => Ok(None),
            Err(StoreError::Conflict) => Err(in_progress()),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a success. After an error the key is released at once: for the same request if the effect is unknown, for
    /// any request if there was none.
    async fn complete(&self, worker: &str, response: &Result<Response, Error>) -> Result<(), StoreError> {
        let had_no_effect = match response {
            Ok(response) => response.status().is_client_error(),
            Err(error) => !error.is_retryable() && !matches!(error, Error::Internal(_)),
        };
        let stored = IdempotencyRecord {
            request_hash: (!had_no_effect).then(|| self.request_hash.clone()),
            worker: worker.to_owned(),
            lease_until: self.clock.now(),
            response: response
                .as_ref()
                .ok()
                .filter(|response| response.status().is_success())
                .and_then(to_stored),
        };
        match self.write(&stored, Some(worker)).await {
            // The lease expired and another worker has taken over; its response counts.
            Err(StoreError::Conflict) => Ok(()),
            stored => stored,
        }
    }

    async fn write(
        &self,
        stored: &IdempotencyRecord,
        expected_worker: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.table
            .upsert_idempotency_record(&self.rate_limit_key, &self.key_hash, stored, expected_worker, now)
            .await
    }
}

fn to_stored(response: &Response) -> Option<StoredResponse> {
    let body =
        std::str::from_utf8(response.body()).ok().filter(|body| body.len() <= MAX_STORED_BODY_BYTES)?;
    let text =
        |name: &HeaderName| Some((name.to_string(), response.headers().get(name)?.to_str().ok()?.to_owned()));
    let headers = STORED_HEADERS.iter().filter_map(text).collect();
    Some(StoredResponse { status: response.status().as_u16(), headers, body: body.to_owned() })
}

fn restore(stored: StoredResponse) -> Result<Response, Error> {
    let unreadable = |_| Error::Internal("a stored response is unreadable".to_owned());
    let status = StatusCode::from_u16(stored.status).map_err(|error| unreadable(error.to_string()))?;
    let mut response = if stored.body.is_empty() {
        response::no_content()
    } else {
        response::typed(status, "", stored.body)
    };
    *response.status_mut() = status;
    for (name, value) in stored.headers {
        let name = HeaderName::try_from(name).map_err(|error| unreadable(error.to_string()))?;
        let value = HeaderValue::try_from(value).map_err(|error| unreadable(error.to_string()))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
