//! Turns a token into a connection: its permissions, its ad accounts, and what is stored of both.

use connector::token_context;
use domain::Error;
use domain::account::LaunchDefaults;
use domain::id::{AdAccountId, ConnectionId, MetaUserId};
use domain::tenant::Tenant;
use graph_api::account::AccessibleAccount;
use graph_api::oauth::{TokenInfo, TokenKind};
use jiff::Timestamp;
use runtime::random;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::account::{AccountDetails, AdAccount, canonical_time_zone};
use store::audit::{self, Actor, AuditEvent};
use store::connection::{Connection, ConnectionKind, ConnectionState, TokenOwner};

use crate::AuthMeta;
use crate::health::health_check_actor;

/// Permission without which no feature of the product works.
pub(crate) const REQUIRED_SCOPE: &str = "ads_read";

/// Decides which accounts a connection takes over from another connection of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListingSource {
    /// Takes over every listed account, because a person has just chosen them. An account that is not listed is marked
    /// unreachable.
    Consent,
    /// Takes over none. An account that is missing from the listing keeps its state, unless the person did not choose
    /// it.
    HealthCheck,
}

/// A token that Meta issued for this app, with Meta's information about it.
pub(crate) struct Consent {
    pub(crate) token: SecretString,
    pub(crate) facts: TokenInfo,
    pub(crate) kind: ConnectionKind,
    /// Subject of the session that connects.
    pub(crate) subject: String,
}

/// Permissions of a person or system user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantedPermissions {
    pub(crate) scopes: Vec<String>,
    /// Permissions that were requested and not granted, or that were revoked.
    pub(crate) declined: Vec<String>,
}

/// Returns the connection id of a person or system user. Connecting again renews the same connection.
pub(crate) fn connection_id_for(user: &MetaUserId) -> Result<ConnectionId, Error> {
    Ok(format!("meta-{user}").parse()?)
}

impl AuthMeta {
    /// Stores a consent as a connection, with the ad accounts that the person chose.
    pub(crate) async fn save_consent(
        &self,
        workspace: &Tenant,
        consent: Consent,
    ) -> Result<(Connection, Vec<AdAccount>), Error> {
        let Consent { token, facts, kind, subject } = consent;
        let granted = self.granted_permissions(&token, &facts).await?;
        if !granted.scopes.iter().any(|scope| scope == REQUIRED_SCOPE) {
            let why = format!(
                "the permission {REQUIRED_SCOPE} was declined; connect again and allow it, with \
                 {{\"rerequest\":[\"{REQUIRED_SCOPE}\"]}}, without which Meta does not ask for it again"
            );
            return Err(Error::NeedPermission(why));
        }
        let chosen = facts.selected_accounts();
        // Read before anything is stored, so that a failed login leaves no connection without its accounts.
        let mut found = self.connector.graph.on_behalf_of(token.clone()).accessible_accounts().await?;
        found.retain(|found| chosen.as_ref().is_none_or(|chosen| chosen.contains(&found.account.id)));
        let meta_user = facts
            .user_id
            .ok_or_else(|| Error::RejectedByPlatform("Meta gave a token without a person".to_owned()))?;
        let id = connection_id_for(&meta_user)?;
        let sealed_token = self.connector.keyring.seal(&token, &token_context(workspace, &id)).await?;
        let now = self.host.clock.now();
        let connection = Connection {
            id,
            meta_user,
            connected_by: subject,
            sealed_token,
            scopes: granted.scopes,
            expires_at: timestamp_from_unix(facts.expires_at),
            data_access_expires_at: timestamp_from_unix(facts.data_access_expires_at),
            state: ConnectionState::Connected,
            reason: None,
            connected_at: now,
            kind,
            token_owner: token_owner(facts.kind),
            declined: granted.declined,
            chosen: chosen.map(|chosen| chosen.into_iter().collect()),
            checked_at: Some(now),
        };
        let actor = Actor::Person { subject: connection.connected_by.clone() };
        let target = audit::connection_target(workspace, &connection.id);
        let event = AuditEvent::new(random::id()?, actor, "connection.made", target);
        let event = event.with_change(Value::Null, json!({"scopes": connection.scopes}));
        self.connector.table.upsert_connection(workspace, &connection, &event.done_at(now)).await?;
        let accounts = self.upsert_accounts(workspace, &connection, found, ListingSource::Consent).await?;
        tracing::info!(%workspace, connection = %connection.id.log_id(), ad_accounts = accounts.len(), "Connected to Meta.");
        Ok((connection, accounts))
    }

