//! Pending selections of the ad accounts that were offered to a person after a login. Only that person's page can
//! submit one, once.

use domain::role::RoleSource;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table};

/// A page that waits for a person's selection, keyed by the hash of the secret in its form.
///
/// Values that identify the accounts are stored as hashes that include this secret, which is not stored. So a row that
/// outlives its expiry reveals nothing about a person whose data was deleted in the meantime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSelection {
    /// The workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Subject of the session that began the login.
    pub subject: String,
    /// Source of that person's role.
    #[serde(default)]
    pub role_source: RoleSource,
    /// Hash of the cookie that was set together with the page.
    pub browser_hash: String,
    /// Hash of the connection that can access the accounts.
    pub connection: String,
    /// The ad accounts on the page.
    pub accounts: Vec<SelectableAccount>,
    /// When the page expires.
    pub expires_at: Timestamp,
    /// Hash of the selection, once it has been applied completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_hash: Option<String>,
    /// The front end's page that the login returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}

/// An ad account on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectableAccount {
    /// Hash of its id.
    pub account: String,
    /// Whether the page showed it as synced.
    pub synced: bool,
}

impl Table {
    /// Stores a pending selection; [`StoreError::Conflict`] when it exists.
    pub async fn create_account_selection(
        &self,
        secret_hash: &str,
        selection: &AccountSelection,
    ) -> Result<(), StoreError> {
        self.put_account_selection(secret_hash, selection, ITEM_NOT_EXISTS).await
    }

    /// Reads a pending selection.
    pub async fn account_selection(&self, secret_hash: &str) -> Result<Option<AccountSelection>, StoreError> {
        self.get(&key::account_selection(secret_hash)).await
    }

    /// Records the completed selection; [`StoreError::Conflict`] when one was recorded before.
    pub async fn complete_account_selection(
        &self,
        secret_hash: &str,
        completed: &AccountSelection,
    ) -> Result<(), StoreError> {
        let expression = "attribute_exists(pk) AND attribute_not_exists(selection_hash)";
        self.put_account_selection(
            secret_hash,
            completed,
            ConditionExpression { expression, values: Vec::new() },
        )
        .await
    }

    async fn put_account_selection(
        &self,
        secret_hash: &str,
        selection: &AccountSelection,
        condition: ConditionExpression,
    ) -> Result<(), StoreError> {
        let expires = selection.expires_at.as_second();
        self.put_with_ttl(&key::account_selection(secret_hash), selection, expires, Some(condition)).await
    }
}
