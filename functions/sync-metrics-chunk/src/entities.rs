//! What rows need of entities, and entities need of rows.
//!
//! Results are counted by the goal of the ad set. Entities that are known only from numbers were deleted before the first
//! sync, or created after the last one: they get the names that come with their rows, so that sums over lists come to
//! the account.

use std::collections::{HashMap, HashSet};

use connector::AccountClient;
use domain::Error;
use domain::dataset::Dataset;
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::metrics::InsightsRow;
use store::Table;
use store::entity::StoredEntity;

/// Number of a fetch before all others: whatever a sync finds replaces what is known from numbers.
const BEFORE_ALL_FETCHES: u64 = 0;

/// The entities of an account, as far as a dataset needs them.
pub(crate) struct AccountEntities<'a> {
    table: &'a Table,
    client: &'a AccountClient,
    /// The measures that count the results of ad sets.
    results: HashMap<EntityId, String>,
    /// Those that a sync has listed or a row has named; `None` for datasets whose rows are parts of others.
    known: Option<HashSet<EntityId>>,
    found: Vec<StoredEntity>,
    /// How many ads are known; 0 for datasets whose rows are parts of others.
    ads: usize,
}

impl<'a> AccountEntities<'a> {
    /// Reads what is known.
    pub(crate) async fn load(
        table: &'a Table,
        client: &'a AccountClient,
        dataset: Dataset,
    ) -> Result<Self, Error> {
        let (mut results, mut known, mut ads) = (HashMap::new(), HashSet::new(), 0);
        let names_entities = dataset == Dataset::AD_DAY;
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            if level != Level::AdSet && !names_entities {
                continue;
            }
            let table = table.eventually_consistent();
            let index = table.entity_index(&client.workspace, &client.account.id, level).await?;
            for Entity { id, result, level, .. } in index.into_entities().map(|stored| stored.entity) {
                results.extend(result.map(|result| (id.clone(), result)));
                known.insert(id);
                ads += usize::from(level == Level::Ad);
            }
        }
        let known = names_entities.then_some(known);
        Ok(Self { table, client, results, known, found: Vec::new(), ads })
    }

    /// Returns the number of ads that are known, each of which may have a row a day.
    pub(crate) fn ads(&self) -> usize {
        self.ads
    }

    /// Counts a row's results, and notes what it is about.
    pub(crate) fn note(&mut self, row: &mut InsightsRow, has_all_fields: bool) {
        row.facts.measures.set_result(self.results.get(&row.adset).map(String::as_str), has_all_fields);
        let Some(known) = &mut self.known else { return };
        let InsightsRow { ad, adset, campaign, names, .. } = &*row;
        for (level, id, name) in [
            (Level::Campaign, campaign, &names.campaign),
            (Level::AdSet, adset, &names.adset),
            (Level::Ad, ad, &names.ad),
        ] {
            if known.contains(id) {
                continue;
            }
            known.insert(id.clone());
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
