//! Opens ad accounts: the row in the table, the token of the connection, a lease of Meta's quota, and a client that acts
//! for the connection.
//!
//! `graph-api` and `store` do not know each other, and only here does a function bring them together.

pub mod consent;
pub mod lambda;

mod quota;

use std::sync::Arc;

use domain::Error;
use domain::date::DateRange;
use domain::id::{AdAccountId, ConnectionId, ObjectId};
use domain::object::{AdObject, Level};
use domain::tenant::Tenant;
use graph_api::insights::{InsightsReader, InsightsRow};
use graph_api::launch::Changes;
pub use graph_api::usage::UseCase;
use graph_api::{Caller, Graph, GraphError, QuotaLease};
use jiff::Timestamp;
use runtime::Keyring;
use runtime::telemetry::{self, Metric};
use secrecy::SecretString;
use store::Table;
use store::account::AdAccount;
use store::audit::Actor;
use store::connection::{Connection, ConnectionState};
use store::entity::StoredEntity;

use crate::quota::Quotas;

/// What it takes to reach an account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    /// The table.
    pub table: Table,
    /// The app at Meta.
    pub graph: Graph,
    /// The keys that open tokens.
    pub keyring: Keyring,
}

/// An ad account within reach.
#[derive(Debug)]
pub struct AccountClient {
    /// Whose it is.
    pub workspace: Tenant,
    /// Its row.
    pub account: AdAccount,
    /// Graph, on behalf of its connection.
    pub caller: Caller,
    connection: Connection,
    table: Table,
    quotas: Quotas,
    quota_lease: Arc<QuotaLease>,
}

/// The place a token is sealed for: it opens nowhere else.
pub fn token_context(workspace: &Tenant, connection: &ConnectionId) -> String {
    format!("{workspace}|{connection}")
}

impl Connector {
    /// The app at Meta, its calls counted for the work that makes them.
    pub fn new(table: Table, graph: Graph, keyring: Keyring) -> Self {
        graph.set_call_listener(|| telemetry::count(Metric::GraphCalls, 1));
        Self { table, graph, keyring }
    }

    /// A connection's token. One that cannot be opened any more is remembered as lost: only connecting again makes
    /// another one.
    pub async fn open_token(
        &self,
        workspace: &Tenant,
        connection: &Connection,
    ) -> Result<SecretString, Error> {
        let place = token_context(workspace, &connection.id);
        let opened = self.keyring.open(&connection.sealed_token, &place).await;
        if let Err(Error::Reconnect(why)) = &opened
            && !connection.sealed_token.is_empty()
        {
            tracing::error!(%workspace, connection = %connection.id.log_id(), "A sealed token does not open.");
            consent::mark_needs_reconnect(
                &self.table,
                workspace,
                connection,
                why,
                Actor::Operator,
                self.graph.now(),
            )
            .await?;
        }
        opened
    }

    /// An account with its token opened and some calls leased, to be given back with [`AccountClient::close`].
    ///
    /// [`Error::Reconnect`] when only a person can mend the connection, [`Error::RateLimited`] while Meta would
    /// refuse every call of this use case.
    pub async fn open(
        &self,
        workspace: &Tenant,
        id: &AdAccountId,
        case: UseCase,
    ) -> Result<AccountClient, Error> {
        let account = self.table.require_account(workspace, id).await?;
        let lost = || Error::Reconnect(format!("{id} has no connection any more; connect it again"));
        let connection = self.table.connection(workspace, &account.connection).await?.ok_or_else(lost)?;
        if connection.state == ConnectionState::NeedsReconnect {
            let reason = connection.reason.unwrap_or_else(|| "Meta no longer accepts its token".to_owned());
            return Err(Error::Reconnect(format!("the connection of {id} must be renewed: {reason}")));
        }
        let token = self.open_token(workspace, &connection).await?;
        let table = self.table.clone();
        let app = self.graph.config().app_id.clone();
        let quotas = Quotas { table: table.clone(), app, account: id.clone(), case };
        let now = self.graph.now();
        let lease = quotas.lease(now).await?.map_err(|until| Error::RateLimited {
            retry_after: until.duration_since(now).unsigned_abs(),
            reason: format!("Meta's quota for {id} is used up for now"),
        })?;
        let quota_lease = Arc::new(QuotaLease::default());
        quota_lease.put(Ok(lease));
        let mut caller = self.graph.on_behalf_of(token).with_quota_lease(Arc::clone(&quota_lease));
        if let Some(deadline) = runtime::deadline::soft_deadline() {
            caller = caller.with_deadline(deadline);
        }
        let workspace = workspace.clone();
        Ok(AccountClient { workspace, account, caller, connection, table, quotas, quota_lease })
    }
}

