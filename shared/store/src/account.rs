//! Ad accounts: workspace, connection, sync selection and launch defaults.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::{AccessPath, Business, LaunchDefaults, check_beneficiaries};
use domain::id::{AdAccountId, ConnectionId};
use domain::money::Currency;
use domain::regulation::{Dsa, RegionalIdentities};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::connection::Connection;
use crate::key;
use crate::table::{ConditionExpression, StoreError, Table, number, text};

/// An ad account of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AdAccount {
    /// `act_` and digits.
    pub id: AdAccountId,
    /// The connection whose token reaches it.
    pub connection: ConnectionId,
    /// Its name at Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Meta's status number; 1 is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_status: Option<i64>,
    /// Its currency.
    pub currency: Currency,
    /// Its IANA time zone: all its days are days there.
    pub timezone: String,
    /// Whether a person wants it synced.
    pub selected: bool,
    /// When its structure was last mirrored completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities_synced_at: Option<Timestamp>,
    /// What else Meta says of it.
    #[serde(flatten)]
    pub details: AccountDetails,
}

/// What Meta says of an account to the one who reaches it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AccountDetails {
    /// Meta's number for why it is disabled; 0 is not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_reason: Option<i64>,
    /// The business that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<Business>,
    /// What the connection may do in it.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Every way of its connection to it; none when it is no longer within reach.
    #[serde(default)]
    pub reached: Vec<AccessPath>,
    /// Who pays for ads in the European Economic Area, where an ad set does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_dsa_payor: Option<String>,
    /// Who benefits from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_dsa_beneficiary: Option<String>,
    /// What launches in it use where their document is silent.
    #[serde(default)]
    pub defaults: LaunchDefaults,
    /// Every connection of the workspace that has reached it.
    #[serde(default)]
    pub reached_by: Vec<ConnectionId>,
}

impl AdAccount {
    /// Returns the account's local date at `now`. Fails where its time zone is not known.
    pub fn today(&self, now: Timestamp) -> Result<Date, Error> {
        Ok(now.to_zoned(self.time_zone()?).date())
    }

