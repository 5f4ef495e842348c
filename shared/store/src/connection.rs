//! Connections: a person's or system user's consent on a platform, with the sealed token.

use domain::gap::Gaps;
use domain::id::{AdAccountId, ConnectionId, PlatformUserId};
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, ITEM_EXISTS, StoreError, Table, text};

/// A connection that expires within this time is reported.
pub const EXPIRY_WARNING_PERIOD: SignedDuration = SignedDuration::from_hours(10 * 24);

/// The consent of one person or system user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// App-scoped id of the person on the platform.
    pub platform_user: PlatformUserId,
    /// Subject of the session that connected.
    pub connected_by: String,
    /// The token, sealed by the keyring and useless without it.
    pub sealed_token: String,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// When the token expires; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When data access expires although the token is still valid; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_access_expires_at: Option<Timestamp>,
    /// Current state.
    pub state: ConnectionState,
    /// Why it does not work, in words for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was created.
    pub connected_at: Timestamp,
    /// How it was created.
    #[serde(default)]
    pub kind: ConnectionKind,
    /// Owner of the token, as reported by Meta; absent in rows from before this was stored, until the next health
    /// check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<TokenOwner>,
    /// Scopes that were requested and that the person declined, revoked or let expire.
    #[serde(default)]
    pub declined: Vec<String>,
    /// The first of the ad accounts that the person selected, to be shown; absent means all of them, now and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_accounts: Option<Vec<AdAccountId>>,
    /// How many the person selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_account_count: Option<u64>,
    /// When the last health check ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// The search for its ad accounts, where it takes longer than a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// What could not be read of its ad accounts.
    #[serde(default, skip_serializing_if = "Gaps::is_empty")]
    pub gaps: Gaps,
}

/// The search for a connection's ad accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Discovery {
    /// Where it stands.
    pub state: DiscoveryState,
    /// Ad accounts that it reaches, once all are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
    /// When it came there.
    pub at: Timestamp,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where the search for ad accounts stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryState {
    /// Queued, or under way.
    Running,
    /// Every ad account is listed.
    Complete,
    /// The platform refused; the daily health check searches again.
    Failed,
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

/// The owner of a connection's token. A configuration of Facebook Login for Business yields either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenOwner {
    /// A person, who acts for every business that grants them access.
    Person,
    /// A system user, who acts for the business that it belongs to.
    SystemUser,
}

impl Connection {
    /// Returns the earlier expiry of the token and of the access to data, and which of them it is.
    pub fn next_expiry(&self) -> Option<(Timestamp, &'static str)> {
        let token = self.expires_at.map(|at| (at, "the token"));
        let data = self.data_access_expires_at.map(|at| (at, "the access to the person's data"));
        token.into_iter().chain(data).min()
    }

    /// Returns [`Connection::next_expiry`] when it has passed or is near, because a person may have to reconnect.
    pub fn expires_soon(&self, now: Timestamp) -> Option<(Timestamp, &'static str)> {
        self.next_expiry().filter(|(at, _)| at.duration_since(now) < EXPIRY_WARNING_PERIOD)
    }

    /// Returns whether the connection acts for one business only.
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

/// A reference to a connection, for work over all workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// The workspace.
    #[serde(with = "domain::tenant::trusted")]
    pub workspace: Tenant,
    /// The connection.
    pub connection: ConnectionId,
}

impl Table {
    /// Stores a new or renewed connection, together with its entries in the listing of all connections and in the index
    /// from connections to workspaces.
    pub async fn upsert_connection(
        &self,
        ws: &Tenant,
        connection: &Connection,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let connection_ref = ConnectionRef { workspace: ws.clone(), connection: connection.id.clone() };
        let row = self.put_action(&key::connection(ws, &connection.id), connection)?;
        let entry = self.put_action(&key::connection_listing(ws, &connection.id), &connection_ref)?;
        let index = self.put_action(&key::connection_index(ws, &connection.id), &connection_ref)?;
        self.transact_recorded(ws, vec![row, entry, index], [event]).await
    }

    /// Lists the workspaces in which data of a connection may be stored. Includes those from which the connection was
    /// removed, because its ad accounts and their metrics stay until [`Self::delete_connection_if_empty`].
    pub async fn connection_refs(&self, id: &ConnectionId) -> Result<Vec<ConnectionRef>, StoreError> {
        self.query_prefix(&key::connection_index_partition(id), "WS#").await
    }

