//! Reaching an ad account: its row in the table, its connection's token opened, and Graph on behalf of it. And the
//! entrance of the API, which counts and remembers what comes in.
//!
//! The table and Graph do not know each other, and neither do the table and the host; here is where a function brings
//! them together.

pub mod audit;
pub mod consent;
pub mod lambda;

mod entrance;
mod pace;
mod quota;
mod repeat;

use std::sync::Arc;

use ads::Failure;
use ads::date::DateRange;
use ads::id::{AdAccountId, ConnectionId, ObjectId};
use ads::object::{AdObject, Level};
use ads::tenant::Tenant;
use graph_api::insights::{AdDay, AdDays};
use graph_api::launch::Changes;
pub use graph_api::usage::UseCase;
use graph_api::{Allowance, Caller, Graph, GraphError};
use jiff::Timestamp;
use runtime::Keyring;
use runtime::telemetry::{self, Metric};
use secrecy::SecretString;
use store::Table;
use store::account::AdAccount;
use store::audit::Actor;
use store::connection::{Connection, ConnectionState};
use store::object::KeptObject;

pub use crate::entrance::Entrance;
use crate::quota::Quotas;

/// What it takes to reach an account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    /// The table.
    pub table: Table,
    /// The app at Meta.
    pub graph: Graph,
    /// The keys that open tokens.
    pub keyring: Keyring,
}

/// An ad account within reach.
#[derive(Debug)]
pub struct Reached {
    /// Whose it is.
    pub workspace: Tenant,
    /// Its row.
    pub account: AdAccount,
    /// Graph, on behalf of its connection.
    pub caller: Caller,
    connection: Connection,
    table: Table,
    quotas: Quotas,
    allowance: Arc<Allowance>,
}

/// The place a token is sealed for: it opens nowhere else.
pub fn token_context(workspace: &Tenant, connection: &ConnectionId) -> String {
    format!("{workspace}|{connection}")
}

impl Access {
    /// The app at Meta, its calls counted for the work that makes them.
    pub fn new(table: Table, graph: Graph, keyring: Keyring) -> Self {
        graph.tell_of_calls(|| telemetry::count(Metric::GraphCalls, 1));
        Self { table, graph, keyring }
    }

    /// A connection's token. One that cannot be opened any more is remembered as lost: only connecting again makes
    /// another one.
    pub async fn token_of(
        &self,
        workspace: &Tenant,
        connection: &Connection,
    ) -> Result<SecretString, Failure> {
        let place = token_context(workspace, &connection.id);
        let opened = self.keyring.open(&connection.sealed_token, &place).await;
        if let Err(Failure::Reconnect(why)) = &opened
            && !connection.sealed_token.is_empty()
        {
            tracing::error!(%workspace, connection = %connection.id, "A sealed token does not open.");
            consent::has_ended(&self.table, workspace, connection, why, Actor::Operator, self.graph.now())
                .await?;
        }
        opened
    }

    /// An account with its token opened and some calls leased, to be given back with [`Reached::done`].
    ///
    /// [`Failure::Reconnect`] when only a person can mend the connection, [`Failure::Wait`] while Meta would
    /// refuse every call of this use case.
    pub async fn reach(
        &self,
        workspace: &Tenant,
        id: &AdAccountId,
        case: UseCase,
    ) -> Result<Reached, Failure> {
        let account = self.table.known_account(workspace, id).await?;
        let lost = || Failure::Reconnect(format!("{id} has no connection any more; connect it again"));
        let connection = self.table.connection(workspace, &account.connection).await?.ok_or_else(lost)?;
        if connection.state == ConnectionState::NeedsReconnect {
            let reason = connection.reason.unwrap_or_else(|| "Meta no longer accepts its token".to_owned());
            return Err(Failure::Reconnect(format!("the connection of {id} must be renewed: {reason}")));
        }
        let token = self.token_of(workspace, &connection).await?;
        let table = self.table.clone();
        let app = self.graph.config().app_id.clone();
        let quotas = Quotas { table: table.clone(), app, account: id.clone(), case };
        let now = self.graph.now();
        let lease = quotas.lease(now).await?.map_err(|until| Failure::Wait {
            after: until.duration_since(now).unsigned_abs(),
            why: format!("Meta's quota for {id} is used up for now"),
        })?;
        let allowance = Arc::new(Allowance::default());
        allowance.put(Ok(lease));
        let mut caller = self.graph.on_behalf_of(token).within(Arc::clone(&allowance));
        if let Some(deadline) = runtime::deadline::of_this_invocation() {
            caller = caller.until(deadline);
        }
        let workspace = workspace.clone();
        Ok(Reached { workspace, account, caller, connection, table, quotas, allowance })
    }
}

