//! What platforms say about the version of their API that an app asks for, shared by all functions.
//!
//! Like the limits, it belongs to the app and not to a workspace.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::modify::Versioned;
use crate::table::{StoreError, Table};

/// Time for which a notice counts: every hour that it lasts, some function sees it again.
const NOTICE_TTL: SignedDuration = SignedDuration::from_hours(3);

/// An app does not get the version that it asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Records that an app was served by another version, or warned about the one that it asks for.
    pub async fn record_served_version(
        &self,
        app: &str,
        requested: &str,
        served: Option<String>,
        warning: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = key::served_version(app, requested);
        let expires = now.saturating_add(NOTICE_TTL).map_or(i64::MAX, Timestamp::as_second);
        self.modify::<Option<ServedVersion>, _>(&key, expires, |stored| {
            let earlier = stored.take().filter(|earlier| counts(earlier, now));
            let first_seen_at = earlier.as_ref().map_or(now, |earlier| earlier.first_seen_at);
            // A process that was only warned leaves what another one knows.
            let served = served.clone().or_else(|| earlier.and_then(|earlier| earlier.served));
            let warning = warning.clone();
            *stored = Some(ServedVersion { served, warning, first_seen_at, last_seen_at: now });
        })
        .await
    }

    /// Returns what was recorded about the version that an app asks for within the last three hours.
    pub async fn served_version(
        &self,
        app: &str,
        requested: &str,
        now: Timestamp,
    ) -> Result<Option<ServedVersion>, StoreError> {
        let stored: Option<Versioned<Option<ServedVersion>>> =
            self.get(&key::served_version(app, requested)).await?;
        Ok(stored.and_then(|stored| stored.value).filter(|stored| counts(stored, now)))
    }
}

fn counts(stored: &ServedVersion, now: Timestamp) -> bool {
    now.duration_since(stored.last_seen_at) < NOTICE_TTL
}
