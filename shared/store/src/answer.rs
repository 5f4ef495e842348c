//! Answers to writes that came with an `Idempotency-Key`, kept for as long as somebody may ask again.

use ads::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::key;
use crate::table::{ABSENT, Condition, StoreError, Table, text};

/// How long a key means the same request.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRequest {
    /// Hash of method, path and body. None when nothing came of it, so that the key is free for another one.
    pub request_hash: Option<String>,
    /// Who works on it, or did last. A new one for every try.
    pub worker: String,
    /// Until when that one counts as alive.
    pub worker_until: Timestamp,
    /// The answer, once there is one.
    pub answer: Option<KeptAnswer>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// The headers that belong to the answer itself.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The row's own attributes, to remove it.
#[derive(Deserialize)]
struct Place {
    sk: String,
}

impl Table {
    /// What is known of a key, given its hash.
    pub async fn kept_request(&self, asker: &Asker, key: &str) -> Result<Option<KeptRequest>, StoreError> {
        self.get(&key::answer(asker, key)).await
    }

    /// Writes down what becomes of a key, in the place of what `worker` wrote; [`StoreError::Conflict`] when that is
    /// not what is there. Nobody's word is the one of a key that is not known yet.
    pub async fn keep_request(
        &self,
        asker: &Asker,
        key: &str,
        kept: &KeptRequest,
        worker: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let same =
            |worker| Condition { expression: "#worker = :worker", values: vec![(":worker", text(worker))] };
        let expires = now.saturating_add(KEPT).map_or(i64::MAX, Timestamp::as_second);
        let condition = worker.map_or(ABSENT, same);
        self.put_expiring(&key::answer(asker, key), kept, expires, Some(condition)).await
    }

    /// Forgets every answer that is kept for a workspace, when what they tell must not be kept any longer.
    pub async fn forget_answers(&self, ws: &Tenant) -> Result<(), StoreError> {
        let partition = key::workspace(ws);
        for Place { sk } in self.list::<Place>(&partition, key::ANSWERS).await? {
            let _gone: Option<KeptRequest> = self.take(&key::Key { pk: partition.clone(), sk }).await?;
        }
        Ok(())
    }
}
