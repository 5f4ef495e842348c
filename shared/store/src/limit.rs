//! The state of the platforms' quotas, shared by all functions.
//!
//! A quota belongs to the app and the ad account at the platform, whichever workspace calls, so these items are outside of the
//! workspaces and contain only counts. The Graph client defines their content; here they are versioned values, changed
//! by compare-and-set.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::key;
use crate::limit_scope::LimitScope;
use crate::modify::Versioned;
use crate::table::{StoreError, Table};

/// Time after which the platform no longer counts a call.
const LIMIT_TTL: SignedDuration = SignedDuration::from_hours(48);

impl Table {
    /// Reads the state of a limit; the default when none is stored.
    pub async fn limit<T: DeserializeOwned + Default>(
        &self,
        app: &str,
        of: LimitScope<'_>,
    ) -> Result<T, StoreError> {
        Ok(self.get::<Versioned<T>>(&key::limit(app, of)).await?.unwrap_or_default().value)
    }

    /// Updates the state of a limit, and returns what the update returns.
    pub async fn modify_limit<T: DeserializeOwned + Serialize + Default, R>(
        &self,
        app: &str,
        of: LimitScope<'_>,
        now: Timestamp,
        update: impl FnMut(&mut T) -> R,
    ) -> Result<R, StoreError> {
        let expires = now.saturating_add(LIMIT_TTL).map_or(i64::MAX, Timestamp::as_second);
        self.modify(&key::limit(app, of), expires, update).await
    }
}
