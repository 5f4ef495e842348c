//! Entities that are known only from numbers: they were deleted before the first sync, or created after the last one.
//! They get the names that come with their rows, so that sums over lists come to the account.

use std::collections::HashSet;

use connector::AccountClient;
use domain::Error;
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::metrics::InsightsRow;
use store::Table;
use store::entity::StoredEntity;

/// Number of a fetch before all others: whatever a sync finds replaces what is known from numbers.
const BEFORE_ALL_FETCHES: u64 = 0;

/// The entities of an account that no sync has listed.
pub(crate) struct UnlistedEntities<'a> {
    table: &'a Table,
    client: &'a AccountClient,
    known: HashSet<EntityId>,
    found: Vec<StoredEntity>,
}

impl<'a> UnlistedEntities<'a> {
    /// Reads which entities are known.
    pub(crate) async fn load(table: &'a Table, client: &'a AccountClient) -> Result<Self, Error> {
        let mut known = HashSet::new();
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            let index = table
                .eventually_consistent()
                .entity_index(&client.workspace, &client.account.id, level)
                .await?;
            known.extend(index.into_entities().map(|stored| stored.entity.id));
        }
        Ok(Self { table, client, known, found: Vec::new() })
    }

    /// Notes what a row is about.
    pub(crate) fn note(&mut self, row: &InsightsRow) {
        let InsightsRow { ad, adset, campaign, names, .. } = row;
        for (level, id, name) in [
            (Level::Campaign, campaign, &names.campaign),
            (Level::AdSet, adset, &names.adset),
            (Level::Ad, ad, &names.ad),
        ] {
            if self.known.contains(id) {
                continue;
            }
            self.known.insert(id.clone());
            let entity = Entity {
                campaign_id: (level > Level::Campaign).then(|| campaign.clone()),
                adset_id: (level > Level::AdSet).then(|| adset.clone()),
                name: name.clone(),
                ..Entity::new(level, id.clone())
            };
            self.found.push(StoredEntity { entity, fetch_number: BEFORE_ALL_FETCHES, hidden: false });
        }
    }

    /// Stores what was found. The next sync of the entities asks the platform what became of them.
    pub(crate) async fn store(&mut self) -> Result<(), Error> {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() {
            return Ok(());
        }
        let (workspace, account) = (&self.client.workspace, &self.client.account.id);
        tracing::info!(%account, entities = found.len(), "Numbers are about entities that no sync has listed.");
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            let of_level = found.iter().filter(|stored| stored.entity.level == level).cloned().collect();
            self.table.upsert_entities(workspace, account, level, of_level).await?;
        }
        Ok(())
    }
}
