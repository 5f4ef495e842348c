//! Entity sync: what the platform lists, what changed since, and what is no longer listed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use connector::{AccountClient, EntityRead};
use domain::Error;
use domain::entity::{EffectiveStatus, Entity, Level};
use domain::gap::Gaps;
use domain::id::EntityId;
use jiff::SignedDuration;
use runtime::{Clock, deadline};
use store::Table;
use store::changed_entities::ChangedEntity;
use store::entity::StoredEntity;
use store::entity_progress::EntityProgress;

/// What a sync has read of an account.
#[derive(Debug, Default)]
pub(crate) struct EntitySyncStats {
    /// Entities that the platform listed to this invocation.
    pub(crate) listed: usize,
    /// New or changed entities that this invocation wrote.
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

/// A sync of the entities, as far as it has come.
pub(crate) struct EntitySync<'a> {
    table: &'a Table,
    client: &'a AccountClient,
    clock: &'a Clock,
    progress: EntityProgress,
    is_continued: bool,
    stats: EntitySyncStats,
    longest_page: SignedDuration,
}

impl<'a> EntitySync<'a> {
    /// Begins a sync, or continues one that an earlier invocation could not complete.
    pub(crate) async fn begin(
        table: &'a Table,
        client: &'a AccountClient,
        clock: &'a Clock,
    ) -> Result<Self, Error> {
        let (workspace, account, now) = (&client.workspace, &client.account.id, clock.now());
        let known = table.entity_progress(workspace, account, now).await?;
        let is_continued = known.is_some();
        let progress = match known {
            Some(progress) => progress,
            // Taken before the first page: a fetch that starts later sees newer state and wins.
            None => EntityProgress::begin(table.begin_fetch(workspace, account).await?, now),
        };
        let (stats, longest_page) = Default::default();
        Ok(Self { table, client, clock, progress, is_continued, stats, longest_page })
    }

    /// Reads what is left of all three levels. `None` when another invocation must go on: how far this one came is stored
    /// then, and so it is after an error that a retry can help.
    pub(crate) async fn run(mut self) -> Result<Option<EntitySyncStats>, Error> {
        let (table, workspace, account) = (self.table, &self.client.workspace, &self.client.account.id);
        let read = self.read_levels().await;
        match &read {
            Ok(true) if !self.is_continued => {}
            Ok(true) => table.delete_entity_progress(workspace, account).await?,
            Err(error) if !error.is_retryable() => {
                table.delete_entity_progress(workspace, account).await?;
                if self.is_continued && self.stats.listed == 0 {
                    // Perhaps the cursor is no longer valid: once more, from the first page.
                    tracing::warn!(%workspace, ad_account = %account, %error, "A sync of entities begins anew.");
                    return Ok(None);
                }
            }
            Ok(false) | Err(_) if self.progress.has_begun() => {
                table.store_entity_progress(workspace, account, &self.progress).await?;
            }
            Ok(false) | Err(_) => {}
        }
        let EntityProgress { fetch_number, running, gaps, .. } = self.progress;
        Ok(read?.then_some(EntitySyncStats { fetch_number, running, gaps, ..self.stats }))
    }

