//! Verifies Meta's webhooks, keeps each change once, causes what follows.
//!
//! `handle` is the door: it checks the signature over the raw bytes and hands every change to the queue, and
//! only then answers 200. It needs no table, so it can stand at the edge and answers Meta even while the rest
//! is down. `process` keeps each change once per workspace that holds the object, and has it synced.

use ads::job::{Job, SyncCause, WebhookChange, WebhookSubject};
use ads::{Failure, Invalid};
use bytes::Bytes;
use graph_api::webhook;
use http::{Method, Request, StatusCode};
use runtime::route::{self, Access::Public, Route, Visit};
use runtime::{Host, Reply, reply};
use secrecy::{ExposeSecret, SecretString};
use store::Table;
use store::account::Holder;
use store::inbox::InboxState;
use subtle::ConstantTimeEq;

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

/// What Meta and we both know.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The app's secret: Meta signs with it.
    pub app_secret: SecretString,
    /// The text that was given when subscribing.
    pub verify_token: SecretString,
}

/// The function.
#[derive(Debug, Clone)]
pub struct WebhookIngest {
    table: Table,
    host: Host,
    shared: Shared,
}

impl WebhookIngest {
    /// The function on this host.
    pub fn new(table: Table, host: Host, shared: Shared) -> Self {
        Self { table, host, shared }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        route::serve(ROUTES, &self.host.sessions, &self.host.clock, request, |visit| self.answer(visit)).await
    }

    async fn answer(&self, visit: Visit<Endpoint>) -> Result<Reply, Failure> {
        match visit.endpoint {
            Endpoint::Handshake => self.handshake(&visit),
            Endpoint::Deliver => self.deliver(&visit).await,
        }
    }

    fn handshake(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let mode: String = visit.required("hub.mode", "subscribe")?;
        let token: String = visit.required("hub.verify_token", "TOKEN")?;
        let challenge: String = visit.required("hub.challenge", "1158201444")?;
        let known = self.shared.verify_token.expose_secret();
        if mode != "subscribe" || !bool::from(token.as_bytes().ct_eq(known.as_bytes())) {
            return Err(Failure::Forbidden("the mode or the verify token is not ours".to_owned()));
        }
        Ok(reply::typed(StatusCode::OK, "text/plain; charset=utf-8", challenge))
    }

    /// 200 means that the queue has every change. Anything else makes Meta deliver again.
    async fn deliver(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let body = visit.request.body();
        let signed = visit
            .header(SIGNATURE)
            .is_some_and(|signature| webhook::is_signed(&self.shared.app_secret, signature, body));
        if !signed {
            return Err(Failure::Forbidden("X-Hub-Signature-256 is missing, doubled or wrong".to_owned()));
        }
        let changes = webhook::changes(body)
            .map_err(|error| Invalid::new("body", format!("is not a webhook of Meta: {error}")))?;
        tracing::info!(changes = changes.len(), "Meta delivered a webhook.");
        let jobs: Vec<_> = changes.into_iter().map(Job::WebhookChange).collect();
        self.host.queues.send(&jobs).await?;
        reply::ok(&serde_json::json!({"accepted": jobs.len()}))
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Failure> {
        match job {
            Job::WebhookChange(change) => self.accept(&change).await,
            other => Err(other.misdirected()),
        }
    }

    async fn accept(&self, change: &WebhookChange) -> Result<(), Failure> {
        let Some(subject) = &change.subject else {
            tracing::info!(
                object = change.object,
                field = change.field,
                "A webhook change names nothing that we mirror."
            );
            return Ok(());
        };
        let holders = self.holders(subject).await?;
        tracing::info!(field = change.field, holders = holders.len(), "Taking in a webhook change.");
        for holder in holders {
            let now = self.host.clock.now();
            if self.table.accept_change(&holder.workspace, change, now).await? == InboxState::Accepted {
                // The effect first: a crash before the mark repeats it, and a repeated sync is harmless.
                self.host.queues.send(&[effect(subject, &holder)]).await?;
                self.table.change_is_done(&holder.workspace, &change.digest).await?;
            }
        }
        Ok(())
    }

    /// Who holds what a change is about, among those who want it synced. An object that nobody has seen yet
    /// is its account's.
    async fn holders(&self, subject: &WebhookSubject) -> Result<Vec<Holder>, Failure> {
        let mut holders = match subject {
            WebhookSubject::Object { id, .. } => self.table.holders(id.as_str()).await?,
            WebhookSubject::Account(account) => self.table.holders(account.digits()).await?,
        };
        if let (true, WebhookSubject::Object { ad_account: Some(account), .. }) =
            (holders.is_empty(), subject)
        {
            holders = self.table.holders(account.digits()).await?;
        }
        let mut selected = Vec::new();
        for holder in holders {
            let account = self.table.account(&holder.workspace, &holder.ad_account).await?;
            if account.is_some_and(|account| account.selected) {
                selected.push(holder);
            }
        }
        Ok(selected)
    }
}

/// What a change causes for one holder of its subject.
fn effect(subject: &WebhookSubject, holder: &Holder) -> Job {
    let (workspace, ad_account) = (holder.workspace.clone(), holder.ad_account.clone());
    match subject {
        WebhookSubject::Object { id, level, .. } => {
            Job::SyncObject { workspace, ad_account, level: *level, object: id.clone() }
        }
        WebhookSubject::Account(_) => Job::SyncAccount { workspace, ad_account, cause: SyncCause::Request },
    }
}
