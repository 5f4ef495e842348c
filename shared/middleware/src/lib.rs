//! Middleware of the API: the steps that every request passes before its handler, identical in every function.

mod authentication;
mod encoding;
mod idempotency;
pub mod lambda;
mod rate_limiter;
mod representation;
pub mod version;

use std::sync::Arc;

use bytes::Bytes;
use domain::Error;
use domain::id::MemberId;
use http::{HeaderMap, Request};
use runtime::endpoint::{Access, Declaration, Endpoint, Principal};
use runtime::session::Session;
use runtime::telemetry::UnitOfWork;
use runtime::{Clock, Host, Response, SessionVerifier, problem, random, request, router};
use store::Table;
use store::audit::{Actor, AuditEvent};
use store::rate_limit_key::RateLimitKey;

use crate::idempotency::Idempotency;
use crate::rate_limiter::{Admission, RateLimiter};
use crate::representation::Representation;

/// Middleware of one function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Middleware {
    table: Table,
    sessions: SessionVerifier,
    clock: Clock,
    rate_limiter: Arc<RateLimiter>,
}

impl Middleware {
    /// Creates the middleware of a function.
    pub fn new(table: &Table, host: &Host) -> Self {
        Self::from_parts(table.clone(), host.sessions.clone(), host.clock.clone(), host.requests_per_minute)
    }

    /// Creates the middleware of a function without a full host.
    pub(crate) fn from_parts(
        table: Table,
        sessions: SessionVerifier,
        clock: Clock,
        requests_per_minute: u32,
    ) -> Self {
        Self { table, sessions, clock, rate_limiter: Arc::new(RateLimiter::new(requests_per_minute)) }
    }

    /// Handles a request as one unit of work of the function with this name.
    pub async fn serve<F: Clone>(
        &self,
        name: &'static str,
        endpoints: &[Endpoint<F>],
        function: &F,
        request: Request<Bytes>,
    ) -> Response {
        let unit = UnitOfWork::request(name, &self.clock, request.method(), request.headers());
        let work =
            async { self.respond(endpoints, function, request).await.unwrap_or_else(|rejection| *rejection) };
        unit.respond(Box::pin(work)).await
    }

    /// Runs every step of a request in order. Public endpoints have no rate limit and no idempotency here: their
    /// callers are authenticated by a signature or a state, and the gateway limits requests to the whole API.
    async fn respond<F: Clone>(
        &self,
        endpoints: &[Endpoint<F>],
        function: &F,
        request: Request<Bytes>,
    ) -> Result<Response, Box<Response>> {
        let (endpoint, path) = router::find(endpoints, &request)?;
        let representation = Representation::requested(&request, &endpoint.declaration).map_err(reject)?;
        let principal = match endpoint.declaration.access {
            Access::Public => Principal::Anonymous,
            Access::User => Principal::User(self.authenticate(&request).await?),
            Access::Member(role) => {
                let user = self.authenticate(&request).await?;
                Principal::Member(self.authorize(user, role, &path).await?)
            }
        };
        let caller = rate_limit_key(&principal);
        let limits = match &caller {
            Some(caller) => self.limit_rate(caller).await?,
            None => HeaderMap::new(),
        };
        let request = encoding::decoded(request, endpoint.declaration.max_body_bytes)?;
        let idempotency = self.idempotency(&endpoint.declaration, caller, &request).map_err(reject)?;
        let handler = endpoint.call(function.clone(), principal, path, request);
        let response = match idempotency {
            Some(idempotency) => idempotency.execute(handler).await,
            None => handler.await,
        };
        let mut response = response.unwrap_or_else(|error| problem::to_response(&error));
        response.headers_mut().extend(limits);
        Ok(representation.apply(response))
    }

    /// Counts a request. Returns the headers that say how many more there are.
    async fn limit_rate(&self, caller: &RateLimitKey) -> Result<HeaderMap, Box<Response>> {
        let now = self.clock.now();
        match self.rate_limiter.acquire(&self.table, caller, now).await.map_err(reject)? {
            Admission::Granted { left } => Ok(self.rate_limiter.headers(left, 60)),
            Admission::Exhausted { until } => {
                let wait = u64::try_from(until.duration_since(now).as_millis()).unwrap_or(0);
                let seconds = wait.div_ceil(1000).max(1);
                let mut response = problem::too_many_requests(seconds);
                response.headers_mut().extend(self.rate_limiter.headers(0, seconds));
                Err(Box::new(response))
            }
        }
    }

    /// Returns the idempotency of a write with an `Idempotency-Key`, unless the endpoint handles it itself. All other
    /// writes must be safe to repeat: after a crash, a repeated request executes again.
    fn idempotency<'a>(
        &'a self,
        declaration: &Declaration,
        caller: Option<RateLimitKey>,
        request: &Request<Bytes>,
    ) -> Result<Option<Idempotency<'a>>, Error> {
        let Some(caller) = caller else { return Ok(None) };
        let key = request::idempotency_key(request)?;
        let applies = !declaration.is_read && !declaration.handles_own_idempotency;
        let key = key.filter(|_| applies);
        Ok(key.map(|key| Idempotency::new(&self.table, &self.clock, caller, key, request)))
    }
}

/// Creates the audit event of a member's request. Each request is an event of its own.
pub fn user_event(session: &Session, action: &str, target: String) -> Result<AuditEvent, Error> {
    let actor = Actor::Person { subject: session.subject.clone() };
    Ok(AuditEvent::new(random::id()?, actor, action, target))
}

/// Returns the rate limit key: the workspace, or the user for requests without a workspace.
fn rate_limit_key(principal: &Principal) -> Option<RateLimitKey> {
    match principal {
        Principal::Anonymous => None,
        Principal::User(user) => Some(RateLimitKey::User(MemberId::from_subject(&user.subject))),
        Principal::Member(session) => Some(session.workspace.clone().into()),
    }
}

/// Creates the response of a failed request.
fn reject(error: Error) -> Box<Response> {
    Box::new(problem::to_response(&error))
}
