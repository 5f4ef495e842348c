//! Verifies Meta's webhooks, keeps each change once, causes what follows.
//!
//! The [`Door`] checks the signature over the raw bytes and hands every change to the queue, and only then
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

use ads::job::Job;
use ads::{Failure, Invalid};
use bytes::Bytes;
use graph_api::webhook;
use http::{Method, Request, StatusCode};
use runtime::route::{self, Access::Public, Route, Visit};
use runtime::telemetry::{self, Metric};
use runtime::{AppSecrets, Clock, Queues, Reply, reply};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

#[cfg(feature = "describe")]
pub use crate::describe::describe;
#[cfg(not(target_arch = "wasm32"))]
pub use crate::inbox::WebhookIngest;

const SIGNATURE: &str = "x-hub-signature-256";

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
struct TakenIn {
    accepted: usize,
}

/// Where Meta comes in.
#[derive(Debug, Clone)]
pub struct Door {
    clock: Clock,
    queues: Queues,
    secrets: AppSecrets,
}

impl Door {
    /// The headers that it reads.
    pub const HEADERS: [&str; 1] = [SIGNATURE];

    /// The door on this host.
    pub fn new(clock: Clock, queues: Queues, secrets: AppSecrets) -> Self {
        Self { clock, queues, secrets }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        route::serve_public("webhook-ingest", ROUTES, &self.clock, request, |visit| self.answer(visit)).await
    }

    async fn answer(&self, visit: Visit<Endpoint>) -> Result<Reply, Failure> {
        match visit.endpoint {
            Endpoint::Handshake => self.handshake(&visit),
            Endpoint::Deliver => self.deliver(&visit).await,
        }
    }

    fn handshake(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let Handshake { mode, token, challenge } = visit.asked()?;
        let known = self.secrets.verify_token.expose_secret();
        if mode != "subscribe" || !bool::from(token.as_bytes().ct_eq(known.as_bytes())) {
            return Err(Failure::Forbidden("the mode or the verify token is not ours".to_owned()));
        }
        Ok(reply::typed(StatusCode::OK, "text/plain; charset=utf-8", challenge))
    }

    /// 200 means that the queue has every change. Anything else makes Meta deliver again.
    async fn deliver(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let body = visit.request.body();
        // While the app's secret is being changed Meta may sign with either.
        let AppSecrets { app_secret, previous_app_secret, .. } = &self.secrets;
        let mut secrets = iter::once(app_secret).chain(previous_app_secret);
        let signature = visit.header(SIGNATURE);
        let signed = |signature| secrets.any(|secret| webhook::is_signed(secret, signature, body));
        if !signature.is_some_and(signed) {
            telemetry::count(Metric::SignatureFailures, 1);
            return Err(Failure::Forbidden("X-Hub-Signature-256 is missing, doubled or wrong".to_owned()));
        }
        let changes = webhook::changes(body)
            .map_err(|error| Invalid::new("body", format!("is not a webhook of Meta: {error}")))?;
        tracing::info!(changes = changes.len(), "Meta delivered a webhook.");
        let jobs: Vec<_> = changes.into_iter().map(Job::WebhookChange).collect();
        self.queues.send(&jobs).await?;
        reply::ok(&TakenIn { accepted: jobs.len() })
    }
}
