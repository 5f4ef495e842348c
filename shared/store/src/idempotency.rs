//! Answers to writes that came with an `Idempotency-Key`, stored for as long as somebody may ask again.

use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::rate_limit_key::RateLimitKey;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

/// How long a key means the same request.
const IDEMPOTENCY_TTL: SignedDuration = SignedDuration::from_hours(24);

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// Hash of method, path and body. None when nothing came of it, so that the key is free for another one.
    pub request_hash: Option<String>,
    /// Who works on it, or did last. A new one for every try.
    pub worker: String,
    /// Until when that one counts as alive.
    pub lease_until: Timestamp,
    /// The answer, once there is one.
    pub response: Option<StoredResponse>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The status.
    pub status: u16,
    /// The headers that belong to the answer itself.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The row's own attributes, to remove it.
#[derive(Deserialize)]
struct SortKey {
    sk: String,
}

impl Table {
    /// What is known of a key, given its hash.
    pub async fn idempotency_record(
        &self,
        caller: &RateLimitKey,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.get(&key::idempotency(caller, key)).await
    }

    /// Writes down what becomes of a key, in the place of what `worker` wrote; [`StoreError::Conflict`] when that is
    /// not what is there. Nobody's word is the one of a key that is not known yet.
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
        let condition = worker.map_or(ITEM_NOT_EXISTS, same);
        self.put_with_ttl(&key::idempotency(caller, key), stored, expires, Some(condition)).await
    }

    /// Forgets every answer that is stored for a workspace, when what they tell must not be stored any longer.
    pub async fn delete_idempotency_records(&self, ws: &Tenant) -> Result<(), StoreError> {
        let partition = key::workspace(ws);
        for SortKey { sk } in self.query_prefix::<SortKey>(&partition, key::IDEMPOTENCY_PREFIX).await? {
            let _gone: Option<IdempotencyRecord> =
                self.delete_returning(&key::Key { pk: partition.clone(), sk }).await?;
        }
        Ok(())
    }
}
