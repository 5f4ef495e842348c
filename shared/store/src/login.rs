//! Logins at a platform that have begun: first a ticket with which one browser may open the dialog, then the state that
//! the callback brings back. Each is used once.

use domain::role::RoleSource;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionKind;
use crate::key;
use crate::table::{ConditionExpression, ITEM_EXISTS, ITEM_NOT_EXISTS, StoreError, Table, text};

/// A login, keyed by the hash of its ticket or of its `state`; neither is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Subject of the session that began the login.
    pub subject: String,
    /// Source of that person's role.
    #[serde(default)]
    pub role_source: RoleSource,
    /// Kind of connection that the login creates.
    pub kind: ConnectionKind,
    /// Whether permissions that were declined before are asked for again.
    #[serde(default)]
    pub rerequest: bool,
    /// The redirect target, which the code exchange must repeat byte for byte.
    pub redirect_uri: String,
    /// The front end's page that the login returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// Hash of the cookie in the browser that the login belongs to; none before a browser has opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser_hash: Option<String>,
    /// When this ticket or state expires.
    pub expires_at: Timestamp,
}

impl Table {
    /// Stores a login that waits for its browser; [`StoreError::Conflict`] when the ticket exists.
    pub async fn create_login_ticket(&self, ticket_hash: &str, login: &Login) -> Result<(), StoreError> {
        let expires = login.expires_at.as_second();
        self.put_with_ttl(&key::login_ticket(ticket_hash), login, expires, Some(ITEM_NOT_EXISTS)).await
    }

    /// Reads a login that waits for its browser.
    pub async fn login_ticket(&self, ticket_hash: &str) -> Result<Option<Login>, StoreError> {
        self.get(&key::login_ticket(ticket_hash)).await
    }

    /// Deletes a ticket and stores the state of its login, which waits for the callback;
    /// [`StoreError::Conflict`] when the ticket was used before.
    pub async fn start_login(
        &self,
        ticket_hash: &str,
        state_hash: &str,
        login: &Login,
    ) -> Result<(), StoreError> {
        let ticket = self.delete_action_if(&key::login_ticket(ticket_hash), ITEM_EXISTS)?;
        let expires = login.expires_at.as_second();
        let state = self.put_action_with_ttl(&key::oauth_state(state_hash), login, expires)?;
        self.transact(vec![ticket, state]).await
    }

    /// Reads a login that waits for its callback.
    pub async fn oauth_state(&self, state_hash: &str) -> Result<Option<Login>, StoreError> {
        self.get(&key::oauth_state(state_hash)).await
    }

    /// Deletes the state of a login of this browser and returns whether it was there. Of two callbacks with the same
    /// state, only one gets `true`; one of another browser leaves it for the right one.
    pub async fn consume_oauth_state(
        &self,
        state_hash: &str,
        browser_hash: &str,
    ) -> Result<bool, StoreError> {
        let same_browser = ConditionExpression {
            expression: "browser_hash = :browser",
            values: vec![(":browser", text(browser_hash))],
        };
        let delete = self.delete_action_if(&key::oauth_state(state_hash), same_browser)?;
        match self.transact(vec![delete]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
