//! Sends one call: version, proof, quotas, retries, errors.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use sha2::Sha256;

use crate::call::{Call, Effect, multipart};
use crate::error::{Details, GraphError};
use crate::error_code::ThrottleScope;
use crate::quota_lease::{Charge, QuotaLease};
use crate::response::{Response, check_success, decode};
use crate::time::Time;
use crate::usage::Usage;

/// Sending a file may take so many times as long: fifty megabytes over a line of one megabit a second.
const UPLOAD_TIMEOUT_FACTOR: u32 = 10;

/// How our app reaches Meta.
#[derive(Debug, Clone)]
pub struct GraphConfig {
    /// Where calls go: `https://graph.facebook.com`.
    pub graph_url: String,
    /// Where people log in: `https://www.facebook.com`.
    pub dialog_url: String,
    /// The Graph version in every path: `v26.0`.
    pub version: String,
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl GraphConfig {
    /// Meta gives up by itself after about a minute.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// Where a call goes: videos have a host of their own at Meta (its SDKs), and nowhere else.
    fn host(&self, call: &Call<'_>) -> String {
        if call.method == Method::POST && call.path.ends_with("/advideos") {
            return self.graph_url.replace("://graph.facebook.com", "://graph-video.facebook.com");
        }
        self.graph_url.clone()
    }
}

/// The app at Meta. Cheap to clone; connections are kept alive between calls.
#[derive(Debug, Clone)]
pub struct Graph(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Made for the first call: it reads every root certificate of the machine, and most requests of the front end
    /// are answered without Meta.
    http: OnceLock<reqwest::Client>,
    config: GraphConfig,
    time: Time,
    calls: AtomicU64,
    /// Called for every call.
    listener: OnceLock<fn()>,
    /// Meta serves no call of this app before then.
    blocked_until: Mutex<Option<Timestamp>>,
    version_warning: OnceLock<String>,
}

impl Graph {
    /// A client for this app.
    pub fn new(config: GraphConfig, time: Time) -> Self {
        Self(Arc::new(Inner {
            http: OnceLock::new(),
            config,
            time,
            calls: AtomicU64::new(0),
            listener: OnceLock::new(),
            blocked_until: Mutex::new(None),
            version_warning: OnceLock::new(),
        }))
    }

    /// Fails when the TLS backend cannot be set up.
    fn http(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(http) = self.0.http.get() {
            return Ok(http);
        }
        let http = reqwest::Client::builder().user_agent("adflight").build()?;
        // Of two that are made at the same time one is kept, and its connections with it.
        Ok(self.0.http.get_or_init(|| http))
    }

    /// The configuration in use.
    pub fn config(&self) -> &GraphConfig {
        &self.0.config
    }

    /// The time, as this client sees it.
    pub fn now(&self) -> Timestamp {
        self.0.time.now()
    }

    /// HTTP calls made so far, retries included; a batch is one.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Sets a function that is called for every HTTP call, in the task that makes it. The first listener stays.
    pub fn set_call_listener(&self, listener: fn()) {
        let _already_set = self.0.listener.set(listener);
    }

    /// What Meta said first about the version in use, if it ever served another or announced the end of it.
    pub fn version_warning(&self) -> Option<&str> {
        self.0.version_warning.get().map(String::as_str)
    }

    /// Stops every call of this app until then: another process was told so by Meta.
    pub fn block_until(&self, until: Timestamp) {
        let mut blocked = self.0.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
        *blocked = (*blocked).max(Some(until));
    }

    /// Calls with a person's or system user's token, held to no quota but what answers say.
    pub fn on_behalf_of(&self, token: SecretString) -> Caller {
        Caller { graph: self.clone(), token, quota_lease: None, deadline: None, trace_id: Arc::default() }
    }

    /// Calls with the app's own token.
    pub(crate) fn as_app(&self) -> Caller {
        let config = self.config();
        self.on_behalf_of(format!("{}|{}", config.app_id, config.app_secret.expose_secret()).into())
    }

    /// Fails while the app is blocked.
    pub(crate) fn check_not_blocked(&self) -> Result<(), GraphError> {
        let blocked = *self.0.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = blocked.map(|until| until.duration_since(self.now())).filter(|left| left.is_positive());
        left.map_or(Ok(()), |left| {
            let details = Details::of("the app's quota at Meta is used up");
            Err(GraphError::RateLimited { after: left.unsigned_abs(), scope: ThrottleScope::App, details })
        })
    }

