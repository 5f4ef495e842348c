//! Connections: a consent at Meta with its sealed token.

use ads::id::{ConnectionId, MetaUserId, WorkspaceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{StoreError, Table, text};

/// One person's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The app-scoped person at Meta.
    pub meta_user: MetaUserId,
    /// The subject of the session that connected.
    pub connected_by: String,
    /// The sealed token, as the keyring writes it. Useless without the keyring.
    pub sealed_token: String,
    /// What was granted.
    pub scopes: Vec<String>,
    /// When the token ends; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When data access ends although the token lives; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_access_expires_at: Option<Timestamp>,
    /// Whether it works.
    pub state: ConnectionState,
    /// Why it does not, in words for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was made.
    pub connected_at: Timestamp,
}

/// Whether a connection works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// The token works as far as we know.
    Connected,
    /// Only a person can mend it, by connecting again.
    NeedsReconnect,
}

impl Table {
    /// Keeps a new connection, or one connected anew.
    pub async fn keep_connection(&self, ws: &WorkspaceId, connection: &Connection) -> Result<(), StoreError> {
        self.put(&key::connection(ws, &connection.id), connection, None).await
    }

    /// One connection.
    pub async fn connection(
        &self,
        ws: &WorkspaceId,
        id: &ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        self.get(&key::connection(ws, id)).await
    }

    /// Every connection of a workspace.
    pub async fn connections(&self, ws: &WorkspaceId) -> Result<Vec<Connection>, StoreError> {
        self.list(&key::workspace(ws), "CONNECTION#").await
    }

    /// Forgets a connection and its token.
    pub async fn forget_connection(
        &self,
        ws: &WorkspaceId,
        id: &ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        self.take(&key::connection(ws, id)).await
    }

    /// Records that only a person can mend this connection. `seen` is the sealed token that failed: a
    /// connection renewed in the meantime is left alone.
    pub async fn connection_is_dead(
        &self,
        ws: &WorkspaceId,
        seen: &Connection,
        reason: &str,
    ) -> Result<(), StoreError> {
        let values =
            vec![(":s", text("needs_reconnect")), (":r", text(reason)), (":t", text(&seen.sealed_token))];
        let key = key::connection(ws, &seen.id);
        let expression = "SET #state = :s, reason = :r";
        match self.update::<Connection>(&key, expression, Some("sealed_token = :t"), values).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
