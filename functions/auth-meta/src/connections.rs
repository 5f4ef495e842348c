//! Connections and the ad accounts they give access to.

use domain::id::{AdAccountId, ConnectionId};
use domain::text::searchable;
use domain::{Error, FieldError};
use graph_api::account::AccountDetails;
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::request::{Json, NoPath, RequestContext};
use runtime::response::{List, NoContent};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::account::AdAccount;
use store::audit::connection_target;
use store::connection::{Connection, ConnectionState, Discovery, DiscoveryState};

use crate::AuthMeta;
use crate::views::{AdAccountView, ConnectionView};

/// A connection of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ConnectionPath {
    /// A connection of the workspace.
    connection: ConnectionId,
}

const CONNECTION: &str = "/v1/workspaces/{workspace}/connections/{connection}";

pub(crate) fn list_connections() -> Endpoint<AuthMeta> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/connections", Role::Viewer)
        .named("list_connections", "Lists connections to Meta")
        .responds(StatusCode::OK, "The connections.", AuthMeta::list_connections)
}

pub(crate) fn get_connection() -> Endpoint<AuthMeta> {
    endpoint::member(Method::GET, CONNECTION, Role::Viewer)
        .named("get_connection", "Returns a connection to Meta")
        .responds(StatusCode::OK, "The connection.", AuthMeta::get_connection)
}

pub(crate) fn disconnect() -> Endpoint<AuthMeta> {
    endpoint::member(Method::DELETE, CONNECTION, Role::Owner)
        .named("delete_connection", "Deletes a connection and its token")
        .description("The ad accounts that it reached are synced no more. What was stored of them stays.")
        .responds(StatusCode::NO_CONTENT, "It is forgotten.", AuthMeta::disconnect)
}

pub(crate) fn list_ad_accounts() -> Endpoint<AuthMeta> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/ad-accounts", Role::Viewer)
        .named("list_ad_accounts", "Lists ad accounts")
        .description("In the order of their ids.")
        .responds(StatusCode::OK, "The ad accounts of every connection.", AuthMeta::list_ad_accounts)
}

/// Which ad accounts.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct AdAccountsQuery {
    /// Only those whose name or id contains this, in whatever case.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 200)))]
    q: Option<String>,
    /// Only those that are synced, or only the others.
    selected: Option<bool>,
    /// Only those of the business with this id.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 64)))]
    business: Option<String>,
    /// Ad accounts per page.
    #[serde(default)]
    limit: Limit<100, 500>,
    /// The `after` of the page before.
    after: Option<Cursor>,
}

impl AdAccountsQuery {
    fn check(&self) -> Result<(), Error> {
        let texts = [("q", &self.q, 200), ("business", &self.business, 64)];
        let wrong = texts.into_iter().filter_map(|(name, text, most)| {
            let length = text.as_ref()?.chars().count();
            let message = format!("must have 1 to {most} characters");
            (!(1..=most).contains(&length)).then(|| FieldError::new(name, message))
        });
        let wrong: Vec<_> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }

    fn wants(&self, account: &AdAccount) -> bool {
        let has = |text: &str| {
            let text = searchable(text);
            account.id.as_str().to_lowercase().contains(&text)
                || account.name.as_ref().is_some_and(|name| searchable(name).contains(&text))
        };
        let of_business = |id: &str| {
            let details = account.details.read::<AccountDetails>();
            details.is_ok_and(|details| details.business.is_some_and(|business| business.id.as_str() == id))
        };
        self.q.as_deref().is_none_or(has)
            && self.selected.is_none_or(|selected| selected == account.selected)
            && self.business.as_deref().is_none_or(of_business)
    }
}

/// A page of ad accounts, and whether more are to come.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct AdAccountList {
    data: Vec<AdAccountView>,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Connections whose ad accounts are still being read, or could not be.
    discovery: Vec<ConnectionDiscovery>,
}

