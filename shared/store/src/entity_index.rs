//! The index of an account's entities: compressed blocks for each level, and beside them what has changed since.
//!
//! A list of 50,000 ads reads some hundred blocks, not 50,000 items. Whoever stores one entity adds it to the changes in
//! the same transaction, so that writers neither wait for each other nor leave an entity out. A sync folds changes into
//! the blocks when there are many. An entity that is found twice is taken from its later fetch, so it does not matter
//! which of several writes comes last.

use std::collections::{BTreeMap, HashMap};

use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use facts::{compress, decompress, shard_of};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::entity::{StoredEntity, UpsertResult};
use crate::key::{self, Key};
use crate::table::{ConditionExpression, StoreError, Table, number};

/// Changes beside the blocks at most: a sync that finds more folds them.
pub(crate) const MAX_CHANGES: usize = 50;

/// The size up to which a block is written, in bytes. A query pays for the bytes of all blocks together, and a change only for
/// its own block.
const MAX_BLOCK_BYTES: usize = 32 * 1024;

/// The most bits that tell blocks apart: 4,096 blocks hold a million entities.
const MAX_BITS: u8 = 12;

/// Entities of a block that fill it about half: the first guess of the number of blocks.
const ENTITIES_PER_BLOCK: usize = 250;

/// How often blocks are folded again that another sync folds at the same time.
const MAX_ATTEMPTS: usize = 5;

/// Entities that are written at the same time.
const CONCURRENT_WRITES: usize = 16;

/// First byte of a block.
const FORMAT: u8 = 1;

/// An item of the index: a block, or a change.
#[derive(Deserialize)]
struct IndexItem {
    sk: String,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    data: Option<ByteBuf>,
    #[serde(default)]
    changed: Option<StoredEntity>,
}

/// A block as it is written.
#[derive(Serialize)]
struct BlockItem {
    revision: u64,
    data: ByteBuf,
}

/// A change as it is written.
#[derive(Serialize)]
pub(crate) struct ChangeItem<'a> {
    fetch_number: u64,
    changed: &'a StoredEntity,
}

impl<'a> ChangeItem<'a> {
    pub(crate) fn new(stored: &'a StoredEntity) -> Self {
        Self { fetch_number: stored.fetch_number, changed: stored }
    }
}

/// The entities of a level, as the index has them.
#[derive(Debug, Default)]
pub struct EntityIndex {
    entities: HashMap<EntityId, StoredEntity>,
    /// Revision and bytes of each block, by its sort key.
    blocks: BTreeMap<String, (u64, Vec<u8>)>,
    /// Each with the number of its fetch.
    changes: Vec<(EntityId, u64)>,
}

impl EntityIndex {
    /// Returns the entities.
    pub fn into_entities(self) -> impl Iterator<Item = StoredEntity> {
        self.entities.into_values()
    }

    /// Returns whether there are so many changes that they should be folded.
    pub fn has_many_changes(&self) -> bool {
        self.changes.len() > MAX_CHANGES
    }

    fn add(&mut self, stored: StoredEntity) {
        match self.entities.get(&stored.entity.id) {
            Some(known) if known.fetch_number > stored.fetch_number => {}
            _ => drop(self.entities.insert(stored.entity.id.clone(), stored)),
        }
    }
}

impl Table {
    /// Reads the index of a level.
    pub async fn entity_index(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
    ) -> Result<EntityIndex, StoreError> {
        let pk = key::account_partition(ws, account);
        let mut index = EntityIndex::default();
        // Changes sort before blocks: one that vanishes while this reads is in the block that is read after it.
        for item in self.query_prefix::<IndexItem>(&pk, &key::entity_blocks_prefix(level)).await? {
            if let Some(changed) = item.changed {
                index.changes.push((changed.entity.id.clone(), changed.fetch_number));
                index.add(changed);
            } else if let Some(data) = item.data {
                for stored in decode(&data)? {
                    index.add(stored);
                }
                index.blocks.insert(item.sk, (item.revision, data.into_vec()));
            }
        }
        Ok(index)
    }

