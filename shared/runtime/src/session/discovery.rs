//! The keys that an issuer publishes (OpenID Connect Discovery), fetched when they are needed and kept.
//!
//! Keys are asked for when a token names one that is not known, and in passing when the known ones are old; whatever
//! comes in, at most every ten seconds, by one request for all that wait. While the issuer is out of reach, the keys
//! that are known go on working.

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

/// No more often than this is the issuer asked.
const MIN_FETCH_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// After this long, a key that the issuer has withdrawn is known no more.
const MAX_KEY_AGE: SignedDuration = SignedDuration::from_mins(15);

/// How long the issuer may take for each of its two documents. A person waits meanwhile.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Larger documents are not read: 64 RSA keys with their certificates would fit.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// What an issuer publishes about itself.
pub(super) struct Discovery {
    issuer: String,
    document: Url,
    accepted: Vec<Algorithm>,
    /// Made when it is first needed: it reads every root certificate of the machine.
    http: OnceLock<Client>,
    cache: Mutex<KeyCache>,
    /// Held by the one who asks.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct KeyCache {
    keys: Option<Arc<KeySet>>,
    /// When they came.
    fetched_at: Option<Timestamp>,
    /// When the issuer was asked last, and whether it has answered that.
    last_attempt_at: Option<Timestamp>,
    last_attempt_succeeded: bool,
}

impl KeyCache {
    fn containing(&self, key_id: &str) -> Option<Arc<KeySet>> {
        self.keys.clone().filter(|keys| keys.contains(key_id))
    }
}

/// Clocks can be set back, so a moment in the future is as far away as one in the past.
fn within(length: SignedDuration, of: Option<Timestamp>, now: Timestamp) -> bool {
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

    /// The issuer's keys, the one of this name among them if the issuer has it.
    pub(super) async fn key_set_for(&self, key_id: &str, now: Timestamp) -> Result<Arc<KeySet>, VerifyError> {
        let cached = self.cached();
        let usable = cached.containing(key_id);
        let _fetching = match usable {
            Some(keys) if within(MAX_KEY_AGE, cached.fetched_at, now) => return Ok(keys),
            // Somebody is fetching already, and what is known will do.
            Some(keys) => match self.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return Ok(keys),
            },
            None => self.fetching.lock().await,
        };
        // Whoever had to wait has perhaps been answered by now.
        if !within(MIN_FETCH_INTERVAL, self.cached().last_attempt_at, now) {
            self.refresh(now).await;
        }
        let KeyCache { keys, last_attempt_succeeded, .. } = self.cached();
        keys.filter(|keys| last_attempt_succeeded || keys.contains(key_id))
            .ok_or(VerifyError::IssuerUnavailable)
    }

    /// Asks the issuer. That it was asked is noted first: a request that breaks off in the middle counts as well.
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
        // Only an issuer on loopback may send us on to an address without TLS.
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
        // A Worker's fetch follows redirects by itself; what was found elsewhere is not the issuer's.
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

/// Whether what is found at an address can be trusted to be from there.
fn is_safe(url: &Url) -> bool {
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let encrypted = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    encrypted
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

/// The body, unless it is too large.
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

/// The body, unless it is too large. A Worker hands it over as a whole.
#[cfg(target_arch = "wasm32")]
async fn body(response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    Ok(Some(response.bytes().await?.to_vec()).filter(|body| body.len() <= MAX_DOCUMENT_BYTES))
}