    /// Every answer names the version that served it, and warns when that is not the one asked for
    /// (Graph API, "Versioning"; Marketing API, "Versions"). It is logged once.
    fn check_version(&self, headers: &HeaderMap) {
        let requested = self.config().version.as_str();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let other = header("facebook-api-version").filter(|served| *served != requested);
        let other = other.map(|served| format!("Meta served {served} where {requested} was requested"));
        let warning = header("x-ad-api-version-warning").map(str::to_owned).or(other);
        if let Some(warning) = warning
            && self.0.version_warning.set(warning.clone()).is_ok()
        {
            tracing::warn!(warning, "The Graph version in use is not the one that serves.");
        }
    }
}

/// Whoever the calls are made for.
#[derive(Debug, Clone)]
pub struct Caller {
    graph: Graph,
    token: SecretString,
    quota_lease: Option<Arc<QuotaLease>>,
    deadline: Option<Timestamp>,
    trace_id: Arc<Mutex<Option<String>>>,
}

impl Caller {
    /// What Meta calls the last answer that it gave: its support asks for that.
    pub fn trace_id(&self) -> Option<String> {
        self.trace_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Charges calls to this quota lease: a call that it does not cover is not made.
    #[must_use]
    pub fn with_quota_lease(self, quota_lease: Arc<QuotaLease>) -> Self {
        Self { quota_lease: Some(quota_lease), ..self }
    }

    /// Stops trying when this moment comes.
    #[must_use]
    pub fn with_deadline(self, deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Whose token it is; for the one call that needs it in its form.
    pub(crate) fn token(&self) -> &SecretString {
        &self.token
    }

    /// The app that calls.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Reads a node, or one page of an edge.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        let call = Call { method: Method::GET, path, params, file: None, effect: Effect::Read };
        decode(&self.send_with_retry(&call).await?)
    }

    /// Creates. Sent once: when the answer is lost the outcome is unknown and the caller must look.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        let call = Call { method: Method::POST, path, params, file: None, effect: Effect::Create };
        // Meta has done something that cannot be read: looking for it is all that is left.
        let created = decode(&self.send(&call).await?);
        created.map_err(|error| GraphError::Indeterminate(Details::of(error.to_string())))
    }

    /// Sets values of an object; the same call twice is the same as once.
    pub async fn update(&self, path: &str, params: &[(&str, &str)]) -> Result<(), GraphError> {
        let call = Call { method: Method::POST, path, params, file: None, effect: Effect::Set };
        check_success(&self.send_with_retry(&call).await?)
    }

