//! Turns a token into a connection: its permissions, its ad accounts, and what is stored of both.

use std::collections::{BTreeSet, HashMap, HashSet};

use connector::token_context;
use domain::Error;
use domain::gap::{Gap, Gaps};
use domain::id::{AdAccountId, ConnectionId, MemberId};
use domain::job::Job;
use domain::platform::PlatformData;
use domain::role::RoleSource;
use domain::tenant::Tenant;
use futures_util::future::try_join_all;
use graph_api::account::AccessibleAccounts;
use graph_api::oauth::{TokenInfo, TokenKind};
use jiff::Timestamp;
use runtime::random;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::account::{AdAccount, canonical_time_zone};
use store::audit::{self, Actor, AuditEvent};
use store::connection::{Connection, ConnectionKind, ConnectionState, DiscoveryState, TokenOwner};

use crate::{AuthMeta, CONNECT_ROLE};

/// Permission without which no feature of the product works.
pub(crate) const REQUIRED_SCOPE: &str = "ads_read";

/// Ad accounts that a login waits for: a few pages of them.
const MAX_AWAITED_ACCOUNTS: usize = 500;

/// Accounts that are stored at the same time.
const PARALLEL_WRITES: usize = 16;

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
    pub(crate) token_info: TokenInfo,
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

impl AuthMeta {
    /// Stores a consent as a connection, with the ad accounts that the person chose.
    pub(crate) async fn save_consent(
        &self,
        workspace: &Tenant,
        consent: Consent,
    ) -> Result<(Connection, Vec<AdAccount>), Error> {
        let Consent { token, token_info, kind, subject } = consent;
        let granted = self.granted_permissions(&token, &token_info).await?;
        if !granted.scopes.iter().any(|scope| scope == REQUIRED_SCOPE) {
            let why = format!(
                "the permission {REQUIRED_SCOPE} was declined; connect again and allow it, with \
                 {{\"rerequest\":[\"{REQUIRED_SCOPE}\"]}}, without which Meta does not ask for it again"
            );
            return Err(Error::NeedPermission(why));
        }
        let chosen = token_info.selected_accounts();
        // Read before anything is stored, so that a failed login leaves no connection without its accounts.
        let caller = self.connector.graph.on_behalf_of(token.clone());
        let found = caller.accessible_accounts_up_to(MAX_AWAITED_ACCOUNTS).await?;
        let discovery = found.is_none().then(|| self.discovery(DiscoveryState::Running, None));
        let platform_user = token_info
            .user_id
            .ok_or_else(|| Error::RejectedByPlatform("Meta gave a token without a person".to_owned()))?;
        let id = ConnectionId::of_meta_user(&platform_user)?;
        let sealed_token = self.connector.keyring.seal(&token, &token_context(workspace, &id)).await?;
        let now = self.host.clock.now();
        let mut connection = Connection {
            id,
            platform_user,
            connected_by: subject,
            sealed_token,
            scopes: granted.scopes,
            expires_at: timestamp_from_unix(token_info.expires_at),
            data_access_expires_at: timestamp_from_unix(token_info.data_access_expires_at),
            state: ConnectionState::Connected,
            reason: None,
            connected_at: now,
            kind,
            token_owner: token_owner(token_info.kind),
            declined: granted.declined,
            granted_accounts: None,
            granted_account_count: None,
            checked_at: Some(now),
            discovery,
            gaps: Gaps::default(),
        };
        record_granted_accounts(&mut connection, chosen.as_ref());
        let actor = Actor::Person { subject: connection.connected_by.clone() };
        let target = audit::connection_target(workspace, &connection.id);
        let event = AuditEvent::new(random::id()?, actor, "connection.created", target);
        let event = event.with_change(Value::Null, json!({"scopes": connection.scopes}));
        self.connector.table.upsert_connection(workspace, &connection, &event.done_at(now)).await?;
        let accounts = match found {
            Some(found) => {
                self.upsert_accounts(workspace, &connection, found, chosen.as_ref(), ListingSource::Consent)
                    .await?
            }
            None => {
                let (workspace, connection) = (workspace.clone(), connection.id.clone());
                self.host.queues.send(&[Job::DiscoverAccounts { workspace, connection }]).await?;
                Vec::new()
            }
        };
        tracing::info!(%workspace, connection = %connection.id.log_id(), ad_accounts = accounts.len(), "Connected to Meta.");
        Ok((connection, accounts))
    }

