//! Bulk changes: their objects, and the lease of who works on them.

use domain::bulk::{BulkChange, BulkObject, BulkObjectState, BulkState};
use domain::id::{AdAccountId, BulkChangeId};
use domain::tenant::Tenant;
use facts::{compress, decompress};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, millis, number};

/// How long a bulk change is kept, and can be undone.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A bulk change as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBulkChange {
    /// The change.
    pub change: BulkChange,
    /// Subject of the session that requested it.
    pub requested_by: String,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// The bulk change that it undoes.
    pub undo_of: Option<BulkChangeId>,
    /// The bulk change that undoes it.
    pub undone_by: Option<BulkChangeId>,
    /// Raised with every write; each write is conditional on the previous version.
    pub version: u64,
    /// End of the current worker's lease.
    pub lease_until: Timestamp,
}

/// The item. Objects are compressed: some hundred of them are written several times.
#[derive(Serialize, Deserialize)]
struct BulkItem {
    id: BulkChangeId,
    ad_account: AdAccountId,
    state: BulkState,
    objects: ByteBuf,
    requested_by: String,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    requested_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo_of: Option<BulkChangeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undone_by: Option<BulkChangeId>,
    version: u64,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    lease_until: Timestamp,
    expires: i64,
}

/// Why a bulk change begins.
#[derive(Debug, Clone, Copy)]
pub enum BulkCause<'a> {
    /// A person's request, under a key of theirs.
    Request {
        /// Hash of the key.
        key_hash: &'a str,
        /// Hash of the request.
        request_hash: &'a str,
    },
    /// It undoes this one.
    Undo(&'a StoredBulkChange),
}

/// The bulk change that a key has begun.
#[derive(Serialize, Deserialize)]
struct UsedKey {
    bulk_change: BulkChangeId,
    request_hash: String,
    expires: i64,
}

/// That a bulk change was stopped. An item of its own: who stops it does not hold the lease.
#[derive(Serialize, Deserialize)]
struct Stop {
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    at: Timestamp,
    expires: i64,
}

impl StoredBulkChange {
    fn item(&self) -> Result<BulkItem, StoreError> {
        let unwritable = |error: serde_json::Error| StoreError::Internal(error.to_string());
        let objects = serde_json::to_vec(&self.change.objects).map_err(unwritable)?;
        Ok(BulkItem {
            id: self.change.id.clone(),
            ad_account: self.change.ad_account.clone(),
            state: self.change.state,
            objects: ByteBuf::from(compress(&objects)?),
            requested_by: self.requested_by.clone(),
            requested_at: self.requested_at,
            undo_of: self.undo_of.clone(),
            undone_by: self.undone_by.clone(),
            version: self.version,
            lease_until: self.lease_until,
            expires: (self.requested_at + KEPT).as_second(),
        })
    }

    fn of(item: BulkItem) -> Result<Self, StoreError> {
        let BulkItem {
            id,
            ad_account,
            state,
            objects,
            requested_by,
            requested_at,
            undo_of,
            undone_by,
            version,
            lease_until,
            ..
        } = item;
        let objects: Vec<BulkObject> = serde_json::from_slice(&decompress(&objects)?)
            .map_err(|error| StoreError::Internal(format!("a bulk change cannot be read: {error}")))?;
        let change = BulkChange { id, ad_account, state, objects };
        Ok(Self { change, requested_by, requested_at, undo_of, undone_by, version, lease_until })
    }

    /// Returns how many objects are in a state.
    pub fn count(&self, state: BulkObjectState) -> usize {
        self.change.objects.iter().filter(|object| object.state == state).count()
    }
}

impl Table {
    /// Stores a new bulk change and records its event, under the key of its request or as the undo of another one, in
    /// which it is named: [`StoreError::Conflict`] when the key was used or the other one has changed.
    pub async fn create_bulk_change(
        &self,
        ws: &Tenant,
        bulk: &StoredBulkChange,
        cause: BulkCause<'_>,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let key = |id| key::bulk_change(ws, &bulk.change.ad_account, id);
        let mut actions = vec![self.put_action_if(&key(&bulk.change.id), &bulk.item()?, ITEM_NOT_EXISTS)?];
        match cause {
            BulkCause::Request { key_hash, request_hash } => {
                let used = UsedKey {
                    bulk_change: bulk.change.id.clone(),
                    request_hash: request_hash.to_owned(),
                    expires: (bulk.requested_at + KEPT).as_second(),
                };
                let place = key::bulk_change_key(ws, &bulk.change.ad_account, key_hash);
                actions.push(self.put_action_if(&place, &used, ITEM_NOT_EXISTS)?);
            }
            BulkCause::Undo(undone) => {
                let named = StoredBulkChange {
                    undone_by: Some(bulk.change.id.clone()),
                    version: undone.version + 1,
                    ..undone.clone()
                };
                let put = self.put_action_if(&key(&undone.change.id), &named.item()?, unchanged(undone))?;
                actions.push(put);
            }
        }
        self.transact_recorded(ws, actions, [event]).await
    }

