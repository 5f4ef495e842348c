//! Connections and ad accounts as the API shows them.

use domain::Error;
use domain::gap::Gaps;
use domain::id::{AdAccountId, ConnectionId};
use domain::money::Currency;
use graph_api::account::AccountDetails;
use graph_api::launch::LaunchDefaults;
use jiff::Timestamp;
use serde::Serialize;
use store::account::{AdAccount, SyncProblem};
use store::connection::{Connection, ConnectionKind, ConnectionState, Discovery, DiscoveryState};

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    Connected,
    /// It works, but not for long any more.
    Expiring,
    NeedsReconnect,
    LostPermission,
}

/// A connection: everything but the token.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ConnectionView {
    id: ConnectionId,
    kind: ConnectionKind,
    state: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What to do about it, in words for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<String>,
    scopes: Vec<String>,
    declined: Vec<String>,
    /// The first five hundred of the ad accounts that were chosen; absent means every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_ad_accounts: Option<Vec<AdAccountId>>,
    /// How many were chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_ad_account_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_access_expires_at: Option<Timestamp>,
    connected_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
    /// The search for its ad accounts, where it takes longer than a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<Discovery>,
    /// What Meta's list of its ad accounts did not say, or not readably.
    #[serde(skip_serializing_if = "Gaps::is_empty")]
    gaps: Gaps,
}

impl ConnectionView {
    pub(crate) fn of(connection: Connection, now: Timestamp) -> Self {
        let expiry = connection.expires_soon(now);
        let (state, reason) = match (connection.state, expiry) {
            (ConnectionState::NeedsReconnect, _) => (Health::NeedsReconnect, connection.reason),
            (_, Some((at, credential))) if at <= now => {
                (Health::NeedsReconnect, Some(format!("{credential} ended on {at}")))
            }
            (ConnectionState::LostPermission, _) => (Health::LostPermission, connection.reason),
            (ConnectionState::Connected, Some((at, credential))) => {
                (Health::Expiring, Some(format!("{credential} ends on {at}")))
            }
            (ConnectionState::Connected, None) => (Health::Connected, connection.reason),
        };
        let next_step = match (state, connection.kind) {
            (Health::NeedsReconnect | Health::Expiring, ConnectionKind::SystemUser) => Some(
                "Make a new token for the system user and hand it over: POST connections/meta/token."
                    .to_owned(),
            ),
            (Health::NeedsReconnect | Health::Expiring, _) => {
                Some("Have the person connect again: POST connections/meta/authorize.".to_owned())
            }
            (Health::LostPermission, _) if connection.declined.is_empty() => Some(
                "The person must resolve this at facebook.com; the daily health check sees when it is done."
                    .to_owned(),
            ),
            (Health::Connected | Health::LostPermission, _) => ask_again(&connection.declined),
        };
        Self {
            id: connection.id,
            kind: connection.kind,
            state,
            reason,
            next_step,
            scopes: connection.scopes,
            declined: connection.declined,
            granted_ad_accounts: connection.granted_accounts,
            granted_ad_account_count: connection.granted_account_count,
            expires_at: connection.expires_at,
            data_access_expires_at: connection.data_access_expires_at,
            connected_at: connection.connected_at,
            checked_at: connection.checked_at,
            discovery: connection.discovery,
            gaps: connection.gaps,
        }
    }

    /// Describes what is wrong with the connection, and what to do; `None` while it works.
    pub(crate) fn problem(self) -> Option<(String, Option<String>)> {
        let failed = self.discovery.filter(|one| one.state == DiscoveryState::Failed);
        let (why, next_step) = match (self.state, failed) {
            (Health::Connected, None) => return None,
            (Health::Connected, Some(discovery)) => {
                let next_step = "The daily health check looks for its ad accounts again.".to_owned();
                (discovery.reason, Some(next_step))
            }
            _ => (self.reason, self.next_step),
        };
        let why = why.unwrap_or_else(|| "it does not work".to_owned());
        Some((format!("the connection to Meta: {why}"), next_step))
    }
}

/// Returns how to ask a person again for declined permissions.
fn ask_again(declined: &[String]) -> Option<String> {
    if declined.is_empty() {
        return None;
    }
    let names = declined.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    Some(format!(
        "Have the person asked again for what was declined: POST connections/meta/authorize with {{\"rerequest\":[{names}]}}."
    ))
}

/// An ad account.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema), schemars(rename = "AdAccount"))]
pub(crate) struct AdAccountView {
    /// Its id.
    pub(crate) id: AdAccountId,
    /// The connection whose token has access to it; absent for an imported one.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<ConnectionId>,
    /// The platform that the numbers of an imported ad account are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Another connection, which is used as long as that one must be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fallback_connection: Option<ConnectionId>,
    /// Its name at Meta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Its currency.
    pub(crate) currency: Currency,
    /// Its IANA time zone: all its days are days there.
    timezone: String,
    /// Whether a person wants it synced.
    pub(crate) selected: bool,
    /// When its entities were last synced completely.
    #[serde(skip_serializing_if = "Option::is_none")]
    entities_synced_at: Option<Timestamp>,
    /// Why it is not up to date; absent when it is, or is about to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_problem: Option<SyncProblem>,
    #[serde(flatten)]
    details: AccountDetails,
    /// What launches in it use where their document is silent.
    defaults: LaunchDefaults,
    /// Every connection of the workspace that has had access to it.
    connections: Vec<ConnectionId>,
    /// Minor units of a major unit in budgets, by Meta's table: 1 or 100.
    minor_units: u32,
    /// Whether ads can run in it.
    pub(crate) can_run: bool,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disable_reason_text: Option<&'static str>,
}

impl TryFrom<AdAccount> for AdAccountView {
    type Error = Error;

    fn try_from(account: AdAccount) -> Result<Self, Error> {
        let mut details: AccountDetails = account.details.read()?;
        if !account.accessible {
            details.access_paths.clear();
        }
        Ok(Self {
            fallback_connection: None,
            minor_units: account.id.platform().minor_units(account.currency),
            can_run: account.connection.is_some() && details.can_run(),
            disable_reason_text: details.disable_reason_text(),
            defaults: account.launch_defaults.read()?,
            details,
            id: account.id,
            connection: account.connection,
            source: account.source,
            name: account.name,
            currency: account.currency,
            timezone: account.timezone,
            selected: account.selected,
            entities_synced_at: account.entities_synced_at,
            sync_problem: account.sync_problem,
            connections: account.connections,
        })
    }
}