    /// Stores entities of a level that a fetch has found to be new or changed. Many of them go into the blocks at once.
    /// Returns how many were written; a later fetch had already written the others.
    pub async fn upsert_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        entities: Vec<StoredEntity>,
    ) -> Result<usize, StoreError> {
        let is_bulk = entities.len() > MAX_CHANGES;
        let writes: Vec<_> =
            entities.iter().map(|stored| self.write_entity(ws, account, stored, !is_bulk)).collect();
        let results: Vec<UpsertResult> =
            stream::iter(writes).buffered(CONCURRENT_WRITES).try_collect().await?;
        let (mut current, mut stale) = (Vec::new(), Vec::new());
        for (stored, result) in entities.into_iter().zip(results) {
            match result {
                UpsertResult::Written => current.push(stored),
                UpsertResult::Stale => stale.push(stored.entity.id),
            }
        }
        let written = current.len();
        // After the items. Whoever wrote a later one may have stopped before it was in the index: a crash here leaves
        // entities that the index does not have, and that the next sync finds as new.
        if is_bulk || !stale.is_empty() {
            let table = self.consistent();
            let later: Vec<_> = stale.iter().map(|id| table.entity(ws, account, level, id)).collect();
            let later: Vec<Option<StoredEntity>> =
                stream::iter(later).buffered(CONCURRENT_WRITES).try_collect().await?;
            current.extend(later.into_iter().flatten());
            self.fold_entities(ws, account, level, &current).await?;
        }
        Ok(written)
    }

    /// Writes entities and all changes into the blocks of a level. [`StoreError::Unavailable`] when others keep doing so,
    /// too.
    pub async fn fold_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        entities: &[StoredEntity],
    ) -> Result<(), StoreError> {
        let table = self.consistent();
        for _ in 0..MAX_ATTEMPTS {
            let mut index = table.entity_index(ws, account, level).await?;
            for stored in entities {
                index.add(stored.clone());
            }
            match table.write_index(ws, account, level, index).await {
                Err(StoreError::Conflict) => {}
                result => return result,
            }
        }
        Err(StoreError::Unavailable("the index of entities changes faster than it can be written".to_owned()))
    }

    async fn write_index(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        index: EntityIndex,
    ) -> Result<(), StoreError> {
        let EntityIndex { entities, mut blocks, changes } = index;
        let place = |sk: String| Key { pk: key::account_partition(ws, account), sk };
        for (sk, data) in encode(level, entities.into_values().collect(), &blocks)? {
            let seen = blocks.remove(&sk);
            if seen.as_ref().is_some_and(|(_, stored)| *stored == data) {
                continue;
            }
            let (condition, values) = match &seen {
                Some((revision, _)) => ("revision = :seen", vec![(":seen", number(*revision))]),
                None => ("attribute_not_exists(pk)", Vec::new()),
            };
            let block = BlockItem {
                revision: seen.map_or(1, |(revision, _)| revision + 1),
                data: ByteBuf::from(data),
            };
            let condition = ConditionExpression { expression: condition, values };
            self.put(&place(sk), &block, Some(condition)).await?;
        }
        // What is left has fewer bits than the blocks now, or no entities any more.
        for (sk, (revision, _)) in blocks {
            self.delete_if(&place(sk), "revision = :seen", vec![(":seen", number(revision))]).await?;
        }
        for (id, fetch_number) in changes {
            let change = key::entity_change(ws, account, level, &id);
            let values = vec![(":seen", number(fetch_number))];
            match self.delete_if(&change, "fetch_number = :seen", values).await {
                // Changed again since: that change stays.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Encodes the blocks of a level, by their sort keys: as many as there are, or twice as many until each is small enough.
fn encode(
    level: Level,
    mut entities: Vec<StoredEntity>,
    before: &BTreeMap<String, (u64, Vec<u8>)>,
) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    // Equal entities have equal bytes.
    entities.sort_by(|a, b| a.entity.id.cmp(&b.entity.id));
    let known = before.keys().filter_map(|sk| key::parse_entity_block(sk)).max();
    let guess = (entities.len() / ENTITIES_PER_BLOCK).checked_ilog2().map_or(0, |bits| bits as u8);
    let mut bits = known.unwrap_or(guess).min(MAX_BITS);
    loop {
        let mut shards = BTreeMap::<usize, Vec<&StoredEntity>>::new();
        for stored in &entities {
            shards.entry(shard_of(&stored.entity.id, bits)).or_default().push(stored);
        }
        let mut blocks = BTreeMap::new();
        for (shard, entities) in shards {
            let json =
                serde_json::to_vec(&entities).map_err(|error| StoreError::Internal(error.to_string()))?;
            let mut data = vec![FORMAT];
            data.extend(compress(&json)?);
            blocks.insert(key::entity_block(level, bits, shard), data);
        }
        if bits == MAX_BITS || blocks.values().all(|data| data.len() <= MAX_BLOCK_BYTES) {
            return Ok(blocks);
        }
        bits += 1;
    }
}

fn decode(data: &[u8]) -> Result<Vec<StoredEntity>, StoreError> {
    let malformed =
        |error: String| StoreError::Internal(format!("a block of entities is unreadable: {error}"));
    match data.split_first() {
        Some((&FORMAT, data)) => {
            serde_json::from_slice(&decompress(data)?).map_err(|error| malformed(error.to_string()))
        }
        _ => Err(malformed("its format is not known".to_owned())),
    }
}
