//! Sends one call: version, proof, retries, errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, DefaultSleeper, ExponentialBuilder, Sleeper};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::Sha256;

use crate::error::{Details, GraphError};
use crate::throttle;

/// One answer may take this long; Meta itself gives up after about a minute.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Error objects are small. Longer answers are rows, and are not searched for one.
const LONGEST_ERROR: usize = 64 * 1024;

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
}

/// The app at Meta. Cheap to clone; connections are kept alive between calls.
#[derive(Debug, Clone)]
pub struct Graph(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    config: GraphConfig,
    calls: AtomicU64,
}

impl Graph {
    /// A client for this app. Fails when the TLS backend cannot be set up.
    pub fn new(config: GraphConfig) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().user_agent("adflight").build()?;
        Ok(Self(Arc::new(Inner { http, config, calls: AtomicU64::new(0) })))
    }

    /// The configuration in use.
    pub fn config(&self) -> &GraphConfig {
        &self.0.config
    }

    /// HTTP calls made so far, retries included.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Calls with a person's or system user's token.
    pub fn on_behalf_of(&self, token: SecretString) -> Caller {
        Caller { graph: self.clone(), token }
    }

    /// Calls with the app's own token.
    pub(crate) fn as_app(&self) -> Caller {
        let config = self.config();
        self.on_behalf_of(format!("{}|{}", config.app_id, config.app_secret.expose_secret()).into())
    }
}

/// Whoever the calls are made for.
#[derive(Debug, Clone)]
pub struct Caller {
    graph: Graph,
    token: SecretString,
}

/// Whether a call may be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Reading, or setting a value that is the same when set twice.
    Harmless,
    /// Creating: a second call makes a second object.
    Never,
}

impl Caller {
    /// Reads.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        decode(&self.persistently(Method::GET, path, query).await?)
    }

    /// Creates. Sent once: when the answer is lost the outcome is unknown and the caller must look.
    pub(crate) async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        decode(&self.send(&Method::POST, path, form, Repeat::Never).await?)
    }

    /// Sets values of an object; the same call twice is the same as once.
    pub(crate) async fn update(&self, path: &str, form: &[(&str, &str)]) -> Result<(), GraphError> {
        confirmed(&self.persistently(Method::POST, path, form).await?)
    }

    /// Deletes an object. One that is gone already counts as deleted.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), GraphError> {
        match self.persistently(Method::DELETE, path, &[]).await {
            Ok(body) => confirmed(&body),
            Err(GraphError::Gone(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the token still works, asked of Meta itself.
    pub async fn is_alive(&self) -> Result<bool, GraphError> {
        Ok(self.graph.debug_token(&self.token).await?.is_valid)
    }

    /// Sends until it succeeds or another try cannot help, with growing and jittered pauses.
    async fn persistently(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<Bytes, GraphError> {
        let mut pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(3)
            .build();
        loop {
            let error = match self.send(&method, path, params, Repeat::Harmless).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            match pauses.next() {
                Some(pause) if error.may_pass() => DefaultSleeper::default().sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    /// Sends once. The token travels in a header, so that no URL ever holds it.
    async fn send(
        &self,
        method: &Method,
        path: &str,
        params: &[(&str, &str)],
        repeat: Repeat,
    ) -> Result<Bytes, GraphError> {
        let wrote = repeat == Repeat::Never;
        let config = self.graph.config();
        let url = format!("{}/{}/{path}", config.graph_url, config.version);
        let proof = self.proof();
        let proof = [("appsecret_proof", proof.as_str())];
        let request = self.graph.0.http.request(method.clone(), url).timeout(TIMEOUT);
        let request = request.bearer_auth(self.token.expose_secret());
        let request = if *method == Method::POST {
            request.form(&[params, &proof].concat())
        } else {
            request.query(params).query(&proof)
        };
        self.graph.0.calls.fetch_add(1, Ordering::Relaxed);
        let answer = request.send().await.map_err(|error| GraphError::of_transport(error, wrote))?;
        let status = answer.status();
        let wait = throttle::named_wait(|name| answer.headers().get(name)?.to_str().ok());
        let body = answer.bytes().await.map_err(|error| GraphError::of_transport(error, wrote))?;
        tracing::debug!(%method, path, status = status.as_u16(), bytes = body.len(), "Graph answered.");
        if status.is_success() && is_answer(&body) {
            return Ok(body);
        }
        Err(GraphError::of_answer(status.as_u16(), &body, wait, wrote))
    }

    /// `appsecret_proof`: shows that the token is used by the app it was issued to.
    fn proof(&self) -> String {
        let secret = self.graph.config().app_secret.expose_secret();
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map(|mac| mac.chain_update(self.token.expose_secret()).finalize().into_bytes());
        mac.map(hex::encode).unwrap_or_default()
    }
}

/// Whether a body with a status of success is an answer. Graph has been seen to put an error object, or a
/// proxy its page, into a 200, and half a body to arrive as a whole.
fn is_answer(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        error: Option<IgnoredAny>,
    }
    if body.len() > LONGEST_ERROR {
        return body.trim_ascii_start().starts_with(b"{") && body.trim_ascii_end().ends_with(b"}");
    }
    serde_json::from_slice::<Shape>(body).is_ok_and(|shape| shape.error.is_none())
}

/// Whether a change was made: `success` comes as a boolean, and in places as text.
fn confirmed(body: &[u8]) -> Result<(), GraphError> {
    #[derive(Deserialize)]
    struct Success {
        success: Option<serde_json::Value>,
    }
    match decode::<Success>(body)?.success {
        Some(success) if success == false || success == "false" => {
            let message = "Meta answered success: false".to_owned();
            Err(GraphError::TryLater(Details { message, ..Details::default() }))
        }
        _ => Ok(()),
    }
}

/// Decodes an answer, saying where it differs from what we expect.
fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, GraphError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| GraphError::UnexpectedShape {
        at: error.path().to_string(),
        problem: error.into_inner().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_a_success_is_found_wherever_it_stands() {
        assert!(is_answer(br#"{"data":[]}"#));
        assert!(is_answer(br#"{"id":"1","error":null}"#));
        for body in [
            r#"{"error":{"code":2}}"#,
            r#"{ "__fb_trace_id__":"x", "error":{"code":2}}"#,
            "Service Unavailable",
            "<html></html>",
            r#"{"data":[{"id":"#,
            "",
        ] {
            assert!(!is_answer(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_change_that_meta_denies_is_no_success() {
        for body in [r#"{"success":true}"#, r#"{"success":"true"}"#, r#"{"id":"1"}"#] {
            assert!(confirmed(body.as_bytes()).is_ok(), "{body}");
        }
        for body in [r#"{"success":false}"#, r#"{"success":"false"}"#] {
            assert!(confirmed(body.as_bytes()).is_err(), "{body}");
        }
    }
}
