//! What platforms say about the version of their API that an app asks for, shared by all functions.
//!
//! Like the limits, it belongs to the app and not to a workspace.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::modify::Versioned;
use crate::table::{StoreError, Table};

/// An app does not get the version that it asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServedVersion {
    /// The version that served a call instead, where the platform says so.
    pub served: Option<String>,
    /// The platform's warning.
    pub warning: Option<String>,
    /// When this was first seen.
    pub first_seen_at: Timestamp,
    /// When this was last seen.
    pub last_seen_at: Timestamp,
}

impl Table {
    /// Records what was seen of the version that an app asks for. What was seen longer than `ttl` ago is forgotten.
    pub async fn record_served_version(
        &self,
        app: &str,
        requested: &str,
        seen: &ServedVersion,
        ttl: SignedDuration,
    ) -> Result<(), StoreError> {
        let key = key::served_version(app, requested);
        let expires = seen.last_seen_at.saturating_add(ttl).map_or(i64::MAX, Timestamp::as_second);
        self.modify::<Option<ServedVersion>, _>(&key, expires, |stored| {
            let earlier = stored.take().filter(|earlier| earlier.counts(ttl, seen.last_seen_at));
            let first_seen_at = earlier.as_ref().map_or(seen.first_seen_at, |earlier| earlier.first_seen_at);
            let last_seen_at = earlier.as_ref().map_or(seen.last_seen_at, |earlier| earlier.last_seen_at);
            // A process that was only warned leaves what another one knows.
            let served = seen.served.clone().or_else(|| earlier.and_then(|earlier| earlier.served));
            let last_seen_at = last_seen_at.max(seen.last_seen_at);
            *stored = Some(ServedVersion { served, first_seen_at, last_seen_at, ..seen.clone() });
        })
        .await
    }

    /// Returns what was seen within `ttl` of the version that an app asks for.
    pub async fn served_version(
        &self,
        app: &str,
        requested: &str,
        ttl: SignedDuration,
        now: Timestamp,
    ) -> Result<Option<ServedVersion>, StoreError> {
        let stored: Option<Versioned<Option<ServedVersion>>> =
            self.get(&key::served_version(app, requested)).await?;
        Ok(stored.and_then(|stored| stored.value).filter(|stored| stored.counts(ttl, now)))
    }
}

impl ServedVersion {
    fn counts(&self, ttl: SignedDuration, now: Timestamp) -> bool {
        now.duration_since(self.last_seen_at) < ttl
    }
}
