//! Campaigns, ad sets and ads, each with the order of the fetch that showed it.

use domain::id::{AdAccountId, ObjectId};
use domain::object::{AdObject, Level};
use domain::tenant::Tenant;
use serde::{Deserialize, Serialize};

use crate::account::AccountRef;
use crate::key;
use crate::table::{ConditionExpression, StoreError, Table, number};

/// An object as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntity {
    /// What Meta showed.
    #[serde(flatten)]
    pub object: AdObject,
    /// Which fetch showed it; a later one has a higher number.
    pub as_of: u64,
    /// Whether Meta no longer shows it even when asked by id. It may have been deleted long ago, or a
    /// permission may be lost; what is stored is how it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertResult {
    /// Written.
    Written,
    /// A later fetch had been there.
    Stale,
}

#[derive(Deserialize)]
struct FetchCounter {
    fetches: u64,
}

impl Table {
    /// Draws the number of a fetch, before the fetch: whoever starts later wins.
    pub async fn begin_fetch(&self, ws: &Tenant, account: &AdAccountId) -> Result<u64, StoreError> {
        let counter: FetchCounter = self
            .update(&key::fetch_counter(ws, account), "ADD fetches :one", None, vec![(":one", number(1))])
            .await?;
        Ok(counter.fetches)
    }

    /// Keeps an object unless a later fetch has shown it already.
    pub async fn upsert_entity(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        stored: &StoredEntity,
    ) -> Result<UpsertResult, StoreError> {
        let object = &stored.object;
        // Together with the index: an object that is stored can always be found by a webhook, and nothing stays in the
        // index of one that is erased.
        let account_ref = AccountRef { workspace: ws.clone(), ad_account: account.clone() };
        let index = self.put_action(&key::meta_index(object.id.as_str(), ws, account), &account_ref)?;
        let condition = ConditionExpression {
            expression: "attribute_not_exists(pk) OR as_of < :as_of",
            values: vec![(":as_of", number(stored.as_of))],
        };
        let row = key::entity(ws, account, object.level, &object.id);
        match self.transact(vec![index, self.put_action_if(&row, stored, condition)?]).await {
            Ok(()) => Ok(UpsertResult::Written),
            Err(StoreError::Conflict) => Ok(UpsertResult::Stale),
            Err(error) => Err(error),
        }
    }

    /// One object.
    pub async fn entity(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        id: &ObjectId,
    ) -> Result<Option<StoredEntity>, StoreError> {
        self.get(&key::entity(ws, account, level, id)).await
    }

    /// Every object of one level.
    pub async fn entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
    ) -> Result<Vec<StoredEntity>, StoreError> {
        self.query_prefix(&key::account_partition(ws, account), &format!("ENTITY#{level}#")).await
    }
}