    /// Returns the bulk change that a request under this key has begun, with the hash of that request.
    pub async fn bulk_change_of_key(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        key_hash: &str,
    ) -> Result<Option<(StoredBulkChange, String)>, StoreError> {
        let place = key::bulk_change_key(ws, account, key_hash);
        let Some(used) = self.consistent().get::<UsedKey>(&place).await? else { return Ok(None) };
        let bulk = self.bulk_change(ws, account, &used.bulk_change).await?;
        Ok(bulk.map(|bulk| (bulk, used.request_hash)))
    }

    /// Reads a bulk change.
    pub async fn bulk_change(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        id: &BulkChangeId,
    ) -> Result<Option<StoredBulkChange>, StoreError> {
        let item: Option<BulkItem> = self.get(&key::bulk_change(ws, account, id)).await?;
        item.map(StoredBulkChange::of).transpose()
    }

    /// Lists bulk changes of an account, newest first, those before one.
    pub async fn bulk_changes(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredBulkChange>, StoreError> {
        let before = before.map(|before| format!("{}{before}", key::BULK_CHANGE_PREFIX));
        let partition = key::account_partition(ws, account);
        let items: Vec<BulkItem> =
            self.query_desc(&partition, key::BULK_CHANGE_PREFIX, before.as_deref(), limit).await?;
        items.into_iter().map(StoredBulkChange::of).collect()
    }

    /// Stores that a bulk change is to be stopped, and records its event. [`StoreError::Conflict`] when it is stopped already.
    pub async fn stop_bulk_change(
        &self,
        ws: &Tenant,
        bulk: &StoredBulkChange,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let place = key::bulk_change_stop(ws, &bulk.change.ad_account, &bulk.change.id);
        let stop = Stop { at: event.at, expires: (bulk.requested_at + KEPT).as_second() };
        let put = self.put_action_if(&place, &stop, ITEM_NOT_EXISTS)?;
        self.transact_recorded(ws, vec![put], [event]).await
    }

    /// Returns when a bulk change was stopped, if it was.
    pub async fn bulk_change_stopped_at(
        &self,
        ws: &Tenant,
        bulk: &StoredBulkChange,
    ) -> Result<Option<Timestamp>, StoreError> {
        let place = key::bulk_change_stop(ws, &bulk.change.ad_account, &bulk.change.id);
        Ok(self.consistent().get::<Stop>(&place).await?.map(|stop| stop.at))
    }

    /// Takes over a bulk change whose lease has expired; [`StoreError::Conflict`] when it has not.
    pub async fn claim_bulk_change(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        id: &BulkChangeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<StoredBulkChange, StoreError> {
        let item: BulkItem = self
            .update(
                &key::bulk_change(ws, account, id),
                "SET lease_until = :until, version = version + :one",
                Some("attribute_exists(pk) AND lease_until < :now"),
                vec![(":until", millis(until)), (":one", number(1)), (":now", millis(now))],
            )
            .await?;
        StoredBulkChange::of(item)
    }

    /// Writes a bulk change that the caller holds and extends its lease to `lease_until`, together with the events of its
    /// objects. [`StoreError::Conflict`] when another worker has taken it over.
    pub async fn save_bulk_change(
        &self,
        ws: &Tenant,
        bulk: &mut StoredBulkChange,
        lease_until: Timestamp,
        events: &[EventRecord],
    ) -> Result<(), StoreError> {
        let next = StoredBulkChange { version: bulk.version + 1, lease_until, ..bulk.clone() };
        let key = key::bulk_change(ws, &bulk.change.ad_account, &bulk.change.id);
        let put = self.put_action_if(&key, &next.item()?, unchanged(bulk))?;
        self.transact_recorded(ws, vec![put], events).await?;
        *bulk = next;
        Ok(())
    }
}

fn unchanged(bulk: &StoredBulkChange) -> ConditionExpression {
    ConditionExpression { expression: "version = :version", values: vec![(":version", number(bulk.version))] }
}
