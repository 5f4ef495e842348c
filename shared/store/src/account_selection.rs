//! Choices under way: which ad accounts a person was shown after a login, so that only their page can choose, once.

use domain::role::RoleSource;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table};

/// A page that waits for a person's selection, keyed by the hash of the secret in its form.
///
/// What would tell whose accounts it is about is stored as hashes of it together with that secret, which is not stored. So
/// a row that outlives its end says nothing of anybody whose data was deleted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSelection {
    /// For which workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// The subject of the session that began the login.
    pub subject: String,
    /// Who said that they may.
    #[serde(default)]
    pub role_source: RoleSource,
    /// Hash of the cookie that was set together with the page.
    pub browser_hash: String,
    /// Hash of the connection, whose accounts they are.
    pub connection: String,
    /// The ad accounts on the page.
    pub accounts: Vec<SelectableAccount>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Hash of what was chosen, once all of it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_hash: Option<String>,
}

/// An ad account on such a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectableAccount {
    /// Hash of its id.
    pub account: String,
    /// Whether the page showed it as synced.
    pub synced: bool,
}

impl Table {
    /// Remembers a page.
    pub async fn create_account_selection(
        &self,
        secret_hash: &str,
        selection: &AccountSelection,
    ) -> Result<(), StoreError> {
        self.put_account_selection(secret_hash, selection, ITEM_NOT_EXISTS).await
    }

    /// One page.
    pub async fn account_selection(&self, secret_hash: &str) -> Result<Option<AccountSelection>, StoreError> {
        self.get(&key::account_selection(secret_hash)).await
    }

    /// Notes what was chosen on a page; [`StoreError::Conflict`] when that was noted before.
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
