//! Entity sync: what the platform lists, what changed since, and what is no longer listed.

use std::collections::{BTreeMap, HashMap};

use connector::{AccountClient, EntityRead};
use domain::Error;
use domain::entity::{EffectiveStatus, Entity, Level};
use domain::gap::Gaps;
use domain::id::EntityId;
use store::Table;
use store::changed_entities::ChangedEntity;
use store::entity::StoredEntity;

/// Counts of one sync.
#[derive(Debug, Default)]
pub(crate) struct EntitySyncStats {
    /// Entities that the platform listed.
    pub(crate) listed: usize,
    /// New or changed entities that were written.
    pub(crate) written: usize,
    /// Entities that are no longer listed, written as the platform returned them by id.
    pub(crate) refetched: usize,
    /// Campaigns that are switched on.
    pub(crate) running: usize,
    /// Number of the fetch.
    pub(crate) fetch_number: u64,
    /// What could not be read.
    pub(crate) gaps: Gaps,
}

/// Reads all three levels, campaigns first, so that a parent exists before its children.
pub(crate) async fn sync(table: &Table, client: &AccountClient) -> Result<EntitySyncStats, Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    // Taken before the first page: a fetch that starts later sees newer state and wins.
    let fetch_number = table.begin_fetch(workspace, account).await?;
    let mut stats = EntitySyncStats { fetch_number, ..EntitySyncStats::default() };
    for level in [Level::Campaign, Level::AdSet, Level::Ad] {
        let index = table.entity_index(workspace, account, level).await?;
        let has_many_changes = index.has_many_changes();
        let mut unlisted: HashMap<EntityId, StoredEntity> =
            index.into_entities().map(|stored| (stored.entity.id.clone(), stored)).collect();
        let mut changed = Changed::new(table, client, level);
        let mut pages = client.list_entities(level);
        while let Some(page) = client.next_entities(&mut pages).await? {
            for gap in client.take_entity_gaps(&mut pages) {
                tracing::warn!(%account, %level, entity = ?gap.id, field = ?gap.field, reason = gap.reason, "An entity is odd.");
                stats.gaps.push(gap);
            }
            for entity in page {
                stats.listed += 1;
                stats.running += usize::from(entity.level == Level::Campaign && entity.is_switched_on());
                let known = unlisted.remove(&entity.id);
                if !known.is_some_and(|known| known.entity == entity && !known.hidden) {
                    changed.push(StoredEntity { entity, fetch_number, hidden: false }).await?;
                }
            }
        }
        stats.written += changed.write().await?;
        let unlisted = unlisted.into_values().filter(|stored| !stored.hidden && !is_deleted(&stored.entity));
        let unlisted = unlisted.map(|stored| (stored.entity.id.clone(), Some(stored.entity))).collect();
        stats.refetched += refetch_unlisted(table, client, level, unlisted, fetch_number).await?;
        if has_many_changes {
            table.fold_entities(workspace, account, level, &[]).await?;
        }
    }
    Ok(stats)
}

/// New and changed entities that are kept in memory at most.
const MAX_CHANGED: usize = 5_000;

/// New and changed entities of a level, on their way into the table: many of them are cheaper together.
struct Changed<'a> {
    table: &'a Table,
    client: &'a AccountClient,
    level: Level,
    entities: Vec<StoredEntity>,
    written: usize,
}

impl<'a> Changed<'a> {
    fn new(table: &'a Table, client: &'a AccountClient, level: Level) -> Self {
        Self { table, client, level, entities: Vec::new(), written: 0 }
    }

    async fn push(&mut self, stored: StoredEntity) -> Result<(), Error> {
        self.entities.push(stored);
        if self.entities.len() >= MAX_CHANGED { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let (workspace, account) = (&self.client.workspace, &self.client.account.id);
        let entities = std::mem::take(&mut self.entities);
        self.written += self.table.upsert_entities(workspace, account, self.level, entities).await?;
        Ok(())
    }

    /// Writes what is left. Returns how many were written in all.
    async fn write(mut self) -> Result<usize, Error> {
        self.flush().await?;
        Ok(self.written)
    }
}

/// Entities that one call reads.
const MAX_ENTITIES_PER_CALL: usize = 50;

/// Reads entities that the platform has reported as changed, many in one call. Returns how many were written.
pub(crate) async fn sync_changed(
    table: &Table,
    client: &AccountClient,
    changed: &[ChangedEntity],
) -> Result<usize, Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    let fetch_number = table.begin_fetch(workspace, account).await?;
    let mut written = 0;
    for level in [Level::Campaign, Level::AdSet, Level::Ad] {
        let of_level = changed.iter().filter(|(of, _)| *of == level).map(|(_, id)| id.clone());
        let of_level: Vec<EntityId> = of_level.collect();
        for ids in of_level.chunks(MAX_ENTITIES_PER_CALL) {
            let mut unlisted: BTreeMap<EntityId, Option<Entity>> = BTreeMap::new();
            for id in ids {
                let stored = table.entity(workspace, account, level, id).await?;
                unlisted.insert(id.clone(), stored.map(|stored| stored.entity));
            }
            let mut changed = Changed::new(table, client, level);
            let mut pages = client.list_entities_in(level, ids);
            while let Some(page) = client.next_entities(&mut pages).await? {
                for entity in page {
                    unlisted.remove(&entity.id);
                    changed.push(StoredEntity { entity, fetch_number, hidden: false }).await?;
                }
            }
            written += changed.write().await?;
            written += refetch_unlisted(table, client, level, unlisted, fetch_number).await?;
        }
    }
    Ok(written)
}

/// Refetches entities that are no longer listed. Deleted ones are never listed, and a missing one may only be hidden, so
/// the platform is asked once by id.
async fn refetch_unlisted(
    table: &Table,
    client: &AccountClient,
    level: Level,
    mut unlisted: BTreeMap<EntityId, Option<Entity>>,
    fetch_number: u64,
) -> Result<usize, Error> {
    let mut changed = Changed::new(table, client, level);
    while !unlisted.is_empty() {
        let ids: Vec<EntityId> = unlisted.keys().cloned().collect();
        for (id, read) in client.read_entities(level, &ids).await? {
            let Some(last_known) = unlisted.remove(&id) else { continue };
            let stored = match read {
                EntityRead::Found(entity) => StoredEntity { entity: *entity, fetch_number, hidden: false },
                EntityRead::NotFound => match last_known {
                    Some(entity) => StoredEntity { entity: as_deleted(entity), fetch_number, hidden: true },
                    None => continue,
                },
                // An entity that cannot be read must not stop the account's sync.
                EntityRead::Failed(error) => {
                    tracing::warn!(%level, entity = %id, %error, "An entity could not be refetched; its stored state is kept.");
                    continue;
                }
            };
            changed.push(stored).await?;
        }
    }
    changed.write().await
}

/// Returns an entity that the platform shows no more. One that no sync has ever listed is known from its numbers alone:
/// it was deleted before the first sync.
fn as_deleted(entity: Entity) -> Entity {
    let effective_status = entity.effective_status.clone().or(Some(EffectiveStatus::Deleted));
    Entity { effective_status, ..entity }
}

fn is_deleted(entity: &Entity) -> bool {
    entity.effective_status == Some(EffectiveStatus::Deleted)
}
