//! Pending OAuth logins. Only the browser that began a login can complete it, once.

use domain::role::RoleSource;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionKind;
use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table};

/// A login that waits for the platform's callback, keyed by the hash of its `state`; the state itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthState {
    /// The workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Subject of the session that began the login.
    pub subject: String,
    /// Source of that person's role.
    #[serde(default)]
    pub role_source: RoleSource,
    /// Hash of the cookie that was set in the browser that began it.
    pub browser_hash: String,
    /// The redirect target, which the code exchange must repeat byte for byte.
    pub redirect_uri: String,
    /// When the login expires.
    pub expires_at: Timestamp,
    /// Kind of connection that the login creates.
    pub kind: ConnectionKind,
}

impl Table {
    /// Stores a pending login; [`StoreError::Conflict`] when it exists.
    pub async fn create_oauth_state(&self, state_hash: &str, login: &OauthState) -> Result<(), StoreError> {
        let expires = login.expires_at.as_second();
        self.put_with_ttl(&key::oauth_state(state_hash), login, expires, Some(ITEM_NOT_EXISTS)).await
    }

    /// Deletes and returns a pending login. Of two callbacks with the same state, only one gets it.
    pub async fn consume_oauth_state(&self, state_hash: &str) -> Result<Option<OauthState>, StoreError> {
        self.delete_returning(&key::oauth_state(state_hash)).await
    }
}
