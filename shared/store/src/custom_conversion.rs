//! The custom conversions of an ad account, as the platform last listed them.

use domain::id::AdAccountId;
use domain::results::CustomConversion;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{StoreError, Table};

/// The custom conversions of an ad account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomConversions {
    /// When they were last asked for.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub read_at: Timestamp,
    /// Those that were last listed, 100 at most.
    pub conversions: Vec<CustomConversion>,
    /// Why they could not be listed when they were last asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Table {
    /// Returns the custom conversions of an account; `None` while they were not read.
    pub async fn custom_conversions(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Option<CustomConversions>, StoreError> {
        self.get(&key::custom_conversions(ws, account)).await
    }

    /// Stores the custom conversions of an account.
    pub async fn store_custom_conversions(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        conversions: &CustomConversions,
    ) -> Result<(), StoreError> {
        self.put(&key::custom_conversions(ws, account), conversions, None).await
    }
}
