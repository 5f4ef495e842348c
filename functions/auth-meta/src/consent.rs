//! From a token to a connection: what it may do, which ad accounts it reaches, and what is kept of both.

use access::audit::{self, Act, Actor};
use access::token_context;
use ads::Failure;
use ads::account::LaunchDefaults;
use ads::id::{AdAccountId, ConnectionId, MetaUserId};
use ads::tenant::Tenant;
use graph_api::account::Reachable;
use graph_api::oauth::{TokenFacts, TokenKind};
use jiff::Timestamp;
use runtime::random;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::account::{AccountDetails, AdAccount, canonical_zone};
use store::connection::{Connection, ConnectionKind, ConnectionState, TokenOf};

use crate::AuthMeta;
use crate::health::daily_look;

/// Without this the product can do nothing for anybody.
pub(crate) const NEEDED_SCOPE: &str = "ads_read";

/// Which accounts a connection may claim that another connection of the workspace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// All that it reaches: a person has just chosen them. What it does not reach is out of reach.
    Every,
    /// None: it is merely looked at. A listing that lacks an account says nothing of it.
    Own,
}

/// A token that Meta gave for this app, and what Meta says of it.
pub(crate) struct Consent {
    pub(crate) token: SecretString,
    pub(crate) facts: TokenFacts,
    pub(crate) kind: ConnectionKind,
    /// The subject of the session that connects.
    pub(crate) subject: String,
}

/// What a person or system user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) scopes: Vec<String>,
    /// Asked for and not granted, or not any more.
    pub(crate) declined: Vec<String>,
}

/// The connection of a person or system user: connecting again renews it.
pub(crate) fn connection_of(user: &MetaUserId) -> Result<ConnectionId, Failure> {
    Ok(format!("meta-{user}").parse()?)
}

impl AuthMeta {
    /// Keeps a consent as a connection, with the ad accounts that were chosen.
    pub(crate) async fn keep_consent(
        &self,
        workspace: &Tenant,
        consent: Consent,
    ) -> Result<(Connection, Vec<AdAccount>), Failure> {
        let Consent { token, facts, kind, subject } = consent;
        let granted = self.granted(&token, &facts).await?;
        if !granted.scopes.iter().any(|scope| scope == NEEDED_SCOPE) {
            let why = format!(
                "the permission {NEEDED_SCOPE} was declined; connect again and allow it, with \
                 {{\"rerequest\":[\"{NEEDED_SCOPE}\"]}}, without which Meta does not ask for it again"
            );
            return Err(Failure::NeedPermission(why));
        }
        let chosen = facts.chosen_accounts();
        // Read before anything is kept: a login that fails leaves no connection without its accounts.
        let mut found = self.access.graph.on_behalf_of(token.clone()).reachable_accounts().await?;
        found.retain(|found| chosen.as_ref().is_none_or(|chosen| chosen.contains(&found.account.id)));
        let meta_user =
            facts.user_id.ok_or_else(|| Failure::Refused("Meta gave a token without a person".to_owned()))?;
        let id = connection_of(&meta_user)?;
        let sealed_token = self.access.keyring.seal(&token, &token_context(workspace, &id)).await?;
        let now = self.host.clock.now();
        let connection = Connection {
            id,
            meta_user,
            connected_by: subject,
            sealed_token,
            scopes: granted.scopes,
            expires_at: moment(facts.expires_at),
            data_access_expires_at: moment(facts.data_access_expires_at),
            state: ConnectionState::Connected,
            reason: None,
            connected_at: now,
            kind,
            token_of: token_of(facts.kind),
            declined: granted.declined,
            chosen: chosen.map(|chosen| chosen.into_iter().collect()),
            checked_at: Some(now),
        };
        let who = Actor::Person { subject: connection.connected_by.clone() };
        let target = audit::connection(workspace, &connection.id);
        let act = Act::new(random::id()?, who, "connection.made", target);
        let act = act.changing(Value::Null, json!({"scopes": connection.scopes}));
        let act = self.access.intend(workspace, act).await?;
        let kept = self.access.table.keep_connection(workspace, &connection).await;
        act.ended(kept.map_err(Failure::from), None, self.host.clock.now()).await?;
        let accounts = self.keep_accounts(workspace, &connection, found, Claim::Every).await?;
        tracing::info!(%workspace, connection = %connection.id, ad_accounts = accounts.len(), "Connected to Meta.");
        Ok((connection, accounts))
    }