impl Reached {
    /// Turns Graph's answer into ours. A token that Meta declares dead is remembered as dead, so that no
    /// other work runs into it. Code 190 without a subcode has been seen for a missing Page permission,
    /// so then Meta is asked about the token itself.
    pub async fn heed<T>(&self, answer: Result<T, GraphError>) -> Result<T, Failure> {
        if let Err(GraphError::Reconnect(details)) = &answer {
            if details.is_for_the_person() {
                let why = format!("{details}; the person mends this at facebook.com");
                return Err(Failure::NeedPermission(why));
            }
            if !details.ends_the_consent() {
                return Err(Failure::Defect(format!("Meta does not take our proof of a token: {details}")));
            }
            if details.code == 190 && details.subcode.is_none() && self.caller.is_alive().await? {
                return Err(Failure::NeedPermission(details.to_string()));
            }
            tracing::warn!(connection = %self.connection.id, %details, "A connection must be renewed.");
            let (seen, why) = (&self.connection, &details.message);
            consent::has_ended(&self.table, &self.workspace, seen, why, Actor::Webhook, self.now()).await?;
        }
        if !self.allowance.suffices(self.now()) {
            let lease = self.quotas.exchange(self.allowance.take(), self.now()).await;
            // What Meta has done stands, whatever becomes of the quota: without a lease the next call waits.
            self.allowance.put(lease.unwrap_or_else(|failure| {
                tracing::warn!(ad_account = %self.account.id, %failure, "Calls could not be leased.");
                Err(self.now())
            }));
        }
        answer.map_err(Failure::from)
    }

    /// Gives back what is left of the leased calls, and hands on how the work ended.
    pub async fn done<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Some((lease, spent)) = self.allowance.take()
            && let Err(failure) = self.quotas.settle(lease, spent, self.now()).await
        {
            // The work stands as it is, and the lease ends by itself.
            tracing::warn!(ad_account = %self.account.id, %failure, "Leased calls could not be given back.");
        }
        result
    }

    /// Sets values of an object. The budget of an ad set only as often as Meta lets it change.
    pub async fn change(&self, level: Level, id: &ObjectId, changes: &Changes) -> Result<(), Failure> {
        if level == Level::AdSet && changes.daily_budget.is_some() {
            self.quotas.admit_budget_change(id, self.now()).await?;
        }
        self.heed(self.caller.change(id, changes).await).await
    }

    /// The account's insights of these days, in portions that Meta is known to give.
    pub async fn ad_days(&self, range: DateRange) -> Result<AdDays, Failure> {
        let (portion, runs) = self.quotas.learnt(self.now()).await?;
        Ok(self.caller.ad_days(&self.account.id, range, portion).going_on(runs))
    }

    /// The next rows of these days. What had to be made smaller is remembered for the next time, and a report
    /// that is not ready yet for the next invocation.
    pub async fn next_days(
        &self,
        days: &mut AdDays,
        range: DateRange,
    ) -> Result<Option<Vec<AdDay>>, Failure> {
        let before = (days.portion(), days.unread_runs().to_vec());
        let answer = self.heed(days.next().await).await;
        if (days.portion(), days.unread_runs()) != (before.0, &before.1) {
            self.quotas.learn(days.portion(), range, days.unread_runs(), self.now()).await?;
        }
        answer
    }

    fn now(&self) -> Timestamp {
        self.caller.graph().now()
    }

    /// Reads one object at Meta and keeps it. `None` when Meta does not show it: that can be a lost
    /// permission, so one such answer declares nothing deleted.
    pub async fn refresh(&self, level: Level, id: &ObjectId) -> Result<Option<AdObject>, Failure> {
        let as_of = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
        let object = match self.caller.object(level, id).await {
            Err(GraphError::Gone(_)) => return Ok(None),
            answer => self.heed(answer).await?,
        };
        let kept = KeptObject { object, as_of, hidden: false };
        self.table.keep_object(&self.workspace, &self.account.id, &kept).await?;
        Ok(Some(kept.object))
    }

    /// Reads and keeps what is below an object: a change of its status changes theirs.
    pub async fn refresh_below(&self, level: Level, id: &ObjectId) -> Result<(), Failure> {
        for below in [Level::AdSet, Level::Ad].into_iter().filter(|below| *below > level) {
            let as_of = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
            let mut pages = self.caller.objects_below(&self.account.id, below, (level, id));
            while let Some(page) = self.heed(pages.next().await).await? {
                for object in page {
                    let kept = KeptObject { object: object.into_object(below), as_of, hidden: false };
                    self.table.keep_object(&self.workspace, &self.account.id, &kept).await?;
                }
            }
        }
        Ok(())
    }
}
