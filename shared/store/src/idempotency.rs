//! Responses to writes with an `Idempotency-Key`, stored for as long as the request may be repeated.

use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::rate_limit_key::RateLimitKey;
use crate::table::{ConditionExpression, StoreError, Table, number, text};

/// Time for which a key identifies the same request.
const IDEMPOTENCY_TTL: SignedDuration = SignedDuration::from_hours(24);

/// The state of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// Hash of method, path and body. `None` when the request had no effect, so that another request may use the key.
    pub request_hash: Option<String>,
    /// Id of the worker that processes the request, or was the last to do so. New for every attempt.
    pub worker: String,
    /// End of the worker's lease.
    pub lease_until: Timestamp,
    /// The response, once there is one.
    pub response: Option<StoredResponse>,
}

/// A stored response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers that belong to the response itself.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The sort key of a row, for its deletion.
#[derive(Deserialize)]
struct SortKey {
    sk: String,
}

impl Table {
    /// Reads the state of a key, given the key's hash.
    pub async fn idempotency_record(
        &self,
        caller: &RateLimitKey,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.get(&key::idempotency(caller, key)).await
    }

    /// Replaces the state that `worker` wrote for a key; [`StoreError::Conflict`] when that state is no longer stored.
    /// `None` creates the state of a key that is not stored, or whose time is over: DynamoDB may take days to delete it.
    pub async fn upsert_idempotency_record(
        &self,
        caller: &RateLimitKey,
        key: &str,
        stored: &IdempotencyRecord,
        worker: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let same = |worker| ConditionExpression {
            expression: "#worker = :worker",
            values: vec![(":worker", text(worker))],
        };
        let expires = now.saturating_add(IDEMPOTENCY_TTL).map_or(i64::MAX, Timestamp::as_second);
        let none = ConditionExpression {
            expression: "attribute_not_exists(pk) OR #expires <= :now",
            values: vec![(":now", number(now.as_second()))],
        };
        let condition = worker.map_or(none, same);
        self.put_with_ttl(&key::idempotency(caller, key), stored, expires, Some(condition)).await
    }

    /// Deletes every stored response of a workspace, for when its content must not be stored any longer.
    pub async fn delete_idempotency_records(&self, ws: &Tenant) -> Result<(), StoreError> {
        let partition = key::workspace(ws);
        for SortKey { sk } in self.query_prefix::<SortKey>(&partition, key::IDEMPOTENCY_PREFIX).await? {
            let _gone: Option<IdempotencyRecord> =
                self.delete_returning(&key::Key { pk: partition.clone(), sk }).await?;
        }
        Ok(())
    }
}