    /// What a token may do. A person can take single permissions back; a system user has what its token was made with.
    pub(crate) async fn granted(&self, token: &SecretString, facts: &TokenFacts) -> Result<Granted, Failure> {
        if facts.kind == TokenKind::SystemUser {
            return Ok(Granted { scopes: facts.scopes.clone(), declined: Vec::new() });
        }
        let permissions = self.access.graph.on_behalf_of(token.clone()).permissions().await?;
        let declined = permissions.declined.into_iter().chain(permissions.expired).collect();
        Ok(Granted { scopes: permissions.granted, declined })
    }

    /// Keeps what a connection reaches; what it reached before and may not any more is not synced any longer.
    pub(crate) async fn keep_accounts(
        &self,
        workspace: &Tenant,
        connection: &Connection,
        found: Vec<Reachable>,
        claim: Claim,
    ) -> Result<Vec<AdAccount>, Failure> {
        let (table, id) = (&self.access.table, &connection.id);
        let known = table.accounts(workspace).await?;
        let others =
            |account: &AdAccountId| known.iter().any(|known| known.id == *account && known.connection != *id);
        let mut reached: Vec<AdAccountId> = Vec::with_capacity(found.len());
        for Reachable { account, ways } in found {
            if claim == Claim::Own && others(&account.id) {
                continue;
            }
            // One odd account must not keep a person from the others.
            let timezone = match canonical_zone(&account.timezone_name) {
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
                // Those that are kept stay as they are.
                defaults: LaunchDefaults::default(),
            };
            reached.push(account.id.clone());
            let account = AdAccount {
                id: account.id,
                connection: id.clone(),
                name: account.name,
                account_status: account.account_status,
                currency: account.currency,
                timezone,
                selected: false,
                structure_synced_at: None,
                details,
            };
            table.keep_account(workspace, &account).await?;
        }
        let (kept, lost): (Vec<_>, Vec<_>) = table
            .accounts(workspace)
            .await?
            .into_iter()
            .filter(|account| account.connection == *id)
            .partition(|account| reached.contains(&account.id));
        let chosen = |id: &AdAccountId| connection.chosen.as_ref().is_none_or(|chosen| chosen.contains(id));
        for account in lost {
            if claim == Claim::Own && chosen(&account.id) {
                continue;
            }
            tracing::info!(%workspace, ad_account = %account.id, "An ad account is out of reach by now.");
            let lost = table.out_of_reach(workspace, &account.id, id);
            if !account.selected && account.details.reached.is_empty() {
                lost.await?;
                continue;
            }
            let who = match claim {
                Claim::Every => Actor::Person { subject: connection.connected_by.clone() },
                Claim::Own => daily_look(),
            };
            let act = Act::new(random::id()?, who, "ad_account.lost", format!("ad_account/{}", account.id));
            let act = act.changing(
                json!({"selected": account.selected, "in_reach": true}),
                json!({"selected": false, "in_reach": false}),
            );
            let act = self.access.intend(workspace, act.in_account(&account.id)).await?;
            act.ended(lost.await.map_err(Failure::from), None, self.host.clock.now()).await?;
        }
        Ok(kept)
    }
}

/// Whose token it is. Pages' and the app's make no connections.
pub(crate) fn token_of(kind: TokenKind) -> Option<TokenOf> {
    match kind {
        TokenKind::User => Some(TokenOf::Person),
        TokenKind::SystemUser => Some(TokenOf::SystemUser),
        TokenKind::Page | TokenKind::App | TokenKind::Other => None,
    }
}

/// Meta's unix seconds, where 0 means never.
pub(crate) fn moment(unix: i64) -> Option<Timestamp> {
    (unix != 0).then(|| Timestamp::from_second(unix).ok()).flatten()
}