    /// Deletes an object. One that is gone already counts as deleted.
    pub async fn delete(&self, path: &str, params: &[(&str, &str)]) -> Result<(), GraphError> {
        let call = Call { method: Method::DELETE, path, params, file: None, effect: Effect::Set };
        match self.send_with_retry(&call).await {
            Ok(body) => check_success(&body),
            Err(GraphError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the token still works, asked of Meta itself.
    pub async fn is_token_valid(&self) -> Result<bool, GraphError> {
        Ok(self.graph.debug_token(&self.token).await?.is_valid)
    }

    /// Sends until it succeeds or another try cannot help, with growing pauses of random length, for as long
    /// as there is time.
    pub(crate) async fn send_with_retry(&self, call: &Call<'_>) -> Result<Bytes, GraphError> {
        let mut delays = retry_delays();
        loop {
            let error = match self.send(call).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            match delays.next() {
                Some(pause) if error.is_retryable() && self.pause(pause).await => {}
                _ => return Err(error),
            }
        }
    }

    /// Lets time pass, unless that would outlast the deadline. Whether it did.
    pub(crate) async fn pause(&self, length: Duration) -> bool {
        let fits = self.time_left().is_none_or(|left| length < left);
        if fits {
            self.graph.0.time.pause(length).await;
        }
        fits
    }

    fn time_left(&self) -> Option<Duration> {
        let left = self.deadline?.duration_since(self.graph.now());
        Some(left.max(SignedDuration::ZERO).unsigned_abs())
    }

    /// Sends once.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Bytes, GraphError> {
        self.graph.check_not_blocked()?;
        let left = self.time_left();
        if left.is_some_and(|left| left.is_zero()) {
            let details = Details::of("there is no time left for another call");
            return Err(GraphError::RateLimited {
                after: Duration::from_secs(1),
                scope: ThrottleScope::Action,
                details,
            });
        }
        let charge = self.charge(call.effect.points())?;
        let (usage, result) = match self.exchange(call).await {
            Ok(response) => response.check(call.kind()),
            Err(error) => (None, Err(GraphError::from_transport(error, call.kind()))),
        };
        let result = result.map_err(|error| match error {
            // It was our time that ran out, which says nothing of the size of the question.
            GraphError::RequestTooLarge(details)
                if usage.is_none() && left.is_some_and(|left| left < self.graph.config().timeout) =>
            {
                GraphError::Transient(details)
            }
            error => error,
        });
        self.record_usage(charge.as_ref(), usage.as_ref(), result.as_ref().err());
        result
    }

    /// Charges a call to the quota lease, if there is one.
    pub(crate) fn charge(&self, points: u32) -> Result<Option<Charge>, GraphError> {
        let Some(quota_lease) = &self.quota_lease else { return Ok(None) };
        let now = self.graph.now();
        quota_lease.charge(points, now).map(Some).map_err(|again| {
            let details = Details::of("the ad account's quota at Meta has nothing left for now");
            let after = again.duration_since(now).max(SignedDuration::from_secs(1)).unsigned_abs();
            GraphError::RateLimited { after, scope: ThrottleScope::Action, details }
        })
    }

    /// Records the quota usage and the throttle that a response reported.
    pub(crate) fn record_usage(
        &self,
        charge: Option<&Charge>,
        usage: Option<&Usage>,
        error: Option<&GraphError>,
    ) {
        let throttled = match error {
            Some(GraphError::RateLimited { after, scope, .. }) => Some((*scope, *after)),
            _ => None,
        };
        if let Some((ThrottleScope::App, after)) = throttled
            && let Ok(until) = self.graph.now().checked_add(after)
        {
            self.graph.block_until(until);
        }
        if let (Some(quota_lease), Some(charge)) = (&self.quota_lease, charge) {
            quota_lease.record_usage(charge, usage, throttled);
        }
    }

    /// One exchange over HTTP. The token travels in a header, so that no URL ever holds it.
    pub(crate) async fn exchange(&self, call: &Call<'_>) -> Result<Response, reqwest::Error> {
        let config = self.graph.config();
        let url = format!("{}/{}/{}", config.host(call), config.version, call.path);
        let max_timeout = config.timeout * if call.file.is_some() { UPLOAD_TIMEOUT_FACTOR } else { 1 };
        let timeout = self.time_left().map_or(max_timeout, |left| left.min(max_timeout));
        let request = self.graph.http()?.request(call.method.clone(), url).timeout(timeout);
        let request = request.bearer_auth(self.token.expose_secret());
        let proof = self.proof();
        let proof = [("appsecret_proof", proof.as_str())];
        let request = match call.file {
            Some(file) => request.multipart(multipart(&[call.params, &proof].concat(), file)),
            None if call.method == Method::POST => request.form(&[call.params, &proof].concat()),
            None => request.query(call.params).query(&proof),
        };
        self.graph.0.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(listener) = self.graph.0.listener.get() {
            listener();
        }
        let response = request.send().await?;
        self.graph.check_version(response.headers());
        let trace_id = response.headers().get("x-fb-trace-id").and_then(|trace| trace.to_str().ok());
        *self.trace_id.lock().unwrap_or_else(PoisonError::into_inner) = trace_id.map(str::to_owned);
        let usage = Usage::read(|name| response.headers().get(name)?.to_str().ok());
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        tracing::debug!(method = %call.method, path = call.path, status, bytes = body.len(), "Graph answered.");
        Ok(Response { status, usage, body })
    }

    /// `appsecret_proof`: shows that the token is used by the app it was issued to.
    fn proof(&self) -> String {
        let secret = self.graph.config().app_secret.expose_secret();
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map(|mac| mac.chain_update(self.token.expose_secret()).finalize().into_bytes());
        mac.map(hex::encode).unwrap_or_default()
    }
}

/// How often a call is sent that another try can help.
const MAX_ATTEMPTS: usize = 4;

/// The pauses between them: growing, and of random length, so that many callers do not come back at once.
pub(crate) fn retry_delays() -> impl Iterator<Item = Duration> {
    let builder = ExponentialBuilder::default().with_jitter().with_min_delay(Duration::from_millis(200));
    builder.with_max_times(MAX_ATTEMPTS - 1).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_have_a_host_of_their_own_at_meta_and_nowhere_else() {
        let host = |graph_url: &str, method, path| {
            let config = GraphConfig {
                graph_url: graph_url.to_owned(),
                dialog_url: String::new(),
                version: "v26.0".to_owned(),
                app_id: String::new(),
                app_secret: SecretString::default(),
                timeout: GraphConfig::DEFAULT_TIMEOUT,
            };
            config.host(&Call { method, path, params: &[], file: None, effect: Effect::Read })
        };
        let meta = "https://graph.facebook.com";
        assert_eq!(host(meta, Method::POST, "act_1/advideos"), "https://graph-video.facebook.com");
        assert_eq!(host(meta, Method::GET, "act_1/advideos"), meta);
        assert_eq!(host(meta, Method::POST, "act_1/ads"), meta);
        let local = "http://127.0.0.1:9000";
        assert_eq!(host(local, Method::POST, "act_1/advideos"), local);
    }
}
