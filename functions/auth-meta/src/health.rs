//! Daily health check of connections: asks Meta about each token and renews those that expire.
//!
//! Only Meta's information about the token itself changes a connection. An outage, throttling or a wrong app secret
//! fails the job, which is retried, and leaves the consent untouched.

use std::collections::BTreeSet;

use connector::{consent, token_context};
use domain::Error;
use domain::id::{AdAccountId, ConnectionId};
use domain::job::Job;
use domain::tenant::Tenant;
use graph_api::GraphError;
use graph_api::oauth::{TokenInfo, TokenKind};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::audit::{self, AuditEvent, PendingEvent};
use store::connection::{Connection, ConnectionRef, ConnectionState, DiscoveryState, EXPIRY_WARNING_PERIOD};

use crate::AuthMeta;
use crate::consent::{
    ListingSource, REQUIRED_SCOPE, health_check_actor, record_granted_accounts, timestamp_from_unix,
    token_owner,
};

/// Connections whose checks one invocation queues.
const CONNECTIONS_PER_RUN: usize = 2_000;

impl AuthMeta {
    /// Queues a job per connection of every workspace, so that each is retried independently; the next invocation goes
    /// on where this one ends.
    pub(crate) async fn check_connections(&self, after: Option<&str>) -> Result<(), Error> {
        if after.is_none() {
            self.resume_deletions().await?;
            self.subscribe_app(None).await;
        }
        let (connections, next) = self.connector.table.connections_after(after, CONNECTIONS_PER_RUN).await?;
        let check = |ConnectionRef { workspace, connection }| Job::CheckConnection { workspace, connection };
        let jobs: Vec<_> = connections.into_iter().map(check).collect();
        self.host.queues.send(&jobs).await?;
        tracing::info!(
            connections = jobs.len(),
            more = next.is_some(),
            "Queued health checks of connections."
        );
        if next.is_some() {
            self.host.queues.send(&[Job::CheckConnections { after: next }]).await?;
        }
        Ok(())
    }

    /// Asks Meta about one connection, renews its token in the last ten days, and stores the result.
    pub(crate) async fn check_connection(&self, workspace: &Tenant, id: &ConnectionId) -> Result<(), Error> {
        let table = &self.connector.table;
        let Some(seen) = table.connection(workspace, id).await? else { return Ok(()) };
        if seen.sealed_token.is_empty() {
            // The person removed the app, so there is no token to check.
            return Ok(());
        }
        let (keyring, now) = (&self.connector.keyring, self.host.clock.now());
        let token = match consent::open_token(table, keyring, workspace, &seen, now).await {
            // The connection is marked.
            Err(Error::Reconnect(_)) => return Ok(()),
            opened => opened?,
        };
        // Called with the app's token: an error here does not concern the person.
        let token_info = self.connector.graph.debug_token(&token).await.map_err(into_retryable)?;
        let mut checked = Connection { checked_at: Some(self.host.clock.now()), ..seen.clone() };
        let chosen = token_info.selected_accounts();
        let renewal = match token_info.invalid_reason() {
            Some(reason) => {
                classify(&mut checked, reason)?;
                None
            }
            None => self.refresh_connection(workspace, &seen, &mut checked, &token, token_info).await?,
        };
        let now = self.host.clock.now();
        let change = consent::change_event(workspace, &seen, &checked, health_check_actor());
        let change = change.map(|event| event.done_at(now));
        let events: Vec<_> = renewal.iter().map(|event| event.done_at(now)).chain(change).collect();
        match table.update_checked_connection(workspace, &seen.sealed_token, &checked, &events).await {
            // Reconnected or resealed meanwhile; the next check reads that state.
            Err(StoreError::Conflict) => {
                if let Some(event) = renewal {
                    let why = "it was connected, renewed or resealed at the same time".to_owned();
                    let superseded: Result<(), Error> = Err(Error::Conflict(why));
                    let (Ok(()) | Err(_)) = event.complete(superseded, None, now).await;
                }
                return Ok(());
            }
            stored => stored?,
        }
        if let Some((at, credential)) = checked.expires_soon(now) {
            tracing::warn!(%workspace, connection = %id.log_id(), %at, credential, "A connection expires soon.");
            // Once per expiry, because every check of the same expiry has the same event.
            let target = audit::connection_target(workspace, id);
            let event_id = hex::encode(&Sha256::digest(format!("{workspace}|{id}|expiring|{at}"))[..12]);
            let event = AuditEvent::new(event_id, health_check_actor(), "connection.expiring", target);
            let event = event.with_change(Value::Null, json!({"expires_at": at, "expires": credential}));
            table.record_event(workspace, &event.done_at(now)).await?;
        }
        if checked.state == ConnectionState::Connected {
            self.refresh_accounts(workspace, &checked, chosen.as_ref(), token).await?;
        }
        if checked.state != seen.state {
            tracing::warn!(%workspace, connection = %id.log_id(), state = ?checked.state, "A connection has changed.");
        }
        Ok(())
    }

