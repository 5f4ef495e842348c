//! The state of Meta's quotas, shared by all functions.
//!
//! A quota belongs to the app and the ad account at Meta, whichever workspace calls, so these items are outside of the
//! workspaces and contain only counts. The Graph client defines their content; here they are versioned values, changed
//! by compare-and-set.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::id::{AdAccountId, EntityId};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table};

/// Time after which Meta no longer counts a call.
const LIMIT_TTL: SignedDuration = SignedDuration::from_hours(48);

/// A value with its version. Version 0 is not stored yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// Number of changes.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// The scope of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope<'a> {
    /// The calls of the app as a whole.
    App,
    /// The calls to an ad account.
    Account(&'a AdAccountId),
    /// Changes of the budget of an ad set.
    Budget(&'a EntityId),
    /// The amount of an account's insights that Meta returns at a time.
    Insights(&'a AdAccountId),
}

impl Table {
    /// Reads the state of a limit; the default when none is stored.
    pub async fn limit<T: DeserializeOwned + Default>(
        &self,
        app: &str,
        of: LimitScope<'_>,
    ) -> Result<Versioned<T>, StoreError> {
        Ok(self.get(&key::limit(app, of)).await?.unwrap_or_default())
    }

    /// Replaces the state that was `read`. [`StoreError::Conflict`] when another process has changed it since.
    pub async fn upsert_limit<T: Serialize>(
        &self,
        app: &str,
        of: LimitScope<'_>,
        read: Versioned<T>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let same = ConditionExpression {
            expression: "#version = :version",
            values: vec![(":version", AttributeValue::N(read.version.to_string()))],
        };
        let condition = if read.version == 0 { ITEM_NOT_EXISTS } else { same };
        let changed = Versioned { version: read.version + 1, value: read.value };
        let expires = now.saturating_add(LIMIT_TTL).map_or(i64::MAX, Timestamp::as_second);
        self.put_with_ttl(&key::limit(app, of), &changed, expires, Some(condition)).await
    }
}