    /// Lists connections of all workspaces that come after a position, `limit` at most; with more, also the position at
    /// which to go on.
    pub async fn connections_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ConnectionRef>, Option<String>), StoreError> {
        let position = |one: &ConnectionRef| format!("{}#{}", one.workspace, one.connection);
        self.query_after(key::CONNECTIONS_PARTITION, after, limit, position).await
    }

    /// Reads one connection.
    pub async fn connection(&self, ws: &Tenant, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.get(&key::connection(ws, id)).await
    }

    /// Lists the connections of a workspace.
    pub async fn connections(&self, ws: &Tenant) -> Result<Vec<Connection>, StoreError> {
        self.query_prefix(&key::workspace(ws), "CONNECTION#").await
    }

    /// Records what could not be read of the ad accounts of a connection.
    pub async fn record_connection_gaps(
        &self,
        ws: &Tenant,
        id: &ConnectionId,
        gaps: &Gaps,
    ) -> Result<(), StoreError> {
        let values = vec![(":gaps", to_attribute_value(gaps)?)];
        let condition = Some("attribute_exists(pk)");
        match self.update::<Connection>(&key::connection(ws, id), "SET gaps = :gaps", condition, values).await
        {
            // Deleted since.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a connection with its token; [`StoreError::Conflict`] when it does not exist. The index from connections
    /// to workspaces keeps its entry, because the ad accounts stay.
    pub async fn delete_connection(
        &self,
        ws: &Tenant,
        id: &ConnectionId,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let row = self.delete_action_if(&key::connection(ws, id), ITEM_EXISTS)?;
        let entry = self.delete_action(&key::connection_listing(ws, id))?;
        self.transact_recorded(ws, vec![row, entry], [event]).await
    }

    /// Records where the search for a connection's ad accounts stands.
    pub async fn record_discovery(
        &self,
        ws: &Tenant,
        id: &ConnectionId,
        discovery: &Discovery,
    ) -> Result<(), StoreError> {
        let values = vec![(":discovery", to_attribute_value(discovery)?)];
        let (set, exists) = ("SET discovery = :discovery", Some("attribute_exists(pk)"));
        match self.update::<Connection>(&key::connection(ws, id), set, exists, values).await {
            // Deleted since.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the sealed token by the same token sealed under another key. A connection that was
    /// renewed since it was `seen` is left alone.
    pub async fn reseal_connection(
        &self,
        ws: &Tenant,
        seen: &Connection,
        sealed_token: &str,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let values = vec![(":new", text(sealed_token)), (":seen", text(&seen.sealed_token))];
        let key = key::connection(ws, &seen.id);
        let condition = Some("sealed_token = :seen");
        let update = self.update_action(&key, "SET sealed_token = :new", condition, values)?;
        match self.transact_recorded(ws, vec![update], [event]).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records that only a person can repair this connection. One that was renewed since it was `seen` is left alone.
    pub async fn mark_needs_reconnect(
        &self,
        ws: &Tenant,
        seen: &Connection,
        reason: &str,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        let values =
            vec![(":s", text("needs_reconnect")), (":r", text(reason)), (":t", text(&seen.sealed_token))];
        let key = key::connection(ws, &seen.id);
        let expression = "SET #state = :s, reason = :r";
        let update = self.update_action(&key, expression, Some("sealed_token = :t"), values)?;
        match self.transact_recorded(ws, vec![update], event).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Stores the result of a health check with the events of what it changed. [`StoreError::Conflict`] when the token
    /// is no longer `seen`: the connection was renewed or resealed, so the result is outdated.
    pub async fn update_checked_connection(
        &self,
        ws: &Tenant,
        seen: &str,
        checked: &Connection,
        events: &[EventRecord],
    ) -> Result<(), StoreError> {
        let same =
            ConditionExpression { expression: "sealed_token = :seen", values: vec![(":seen", text(seen))] };
        let put = self.put_action_if(&key::connection(ws, &checked.id), checked, same)?;
        self.transact_recorded(ws, vec![put], events).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_owner_is_what_meta_says_or_else_follows_from_the_kind() {
        let of = |kind: &str, token_owner: &str| {
            let row = format!(
                r#"{{"id":"meta-1","platform_user":"1","connected_by":"ann","sealed_token":"v1","scopes":[],
                     "state":"connected","connected_at":"2026-11-20T00:00:00Z","kind":"{kind}"{token_owner}}}"#
            );
            serde_json::from_str::<Connection>(&row).unwrap().is_system_user()
        };
        assert!(of("business", r#","token_owner":"system_user""#) && of("system_user", ""));
        assert!(!of("business", r#","token_owner":"person""#) && !of("business", "") && !of("classic", ""));
    }
}
