//! Ad accounts: workspace, connection, sync selection and launch defaults.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::gap::Gaps;
use domain::id::{AdAccountId, ConnectionId, EntityId};
use domain::money::Currency;
use domain::platform::{Platform, PlatformData};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use serde_json::{Value, json};

use crate::audit::{AuditEvent, EventRecord};
use crate::connection::{Connection, ConnectionState};
use crate::due::DueAccount;
use crate::key;
use crate::table::{StoreError, Table, text};

/// An ad account of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdAccount {
    /// Its id.
    pub id: AdAccountId,
    /// The connection whose token has access to it; `None` for an imported account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The platform that the numbers of an imported account are about, as the workspace names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its name at the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its currency.
    pub currency: Currency,
    /// Its IANA time zone: all its days are days there.
    pub timezone: String,
    /// Whether its connection has access to it.
    pub accessible: bool,
    /// Whether a person wants it synced.
    pub selected: bool,
    /// When it was last selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_at: Option<Timestamp>,
    /// When its entities were last synced completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities_synced_at: Option<Timestamp>,
    /// Why it is not up to date; absent when it is, or is about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_problem: Option<SyncProblem>,
    /// What the last sync of its entities could not read.
    #[serde(default, skip_serializing_if = "Gaps::is_empty")]
    pub entity_gaps: Gaps,
    /// What its platform says of it beyond that.
    #[serde(default)]
    pub details: PlatformData,
    /// What launches in it use where their document is silent.
    #[serde(default)]
    pub launch_defaults: PlatformData,
    /// Every connection of the workspace that has had access to it.
    #[serde(default)]
    pub connections: Vec<ConnectionId>,
}

/// Why an ad account is not up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SyncProblem {
    /// Its kind.
    pub kind: SyncProblemKind,
    /// When it began.
    pub since: Timestamp,
    /// What is wrong, and what happens next, in words for a person.
    pub reason: String,
}

/// Kinds of sync problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyncProblemKind {
    /// Two syncs have been missed. Ends with the next sync of the entities.
    Stale,
    /// A chunk failed. Ends when every chunk is complete.
    Failed,
    /// Campaigns, ad sets and ads cannot be read. Ends with the next sync of them.
    Entities,
}

impl AdAccount {
    /// Creates an account of which nothing else is known: no connection has access to it, and nobody has selected it.
    pub fn new(id: AdAccountId, currency: Currency, timezone: String) -> Self {
        Self {
            id,
            connection: None,
            source: None,
            name: None,
            currency,
            timezone,
            accessible: false,
            selected: false,
            selected_at: None,
            entities_synced_at: None,
            sync_problem: None,
            entity_gaps: Gaps::default(),
            details: PlatformData::default(),
            launch_defaults: PlatformData::default(),
            connections: Vec::new(),
        }
    }

    /// Returns the connection of the workspace that is used while the account's own must be renewed: one that has had
    /// access to it and works.
    pub fn fallback_connection<'a>(&self, connections: &'a [Connection]) -> Option<&'a Connection> {
        connections.iter().find(|other| {
            Some(&other.id) != self.connection.as_ref()
                && self.connections.contains(&other.id)
                && other.state == ConnectionState::Connected
        })
    }

    /// Returns the connection of an account that has one. [`Error::Conflict`] for an imported account: there is no platform
    /// to ask, and nothing to change.
    pub fn require_connection(&self) -> Result<&ConnectionId, Error> {
        self.connection.as_ref().ok_or_else(|| {
            let why = format!("{} is imported: it has no platform to read from or to change", self.id);
            Error::Conflict(why)
        })
    }

    /// Fails with [`Error::NotSelected`] unless a person has selected the account.
    pub fn require_selected(&self) -> Result<(), Error> {
        let id = &self.id;
        let why = || format!("{id} is not selected; PUT ad-accounts/{id}/selection first");
        if self.selected { Ok(()) } else { Err(Error::NotSelected(why())) }
    }

    /// Returns the account's local date at `now`. Fails where its time zone is not known.
    pub fn today(&self, now: Timestamp) -> Result<Date, Error> {
        Ok(now.to_zoned(self.time_zone()?).date())
    }

    /// Returns the moment at which a local day ends. Fails where the time zone is not known.
    pub fn end_of(&self, day: Date) -> Result<Timestamp, Error> {
        let midnight = day.tomorrow().unwrap_or(day).to_zoned(self.time_zone()?);
        Ok(midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp()))
    }

    /// Returns the time zone. It was valid when the account was stored; another zone instead would shift every day.
    pub fn time_zone(&self) -> Result<TimeZone, Error> {
        TimeZone::get(&self.timezone).map_err(|_| {
            let (id, timezone) = (&self.id, &self.timezone);
            Error::Conflict(format!(
                "ad account {id} has the time zone {timezone:?}, which is not known here"
            ))
        })
    }
}

