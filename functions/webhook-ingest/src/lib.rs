//! Verifies Meta's webhooks, keeps each change once, causes what follows.
//!
//! The [`WebhookReceiver`] checks the signature over the raw bytes and hands every change to the queue, and only then
//! answers 200. It needs no table, so it can stand at the edge and answers Meta even while the rest is down.
//! [`WebhookIngest`] keeps each change once per workspace that holds the object, and has it synced.

// At the edge a panic ends every request of the isolate.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

#[cfg(feature = "describe")]
mod describe;
#[cfg(not(target_arch = "wasm32"))]
mod inbox;
#[cfg(target_arch = "wasm32")]
mod worker;

use std::iter;

use bytes::Bytes;
use domain::job::Job;
use domain::{Error, FieldError};
use graph_api::webhook;
use http::{Method, Request, StatusCode};
use runtime::route::{self, Access::Public, RequestContext, Route};
use runtime::telemetry::{self, Metric};
use runtime::{AppSecrets, Clock, Queues, Response, response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

#[cfg(feature = "describe")]
pub use crate::describe::describe;
#[cfg(not(target_arch = "wasm32"))]
pub use crate::inbox::WebhookIngest;

const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// What can be asked of this function.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// Meta checks that the address is ours.
    Handshake,
    /// Meta brings changes.
    Deliver,
}

/// Every route of this function.
pub static ROUTES: &[Route<Endpoint>] = &[
    Route { method: Method::GET, path: "/v1/webhooks/meta", access: Public, endpoint: Endpoint::Handshake },
    Route { method: Method::POST, path: "/v1/webhooks/meta", access: Public, endpoint: Endpoint::Deliver },
];

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

/// How many changes were taken in.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Accepted {
    accepted: usize,
}

/// Where Meta comes in.
#[derive(Debug, Clone)]
pub struct WebhookReceiver {
    clock: Clock,
    queues: Queues,
    secrets: AppSecrets,
}

impl WebhookReceiver {
    /// The headers that it reads.
    pub const HEADERS: [&str; 1] = [SIGNATURE_HEADER];

    /// The receiver on this host.
    pub fn new(clock: Clock, queues: Queues, secrets: AppSecrets) -> Self {
        Self { clock, queues, secrets }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        route::serve_public("webhook-ingest", ROUTES, &self.clock, request, |context| self.dispatch(context))
            .await
    }

    async fn dispatch(&self, context: RequestContext<Endpoint>) -> Result<Response, Error> {
        match context.endpoint {
            Endpoint::Handshake => self.handshake(&context),
            Endpoint::Deliver => self.deliver(&context).await,
        }
    }

    fn handshake(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let Handshake { mode, token, challenge } = context.asked()?;
        let known = self.secrets.verify_token.expose_secret();
        if mode != "subscribe" || !bool::from(token.as_bytes().ct_eq(known.as_bytes())) {
            return Err(Error::Forbidden("the mode or the verify token is not ours".to_owned()));
        }
        Ok(response::typed(StatusCode::OK, "text/plain; charset=utf-8", challenge))
    }

    /// 200 means that the queue has every change. Anything else makes Meta deliver again.
    async fn deliver(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let body = context.request.body();
        // While the app's secret is being changed Meta may sign with either.
        let AppSecrets { app_secret, previous_app_secret, .. } = &self.secrets;
        let mut secrets = iter::once(app_secret).chain(previous_app_secret);
        let signature = context.header(SIGNATURE_HEADER);
        let signed = |signature| secrets.any(|secret| webhook::is_signed(secret, signature, body));
        if !signature.is_some_and(signed) {
            telemetry::count(Metric::SignatureFailures, 1);
            return Err(Error::Forbidden("X-Hub-Signature-256 is missing, doubled or wrong".to_owned()));
        }
        let changes = webhook::parse_changes(body)
            .map_err(|error| FieldError::new("body", format!("is not a webhook of Meta: {error}")))?;
        tracing::info!(changes = changes.len(), "Meta delivered a webhook.");
        let jobs: Vec<_> = changes.into_iter().map(Job::WebhookChange).collect();
        self.queues.send(&jobs).await?;
        response::ok(&Accepted { accepted: jobs.len() })
    }
}
