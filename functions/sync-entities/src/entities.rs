//! Entity sync: what the platform lists, what changed since, and what is no longer listed.

use std::collections::{BTreeMap, HashMap};

use connector::{AccountClient, EntityRead};
use domain::Error;
use domain::entity::{EffectiveStatus, Entity, Level};
use domain::gap::Gaps;
use domain::id::EntityId;
use store::Table;
use store::changed_entities::ChangedEntity;
use store::entity::{StoredEntity, UpsertResult};

/// Counts of one sync.
#[derive(Debug, Default)]
pub(crate) struct EntitySyncStats {
    /// Entities that the platform listed.
    pub(crate) listed: usize,
    /// New or changed entities that were written.
    pub(crate) written: usize,
    /// Entities that are no longer listed, written as the platform returned them by id.
    pub(crate) refetched: usize,
    /// What could not be read.
    pub(crate) gaps: Gaps,
}

/// Reads all three levels, campaigns first, so that a parent exists before its children.
pub(crate) async fn sync(table: &Table, client: &AccountClient) -> Result<EntitySyncStats, Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    // Taken before the first page: a fetch that starts later sees newer state and wins.
    let fetch_number = table.begin_fetch(workspace, account).await?;
    let mut stats = EntitySyncStats::default();
    for level in [Level::Campaign, Level::AdSet, Level::Ad] {
        let stored = table.entities(workspace, account, level).await?;
        let mut unlisted: HashMap<EntityId, StoredEntity> =
            stored.into_iter().map(|stored| (stored.entity.id.clone(), stored)).collect();
        let mut pages = client.list_entities(level);
        while let Some(page) = client.next_entities(&mut pages).await? {
            for gap in client.take_entity_gaps(&mut pages) {
                tracing::warn!(%account, %level, entity = ?gap.id, field = ?gap.field, reason = gap.reason, "An entity is odd.");
                stats.gaps.push(gap);
            }
            for entity in page {
                stats.listed += 1;
                let known = unlisted.remove(&entity.id);
                if !known.is_some_and(|known| known.entity == entity && !known.hidden) {
                    stats.written +=
                        upsert(table, client, StoredEntity { entity, fetch_number, hidden: false }).await?;
                }
            }
        }
        let unlisted = unlisted.into_values().filter(|stored| !stored.hidden && !is_deleted(&stored.entity));
        let unlisted = unlisted.map(|stored| (stored.entity.id.clone(), Some(stored.entity))).collect();
        stats.refetched += refetch_unlisted(table, client, level, unlisted, fetch_number).await?;
    }
    Ok(stats)
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
            let mut pages = client.list_entities_in(level, ids);
            while let Some(page) = client.next_entities(&mut pages).await? {
                for entity in page {
                    unlisted.remove(&entity.id);
                    written +=
                        upsert(table, client, StoredEntity { entity, fetch_number, hidden: false }).await?;
                }
            }
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
    let mut written = 0;
    while !unlisted.is_empty() {
        let ids: Vec<EntityId> = unlisted.keys().cloned().collect();
        for (id, read) in client.read_entities(level, &ids).await? {
            let Some(last_known) = unlisted.remove(&id) else { continue };
            let stored = match read {
                EntityRead::Found(entity) => StoredEntity { entity: *entity, fetch_number, hidden: false },
                EntityRead::NotFound => match last_known {
                    Some(entity) => StoredEntity { entity, fetch_number, hidden: true },
                    None => continue,
                },
                // An entity that cannot be read must not stop the account's sync.
                EntityRead::Failed(error) => {
                    tracing::warn!(%level, entity = %id, %error, "An entity could not be refetched; its stored state is kept.");
                    continue;
                }
            };
            written += upsert(table, client, stored).await?;
        }
    }
    Ok(written)
}

async fn upsert(table: &Table, client: &AccountClient, stored: StoredEntity) -> Result<usize, Error> {
    let stored = table.upsert_entity(&client.workspace, &client.account.id, &stored).await?;
    Ok(usize::from(stored == UpsertResult::Written))
}

fn is_deleted(entity: &Entity) -> bool {
    entity.effective_status == Some(EffectiveStatus::Deleted)
}
