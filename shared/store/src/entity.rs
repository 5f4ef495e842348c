//! Campaigns, ad sets and ads, each with the number of the fetch that returned it.

use std::collections::BTreeSet;

use domain::entity::{Entity, Level};
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::account::AccountRef;
use crate::entity_index::ChangeItem;
use crate::key;
use crate::table::{ConditionExpression, StoreError, Table, number};

/// An entity as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntity {
    /// The entity as the platform returned it.
    #[serde(flatten)]
    pub entity: Entity,
    /// Number of the fetch that returned it; a later fetch has a higher number.
    pub fetch_number: u64,
    /// Whether the platform no longer returns it even when requested by id. It may have been deleted long ago, or a permission
    /// may be lost; the stored entity is its last known state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertResult {
    /// The entity was written.
    Written,
    /// A later fetch had already written the entity.
    Stale,
}

#[derive(Deserialize)]
struct FetchCounter {
    fetches: u64,
}

impl Table {
    /// Allocates the number of a fetch. Call it before the fetch: the one that starts later wins.
    pub async fn begin_fetch(&self, ws: &Tenant, account: &AdAccountId) -> Result<u64, StoreError> {
        let counter: FetchCounter = self
            .update(&key::fetch_counter(ws, account), "ADD fetches :one", None, vec![(":one", number(1))])
            .await?;
        Ok(counter.fetches)
    }

    /// Stores an entity unless a later fetch has already written it.
    pub async fn upsert_entity(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        stored: &StoredEntity,
    ) -> Result<UpsertResult, StoreError> {
        self.write_entity(ws, account, stored, true).await
    }

    /// Stores an entity, as a change of the index or, if the caller writes it into the index, without.
    pub(crate) async fn write_entity(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        stored: &StoredEntity,
        as_change: bool,
    ) -> Result<UpsertResult, StoreError> {
        let entity = &stored.entity;
        // In one transaction, so that a webhook and a list can always find a stored entity, and neither finds a deleted
        // one.
        let account_ref = AccountRef { workspace: ws.clone(), ad_account: account.clone() };
        let mut actions = vec![self.put_action(&key::entity_index(&entity.id, ws, account), &account_ref)?];
        let condition = ConditionExpression {
            expression: "attribute_not_exists(pk) OR fetch_number < :fetch_number",
            values: vec![(":fetch_number", number(stored.fetch_number))],
        };
        let row = key::entity(ws, account, entity.level, &entity.id);
        actions.push(self.put_action_if(&row, stored, condition)?);
        if as_change {
            let change = key::entity_change(ws, account, entity.level, &entity.id);
            actions.push(self.put_action(&change, &ChangeItem::new(stored))?);
        }
        match self.transact(actions).await {
            Ok(()) => Ok(UpsertResult::Written),
            Err(StoreError::Conflict) => Ok(UpsertResult::Stale),
            Err(error) => Err(error),
        }
    }

    /// Reads one entity.
    pub async fn entity(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        id: &EntityId,
    ) -> Result<Option<StoredEntity>, StoreError> {
        self.get(&key::entity(ws, account, level, id)).await
    }

    /// Reads some entities of one level, in any order. Those that are not stored are left out.
    pub async fn entities_by_id(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        ids: &[EntityId],
    ) -> Result<Vec<StoredEntity>, StoreError> {
        let ids: BTreeSet<&EntityId> = ids.iter().collect();
        let keys: Vec<_> = ids.iter().map(|id| key::entity(ws, account, level, id).attributes()).collect();
        let items = self.batch_get(keys).await?;
        items.into_iter().map(|item| Ok(from_item(item)?)).collect()
    }

    /// Lists the entities of one level, from the index.
    pub async fn entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
    ) -> Result<Vec<StoredEntity>, StoreError> {
        Ok(self.entity_index(ws, account, level).await?.into_entities().collect())
    }
}
