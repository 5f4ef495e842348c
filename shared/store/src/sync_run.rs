//! Requests to measure days, so that whoever asked can see how far they are.

use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::id::{AdAccountId, SyncRunId};
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{StoreError, Table};

/// The time for which a request can be looked at.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A request to measure days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRun {
    /// Its id.
    pub id: SyncRunId,
    /// The days.
    #[serde(flatten)]
    pub range: DateRange,
    /// What is measured of them.
    pub datasets: Vec<Dataset>,
    /// When it was made: days that were measured since are done.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub requested_at: Timestamp,
}

impl Table {
    /// Stores a request.
    pub async fn store_sync_run(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        run: &SyncRun,
    ) -> Result<(), StoreError> {
        let expires = (run.requested_at + KEPT).as_second();
        self.put_with_ttl(&key::sync_run(ws, account, &run.id), run, expires, None).await
    }

    /// Reads a request.
    pub async fn sync_run(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        id: &SyncRunId,
    ) -> Result<Option<SyncRun>, StoreError> {
        self.get(&key::sync_run(ws, account, id)).await
    }
}