    /// Returns the permissions of a token. A person can revoke single permissions; a system user has those that its
    /// token was created with.
    pub(crate) async fn granted_permissions(
        &self,
        token: &SecretString,
        token_info: &TokenInfo,
    ) -> Result<GrantedPermissions, Error> {
        if token_info.kind == TokenKind::SystemUser {
            return Ok(GrantedPermissions { scopes: token_info.scopes.clone(), declined: Vec::new() });
        }
        let permissions = self.connector.graph.on_behalf_of(token.clone()).permissions().await?;
        let declined = permissions.declined.into_iter().chain(permissions.expired).collect();
        Ok(GrantedPermissions { scopes: permissions.granted, declined })
    }

    /// Checks whether the person who began a login may still connect, because the callback and the selection carry no
    /// session. A member's row is read again. A role that comes from a claim cannot be checked without a session: it is
    /// trusted from the start of the login, at most the lifetimes of a login and a selection ago.
    pub(crate) async fn check_may_connect(
        &self,
        workspace: &Tenant,
        subject: &str,
        role_source: RoleSource,
    ) -> Result<(), Error> {
        if role_source == RoleSource::Claim {
            return Ok(());
        }
        let why = match self.connector.table.member(workspace, &MemberId::from_subject(subject)).await? {
            Some(member) if member.role >= CONNECT_ROLE => return Ok(()),
            Some(member) => format!(
                "this needs the role {CONNECT_ROLE}, and by now you have {}; ask an owner of the workspace",
                member.role
            ),
            None => "you are no member of this workspace any more; ask an owner to invite you".to_owned(),
        };
        Err(Error::Forbidden(why))
    }