    /// Refreshes the connection's ad accounts: status, disable reason and permitted tasks.
    async fn refresh_accounts(
        &self,
        workspace: &Tenant,
        connection: &Connection,
        chosen: Option<&BTreeSet<AdAccountId>>,
        token: SecretString,
    ) -> Result<(), Error> {
        let found = match self.connector.graph.on_behalf_of(token).accessible_accounts().await {
            // Meta lists no accounts at the moment, which does not mean that access was lost.
            Err(GraphError::NeedPermission(details) | GraphError::NotFound(details)) => {
                tracing::warn!(%workspace, connection = %connection.id.log_id(), %details, "Accounts are not listed.");
                return Ok(());
            }
            found => found.map_err(into_retryable)?,
        };
        let source = ListingSource::HealthCheck;
        let reached = self.upsert_accounts(workspace, connection, found, chosen, source).await?.len() as u64;
        // A discovery that failed, or whose job was lost, is made up for.
        if connection.discovery.as_ref().is_some_and(|one| one.state != DiscoveryState::Complete) {
            let complete = self.discovery(DiscoveryState::Complete, Some(reached));
            self.connector.table.record_discovery(workspace, &connection.id, &complete).await?;
        }
        Ok(())
    }

    /// Refreshes permissions and expiry of a valid token. Returns the renewal that is still to be stored, if there is
    /// one. A failed attempt leaves its event as intended; the next attempt continues the same event.
    async fn refresh_connection(
        &self,
        workspace: &Tenant,
        seen: &Connection,
        checked: &mut Connection,
        token: &SecretString,
        mut token_info: TokenInfo,
    ) -> Result<Option<PendingEvent>, Error> {
        let mut renewal = None;
        if expires_soon(&token_info, self.host.clock.now()) {
            let expiry =
                |token_info: &TokenInfo| json!({"expires_at": timestamp_from_unix(token_info.expires_at)});
            let event =
                consent::connection_event(workspace, seen, "connection.renewed", "", health_check_actor());
            let event = self
                .connector
                .table
                .record_intent(
                    workspace,
                    event.with_change(expiry(&token_info), Value::Null),
                    self.host.clock.now(),
                )
                .await?;
            let graph = &self.connector.graph;
            let renewed = match token_info.kind {
                TokenKind::SystemUser => graph.extend_system_user(token).await,
                _ => graph.extend(token).await,
            };
            let renewed = renewed.map_err(into_retryable)?.access_token;
            token_info = graph.debug_token(&renewed).await.map_err(into_retryable)?;
            checked.sealed_token =
                self.connector.keyring.seal(&renewed, &token_context(workspace, &checked.id)).await?;
            renewal = Some(event.with_after(expiry(&token_info)));
            tracing::info!(%workspace, connection = %checked.id.log_id(), "A token was renewed.");
        }
        let granted = self.granted_permissions(token, &token_info).await?;
        (checked.scopes, checked.declined) = (granted.scopes, granted.declined);
        checked.token_owner = token_owner(token_info.kind).or(checked.token_owner);
        checked.expires_at = timestamp_from_unix(token_info.expires_at);
        checked.data_access_expires_at = timestamp_from_unix(token_info.data_access_expires_at);
        record_granted_accounts(checked, token_info.selected_accounts().as_ref());
        let may_read = checked.scopes.iter().any(|scope| scope == REQUIRED_SCOPE);
        (checked.state, checked.reason) = if may_read {
            (ConnectionState::Connected, None)
        } else {
            let why = format!("the permission {REQUIRED_SCOPE} was revoked at Meta");
            (ConnectionState::LostPermission, Some(why))
        };
        Ok(renewal)
    }
}

/// Checks whether a token expires within the warning period. A token without an expiry never does.
fn expires_soon(token_info: &TokenInfo, now: Timestamp) -> bool {
    timestamp_from_unix(token_info.expires_at)
        .is_some_and(|at| at > now && at.duration_since(now) < EXPIRY_WARNING_PERIOD)
}

/// Sets the state of a connection whose token is invalid.
fn classify(checked: &mut Connection, reason: GraphError) -> Result<(), Error> {
    match reason {
        GraphError::Reconnect(details) if details.needs_user_action() => {
            checked.state = ConnectionState::LostPermission;
            checked.reason = Some(details.message);
        }
        GraphError::Reconnect(details) if details.invalidates_token() => {
            checked.state = ConnectionState::NeedsReconnect;
            checked.reason = Some(details.message);
        }
        other => return Err(into_retryable(other)),
    }
    Ok(())
}

/// Converts an error that says nothing about the person's consent into a retryable one.
pub(crate) fn into_retryable(error: GraphError) -> Error {
    match Error::from(error) {
        Error::Reconnect(why) | Error::NeedPermission(why) | Error::RejectedByPlatform(why) => {
            Error::Unavailable(why)
        }
        error => error,
    }
}
