//! Opens ad accounts: reads the row, opens the connection's token, leases Meta's quota, and returns a client that acts
//! for the connection.
//!
//! `graph-api` and `store` do not depend on each other; only this crate combines them for functions.

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

/// Opens ad accounts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    /// The table.
    pub table: Table,
    /// The app at Meta.
    pub graph: Graph,
    /// Keyring that opens tokens.
    pub keyring: Keyring,
}

/// An opened ad account.
#[derive(Debug)]
pub struct AccountClient {
    /// Workspace of the account.
    pub workspace: Tenant,
    /// Row of the account.
    pub account: AdAccount,
    /// Graph API client that acts for the account's connection.
    pub caller: Caller,
    connection: Connection,
    table: Table,
    quotas: Quotas,
    quota_lease: Arc<QuotaLease>,
}

/// Returns the context that a token is sealed for.
pub fn token_context(workspace: &Tenant, connection: &ConnectionId) -> String {
    format!("{workspace}|{connection}")
}

impl Connector {
    /// Creates a connector that counts Graph API calls for the current unit of work.
    pub fn new(table: Table, graph: Graph, keyring: Keyring) -> Self {
        graph.set_call_listener(|| telemetry::count(Metric::GraphCalls, 1));
        Self { table, graph, keyring }
    }

    /// Opens a connection's token. A token that no longer opens marks the connection as needing a reconnect.
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

    /// Opens an account with its token and leases calls, which [`AccountClient::close`] returns.
    ///
    /// Returns [`Error::Reconnect`] when a person must reconnect, and [`Error::RateLimited`] while Meta would reject
    /// every call of this use case.
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
    /// Converts Graph's response. A token that Meta declares invalid marks the connection as needing a reconnect, so
    /// that no other work uses it. Code 190 without a subcode has been seen for a missing Page permission, so in that
    /// case Meta is asked about the token itself.
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
            // The result from Meta stands even if the renewal fails: without a lease the next call waits.
            self.quota_lease.put(lease.unwrap_or_else(|error| {
                tracing::warn!(ad_account = %self.account.id, %error, "Calls could not be leased.");
                Err(self.now())
            }));
        }
        response.map_err(Error::from)
    }

    /// Returns the remaining leased calls and passes on the result of the work.
    pub async fn close<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        if let Some((lease, spent)) = self.quota_lease.take()
            && let Err(error) = self.quotas.release(lease, spent, self.now()).await
        {
            // The result stands, and the lease expires by itself.
            tracing::warn!(ad_account = %self.account.id, %error, "Leased calls could not be given back.");
        }
        result
    }

    /// Changes an object. An ad set's budget changes only as often as Meta allows.
    pub async fn change(&self, level: Level, id: &ObjectId, changes: &Changes) -> Result<(), Error> {
        if level == Level::AdSet && changes.daily_budget.is_some() {
            self.quotas.admit_budget_change(id, self.now()).await?;
        }
        self.check_response(self.caller.change(id, changes).await).await
    }

    /// Reads the account's insights of these days, in query sizes that Meta is known to handle.
    pub async fn insights(&self, range: DateRange) -> Result<InsightsReader, Error> {
        let (shape, reports) = self.quotas.load(self.now()).await?;
        Ok(self.caller.insights(&self.account.id, range, shape).resume(reports))
    }

    /// Returns the next rows of these days. Saves a reduced query size for the next time, and a pending report for the
    /// next invocation.
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

    /// Reads one object at Meta and stores it. Returns `None` when Meta does not return it: that can be a lost
    /// permission, so nothing is marked deleted.
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

    /// Reads and stores the descendants of an object: a change of its status changes theirs.
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
