//! Logins under way: who began them, so that only that browser can finish them, once.

use domain::role::RoleSource;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionKind;
use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table};

/// A login that waits for Meta's callback. Keyed by the hash of its `state`; the state itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthState {
    /// For which workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// The subject of the session that began it.
    pub subject: String,
    /// Who said that they may.
    #[serde(default)]
    pub role_source: RoleSource,
    /// Hash of the cookie that was set in the browser that began it.
    pub browser_hash: String,
    /// The redirect target, which the code exchange must repeat byte for byte.
    pub redirect_uri: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How the person was asked.
    pub kind: ConnectionKind,
}

impl Table {
    /// Remembers a login.
    pub async fn create_oauth_state(&self, state_hash: &str, login: &OauthState) -> Result<(), StoreError> {
        let expires = login.expires_at.as_second();
        self.put_with_ttl(&key::oauth_state(state_hash), login, expires, Some(ITEM_NOT_EXISTS)).await
    }

    /// Takes a login away. Of two callbacks with the same state, one gets it.
    pub async fn consume_oauth_state(&self, state_hash: &str) -> Result<Option<OauthState>, StoreError> {
        self.delete_returning(&key::oauth_state(state_hash)).await
    }
}