/// A connection whose ad accounts are not all listed.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ConnectionDiscovery {
    connection: ConnectionId,
    #[serde(flatten)]
    discovery: Discovery,
}

impl ConnectionDiscovery {
    fn of(connection: Connection) -> Option<Self> {
        let discovery = connection.discovery.filter(|one| one.state != DiscoveryState::Complete)?;
        Some(Self { connection: connection.id, discovery })
    }
}

impl AuthMeta {
    async fn list_connections(
        self,
        context: RequestContext<Session>,
    ) -> Result<Json<List<ConnectionView>>, Error> {
        let connections = self.connector.table.connections(&context.caller.workspace).await?;
        let now = self.host.clock.now();
        let data = connections.into_iter().map(|connection| ConnectionView::of(connection, now)).collect();
        Ok(Json(List { data, after: None }))
    }

    async fn get_connection(
        self,
        context: RequestContext<Session, ConnectionPath>,
    ) -> Result<Json<ConnectionView>, Error> {
        let RequestContext { caller: session, path, .. } = context;
        let connection = self.connector.table.connection(&session.workspace, &path.connection).await?;
        let connection = connection.ok_or_else(|| Error::NotFound("this connection".to_owned()))?;
        Ok(Json(ConnectionView::of(connection, self.host.clock.now())))
    }

    /// Stops the syncs before it deletes the token: after a crash in between, the connection can be deleted again.
    async fn disconnect(self, context: RequestContext<Session, ConnectionPath>) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path: ConnectionPath { connection: id }, .. } = context;
        let (workspace, table) = (&session.workspace, &self.connector.table);
        let none = || Error::NotFound("this connection".to_owned());
        table.connection(workspace, &id).await?.ok_or_else(none)?;
        let event = user_event(&session, "connection.removed", connection_target(workspace, &id))?;
        for account in table.accounts(workspace).await? {
            if account.connection.as_ref() == Some(&id) && account.selected {
                self.select_account(&session.subject, workspace, &account, false).await?;
            }
        }
        match table.delete_connection(workspace, &id, &event.done_at(self.host.clock.now())).await {
            Ok(()) => Ok(NoContent),
            // Removed by another request.
            Err(StoreError::Conflict) => Err(none()),
            Err(error) => Err(error.into()),
        }
    }

    async fn list_ad_accounts(
        self,
        context: RequestContext<Session, NoPath, AdAccountsQuery>,
    ) -> Result<Json<AdAccountList>, Error> {
        let (table, workspace) = (&self.connector.table, &context.caller.workspace);
        let query = context.query;
        query.check()?;
        let (limit, after) = (query.limit.rows(), query.after.as_ref().map(Cursor::position));
        if after.is_some_and(|after| after.parse::<AdAccountId>().is_err()) {
            return Err(Cursor::invalid().into());
        }
        let page = table.accounts_page(workspace, after, limit + 1, |account| query.wants(account));
        let (mut accounts, connections) = tokio::try_join!(page, table.connections(workspace))?;
        let more = accounts.len() > limit;
        accounts.truncate(limit);
        let last = accounts.last().filter(|_| more);
        let after = last.map(|last| page::encode_cursor(&context.request, last.id.as_str()));
        let view = |account: AdAccount| {
            let own =
                connections.iter().find(|connection| Some(&connection.id) == account.connection.as_ref());
            let is_usable = own.is_some_and(|own| own.state != ConnectionState::NeedsReconnect);
            let fallback = account.fallback_connection(&connections).filter(|_| !is_usable);
            let fallback = fallback.map(|fallback| fallback.id.clone());
            let mut view = AdAccountView::try_from(account)?;
            view.fallback_connection = fallback;
            Ok::<_, Error>(view)
        };
        let data = accounts.into_iter().map(view).collect::<Result<_, _>>()?;
        let discovery = connections.into_iter().filter_map(ConnectionDiscovery::of).collect();
        Ok(Json(AdAccountList { data, after, discovery }))
    }
}
