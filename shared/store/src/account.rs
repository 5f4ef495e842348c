//! Ad accounts: whose they are, which connection reaches them, whether they are synced.

use ads::Invalid;
use ads::id::{AdAccountId, ConnectionId, WorkspaceId};
use ads::money::Currency;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{StoreError, Table, text};

/// An ad account of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub structure_synced_at: Option<Timestamp>,
}

impl AdAccount {
    /// Checks that a zone exists, so that [`Self::today`] cannot go wrong later.
    pub fn check_zone(timezone: &str) -> Result<(), Invalid> {
        TimeZone::get(timezone)
            .map(drop)
            .map_err(|_| Invalid::new("timezone", format!("{timezone:?} is not a known IANA time zone")))
    }

    /// The account's local date at `now`.
    pub fn today(&self, now: Timestamp) -> Date {
        let zone = TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC);
        now.to_zoned(zone).date()
    }
}

/// Who holds one of Meta's ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The ad account in which it stands.
    pub ad_account: AdAccountId,
}

impl Table {
    /// One ad account of a workspace.
    pub async fn account(&self, ws: &WorkspaceId, id: &AdAccountId) -> Result<Option<AdAccount>, StoreError> {
        self.get(&key::account(ws, id)).await
    }

    /// Every ad account of a workspace.
    pub async fn accounts(&self, ws: &WorkspaceId) -> Result<Vec<AdAccount>, StoreError> {
        self.list(&key::workspace(ws), "ACCOUNT#").await
    }

    /// Keeps what Meta says of an account. Its selection and freshness stay as they are.
    pub async fn keep_account(&self, ws: &WorkspaceId, account: &AdAccount) -> Result<(), StoreError> {
        let before = self.account(ws, &account.id).await?;
        let kept = AdAccount {
            selected: before.as_ref().is_some_and(|before| before.selected),
            structure_synced_at: before.and_then(|before| before.structure_synced_at),
            ..account.clone()
        };
        self.put(&key::account(ws, &account.id), &kept, None).await?;
        self.index(account.id.digits(), ws, &account.id).await
    }

    /// Records whether a person wants the account synced.
    pub async fn select_account(
        &self,
        ws: &WorkspaceId,
        id: &AdAccountId,
        selected: bool,
    ) -> Result<AdAccount, StoreError> {
        let values = vec![(":s", aws_sdk_dynamodb::types::AttributeValue::Bool(selected))];
        self.update(&key::account(ws, id), "SET selected = :s", Some("attribute_exists(pk)"), values).await
    }

    /// Records that the whole structure was mirrored.
    pub async fn structure_synced(
        &self,
        ws: &WorkspaceId,
        id: &AdAccountId,
        at: Timestamp,
    ) -> Result<AdAccount, StoreError> {
        let values = vec![(":at", text(at))];
        let condition = Some("attribute_exists(pk)");
        self.update(&key::account(ws, id), "SET structure_synced_at = :at", condition, values).await
    }

    /// Makes one of Meta's ids findable.
    pub(crate) async fn index(
        &self,
        id: &str,
        ws: &WorkspaceId,
        account: &AdAccountId,
    ) -> Result<(), StoreError> {
        let holder = Holder { workspace: ws.clone(), ad_account: account.clone() };
        self.put(&key::meta_index(id, ws, account), &holder, None).await
    }

    /// The workspaces that hold one of Meta's ids: an object's, or an account's digits.
    pub async fn holders(&self, meta_id: &str) -> Result<Vec<Holder>, StoreError> {
        self.list(&key::meta_partition(meta_id), "WS#").await
    }
}
