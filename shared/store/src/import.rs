//! Weeks of imported ad accounts: whoever sends numbers leases the week, merges them with what is stored, and publishes.

use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use jiff::Timestamp;

use crate::chunk::{Chunk, Lease, expiry};
use crate::key;
use crate::table::{StoreError, Table, millis, number, text};

impl Table {
    /// Leases a week of `ad_day`, whatever its state, and creates it if need be; `None` while another one holds it. No day of it is requested, so that nothing is
    /// left to do when its holder dies.
    pub async fn lease_import(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        week: IsoWeek,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let dataset = Dataset::AD_DAY;
        let key = key::chunk(ws, account, dataset, week);
        let values = vec![
            (":running", text("running")),
            (":zero", number(0)),
            (":one", number(1)),
            (":week", text(week)),
            (":dataset", text(dataset.name)),
            // Higher than every fence of a week that was deleted.
            (":first_fence", millis(now)),
            (":until", millis(until)),
            (":now", millis(now)),
            (":expires", number(expiry(dataset, week.range().until))),
        ];
        let leased = self.update::<Chunk>(
            &key,
            "SET #state = :running, fence = if_not_exists(fence, :first_fence) + :one, lease_until = :until, \
             requested = if_not_exists(requested, :zero), published = if_not_exists(published, :zero), \
             week = :week, dataset = :dataset, expires = :expires",
            Some("attribute_not_exists(pk) OR #state <> :running OR lease_until < :now"),
            values,
        );
        match leased.await {
            Ok(chunk) => Ok(Some(Lease { key, dataset, chunk })),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
