//! The middleware stack of the API: authentication, rate limits and idempotency.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use domain::Error;
use domain::id::{MemberId, WorkspaceId};
use http::{Method, Request};
use runtime::route::{self, Principal, RequestContext, Route};
use runtime::session::User;
use runtime::{Clock, Host, Response, SessionVerifier, problem};
use store::Table;
use store::rate_limit_key::RateLimitKey;

use crate::idempotency::Idempotency;
use crate::rate_limiter::RateLimiter;

/// What every request with a session goes through, the same in every function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MiddlewareStack {
    table: Table,
    sessions: SessionVerifier,
    clock: Clock,
    rate_limiter: Arc<RateLimiter>,
}

impl MiddlewareStack {
    /// The middleware stack of a function on this host.
    pub fn new(table: &Table, host: &Host) -> Self {
        Self::from_parts(table.clone(), host.sessions.clone(), host.clock.clone(), host.requests_per_minute)
    }

    /// The middleware stack of a function that has no more of its host than this.
    pub fn from_parts(
        table: Table,
        sessions: SessionVerifier,
        clock: Clock,
        requests_per_minute: u32,
    ) -> Self {
        Self { table, sessions, clock, rate_limiter: Arc::new(RateLimiter::new(requests_per_minute)) }
    }

    /// Answers a request: [`route::serve`] lets it in, here it is counted against its workspace, or its
    /// user where it is for none, and a write that comes again under the same `Idempotency-Key` gets the answer that
    /// the first one got. Public routes are neither: who calls them is known by what they bring, a signature or a state,
    /// and how often the whole API is called is the gateway's to limit.
    ///
    /// `handles_own_idempotency` names the endpoints that see to repetition themselves, in a stronger way than this, or whose answer
    /// must not be kept. Of all others it must be harmless to do the same again: when a process dies in the middle,
    /// a repeated request begins anew.
    pub async fn serve<E, F, Fut>(
        &self,
        function: &'static str,
        routes: &'static [Route<E>],
        request: Request<Bytes>,
        handles_own_idempotency: fn(E) -> bool,
        handler: F,
    ) -> Response
    where
        E: Copy,
        F: FnOnce(RequestContext<E>) -> Fut,
        Fut: Future<Output = Result<Response, Error>>,
    {
        let admitted = |context| self.handle(context, handles_own_idempotency, handler);
        let member = async |user: &User, workspace: &WorkspaceId| {
            let member = self.table.member(workspace, &MemberId::from_subject(&user.subject)).await?;
            Ok(member.map(|member| (member.workspace, member.role)))
        };
        route::serve(function, routes, &self.sessions, &self.clock, request, member, admitted).await
    }

    async fn handle<E, F, Fut>(
        &self,
        context: RequestContext<E>,
        handles_own_idempotency: fn(E) -> bool,
        handler: F,
    ) -> Result<Response, Error>
    where
        E: Copy,
        F: FnOnce(RequestContext<E>) -> Fut,
        Fut: Future<Output = Result<Response, Error>>,
    {
        let rate_limit_key = match context.principal() {
            Principal::Anonymous => return handler(context).await,
            Principal::User(user) => RateLimitKey::User(MemberId::from_subject(&user.subject)),
            Principal::Member(session) => session.workspace.clone().into(),
        };
        if let Some(until) = self.rate_limiter.acquire(&self.table, &rate_limit_key, self.clock.now()).await?
        {
            return Ok(problem::too_many_requests(until.duration_since(self.clock.now())));
        }
        let key = context.idempotency_key()?;
        let writes = context.request.method() != Method::GET;
        match key.filter(|_| writes && !handles_own_idempotency(context.endpoint)) {
            Some(key) => {
                let idempotency =
                    Idempotency::new(&self.table, &self.clock, rate_limit_key, key, &context.request);
                idempotency.execute(handler(context)).await
            }
            None => handler(context).await,
        }
    }
}
