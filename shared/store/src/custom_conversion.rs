//! The custom conversions of an ad account, as the platform last listed them.

use domain::id::AdAccountId;
use domain::results::CustomConversion;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{StoreError, Table};

/// What was read, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadConversions {
    /// When.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub read_at: Timestamp,
    /// 100 at most.
    pub conversions: Vec<CustomConversion>,
}

impl Table {
    /// Returns the custom conversions of an account; `None` while they were not read.
    pub async fn custom_conversions(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Option<ReadConversions>, StoreError> {
        self.get(&key::custom_conversions(ws, account)).await
    }

    /// Stores the custom conversions of an account.
    pub async fn store_custom_conversions(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        read: &ReadConversions,
    ) -> Result<(), StoreError> {
        self.put(&key::custom_conversions(ws, account), read, None).await
    }
}
