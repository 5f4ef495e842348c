//! Opens ad accounts: reads the row, opens the connection's token, leases the platform's quota, and returns a client
//! that acts for the connection.
//!
//! An [`AccountClient`] has the same verbs for every platform. A platform is a crate of its own and a variant of the
//! client; platforms' crates and `store` do not depend on each other, and only this crate combines them.

pub mod consent;
pub mod lambda;
pub mod version;

mod account_client;
mod meta;
mod wait;

use domain::Error;
use domain::id::{AdAccountId, ConnectionId};
use domain::platform::Platform;
use domain::tenant::Tenant;
use graph_api::Graph;
use graph_api::client::CallEvent;
use runtime::Keyring;
use runtime::telemetry::{self, TelemetryMetric};
use store::Table;
use store::account::AdAccount;
use store::connection::{Connection, ConnectionState};

use self::account_client::PlatformClient;
pub use self::account_client::{AccountClient, EntityPages, EntityRead, Purpose, ReportRows};
use self::meta::MetaClient;
pub use self::wait::LongWait;

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

/// Returns the context that a token is sealed for.
pub fn token_context(workspace: &Tenant, connection: &ConnectionId) -> String {
    format!("{workspace}|{connection}")
}

impl Connector {
    /// Creates a connector that counts Graph API calls for the current unit of work.
    pub fn new(table: Table, graph: Graph, keyring: Keyring) -> Self {
        graph.set_listener(|event| match event {
            CallEvent::Sent => telemetry::count(TelemetryMetric::GraphCalls, 1),
            CallEvent::OtherVersion => telemetry::count(TelemetryMetric::OtherVersionAnswers, 1),
        });
        Self { table, graph, keyring }
    }

    /// Opens an account with its token and leases calls, which [`AccountClient::close`] returns.
    ///
    /// Returns [`Error::Reconnect`] when a person must reconnect, and [`Error::RateLimited`] while the platform would
    /// reject every call of this purpose.
    pub async fn open(
        &self,
        workspace: &Tenant,
        id: &AdAccountId,
        purpose: Purpose,
    ) -> Result<AccountClient, Error> {
        let account = self.table.require_account(workspace, id).await?;
        let connection = self.living_connection(workspace, &account).await?;
        let now = self.graph.now();
        let token = consent::open_token(&self.table, &self.keyring, workspace, &connection, now).await?;
        let credentials = (connection, token);
        let platform = match id.platform() {
            Platform::Meta => {
                let (graph, table) = (&self.graph, &self.table);
                let meta = MetaClient::open(graph, table, workspace, &account, credentials, purpose).await?;
                PlatformClient::Meta(Box::new(meta))
            }
            // It has no connection, as was found above.
            Platform::Imported => {
                return Err(Error::Internal(format!("{id} is imported and has a connection")));
            }
        };
        Ok(AccountClient { workspace: workspace.clone(), account, table: self.table.clone(), platform })
    }

    /// Returns the connection of an account, or, while that must be renewed, another one that has had access to it and
    /// works.
    async fn living_connection(&self, workspace: &Tenant, account: &AdAccount) -> Result<Connection, Error> {
        let id = &account.id;
        let own = self.table.connection(workspace, account.require_connection()?).await?;
        let why = match own {
            Some(own) if own.state != ConnectionState::NeedsReconnect => return Ok(own),
            Some(own) => {
                let reason = own.reason.unwrap_or_else(|| "its token is no longer accepted".to_owned());
                format!("the connection of {id} must be renewed: {reason}")
            }
            None => format!("{id} has no connection any more; connect it again"),
        };
        let connections = self.table.connections(workspace).await?;
        let fallback = account.fallback_connection(&connections).ok_or(Error::Reconnect(why))?;
        tracing::warn!(%workspace, ad_account = %id, connection = %fallback.id.log_id(), "Another connection is used.");
        Ok(fallback.clone())
    }
}
