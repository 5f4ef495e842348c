//! Choices under way: which ad accounts a person was shown after a login, so that only their page can choose, once.

use ads::role::Standing;
use ads::tenant::{Tenant, kept};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ABSENT, Condition, StoreError, Table};

/// A page that waits for a person's choice, keyed by the hash of the secret in its form.
///
/// What would tell whose accounts it is about is kept as hashes of it together with that secret, which is not kept. So
/// a row that outlives its end says nothing of anybody whose data was deleted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// For which workspace.
    #[serde(with = "kept")]
    pub workspace: Tenant,
    /// The subject of the session that began the login.
    pub subject: String,
    /// Who said that they may.
    #[serde(default)]
    pub standing: Standing,
    /// Hash of the cookie that was set together with the page.
    pub browser_hash: String,
    /// Hash of the connection, whose accounts they are.
    pub connection: String,
    /// The ad accounts on the page.
    pub offered: Vec<Offered>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Hash of what was chosen, once all of it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
}

/// An ad account on such a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Hash of its id.
    pub account: String,
    /// Whether the page showed it as synced.
    pub synced: bool,
}

impl Table {
    /// Remembers a page.
    pub async fn offer_choice(&self, secret_hash: &str, choice: &Choice) -> Result<(), StoreError> {
        self.write_choice(secret_hash, choice, ABSENT).await
    }

    /// One page.
    pub async fn choice(&self, secret_hash: &str) -> Result<Option<Choice>, StoreError> {
        self.get(&key::choice(secret_hash)).await
    }

    /// Notes what was chosen on a page; [`StoreError::Conflict`] when that was noted before.
    pub async fn make_choice(&self, secret_hash: &str, made: &Choice) -> Result<(), StoreError> {
        let expression = "attribute_exists(pk) AND attribute_not_exists(made)";
        self.write_choice(secret_hash, made, Condition { expression, values: Vec::new() }).await
    }

    async fn write_choice(
        &self,
        secret_hash: &str,
        choice: &Choice,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let expires = choice.expires_at.as_second();
        self.put_expiring(&key::choice(secret_hash), choice, expires, Some(condition)).await
    }
}
