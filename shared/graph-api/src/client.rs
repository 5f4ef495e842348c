//! The client: sends calls with version, `appsecret_proof`, quota lease, deadline and retries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use domain::gap::Gap;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use sha2::Sha256;

use crate::call::{Call, Effect, endpoint_class, multipart};
use crate::error::{Details, GraphError};
use crate::error_code::ThrottleScope;
use crate::lenient::OddFields;
use crate::page::Page;
use crate::quota_lease::{Charge, QuotaLease};
use crate::response::{Response, check_success, decode, decode_page};
use crate::time::Time;
use crate::usage::Usage;
use crate::version::{VersionNotice, VersionWatch};

/// The factor by which a file upload may exceed the timeout: fifty megabytes at one megabit per second.
const UPLOAD_TIMEOUT_FACTOR: u32 = 10;

/// The configuration of the app at Meta.
#[derive(Debug, Clone)]
pub struct GraphConfig {
    /// The base URL of calls: `https://graph.facebook.com`.
    pub graph_url: String,
    /// The base URL of the login dialog: `https://www.facebook.com`.
    pub dialog_url: String,
    /// The Graph version in every path, such as `v26.0`.
    pub version: String,
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
    /// The timeout of a call.
    pub timeout: Duration,
}

impl GraphConfig {
    /// The default timeout. Meta itself gives up after about a minute.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// Returns the base URL of a call. Meta has a separate host for videos (Meta's SDKs); other base URLs are
    /// unchanged.
    fn host(&self, call: &Call<'_>) -> String {
        if call.method == Method::POST && call.path.ends_with("/advideos") {
            return self.graph_url.replace("://graph.facebook.com", "://graph-video.facebook.com");
        }
        self.graph_url.clone()
    }
}

/// The client of one app at Meta. Cheap to clone; connections are kept alive between calls.
#[derive(Debug, Clone)]
pub struct Graph(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Built at the first call, because it loads every root certificate of the machine and most requests of the front
    /// end are served without calling Meta.
    http: OnceLock<reqwest::Client>,
    config: GraphConfig,
    time: Time,
    calls: AtomicU64,
    listener: OnceLock<fn(CallEvent)>,
    /// The time before which Meta serves no call of this app.
    blocked_until: Mutex<Option<Timestamp>>,
    versions: VersionWatch,
}

/// What a listener hears of; see [`Graph::set_listener`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEvent {
    /// An HTTP call is made, which may be a repeated one. A batch is one call.
    Sent,
    /// An answer, or an item of a batch, was served by another version than the one that was asked for, which has ended or
    /// does not exist.
    OtherVersion,
}

impl Graph {
    /// Creates the client of an app.
    pub fn new(config: GraphConfig, time: Time) -> Self {
        Self(Arc::new(Inner {
            http: OnceLock::new(),
            config,
            time,
            calls: AtomicU64::new(0),
            listener: OnceLock::new(),
            blocked_until: Mutex::new(None),
            versions: VersionWatch::default(),
        }))
    }

    /// Returns the HTTP client, building it at first use. Fails when the TLS backend cannot be set up.
    pub(crate) fn http(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(http) = self.0.http.get() {
            return Ok(http);
        }
        let http = reqwest::Client::builder().user_agent("adflight");
        // Graph does not redirect, and the redirect of a picture could lead to any host.
        #[cfg(not(target_arch = "wasm32"))]
        let http = http.redirect(reqwest::redirect::Policy::none());
        let http = http.build()?;
        // When two are built at the same time, the first is kept with its connections.
        Ok(self.0.http.get_or_init(|| http))
    }

    /// Returns the configuration in use.
    pub fn config(&self) -> &GraphConfig {
        &self.0.config
    }

    /// Returns the current time of the client's clock.
    pub fn now(&self) -> Timestamp {
        self.0.time.now()
    }

    /// Returns the number of HTTP calls made so far, retries included. A batch is one call.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Sets a function that is called in the task that makes a call. Only the first listener is kept.
    pub fn set_listener(&self, listener: fn(CallEvent)) {
        let _already_set = self.0.listener.set(listener);
    }

    fn tell(&self, event: CallEvent) {
        if let Some(listener) = self.0.listener.get() {
            listener(event);
        }
    }