/// Returns the canonical name of an IANA time zone, as AWS accepts it.
pub fn canonical_time_zone(timezone: &str) -> Result<String, FieldError> {
    let zone = TimeZone::get(timezone).ok().filter(|zone| !zone.is_unknown());
    zone.and_then(|zone| zone.iana_name().map(str::to_owned)).ok_or_else(|| {
        let message = format!("{timezone:?} is not a known IANA time zone, such as Asia/Singapore");
        FieldError::new("timezone", message)
    })
}

/// A reference to an ad account, for work over all workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    /// The workspace.
    #[serde(with = "domain::tenant::trusted")]
    pub workspace: Tenant,
    /// The ad account.
    pub ad_account: AdAccountId,
}

impl Table {
    /// Reads one ad account of a workspace; [`Error::NotFound`] when it does not exist.
    pub async fn require_account(&self, ws: &Tenant, id: &AdAccountId) -> Result<AdAccount, Error> {
        self.account(ws, id).await?.ok_or_else(|| Error::NotFound(format!("ad account {id}")))
    }

    /// Reads one ad account of a workspace.
    pub async fn account(&self, ws: &Tenant, id: &AdAccountId) -> Result<Option<AdAccount>, StoreError> {
        self.get(&key::account(ws, id)).await
    }

    /// Lists the ad accounts of a workspace.
    pub async fn accounts(&self, ws: &Tenant) -> Result<Vec<AdAccount>, StoreError> {
        self.query_prefix(&key::workspace(ws), "ACCOUNT#").await
    }

    /// Lists a page of the ad accounts of a workspace that are wanted, by id, after the one with this id.
    pub async fn accounts_page(
        &self,
        ws: &Tenant,
        after: Option<&str>,
        limit: usize,
        is_wanted: impl Fn(&AdAccount) -> bool,
    ) -> Result<Vec<AdAccount>, StoreError> {
        // '\u{1}' sorts before every character of an id, '\u{7f}' after.
        let first = after.map_or_else(|| "ACCOUNT#".to_owned(), |after| format!("ACCOUNT#{after}\u{1}"));
        self.query_first(&key::workspace(ws), &first, "ACCOUNT#\u{7f}", limit, is_wanted).await
    }

    /// Stores what the platform says of an account, or a person of an imported one. Preserves whether it is selected, when
    /// it was synced and its defaults, because other writers may change these at the same time. [`StoreError::Conflict`] when
    /// an imported account has another currency or time zone.
    pub async fn upsert_account(
        &self,
        ws: &Tenant,
        account: &AdAccount,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        // In one transaction with the index, so that a webhook can always find a stored account and the index has no
        // entry of an account that is not stored.
        let account_ref = AccountRef { workspace: ws.clone(), ad_account: account.id.clone() };
        let index =
            self.put_action(&key::entity_index(&(&account.id).into(), ws, &account.id), &account_ref)?;
        let mut expression = "SET id = :id, currency = :currency, #timezone = :timezone, \
                              accessible = :accessible, details = :details, \
                              selected = if_not_exists(selected, :selected)"
            .to_owned();
        let mut values = vec![
            (":id", text(&account.id)),
            (":currency", text(account.currency)),
            (":timezone", text(&account.timezone)),
            (":accessible", AttributeValue::Bool(account.accessible)),
            (":selected", AttributeValue::Bool(account.selected)),
            (":details", to_attribute_value(&account.details)?),
        ];
        if let Some(name) = &account.name {
            expression.push_str(", #name = :name");
            values.push((":name", text(name)));
        }
        if let Some(source) = &account.source {
            expression.push_str(", #source = :source");
            values.push((":source", text(source)));
        }
        if let Some(connection) = &account.connection {
            expression.push_str(", #connection = :connection ADD connections :by");
            values.push((":connection", text(connection)));
            values.push((":by", AttributeValue::Ss(vec![connection.to_string()])));
        }
        // Of an imported account, the rows that are stored are in the first one's currency and days.
        let is_same = "attribute_not_exists(pk) OR (currency = :currency AND #timezone = :timezone)";
        let condition = account.source.is_some().then_some(is_same);
        let row = self.update_action(&key::account(ws, &account.id), &expression, condition, values)?;
        self.transact_recorded(ws, vec![index, row], event).await
    }