    /// Stores the ad accounts that a connection reaches, of those that the person chose. Accounts that it no longer
    /// reaches are marked unreachable and deselected. Returns those that it reaches.
    pub(crate) async fn upsert_accounts(
        &self,
        workspace: &Tenant,
        connection: &Connection,
        mut found: AccessibleAccounts,
        chosen: Option<&BTreeSet<AdAccountId>>,
        source: ListingSource,
    ) -> Result<Vec<AdAccount>, Error> {
        let (table, id) = (&self.connector.table, &connection.id);
        let is_chosen = |id: &AdAccountId| chosen.is_none_or(|chosen| chosen.contains(id));
        found.accounts.retain(|found| is_chosen(&found.id));
        let known: HashMap<AdAccountId, AdAccount> =
            table.accounts(workspace).await?.into_iter().map(|known| (known.id.clone(), known)).collect();
        let others = |account: &AdAccountId| {
            known.get(account).is_some_and(|known| known.connection.as_ref() != Some(id))
        };
        let AccessibleAccounts { accounts: found, mut gaps } = found;
        let mut reachable: HashSet<AdAccountId> = HashSet::with_capacity(found.len());
        let mut changed = Vec::new();
        for account in found {
            if source == ListingSource::HealthCheck && others(&account.id) {
                continue;
            }
            // One account with an invalid time zone must not block the others.
            let timezone = match canonical_time_zone(&account.timezone) {
                Ok(timezone) => timezone,
                Err(invalid) => {
                    let id = Some(account.id.to_string());
                    let field = Some("timezone_name".to_owned());
                    gaps.push(Gap { id, field, ..Gap::new(invalid.to_string()) });
                    continue;
                }
            };
            reachable.insert(account.id.clone());
            // What people have chosen of one that is stored already is not changed.
            let account = AdAccount {
                connection: Some(id.clone()),
                name: account.name,
                accessible: true,
                details: PlatformData::new(&account.details)?,
                ..AdAccount::new(account.id, account.currency, timezone)
            };
            if !known.get(&account.id).is_some_and(|known| is_listed_alike(known, &account)) {
                changed.push(account);
            }
        }
        for some in changed.chunks(PARALLEL_WRITES) {
            try_join_all(some.iter().map(|account| table.upsert_account(workspace, account, None))).await?;
        }
        for Gap { id: account, field, reason, .. } in &gaps {
            tracing::warn!(%workspace, ?account, ?field, reason, "Something of an ad account could not be read.");
        }
        // An account that cannot be read is not lost.
        let is_unread = |id: &AdAccountId| {
            gaps.iter().any(|gap| match (&gap.id, &gap.field) {
                (Some(unread), _) => {
                    id.as_str().trim_start_matches("act_") == unread.trim_start_matches("act_")
                }
                // Which account it is could not be read either.
                (None, None) => true,
                (None, Some(_)) => false,
            })
        };
        let (stored, lost): (Vec<_>, Vec<_>) = table
            .accounts(workspace)
            .await?
            .into_iter()
            .filter(|account| account.connection.as_ref() == Some(id))
            .partition(|account| reachable.contains(&account.id));
        for account in lost.into_iter().filter(|account| !is_unread(&account.id)) {
            if source == ListingSource::HealthCheck && is_chosen(&account.id) {
                continue;
            }
            tracing::info!(%workspace, ad_account = %account.id, "A connection lost access to an ad account.");
            if !account.selected && !account.accessible {
                table.mark_account_inaccessible(workspace, &account.id, id, None).await?;
                continue;
            }
            let actor = match source {
                ListingSource::Consent => Actor::Person { subject: connection.connected_by.clone() },
                ListingSource::HealthCheck => health_check_actor(),
            };
            let event = AuditEvent::new(
                random::id()?,
                actor,
                "ad_account.access_lost",
                format!("ad_account/{}", account.id),
            );
            let event = event.with_change(
                json!({"selected": account.selected, "accessible": true}),
                json!({"selected": false, "accessible": false}),
            );
            let event = event.in_account(&account.id).done_at(self.host.clock.now());
            table.mark_account_inaccessible(workspace, &account.id, id, Some(&event)).await?;
        }
        let mut all = Gaps::default();
        all.extend(gaps);
        table.record_connection_gaps(workspace, id, &all).await?;
        Ok(stored)
    }
}

/// Ad accounts that a connection's row lists of those that were chosen: it is read for each job, and what decides is the
/// token itself.
const MAX_LISTED_ACCOUNTS: usize = 500;

/// Records in a connection which ad accounts the person chose; `None` means every one.
pub(crate) fn record_granted_accounts(connection: &mut Connection, chosen: Option<&BTreeSet<AdAccountId>>) {
    connection.granted_account_count = chosen.map(|chosen| chosen.len() as u64);
    connection.granted_accounts =
        chosen.map(|chosen| chosen.iter().take(MAX_LISTED_ACCOUNTS).cloned().collect());
}

/// Whether a listing says of a stored account what is stored already.
fn is_listed_alike(known: &AdAccount, listed: &AdAccount) -> bool {
    let of = |account: &AdAccount| {
        let AdAccount { connection, name, currency, timezone, accessible, details, .. } = account;
        (connection.clone(), name.clone(), *currency, timezone.clone(), *accessible, details.clone())
    };
    of(known) == of(listed)
        && listed.connection.as_ref().is_some_and(|connection| known.connections.contains(connection))
}

/// Returns the actor of health checks and renewals in the audit log.
pub(crate) fn health_check_actor() -> Actor {
    Actor::Schedule { timer: "check-connections".to_owned() }
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