    /// Returns the last notice of the last three hours, in this process, about the version in use: Meta served another one,
    /// or it has ended.
    pub fn version_notice(&self) -> Option<VersionNotice> {
        self.0.versions.notice(self.now())
    }

    /// Returns the last notice about the version in use, with the time at which it came, if there was one since this was
    /// last called; at most once an hour.
    pub fn take_version_notice(&self) -> Option<(VersionNotice, Timestamp)> {
        self.0.versions.take(self.now())
    }

    /// Blocks every call of this app until a time that Meta reported to another process.
    pub fn block_until(&self, until: Timestamp) {
        let mut blocked = self.0.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
        *blocked = (*blocked).max(Some(until));
    }

    /// Returns a caller with a user's or system user's token. It has no quota lease: only throttles that responses
    /// report limit it.
    pub fn on_behalf_of(&self, token: SecretString) -> UserClient {
        UserClient { graph: self.clone(), token, quota_lease: None, deadline: None, trace_id: Arc::default() }
    }

    /// Returns a caller with the app's own token.
    pub(crate) fn as_app(&self) -> UserClient {
        let config = self.config();
        self.on_behalf_of(format!("{}|{}", config.app_id, config.app_secret.expose_secret()).into())
    }

    /// Fails with [`GraphError::RateLimited`] while the app is blocked.
    pub(crate) fn check_not_blocked(&self) -> Result<(), GraphError> {
        let blocked = *self.0.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = blocked.map(|until| until.duration_since(self.now())).filter(|left| left.is_positive());
        left.map_or(Ok(()), |left| {
            let details = Details::of("the app's quota at Meta is used up");
            Err(GraphError::RateLimited { after: left.unsigned_abs(), scope: ThrottleScope::App, details })
        })
    }

    /// Looks at the headers of an answer, or of an item of a batch, for the version that served it.
    pub(crate) fn check_version<'a>(&self, path: &str, header: impl Fn(&str) -> Option<&'a str>) {
        if let Some(notice) = VersionNotice::read(&self.config().version, header) {
            self.record_version_notice(notice, endpoint_class(path));
        }
    }

    /// Counts a notice, and logs the first one of this process.
    fn record_version_notice(&self, notice: VersionNotice, endpoint: &str) {
        self.tell(CallEvent::OtherVersion);
        let requested = self.config().version.as_str();
        if self.0.versions.record(notice.clone(), self.now()) {
            let VersionNotice { served, warning } = notice;
            tracing::warn!(requested, ?served, ?warning, endpoint, "Meta does not serve the version in use.");
        }
    }
}

/// A client that calls with one token.
#[derive(Debug, Clone)]
pub struct UserClient {
    graph: Graph,
    token: SecretString,
    quota_lease: Option<Arc<QuotaLease>>,
    deadline: Option<Timestamp>,
    trace_id: Arc<Mutex<Option<String>>>,
}