    /// Records whether a person wants the account synced, or, of an imported one, in what they read;
    /// [`StoreError::Conflict`] when it does not exist.
    pub async fn select_account(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        selected: bool,
        now: Timestamp,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        let (row, due) = (key::account(ws, id), key::due(ws, id));
        let mut values = vec![(":s", AttributeValue::Bool(selected))];
        // An account that is selected again starts without the problem of an earlier time.
        let (expression, due) = if selected {
            values.push((":now", text(now)));
            let due = self.put_action(&due, &DueAccount::new(ws, id, now))?;
            ("SET selected = :s, selected_at = :now REMOVE sync_problem", due)
        } else {
            ("SET selected = :s REMOVE sync_problem", self.delete_action(&due)?)
        };
        let row = self.update_action(&row, expression, Some("attribute_exists(pk)"), values)?;
        let due = (id.platform() != Platform::Imported).then_some(due);
        self.transact_recorded(ws, std::iter::once(row).chain(due).collect(), event).await
    }

    /// Stores the launch defaults of an account.
    pub async fn update_launch_defaults(
        &self,
        ws: &Tenant,
        account: &AdAccount,
        defaults: &PlatformData,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let values = vec![
            (":defaults", to_attribute_value(defaults)?),
            (":before", to_attribute_value(&account.launch_defaults)?),
        ];
        let unchanged =
            "attribute_exists(pk) AND (attribute_not_exists(launch_defaults) OR launch_defaults = :before)";
        let set = "SET launch_defaults = :defaults";
        let row = self.update_action(&key::account(ws, &account.id), set, Some(unchanged), values)?;
        self.transact_recorded(ws, vec![row], [event]).await
    }

    /// Removes a connection from an account's `connections`.
    pub async fn detach_connection(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        connection: &ConnectionId,
    ) -> Result<(), StoreError> {
        let values = vec![(":from", AttributeValue::Ss(vec![connection.to_string()]))];
        let condition = Some("attribute_exists(pk)");
        let key = key::account(ws, id);
        match self.update::<AdAccount>(&key, "DELETE connections :from", condition, values).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records that a connection can no longer access an account, unless another connection has taken the account over.
    pub async fn mark_account_inaccessible(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        connection: &ConnectionId,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        self.detach_connection(ws, id, connection).await?;
        let values = vec![(":no", AttributeValue::Bool(false)), (":id", text(connection))];
        let expression = "SET accessible = :no, selected = :no REMOVE sync_problem";
        let condition = Some("#connection = :id");
        let row = self.update_action(&key::account(ws, id), expression, condition, values)?;
        let due = self.delete_action(&key::due(ws, id))?;
        match self.transact_recorded(ws, vec![row, due], event).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records when all entities of an account were last synced, and what could not be read of them.
    pub async fn record_entities_synced(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        at: Timestamp,
        gaps: &Gaps,
    ) -> Result<AdAccount, StoreError> {
        let values = vec![(":at", text(at)), (":gaps", to_attribute_value(gaps)?)];
        let (expression, condition) =
            ("SET entities_synced_at = :at, entity_gaps = :gaps", Some("attribute_exists(pk)"));
        self.update(&key::account(ws, id), expression, condition, values).await
    }

    /// Records why an account is not up to date, with its event, unless it has a problem already.
    pub async fn begin_sync_problem(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        problem: &SyncProblem,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let row = self.sync_problem_action(ws, id, problem)?;
        match self.transact_recorded(ws, vec![row], [event]).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets the problem of an account that has none. What names a cause replaces staleness.
    pub(crate) fn sync_problem_action(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        problem: &SyncProblem,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut values = vec![(":problem", to_attribute_value(problem)?)];
        let condition = match problem.kind {
            SyncProblemKind::Stale => "attribute_exists(pk) AND attribute_not_exists(sync_problem)",
            SyncProblemKind::Failed | SyncProblemKind::Entities => {
                values.push((":stale", to_attribute_value(SyncProblemKind::Stale)?));
                "attribute_exists(pk) AND (attribute_not_exists(sync_problem) OR sync_problem.#kind = :stale)"
            }
        };
        self.update_action(&key::account(ws, id), "SET sync_problem = :problem", Some(condition), values)
    }

    /// Records that a problem is over, with its event, unless it is not the account's problem any more.
    pub async fn end_sync_problem(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        problem: &SyncProblem,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let event = AuditEvent::sync(format!("sync/{id}/{}", problem.since), "sync.recovered", id);
        let event = event.with_change(json!({"since": problem.since}), Value::Null).done_at(now);
        let values = vec![(":since", to_attribute_value(problem.since)?)];
        let condition = Some("sync_problem.#since = :since");
        let row = self.update_action(&key::account(ws, id), "REMOVE sync_problem", condition, values)?;
        match self.transact_recorded(ws, vec![row], [&event]).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lists the accounts, in all workspaces, that have an entity of a platform: themselves, or one in them.
    pub async fn account_refs(
        &self,
        platform: Platform,
        id: &EntityId,
    ) -> Result<Vec<AccountRef>, StoreError> {
        self.query_prefix(&key::entity_index_partition(platform, id), "WS#").await
    }
}
