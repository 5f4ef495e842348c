//! Campaigns, ad sets and ads, each with the order of the fetch that showed it.

use ads::id::{AdAccountId, ObjectId};
use ads::object::{AdObject, Level};
use ads::tenant::Tenant;
use serde::{Deserialize, Serialize};

use crate::account::Holder;
use crate::key;
use crate::table::{Condition, StoreError, Table, number};

/// An object as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptObject {
    /// What Meta showed.
    #[serde(flatten)]
    pub object: AdObject,
    /// Which fetch showed it; a later one has a higher number.
    pub as_of: u64,
    /// Whether Meta no longer shows it even when asked by id. It may have been deleted long ago, or a
    /// permission may be lost; what is kept is how it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Written.
    Written,
    /// A later fetch had been there.
    Outdated,
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
    pub async fn keep_object(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        kept: &KeptObject,
    ) -> Result<Kept, StoreError> {
        let object = &kept.object;
        // Together with the index: an object that is kept can always be found by a webhook, and nothing stays in the
        // index of one that is erased.
        let holder = Holder { workspace: ws.clone(), ad_account: account.clone() };
        let index = self.put_action(&key::meta_index(object.id.as_str(), ws, account), &holder)?;
        let condition = Condition {
            expression: "attribute_not_exists(pk) OR as_of < :as_of",
            values: vec![(":as_of", number(kept.as_of))],
        };
        let row = key::object(ws, account, object.level, &object.id);
        match self.transact(vec![index, self.put_action_if(&row, kept, condition)?]).await {
            Ok(()) => Ok(Kept::Written),
            Err(StoreError::Conflict) => Ok(Kept::Outdated),
            Err(error) => Err(error),
        }
    }

    /// One object.
    pub async fn object(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        id: &ObjectId,
    ) -> Result<Option<KeptObject>, StoreError> {
        self.get(&key::object(ws, account, level, id)).await
    }

    /// Every object of one level.
    pub async fn objects(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
    ) -> Result<Vec<KeptObject>, StoreError> {
        self.list(&key::account_partition(ws, account), &format!("OBJECT#{level}#")).await
    }
}
