//! Keys that an issuer publishes (OpenID Connect Discovery), fetched on demand and cached.
//!
//! Keys are fetched when a token names an unknown one and refreshed when the cached ones are old: at most every ten
//! seconds, with one request for all waiting callers. While the issuer is unreachable, cached keys remain valid.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::FieldError;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Algorithm;
use reqwest::header::ACCEPT;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::session::VerifyError;
use crate::session::keys::KeySet;

/// Minimum interval between requests to the issuer.
const MIN_FETCH_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// Age after which cached keys are refreshed, so that a key the issuer has withdrawn is dropped.
const MAX_KEY_AGE: SignedDuration = SignedDuration::from_mins(15);

/// Timeout for each of the issuer's two documents. A person waits meanwhile.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a document: 64 RSA keys with their certificates would fit.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Discovers and caches the keys of an issuer.
pub(super) struct Discovery {
    issuer: String,
    document: Url,
    accepted: Vec<Algorithm>,
    /// Created on first use: it reads every root certificate of the machine.
    http: OnceLock<Client>,
    cache: Mutex<KeyCache>,
    /// Held while fetching.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct KeyCache {
    keys: Option<Arc<KeySet>>,
    /// When the keys were fetched.
    fetched_at: Option<Timestamp>,
    /// When the issuer was last asked.
    last_attempt_at: Option<Timestamp>,
    last_attempt_succeeded: bool,
}

impl KeyCache {
    fn containing(&self, key_id: &str) -> Option<Arc<KeySet>> {
        self.keys.clone().filter(|keys| keys.contains(key_id))
    }
}

/// Checks whether a moment is less than `length` away. Clocks can be set back, so the future counts like the past.
fn is_within(length: SignedDuration, of: Option<Timestamp>, now: Timestamp) -> bool {
    of.is_some_and(|moment| now.duration_since(moment).abs() < length)
}

impl Discovery {
    pub(super) fn new(issuer: &str, accepted: Vec<Algorithm>) -> Result<Self, FieldError> {
        let invalid = |problem: &str| FieldError::new("the issuer", problem);
        let url = Url::parse(issuer).ok().filter(|url| is_safe(url) && url.query().is_none());
        let url = url.ok_or_else(|| {
            invalid("must be an address with https, without a query, for its keys to be found (http on loopback only)")
        })?;
        let document = format!("{}/.well-known/openid-configuration", url.as_str().trim_end_matches('/'));
        Ok(Self {
            issuer: issuer.to_owned(),
            document: Url::parse(&document).map_err(|error| invalid(&error.to_string()))?,
            accepted,
            http: OnceLock::new(),
            cache: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the issuer's keys, including this one if the issuer has it.
    pub(super) async fn key_set_for(&self, key_id: &str, now: Timestamp) -> Result<Arc<KeySet>, VerifyError> {
        let cached = self.cached();
        let usable = cached.containing(key_id);
        let _fetching = match usable {
            Some(keys) if is_within(MAX_KEY_AGE, cached.fetched_at, now) => return Ok(keys),
            // Another task is fetching, and the cached key suffices.
            Some(keys) => match self.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return Ok(keys),
            },
            None => self.fetching.lock().await,
        };
        // The task that held the lock may have fetched already.
        if !is_within(MIN_FETCH_INTERVAL, self.cached().last_attempt_at, now) {
            self.refresh(now).await;
        }
        let KeyCache { keys, last_attempt_succeeded, .. } = self.cached();
        keys.filter(|keys| last_attempt_succeeded || keys.contains(key_id))
            .ok_or(VerifyError::IssuerUnavailable)
    }

    /// Fetches the keys. The attempt is recorded first, so that a cancelled request counts as well.
    async fn refresh(&self, now: Timestamp) {
        self.update(|cache| (cache.last_attempt_at, cache.last_attempt_succeeded) = (Some(now), false));
        match self.fetch().await {
            Ok(keys) => self.update(|cache| {
                (cache.keys, cache.fetched_at, cache.last_attempt_succeeded) =
                    (Some(Arc::new(keys)), Some(now), true);
            }),
            Err(problem) => {
                tracing::warn!(issuer = self.issuer, %problem, "The keys of the issuer cannot be had.");
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let document = self.get(&self.document).await?;
        let document: Document = serde_json::from_slice(&document)
            .map_err(|error| format!("its openid-configuration is unreadable: {error}"))?;
        if document.issuer != self.issuer {
            return Err(format!("its openid-configuration is of {:?}", document.issuer));
        }
        let jwks_uri = Url::parse(&document.jwks_uri).ok();
        // Only an issuer on loopback may refer to a URL without TLS.
        let jwks_uri = jwks_uri
            .filter(|uri| is_safe(uri) && (uri.scheme() == "https" || self.document.scheme() == "http"))
            .ok_or("its jwks_uri is not an address with https")?;
        KeySet::parse(&self.get(&jwks_uri).await?, &self.accepted)
            .map_err(|problem| format!("its JWK set {problem}"))
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let http = self.http().map_err(|error| error.to_string())?;
        let failed = |error: reqwest::Error| format!("{url} does not answer: {error}");
        let request = http.get(url.clone()).header(ACCEPT, "application/json").timeout(FETCH_TIMEOUT);
        let response = request.send().await.map_err(failed)?;
        // A Worker's fetch follows redirects; a document from another URL is not the issuer's.
        if response.status() != StatusCode::OK || response.url() != url {
            return Err(format!("{url} answers {}", response.status()));
        }
        if response.content_length().is_some_and(|length| length > MAX_DOCUMENT_BYTES as u64) {
            return Err(format!("{url} answers too much"));
        }
        let body = body(response).await.map_err(failed)?;
        body.ok_or_else(|| format!("{url} answers too much"))
    }

    fn http(&self) -> Result<&Client, reqwest::Error> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = Client::builder().user_agent("adflight");
        #[cfg(not(target_arch = "wasm32"))]
        let http = http.redirect(reqwest::redirect::Policy::none());
        let http = http.build()?;
        Ok(self.http.get_or_init(|| http))
    }

    fn cached(&self) -> KeyCache {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, update: impl FnOnce(&mut KeyCache)) {
        update(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Checks whether a URL is authenticated: https, or http on loopback.
fn is_safe(url: &Url) -> bool {
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let encrypted = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    encrypted
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

/// Reads the body. None when it is too large.
#[cfg(not(target_arch = "wasm32"))]
async fn body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Reads the body. None when it is too large. A Worker returns it as a whole.
#[cfg(target_arch = "wasm32")]
async fn body(response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    Ok(Some(response.bytes().await?.to_vec()).filter(|body| body.len() <= MAX_DOCUMENT_BYTES))
}
