//! Connections: a consent at Meta with its sealed token.

use domain::id::{AdAccountId, ConnectionId, MetaUserId};
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

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
    /// How it came to be.
    #[serde(default)]
    pub kind: ConnectionKind,
    /// Whose token it is, as Meta says; absent in rows of a time when that was not stored, until the next look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<TokenOwner>,
    /// What the person was asked for and refused, took back, or let run out.
    #[serde(default)]
    pub declined: Vec<String>,
    /// The ad accounts that the person chose; absent means every one, now and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Vec<AdAccountId>>,
    /// When Meta was last asked how it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
}

/// How a connection came to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// A person logged in and allowed single permissions.
    #[default]
    Classic,
    /// A person logged in by a configuration of Facebook Login for Business.
    Business,
    /// A system user's token was handed over.
    SystemUser,
}

/// Whose token a connection has. A configuration of Facebook Login for Business gives one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenOwner {
    /// A person's, who acts for every business that lets them in.
    Person,
    /// A system user's, who acts for the business that it belongs to.
    SystemUser,
}

impl Connection {
    /// Whether it acts for one business only.
    pub fn is_system_user(&self) -> bool {
        match self.token_owner {
            Some(whose) => whose == TokenOwner::SystemUser,
            None => self.kind == ConnectionKind::SystemUser,
        }
    }
}

/// Whether a connection works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// The token works as far as we know.
    Connected,
    /// Only a person can mend it, by connecting again.
    NeedsReconnect,
    /// The token works, but a permission is gone without which there is nothing to do.
    LostPermission,
}

/// Where a connection stands, for work over all workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// The workspace.
    #[serde(with = "domain::tenant::trusted")]
    pub workspace: Tenant,
    /// The connection.
    pub connection: ConnectionId,
}

impl Table {
    /// Keeps a new connection, or one connected anew, together with its entries in the index of all and in that of the
    /// workspaces that hold something of it.
    pub async fn upsert_connection(&self, ws: &Tenant, connection: &Connection) -> Result<(), StoreError> {
        let connection_ref = ConnectionRef { workspace: ws.clone(), connection: connection.id.clone() };
        let row = self.put_action(&key::connection(ws, &connection.id), connection)?;
        let entry = self.put_action(&key::connection_listing(ws, &connection.id), &connection_ref)?;
        let index = self.put_action(&key::connection_index(ws, &connection.id), &connection_ref)?;
        self.transact(vec![row, entry, index]).await
    }

    /// Every workspace in which something may be stored of a connection: also after it was removed there, for its ad
    /// accounts and their numbers stay until [`Self::delete_connection_if_empty`].
    pub async fn connection_refs(&self, id: &ConnectionId) -> Result<Vec<ConnectionRef>, StoreError> {
        let mut connection_refs: Vec<ConnectionRef> =
            self.query_prefix(&key::connection_index_partition(id), "WS#").await?;
        // Those of a time without this index are in that of all.
        let mut listed = self.all_connections().await?;
        listed.retain(|connection_ref| {
            connection_ref.connection == *id && !connection_refs.contains(connection_ref)
        });
        connection_refs.extend(listed);
        Ok(connection_refs)
    }

    /// Every connection of any workspace. One whose row is gone may still be listed: [`Self::remove_connection_listing`].
    pub async fn all_connections(&self) -> Result<Vec<ConnectionRef>, StoreError> {
        self.query_prefix(key::CONNECTIONS_PARTITION, "WS#").await
    }

    /// Takes a connection out of that index, unless it is there, again or still.
    pub async fn remove_connection_listing(&self, connection_ref: &ConnectionRef) -> Result<(), StoreError> {
        let (ws, id) = (&connection_ref.workspace, &connection_ref.connection);
        let check = self.check_action(&key::connection(ws, id), ITEM_NOT_EXISTS)?;
        match self.transact(vec![check, self.delete_action(&key::connection_listing(ws, id))?]).await {
            Err(StoreError::Conflict) => Ok(()),
            done => done,
        }
    }

    /// One connection.
    pub async fn connection(&self, ws: &Tenant, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.get(&key::connection(ws, id)).await
    }

    /// Every connection of a workspace.
    pub async fn connections(&self, ws: &Tenant) -> Result<Vec<Connection>, StoreError> {
        self.query_prefix(&key::workspace(ws), "CONNECTION#").await
    }

    /// Forgets a connection and its token. A crash after the row leaves an entry in the index that the next work
    /// over all connections takes out.
    pub async fn delete_connection(
        &self,
        ws: &Tenant,
        id: &ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        let forgotten = self.delete_returning(&key::connection(ws, id)).await?;
        self.remove_connection_listing(&ConnectionRef { workspace: ws.clone(), connection: id.clone() })
            .await?;
        Ok(forgotten)
    }

    /// Puts the same token under another key, and says whether it did: a connection renewed in the meantime is left
    /// alone.
    pub async fn reseal_connection(
        &self,
        ws: &Tenant,
        seen: &Connection,
        sealed_token: &str,
    ) -> Result<bool, StoreError> {
        let values = vec![(":new", text(sealed_token)), (":seen", text(&seen.sealed_token))];
        let key = key::connection(ws, &seen.id);
        let condition = Some("sealed_token = :seen");
        match self.update::<Connection>(&key, "SET sealed_token = :new", condition, values).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records that only a person can mend this connection, and says whether it did: one that was renewed since it was
    /// `seen` is left alone.
    pub async fn mark_needs_reconnect(
        &self,
        ws: &Tenant,
        seen: &Connection,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let values =
            vec![(":s", text("needs_reconnect")), (":r", text(reason)), (":t", text(&seen.sealed_token))];
        let key = key::connection(ws, &seen.id);
        let expression = "SET #state = :s, reason = :r";
        match self.update::<Connection>(&key, expression, Some("sealed_token = :t"), values).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps what a look at a connection has found. [`StoreError::Conflict`] when its token is another one by now than
    /// `seen`, for then it was connected or sealed anew and the look is of the past.
    pub async fn update_checked_connection(
        &self,
        ws: &Tenant,
        seen: &str,
        checked: &Connection,
    ) -> Result<(), StoreError> {
        let same =
            ConditionExpression { expression: "sealed_token = :seen", values: vec![(":seen", text(seen))] };
        self.put(&key::connection(ws, &checked.id), checked, Some(same)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_owner_is_what_meta_says_or_else_follows_from_the_kind() {
        let of = |kind: &str, token_owner: &str| {
            let row = format!(
                r#"{{"id":"meta-1","meta_user":"1","connected_by":"ann","sealed_token":"v1","scopes":[],
                     "state":"connected","connected_at":"2026-11-20T00:00:00Z","kind":"{kind}"{token_owner}}}"#
            );
            serde_json::from_str::<Connection>(&row).unwrap().is_system_user()
        };
        assert!(of("business", r#","token_owner":"system_user""#) && of("system_user", ""));
        assert!(!of("business", r#","token_owner":"person""#) && !of("business", "") && !of("classic", ""));
    }
}
