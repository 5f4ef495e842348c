//! Logins under way: who began them, so that only that browser can finish them, once.

use ads::role::Standing;
use ads::tenant::{Tenant, kept};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionKind;
use crate::key;
use crate::table::{ABSENT, StoreError, Table};

/// A login that waits for Meta's callback. Keyed by the hash of its `state`; the state itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthState {
    /// For which workspace.
    #[serde(with = "kept")]
    pub workspace: Tenant,
    /// The subject of the session that began it.
    pub subject: String,
    /// Who said that they may.
    #[serde(default)]
    pub standing: Standing,
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
    pub async fn begin_login(&self, state_hash: &str, login: &OauthState) -> Result<(), StoreError> {
        let expires = login.expires_at.as_second();
        self.put_expiring(&key::oauth_state(state_hash), login, expires, Some(ABSENT)).await
    }

    /// Takes a login away. Of two callbacks with the same state, one gets it.
    pub async fn take_login(&self, state_hash: &str) -> Result<Option<OauthState>, StoreError> {
        self.take(&key::oauth_state(state_hash)).await
    }
}
