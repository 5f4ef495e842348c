//! The entrance of the API: who comes in, how often, and what is not done twice.

use std::future::Future;
use std::sync::Arc;

use ads::Failure;
use ads::id::{MemberId, WorkspaceId};
use bytes::Bytes;
use http::{Method, Request};
use runtime::route::{self, Guest, Route, Visit};
use runtime::session::Person;
use runtime::{Clock, Host, Reply, Sessions, problem};
use store::Table;
use store::asker::Asker;

use crate::pace::Pace;
use crate::repeat::Repeat;

/// What every request with a session goes through, the same in every function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Entrance {
    table: Table,
    sessions: Sessions,
    clock: Clock,
    pace: Arc<Pace>,
}

impl Entrance {
    /// The entrance of a function on this host.
    pub fn new(table: &Table, host: &Host) -> Self {
        Self::with(table.clone(), host.sessions.clone(), host.clock.clone(), host.requests_per_minute)
    }

    /// The entrance of a function that has no more of its host than this.
    pub fn with(table: Table, sessions: Sessions, clock: Clock, requests_per_minute: u32) -> Self {
        Self { table, sessions, clock, pace: Arc::new(Pace::new(requests_per_minute)) }
    }

    /// Answers a request: [`route::serve`] lets it in, here it is counted against its workspace, or its
    /// person where it is for none, and a write that comes again under the same `Idempotency-Key` gets the answer that
    /// the first one got. Public routes are neither: who calls them is known by what they bring, a signature or a state,
    /// and how often the whole API is called is the gateway's to limit.
    ///
    /// `own_way` names the endpoints that see to repetition themselves, in a stronger way than this, or whose answer
    /// must not be kept. Of all others it must be harmless to do the same again: when a process dies in the middle,
    /// a repeated request begins anew.
    pub async fn serve<E, F, Fut>(
        &self,
        function: &'static str,
        routes: &'static [Route<E>],
        request: Request<Bytes>,
        own_way: fn(E) -> bool,
        answer: F,
    ) -> Reply
    where
        E: Copy,
        F: FnOnce(Visit<E>) -> Fut,
        Fut: Future<Output = Result<Reply, Failure>>,
    {
        let admitted = |visit| self.admitted(visit, own_way, answer);
        let member = async |person: &Person, workspace: &WorkspaceId| {
            let member = self.table.member(workspace, &MemberId::of(&person.subject)).await?;
            Ok(member.map(|member| (member.workspace, member.role)))
        };
        route::serve(function, routes, &self.sessions, &self.clock, request, member, admitted).await
    }

    async fn admitted<E, F, Fut>(
        &self,
        visit: Visit<E>,
        own_way: fn(E) -> bool,
        answer: F,
    ) -> Result<Reply, Failure>
    where
        E: Copy,
        F: FnOnce(Visit<E>) -> Fut,
        Fut: Future<Output = Result<Reply, Failure>>,
    {
        let asker = match visit.guest() {
            Guest::Anybody => return answer(visit).await,
            Guest::Person(person) => Asker::Person(MemberId::of(&person.subject)),
            Guest::Member(session) => session.workspace.clone().into(),
        };
        if let Some(until) = self.pace.admit(&self.table, &asker, self.clock.now()).await? {
            return Ok(problem::too_many_requests(until.duration_since(self.clock.now())));
        }
        let key = visit.idempotency_key()?;
        let writes = visit.request.method() != Method::GET;
        match key.filter(|_| writes && !own_way(visit.endpoint)) {
            Some(key) => {
                let repeat = Repeat::new(&self.table, &self.clock, asker, key, &visit.request);
                repeat.once(answer(visit)).await
            }
            None => answer(visit).await,
        }
    }
}
