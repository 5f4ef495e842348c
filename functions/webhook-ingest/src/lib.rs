//! Verifies Meta's webhooks, stores each change once, and queues the syncs.
//!
//! The [`WebhookReceiver`] verifies the signature over the raw bytes, queues every change, and only then responds with
//! 200. It needs no table, so that it can run at the edge and accepts deliveries while everything else is down.
//! [`WebhookIngest`] claims each change once per workspace that holds the object, and queues its sync.

// At the edge a panic ends every request of the isolate.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

#[cfg(not(target_arch = "wasm32"))]
mod inbox;
#[cfg(target_arch = "wasm32")]
mod worker;

use std::collections::HashMap;
use std::iter;
use std::sync::LazyLock;

use bytes::Bytes;
use domain::job::{Job, WebhookChange, WebhookSubject};
use domain::{Error, FieldError};
use graph_api::webhook;
use http::{Method, Request, StatusCode};
use runtime::endpoint::{self, Declaration};
use runtime::operation::Header;
use runtime::request::{self, Json, NoBody, NoPath, RawJson};
use runtime::response::{IntoResponse, Text};
use runtime::telemetry::{self, TelemetryMetric, UnitOfWork};
use runtime::{AppSecrets, Clock, Queues, Response, problem, router};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

#[cfg(not(target_arch = "wasm32"))]
pub use crate::inbox::WebhookIngest;

const SIGNATURE_HEADER: &str = "x-hub-signature-256";

const PATH: &str = "/v1/webhooks/meta";

/// All endpoints of this function. Its Worker must stay small and calls the handlers itself.
pub static DECLARATIONS: LazyLock<Vec<Declaration>> = LazyLock::new(|| {
    let signature = Header::required("X-Hub-Signature-256", "`sha256=` and the HMAC of the body.");
    vec![
        endpoint::public(Method::GET, PATH)
            .named("verify_webhook", "Confirms the webhook address to Meta")
            .fails_with(Error::Forbidden, "The mode or the verify token is not ours.")
            .without_handler::<Handshake, NoBody, Text>(StatusCode::OK, "The challenge."),
        endpoint::public(Method::POST, PATH)
            .named("receive_webhook", "Receives webhook deliveries")
            .description("The body must be signed with the app's secret. What it holds is Meta's to say.")
            .header(signature)
            .accepts_body_of(MAX_DELIVERY_BYTES)
            .fails_with(Error::Forbidden, "The signature is missing, doubled or wrong.")
            .without_handler::<AnyQuery, RawJson<webhook::Envelope>, Json<Accepted>>(
                StatusCode::OK,
                "Every change is kept.",
            ),
    ]
});

/// Size of a delivery that is accepted. Meta puts up to 1,000 changes into one, and escapes each character beyond ASCII
/// with six bytes; API Gateway and Lambda pass six megabytes.
const MAX_DELIVERY_BYTES: usize = 5 * 1024 * 1024;

/// Meta may add parameters to the callback URL.
type AnyQuery = NoPath;

/// What Meta asks with, and whatever else it may add one day.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Handshake {
    /// `subscribe`.
    #[serde(rename = "hub.mode")]
    #[cfg_attr(feature = "describe", schemars(extend("enum" = ["subscribe"])))]
    mode: String,
    /// The text that the subscription was made with.
    #[serde(rename = "hub.verify_token")]
    token: String,
    /// The text to repeat.
    #[serde(rename = "hub.challenge")]
    challenge: String,
}

/// How many changes were taken in, and how many were set aside because they cannot be read.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Accepted {
    accepted: usize,
    set_aside: usize,
}

/// Receives webhook deliveries from Meta.
#[derive(Debug, Clone)]
pub struct WebhookReceiver {
    clock: Clock,
    queues: Queues,
    secrets: AppSecrets,
}

impl WebhookReceiver {
    /// Request headers that it reads.
    pub const HEADERS: [&str; 1] = [SIGNATURE_HEADER];

    /// Creates the receiver.
    pub fn new(clock: Clock, queues: Queues, secrets: AppSecrets) -> Self {
        Self { clock, queues, secrets }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        let unit = UnitOfWork::request("webhook-ingest", &self.clock, request.method(), request.headers());
        unit.respond(Box::pin(self.respond(&request))).await
    }

    async fn respond(&self, request: &Request<Bytes>) -> Response {
        let response = match router::find(&DECLARATIONS, request) {
            Err(rejection) => return *rejection,
            Ok((declaration, _)) if declaration.method == Method::GET => self.handshake(request),
            Ok(_) => self.deliver(request).await,
        };
        response.unwrap_or_else(|error| problem::to_response(&error))
    }

    fn handshake(&self, request: &Request<Bytes>) -> Result<Response, Error> {
        let Handshake { mode, token, challenge } = request::query(request)?;
        let known = self.secrets.verify_token.expose_secret();
        if mode != "subscribe" || !bool::from(token.as_bytes().ct_eq(known.as_bytes())) {
            return Err(Error::Forbidden("the mode or the verify token is not ours".to_owned()));
        }
        Text(challenge).into_response(StatusCode::OK)
    }

    /// Queues the changes of a delivery. Responds with 200 once the queue has every change; Meta repeats the delivery
    /// after any other status.
    async fn deliver(&self, request: &Request<Bytes>) -> Result<Response, Error> {
        let body = request.body();
        // During a rotation of the app secret Meta may sign with either one.
        let AppSecrets { app_secret, previous_app_secret, .. } = &self.secrets;
        let mut secrets = iter::once(app_secret).chain(previous_app_secret);
        let signature = request::header(request, SIGNATURE_HEADER);
        let signed = |signature| secrets.any(|secret| webhook::is_signed(secret, signature, body));
        if !signature.is_some_and(signed) {
            telemetry::count(TelemetryMetric::SignatureFailures, 1);
            return Err(Error::Forbidden("X-Hub-Signature-256 is missing, doubled or wrong".to_owned()));
        }
        let changes = webhook::parse_changes(body)
            .map_err(|error| FieldError::new("body", format!("is not a webhook of Meta: {error}")))?;
        let set_aside = changes.iter().filter(|change| change.unreadable.is_some()).count();
        tracing::info!(changes = changes.len(), set_aside, "Meta delivered a webhook.");
        let accepted = changes.len().saturating_sub(set_aside);
        self.queues.send(&jobs(changes)).await?;
        Json(Accepted { accepted, set_aside }).into_response(StatusCode::OK)
    }
}

/// Changes of a job. Their size stays far below that of a message.
const MAX_CHANGES_PER_JOB: usize = 100;

/// Brings the changes of one subject together, because they have one effect.
fn jobs(changes: Vec<WebhookChange>) -> Vec<Job> {
    let mut by_subject: HashMap<Option<WebhookSubject>, Vec<WebhookChange>> = HashMap::new();
    for change in changes {
        by_subject.entry(change.subject.clone()).or_default().push(change);
    }
    let groups = by_subject.into_values();
    let jobs = groups.flat_map(|group| {
        let parts: Vec<_> = group.chunks(MAX_CHANGES_PER_JOB).map(<[WebhookChange]>::to_vec).collect();
        parts.into_iter().map(|changes| Job::WebhookChanges { changes })
    });
    jobs.collect()
}
