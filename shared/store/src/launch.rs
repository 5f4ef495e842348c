//! Launches: the document, the entities created so far, and the lease.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::id::{AdAccountId, LaunchId};
use domain::launch::Launch;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, millis, number};

/// A launch as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLaunch {
    /// The launch.
    #[serde(flatten)]
    pub launch: Launch,
    /// Hash of the request: reusing an `Idempotency-Key` with another body is an error.
    pub request_hash: String,
    /// Subject of the session that requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Why it was rolled back or needs review, without the platform's words, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_reason: Option<String>,
    /// Raised with every write; each write is conditional on the previous version.
    pub version: u64,
    /// End of the current worker's lease.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub lease_until: Timestamp,
}

/// An entry of the list of launches, by their beginning.
#[derive(Serialize, Deserialize)]
struct Listing {
    launch: LaunchId,
    /// By which a deletion finds it.
    ad_account: AdAccountId,
}

#[derive(Deserialize)]
struct ListedLaunch {
    sk: String,
    #[serde(flatten)]
    listing: Listing,
}

impl Table {
    /// Stores a new launch and records that it is intended; [`StoreError::Conflict`] when its id is taken.
    pub async fn create_launch(
        &self,
        ws: &Tenant,
        launch: &StoredLaunch,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let put = self.put_action_if(&key::launch(ws, &launch.launch.id), launch, ITEM_NOT_EXISTS)?;
        let listing = self.listing_action(ws, &launch.launch)?;
        self.transact_recorded(ws, vec![put, listing], [event]).await
    }

    /// Begins a launch anew in the place of one that was rolled back, and records that it is intended.
    /// [`StoreError::Conflict`] when another worker has done so.
    pub async fn restart_launch(
        &self,
        ws: &Tenant,
        rolled_back: &StoredLaunch,
        launch: &StoredLaunch,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let condition = ConditionExpression {
            expression: "version = :version",
            values: vec![(":version", number(rolled_back.version))],
        };
        let put = self.put_action_if(&key::launch(ws, &launch.launch.id), launch, condition)?;
        let listing = self.listing_action(ws, &launch.launch)?;
        self.transact_recorded(ws, vec![put, listing], [event]).await
    }

    fn listing_action(&self, ws: &Tenant, launch: &Launch) -> Result<TransactWriteItem, StoreError> {
        let Launch { id, ad_account, started_at, .. } = launch;
        let listing = Listing { launch: id.clone(), ad_account: ad_account.clone() };
        self.put_action(&key::launch_listing(ws, *started_at, id), &listing)
    }

    /// Lists a page of the launches of a workspace, newest first, each with its position; those before a position. One that
    /// began anew after it was rolled back is at its last beginning, and nothing at those before.
    pub async fn launches_by_time(
        &self,
        ws: &Tenant,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Option<StoredLaunch>)>, StoreError> {
        let before = before.map(|before| format!("{}{before}", key::LAUNCH_LISTING_PREFIX));
        let listed: Vec<ListedLaunch> = self
            .query_desc(&key::workspace(ws), key::LAUNCH_LISTING_PREFIX, before.as_deref(), limit)
            .await?;
        let keys = listed.iter().map(|listed| key::launch(ws, &listed.listing.launch).attributes());
        let mut launches = BTreeMap::new();
        for item in self.batch_get(keys.collect()).await? {
            let stored: StoredLaunch = from_item(item)?;
            launches.insert(stored.launch.id.clone(), stored);
        }
        let launch_of = |ListedLaunch { sk, listing }: ListedLaunch| {
            let stored = launches
                .get(&listing.launch)
                .filter(|stored| key::launch_listing(ws, stored.launch.started_at, &listing.launch).sk == sk);
            (sk.trim_start_matches(key::LAUNCH_LISTING_PREFIX).to_owned(), stored.cloned())
        };
        Ok(listed.into_iter().map(launch_of).collect())
    }

    /// Reads one launch.
    pub async fn launch(&self, ws: &Tenant, id: &LaunchId) -> Result<Option<StoredLaunch>, StoreError> {
        self.get(&key::launch(ws, id)).await
    }

    /// Lists the launches of a workspace.
    pub async fn launches(&self, ws: &Tenant) -> Result<Vec<StoredLaunch>, StoreError> {
        self.query_prefix(&key::workspace(ws), "LAUNCH#").await
    }

    /// Takes over a launch whose lease has expired; [`StoreError::Conflict`] when it has not.
    pub async fn claim_launch(
        &self,
        ws: &Tenant,
        id: &LaunchId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<StoredLaunch, StoreError> {
        self.update(
            &key::launch(ws, id),
            "SET lease_until = :until, version = version + :one",
            Some("attribute_exists(pk) AND lease_until < :now"),
            vec![(":until", millis(until)), (":one", number(1)), (":now", millis(now))],
        )
        .await
    }

    /// Writes a launch that the caller holds, raises its version and extends its lease to `lease_until`. Records the
    /// event of its end, if this is the end. [`StoreError::Conflict`] when another worker has taken it over.
    pub async fn save_launch(
        &self,
        ws: &Tenant,
        stored: &mut StoredLaunch,
        lease_until: Timestamp,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        let condition = ConditionExpression {
            expression: "version = :version",
            values: vec![(":version", number(stored.version))],
        };
        let next = StoredLaunch { version: stored.version + 1, lease_until, ..stored.clone() };
        let put = self.put_action_if(&key::launch(ws, &stored.launch.id), &next, condition)?;
        self.transact_recorded(ws, vec![put], event).await?;
        *stored = next;
        Ok(())
    }
}