    /// Returns the moment at which a local day ends. Fails where the time zone is not known.
    pub fn end_of(&self, day: Date) -> Result<Timestamp, Error> {
        let midnight = day.tomorrow().unwrap_or(day).to_zoned(self.time_zone()?);
        Ok(midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp()))
    }

    /// Checks whether ads launched through this connection may name these beneficiaries; see
    /// [`domain::account::check_beneficiaries`]. Only a system user's connection is restricted. Field paths are
    /// prefixed with `field_prefix`, which ends with a dot.
    pub fn check_beneficiaries(
        &self,
        connection: Option<&Connection>,
        dsa: Option<&Dsa>,
        identities: &RegionalIdentities,
        field_prefix: &str,
    ) -> Vec<FieldError> {
        if !connection.is_some_and(Connection::is_system_user) {
            return Vec::new();
        }
        let (owner, access_paths) = (self.details.business.as_ref(), &self.details.reached);
        check_beneficiaries(dsa, identities, owner, access_paths, field_prefix)
    }

    /// Returns the time zone. It was valid when the account was stored; another zone instead would shift every day.
    fn time_zone(&self) -> Result<TimeZone, Error> {
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

/// The holder of one of Meta's ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    /// The workspace.
    #[serde(with = "domain::tenant::trusted")]
    pub workspace: Tenant,
    /// The ad account to which the id belongs.
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

    /// Stores Meta's details of an account. Preserves whether it is selected and when it was synced, because other
    /// writers may change these at the same time.
    pub async fn upsert_account(&self, ws: &Tenant, account: &AdAccount) -> Result<(), StoreError> {
        // In one transaction with the index, so that a webhook can always find a stored account and the index has no
        // entry of an account that is not stored.
        let account_ref = AccountRef { workspace: ws.clone(), ad_account: account.id.clone() };
        let index = self.put_action(&key::meta_index(account.id.digits(), ws, &account.id), &account_ref)?;
        let details = &account.details;
        let mut expression = "SET id = :id, #connection = :connection, currency = :currency, #timezone = :timezone, \
                              selected = if_not_exists(selected, :selected), disable_reason = :disable_reason, \
                              business = :business, tasks = :tasks, reached = :reached, \
                              default_dsa_payor = :payor, default_dsa_beneficiary = :beneficiary"
            .to_owned();
        let mut values = vec![
            (":id", text(&account.id)),
            (":connection", text(&account.connection)),
            (":currency", text(account.currency)),
            (":timezone", text(&account.timezone)),
            (":selected", AttributeValue::Bool(account.selected)),
            (":disable_reason", to_attribute_value(details.disable_reason)?),
            (":business", to_attribute_value(&details.business)?),
            (":tasks", to_attribute_value(&details.tasks)?),
            (":reached", to_attribute_value(&details.reached)?),
            (":payor", to_attribute_value(&details.default_dsa_payor)?),
            (":beneficiary", to_attribute_value(&details.default_dsa_beneficiary)?),
            (":by", AttributeValue::Ss(vec![account.connection.to_string()])),
        ];
        if let Some(name) = &account.name {
            expression.push_str(", #name = :name");
            values.push((":name", text(name)));
        }
        if let Some(status) = account.account_status {
            expression.push_str(", account_status = :status");
            values.push((":status", number(status)));
        }
        expression.push_str(" ADD reached_by :by");
        let row = self.update_action(&key::account(ws, &account.id), &expression, None, values)?;
        self.transact(vec![index, row]).await
    }

    /// Records whether a person wants the account synced.
    pub async fn select_account(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        selected: bool,
    ) -> Result<AdAccount, StoreError> {
        let values = vec![(":s", AttributeValue::Bool(selected))];
        let condition = Some("attribute_exists(pk)");
        let account = self.update(&key::account(ws, id), "SET selected = :s", condition, values).await?;
        if selected {
            // After the row, because readers of the index remove entries of accounts that are not selected.
            let account_ref = AccountRef { workspace: ws.clone(), ad_account: id.clone() };
            self.put(&key::selected(ws, id), &account_ref, None).await?;
        }
        Ok(account)
    }

    /// Stores the launch defaults of an account.
    pub async fn update_launch_defaults(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        defaults: &LaunchDefaults,
    ) -> Result<AdAccount, StoreError> {
        let values = vec![(":defaults", to_attribute_value(defaults)?)];
        let condition = Some("attribute_exists(pk)");
        self.update(&key::account(ws, id), "SET defaults = :defaults", condition, values).await
    }

    /// Records that a connection can no longer access an account, unless another connection has taken the account over.
    pub async fn mark_account_unreachable(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        connection: &ConnectionId,
    ) -> Result<(), StoreError> {
        self.detach_connection(ws, id, connection).await?;
        let values = vec![
            (":none", AttributeValue::L(Vec::new())),
            (":no", AttributeValue::Bool(false)),
            (":id", text(connection)),
        ];
        let expression = "SET reached = :none, selected = :no";
        let condition = Some("#connection = :id");
        match self.update::<AdAccount>(&key::account(ws, id), expression, condition, values).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lists the ad accounts of all workspaces that may be selected; each account's row says whether it is.
    pub async fn selected_accounts(&self) -> Result<Vec<AccountRef>, StoreError> {
        self.query_prefix(key::SELECTED_PARTITION, "WS#").await
    }

    /// Removes an account from the index of selected accounts, unless it has been selected in the meantime.
    pub async fn remove_selected_listing(&self, account_ref: &AccountRef) -> Result<(), StoreError> {
        let (ws, id) = (&account_ref.workspace, &account_ref.ad_account);
        let not_selected = ConditionExpression {
            expression: "attribute_not_exists(pk) OR selected = :no",
            values: vec![(":no", AttributeValue::Bool(false))],
        };
        let check = self.check_action(&key::account(ws, id), not_selected)?;
        match self.transact(vec![check, self.delete_action(&key::selected(ws, id))?]).await {
            Err(StoreError::Conflict) => Ok(()),
            done => done,
        }
    }

    /// Records when all entities of an account were last synced.
    pub async fn record_entities_synced(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        at: Timestamp,
    ) -> Result<AdAccount, StoreError> {
        let values = vec![(":at", text(at))];
        let condition = Some("attribute_exists(pk)");
        self.update(&key::account(ws, id), "SET entities_synced_at = :at", condition, values).await
    }

    /// Lists the accounts that hold one of Meta's ids: an object's, or an account's digits.
    pub async fn account_refs(&self, meta_id: &str) -> Result<Vec<AccountRef>, StoreError> {
        self.query_prefix(&key::meta_partition(meta_id), "WS#").await
    }
}
