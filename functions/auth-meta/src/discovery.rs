//! Discovery of ad accounts: an agency reaches thousands, which no login waits for.

use connector::consent;
use domain::Error;
use domain::id::ConnectionId;
use domain::tenant::Tenant;
use store::connection::{Connection, Discovery, DiscoveryState};

use crate::AuthMeta;
use crate::consent::ListingSource;
use crate::health::into_retryable;

impl AuthMeta {
    /// Handles the job. Repeating it changes nothing.
    pub(crate) async fn discover_accounts(&self, workspace: &Tenant, id: &ConnectionId) -> Result<(), Error> {
        let table = &self.connector.table;
        let Some(connection) = table.connection(workspace, id).await? else { return Ok(()) };
        if connection.sealed_token.is_empty() {
            return Ok(());
        }
        let found = match self.list_and_store(workspace, &connection).await {
            Ok(found) => found,
            // The connection is marked.
            Err(Error::Reconnect(_)) => return Ok(()),
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let failed = self.discovery(DiscoveryState::Failed, None);
                let failed = Discovery { reason: Some(error.public_detail()), ..failed };
                table.record_discovery(workspace, id, &failed).await?;
                return Err(error);
            }
        };
        let complete = self.discovery(DiscoveryState::Complete, Some(found));
        table.record_discovery(workspace, id, &complete).await?;
        tracing::info!(%workspace, connection = %id.log_id(), found, "Discovered the ad accounts of a connection.");
        Ok(())
    }

    /// Lists every account and stores those that the person chose. Returns how many these are.
    async fn list_and_store(&self, workspace: &Tenant, connection: &Connection) -> Result<u64, Error> {
        let (table, keyring, now) = (&self.connector.table, &self.connector.keyring, self.host.clock.now());
        let token = consent::open_token(table, keyring, workspace, connection, now).await?;
        let graph = &self.connector.graph;
        let chosen = graph.debug_token(&token).await.map_err(into_retryable)?.selected_accounts();
        let listed = graph.on_behalf_of(token).accessible_accounts().await.map_err(into_retryable)?;
        let chosen = chosen.as_ref();
        let reached =
            self.upsert_accounts(workspace, connection, listed, chosen, ListingSource::Consent).await?;
        Ok(reached.len() as u64)
    }

    /// A discovery that comes into this state now.
    pub(crate) fn discovery(&self, state: DiscoveryState, found: Option<u64>) -> Discovery {
        Discovery { state, found, at: self.host.clock.now(), reason: None }
    }
}