impl AccountClient {
    /// Turns Graph's response into ours. A token that Meta declares dead is remembered as dead, so that no
    /// other work runs into it. Code 190 without a subcode has been seen for a missing Page permission,
    /// so then Meta is asked about the token itself.
    pub async fn check_response<T>(&self, response: Result<T, GraphError>) -> Result<T, Error> {
        if let Err(GraphError::Reconnect(details)) = &response {
            if details.needs_user_action() {
                let why = format!("{details}; the person mends this at facebook.com");
                return Err(Error::NeedPermission(why));
            }
            if !details.invalidates_token() {
                return Err(Error::Internal(format!("Meta does not take our proof of a token: {details}")));
            }
            if details.code == 190 && details.subcode.is_none() && self.caller.is_token_valid().await? {
                return Err(Error::NeedPermission(details.to_string()));
            }
            tracing::warn!(connection = %self.connection.id.log_id(), %details, "A connection must be renewed.");
            let (seen, why) = (&self.connection, &details.message);
            consent::mark_needs_reconnect(
                &self.table,
                &self.workspace,
                seen,
                why,
                Actor::Webhook,
                self.now(),
            )
            .await?;
        }
        if !self.quota_lease.covers_call(self.now()) {
            let lease = self.quotas.renew(self.quota_lease.take(), self.now()).await;
            // What Meta has done stands, whatever becomes of the quota: without a lease the next call waits.
            self.quota_lease.put(lease.unwrap_or_else(|error| {
                tracing::warn!(ad_account = %self.account.id, %error, "Calls could not be leased.");
                Err(self.now())
            }));
        }
        response.map_err(Error::from)
    }

    /// Gives back what is left of the leased calls, and hands on how the work ended.
    pub async fn close<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        if let Some((lease, spent)) = self.quota_lease.take()
            && let Err(error) = self.quotas.release(lease, spent, self.now()).await
        {
            // The work stands as it is, and the lease ends by itself.
            tracing::warn!(ad_account = %self.account.id, %error, "Leased calls could not be given back.");
        }
        result
    }

    /// Sets values of an object. The budget of an ad set only as often as Meta lets it change.
    pub async fn change(&self, level: Level, id: &ObjectId, changes: &Changes) -> Result<(), Error> {
        if level == Level::AdSet && changes.daily_budget.is_some() {
            self.quotas.admit_budget_change(id, self.now()).await?;
        }
        self.check_response(self.caller.change(id, changes).await).await
    }

    /// The account's insights of these days, in portions that Meta is known to give.
    pub async fn insights(&self, range: DateRange) -> Result<InsightsReader, Error> {
        let (shape, reports) = self.quotas.load(self.now()).await?;
        Ok(self.caller.insights(&self.account.id, range, shape).resume(reports))
    }

    /// The next rows of these days. What had to be made smaller is remembered for the next time, and a report
    /// that is not ready yet for the next invocation.
    pub async fn next_rows(
        &self,
        days: &mut InsightsReader,
        range: DateRange,
    ) -> Result<Option<Vec<InsightsRow>>, Error> {
        let before = (days.query_shape(), days.pending_reports().to_vec());
        let response = self.check_response(days.next().await).await;
        if (days.query_shape(), days.pending_reports()) != (before.0, &before.1) {
            self.quotas.save(days.query_shape(), range, days.pending_reports(), self.now()).await?;
        }
        response
    }

    fn now(&self) -> Timestamp {
        self.caller.graph().now()
    }

    /// Reads one object at Meta and keeps it. `None` when Meta does not show it: that can be a lost
    /// permission, so one such response declares nothing deleted.
    pub async fn refresh(&self, level: Level, id: &ObjectId) -> Result<Option<AdObject>, Error> {
        let as_of = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
        let object = match self.caller.object(level, id).await {
            Err(GraphError::NotFound(_)) => return Ok(None),
            response => self.check_response(response).await?,
        };
        let stored = StoredEntity { object, as_of, hidden: false };
        self.table.upsert_entity(&self.workspace, &self.account.id, &stored).await?;
        Ok(Some(stored.object))
    }

    /// Reads and keeps what is below an object: a change of its status changes theirs.
    pub async fn refresh_descendants(&self, level: Level, id: &ObjectId) -> Result<(), Error> {
        for below in [Level::AdSet, Level::Ad].into_iter().filter(|below| *below > level) {
            let as_of = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
            let mut pages = self.caller.objects_below(&self.account.id, below, (level, id));
            while let Some(page) = self.check_response(pages.next().await).await? {
                for object in page {
                    let stored = StoredEntity { object: object.into_object(below), as_of, hidden: false };
                    self.table.upsert_entity(&self.workspace, &self.account.id, &stored).await?;
                }
            }
        }
        Ok(())
    }
}