impl UserClient {
    /// Returns Meta's trace id of the last response, which Meta's support asks for.
    pub fn trace_id(&self) -> Option<String> {
        self.trace_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Charges calls to this quota lease. A call that the lease does not cover is not sent.
    #[must_use]
    pub fn with_quota_lease(self, quota_lease: Arc<QuotaLease>) -> Self {
        Self { quota_lease: Some(quota_lease), ..self }
    }

    /// Sets the deadline after which no call is sent.
    #[must_use]
    pub fn with_deadline(self, deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Returns the token, for the one call that sends it in its form.
    pub(crate) fn token(&self) -> &SecretString {
        &self.token
    }

    /// Returns the client of the app.
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

    /// Reads one page of an edge. Returns what was left out of it as well.
    pub(crate) async fn get_page<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, &str)],
        odd: OddFields,
    ) -> Result<(Page<T>, Vec<Gap>), GraphError> {
        let call = Call { method: Method::GET, path, params, file: None, effect: Effect::Read };
        decode_page(&self.send_with_retry(&call).await?, odd)
    }

    /// Creates an object. Sent once: when the response is lost, the outcome is unknown and the caller must look for the
    /// object.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        let call = Call { method: Method::POST, path, params, file: None, effect: Effect::Create };
        // The write succeeded but its response is unreadable, so the caller must look for the object.
        let created = decode(&self.send(&call).await?);
        created.map_err(|error| GraphError::Indeterminate(Details::of(error.to_string())))
    }

    /// Sets values of an object. Idempotent, so it is retried.
    pub async fn update(&self, path: &str, params: &[(&str, &str)]) -> Result<(), GraphError> {
        let call = Call { method: Method::POST, path, params, file: None, effect: Effect::Set };
        check_success(&self.send_with_retry(&call).await?)
    }

    /// Deletes an object. An object that is already gone counts as deleted.
    pub async fn delete(&self, path: &str, params: &[(&str, &str)]) -> Result<(), GraphError> {
        let call = Call { method: Method::DELETE, path, params, file: None, effect: Effect::Set };
        match self.send_with_retry(&call).await {
            Ok(body) => check_success(&body),
            Err(GraphError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks Meta whether the token still works.
    pub async fn is_token_valid(&self) -> Result<bool, GraphError> {
        Ok(self.graph.debug_token(&self.token).await?.is_valid)
    }

    /// Sends a call until it succeeds, its error is not retryable, the attempts are used up, or the deadline would
    /// pass. Pauses between attempts grow and have jitter.
    pub(crate) async fn send_with_retry(&self, call: &Call<'_>) -> Result<Bytes, GraphError> {
        let (mut delays, mut earlier) = (retry_delays(), None);
        loop {
            let error = match self.send(call).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            match delays.next() {
                Some(pause) if error.is_retryable() && self.pause(pause).await => {
                    earlier = (call.effect != Effect::Read).then_some(error);
                }
                _ => return Err(error.after(earlier)),
            }
        }
    }

    /// Waits, unless that would exceed the deadline. Returns whether it waited.
    pub(crate) async fn pause(&self, length: Duration) -> bool {
        let fits = self.time_left().is_none_or(|left| length < left);
        if fits {
            self.graph.0.time.pause(length).await;
        }
        fits
    }

    pub(crate) fn time_left(&self) -> Option<Duration> {
        let left = self.deadline?.duration_since(self.graph.now());
        Some(left.max(SignedDuration::ZERO).unsigned_abs())
    }

    /// Sends a call once.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Bytes, GraphError> {
        self.graph.check_not_blocked()?;
        self.renew_lease().await;
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
            // The caller's deadline cut the call short, which says nothing about the size of the query.
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

    /// Renews the quota lease, if there is one and it needs that.
    pub(crate) async fn renew_lease(&self) {
        if let Some(quota_lease) = &self.quota_lease {
            quota_lease.renew(self.graph.now()).await;
        }
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
        if let Some(GraphError::UnsupportedVersion(details)) = error {
            let notice = VersionNotice { served: None, warning: Some(details.message.clone()) };
            self.graph.record_version_notice(notice, "");
        }
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

    /// Makes one HTTP exchange. The token is sent in a header, so that no URL holds it.
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
        self.graph.tell(CallEvent::Sent);
        let response = request.send().await?;
        self.graph.check_version(call.path, |name| response.headers().get(name)?.to_str().ok());
        let trace_id = response.headers().get("x-fb-trace-id").and_then(|trace| trace.to_str().ok());
        *self.trace_id.lock().unwrap_or_else(PoisonError::into_inner) = trace_id.map(str::to_owned);
        let usage = Usage::read(|name| response.headers().get(name)?.to_str().ok());
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        tracing::debug!(method = %call.method, path = call.path, status, bytes = body.len(), "Graph answered.");
        Ok(Response { status, usage, body })
    }

    /// Computes `appsecret_proof`, which proves that the token is used by the app it was issued to.
    fn proof(&self) -> String {
        let secret = self.graph.config().app_secret.expose_secret();
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map(|mac| mac.chain_update(self.token.expose_secret()).finalize().into_bytes());
        mac.map(hex::encode).unwrap_or_default()
    }
}

/// The number of times that a retryable call is sent.
const MAX_ATTEMPTS: usize = 4;

/// Returns the pauses between attempts: exponential, with jitter so that many callers do not retry at once.
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