    /// Reads campaigns first, so that a parent exists before its children. Returns whether all of it is read.
    async fn read_levels(&mut self) -> Result<bool, Error> {
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            if level < self.progress.level {
                continue;
            }
            if level > self.progress.level {
                self.progress.begin_level(level);
            }
            if !self.read_level(level).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a level. Returns whether all of it is read.
    async fn read_level(&mut self, level: Level) -> Result<bool, Error> {
        let (table, client) = (self.table, self.client);
        let (workspace, account) = (&client.workspace, &client.account.id);
        let index = table.entity_index(workspace, account, level).await?;
        let has_many_changes = index.has_many_changes();
        let known: HashMap<EntityId, StoredEntity> =
            index.into_entities().map(|stored| (stored.entity.id.clone(), stored)).collect();
        let mut unlisted: BTreeSet<EntityId> = match self.progress.is_in_level() {
            true => std::mem::take(&mut self.progress.unlisted).into_iter().collect(),
            false => known.keys().cloned().collect(),
        };
        let listed = self.list_level((level, &known), &mut unlisted).await;
        // Sorted, as progress is stored.
        self.progress.unlisted = unlisted.into_iter().collect();
        if !listed? {
            return Ok(false);
        }
        let gone = |id: &EntityId| {
            let stored = known.get(id).filter(|stored| !stored.hidden && !is_deleted(&stored.entity))?;
            Some((id.clone(), Some(stored.entity.clone())))
        };
        let mut gone = self.progress.unlisted.iter().filter_map(gone).collect();
        let goes_on = || has_time(self.clock, SignedDuration::ZERO);
        let fetch_number = self.progress.fetch_number;
        let refetched = refetch_unlisted(table, client, level, &mut gone, fetch_number, goes_on).await;
        self.progress.unlisted = gone.into_keys().collect();
        self.stats.refetched += refetched?;
        if !self.progress.unlisted.is_empty() {
            return Ok(false);
        }
        if has_many_changes {
            table.fold_entities(workspace, account, level, &[]).await?;
        }
        Ok(true)
    }

    /// Lists what is left of a level, and takes what is listed from what is not. Returns whether the last page is read.
    async fn list_level(
        &mut self,
        (level, known): (Level, &HashMap<EntityId, StoredEntity>),
        unlisted: &mut BTreeSet<EntityId>,
    ) -> Result<bool, Error> {
        let mut changed = Changed::new(self.table, self.client, level);
        let read = self.read_pages(known, unlisted, &mut changed).await;
        // What was read is progress, whatever came after it.
        let written = changed.flush().await;
        self.stats.written += changed.written;
        if changed.has_failed {
            // What was not written is read again.
            self.progress.begin_level(level);
        }
        written.and(read)
    }

    async fn read_pages(
        &mut self,
        known: &HashMap<EntityId, StoredEntity>,
        unlisted: &mut BTreeSet<EntityId>,
        changed: &mut Changed<'_>,
    ) -> Result<bool, Error> {
        let (client, account, level) = (self.client, &self.client.account.id, changed.level);
        let fetch_number = self.progress.fetch_number;
        let mut pages = client.list_entities(level, self.progress.after.clone());
        while !self.progress.is_listed {
            let begun_at = self.clock.now();
            let Some(page) = client.next_entities(&mut pages).await? else {
                self.progress.is_listed = true;
                break;
            };
            for gap in client.take_entity_gaps(&mut pages) {
                tracing::warn!(%account, %level, entity = ?gap.id, field = ?gap.field, reason = gap.reason, "An entity is odd.");
                self.progress.gaps.push(gap);
            }
            for entity in page {
                self.stats.listed += 1;
                self.progress.running += usize::from(level == Level::Campaign && entity.is_switched_on());
                unlisted.remove(&entity.id);
                let is_known = known.get(&entity.id);
                if !is_known.is_some_and(|known| known.entity == entity && !known.hidden) {
                    changed.push(StoredEntity { entity, fetch_number, hidden: false }).await?;
                }
            }
            self.progress.after = pages.cursor().map(str::to_owned);
            self.progress.is_listed = pages.has_ended();
            let took = self.clock.now().duration_since(begun_at);
            self.longest_page = self.longest_page.max(took);
            if !self.progress.is_listed && !has_time(self.clock, self.longest_page * 2) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The time that is kept to write what was read.
const TIME_TO_WRITE: SignedDuration = SignedDuration::from_secs(30);

/// Whether this invocation can go on for a while, and then write what it has read.
pub(crate) fn has_time(clock: &Clock, wanted: SignedDuration) -> bool {
    let end = deadline::soft_deadline();
    end.is_none_or(|end| end.duration_since(clock.now()) >= wanted + TIME_TO_WRITE)
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
    has_failed: bool,
}

impl<'a> Changed<'a> {
    fn new(table: &'a Table, client: &'a AccountClient, level: Level) -> Self {
        Self { table, client, level, entities: Vec::new(), written: 0, has_failed: false }
    }

    async fn push(&mut self, stored: StoredEntity) -> Result<(), Error> {
        self.entities.push(stored);
        if self.entities.len() >= MAX_CHANGED { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let (workspace, account) = (&self.client.workspace, &self.client.account.id);
        let entities = std::mem::take(&mut self.entities);
        let written = self.table.upsert_entities(workspace, account, self.level, entities).await;
        self.has_failed |= written.is_err();
        self.written += written?;
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
            written += refetch_unlisted(table, client, level, &mut unlisted, fetch_number, || true).await?;
        }
    }
    Ok(written)
}

/// Refetches entities that are no longer listed. Deleted ones are never listed, and a missing one may only be hidden, so
/// the platform is asked once by id. Takes what is written from them, so that they are what is left after an error.
async fn refetch_unlisted(
    table: &Table,
    client: &AccountClient,
    level: Level,
    unlisted: &mut BTreeMap<EntityId, Option<Entity>>,
    fetch_number: u64,
    goes_on: impl Fn() -> bool,
) -> Result<usize, Error> {
    let mut written = 0;
    while !unlisted.is_empty() && goes_on() {
        let ids: Vec<EntityId> = unlisted.keys().cloned().collect();
        let mut changed = Changed::new(table, client, level);
        let mut read_ids = Vec::new();
        for (id, read) in client.read_entities(level, &ids).await? {
            let Some(last_known) = unlisted.get(&id).cloned() else { continue };
            read_ids.push(id.clone());
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
        written += changed.write().await?;
        unlisted.retain(|id, _| !read_ids.contains(id));
    }
    Ok(written)
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