    /// Returns the permissions of a token. A person can revoke single permissions; a system user has those that its
    /// token was created with.
    pub(crate) async fn granted_permissions(
        &self,
        token: &SecretString,
        facts: &TokenInfo,
    ) -> Result<GrantedPermissions, Error> {
        if facts.kind == TokenKind::SystemUser {
            return Ok(GrantedPermissions { scopes: facts.scopes.clone(), declined: Vec::new() });
        }
        let permissions = self.connector.graph.on_behalf_of(token.clone()).permissions().await?;
        let declined = permissions.declined.into_iter().chain(permissions.expired).collect();
        Ok(GrantedPermissions { scopes: permissions.granted, declined })
    }

    /// Stores the ad accounts that a connection reaches. Accounts that it no longer reaches are marked unreachable and
    /// deselected.
    pub(crate) async fn upsert_accounts(
        &self,
        workspace: &Tenant,
        connection: &Connection,
        found: Vec<AccessibleAccount>,
        source: ListingSource,
    ) -> Result<Vec<AdAccount>, Error> {
        let (table, id) = (&self.connector.table, &connection.id);
        let known = table.accounts(workspace).await?;
        let others =
            |account: &AdAccountId| known.iter().any(|known| known.id == *account && known.connection != *id);
        let mut reachable: Vec<AdAccountId> = Vec::with_capacity(found.len());
        for AccessibleAccount { account, ways } in found {
            if source == ListingSource::HealthCheck && others(&account.id) {
                continue;
            }
            // One account with an invalid time zone must not block the others.
            let timezone = match canonical_time_zone(&account.timezone_name) {
                Ok(timezone) => timezone,
                Err(invalid) => {
                    tracing::warn!(%workspace, ad_account = %account.id, %invalid, "An ad account is left out.");
                    continue;
                }
            };
            let details = AccountDetails {
                disable_reason: account.disable_reason,
                business: account.business,
                tasks: account.user_tasks,
                reached: ways,
                default_dsa_payor: account.default_dsa_payor,
                default_dsa_beneficiary: account.default_dsa_beneficiary,
                reached_by: Vec::new(),
                // Defaults that are already stored are not changed.
                defaults: LaunchDefaults::default(),
            };
            reachable.push(account.id.clone());
            let account = AdAccount {
                id: account.id,
                connection: id.clone(),
                name: account.name,
                account_status: account.account_status,
                currency: account.currency,
                timezone,
                selected: false,
                entities_synced_at: None,
                sync_problem: None,
                details,
            };
            table.upsert_account(workspace, &account).await?;
        }
        let (stored, lost): (Vec<_>, Vec<_>) = table
            .accounts(workspace)
            .await?
            .into_iter()
            .filter(|account| account.connection == *id)
            .partition(|account| reachable.contains(&account.id));
        let chosen = |id: &AdAccountId| connection.chosen.as_ref().is_none_or(|chosen| chosen.contains(id));
        for account in lost {
            if source == ListingSource::HealthCheck && chosen(&account.id) {
                continue;
            }
            tracing::info!(%workspace, ad_account = %account.id, "An ad account is out of reach by now.");
            if !account.selected && account.details.reached.is_empty() {
                table.mark_account_unreachable(workspace, &account.id, id, None).await?;
                continue;
            }
            let actor = match source {
                ListingSource::Consent => Actor::Person { subject: connection.connected_by.clone() },
                ListingSource::HealthCheck => health_check_actor(),
            };
            let event = AuditEvent::new(
                random::id()?,
                actor,
                "ad_account.lost",
                format!("ad_account/{}", account.id),
            );
            let event = event.with_change(
                json!({"selected": account.selected, "in_reach": true}),
                json!({"selected": false, "in_reach": false}),
            );
            let event = event.in_account(&account.id).done_at(self.host.clock.now());
            table.mark_account_unreachable(workspace, &account.id, id, Some(&event)).await?;
        }
        Ok(stored)
    }
}

/// Returns who owns the token. Page and app tokens create no connection.
pub(crate) fn token_owner(kind: TokenKind) -> Option<TokenOwner> {
    match kind {
        TokenKind::User => Some(TokenOwner::Person),
        TokenKind::SystemUser => Some(TokenOwner::SystemUser),
        TokenKind::Page | TokenKind::App | TokenKind::Other => None,
    }
}

/// Converts Meta's Unix seconds, where 0 means never.
pub(crate) fn timestamp_from_unix(unix: i64) -> Option<Timestamp> {
    (unix != 0).then(|| Timestamp::from_second(unix).ok()).flatten()
}
