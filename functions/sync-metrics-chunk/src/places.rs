//! Where the ads of imported rows are: in which ad set and campaign. What is new among them is created, where that is asked
//! for, and gets the name that came with it.

use std::collections::{BTreeMap, HashMap};

use domain::entity::{Entity, Level};
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use futures_util::{StreamExt, TryStreamExt, stream};
use store::entity::StoredEntity;
use store::{StoreError, Table};

use crate::fact_row::{FactRow, SourceText};

/// Entities that are written at the same time.
const CONCURRENT_WRITES: usize = 16;

/// An ad with its ad set and campaign.
pub(crate) struct Place {
    pub(crate) ad: EntityId,
    pub(crate) adset: EntityId,
    pub(crate) campaign: EntityId,
}

/// The entities that rows are about.
pub(crate) struct Places<'a> {
    table: &'a Table,
    workspace: &'a Tenant,
    account: &'a AdAccountId,
    creates: bool,
    known: HashMap<(Level, EntityId), Entity>,
    /// Those that are new, or have another name.
    changed: BTreeMap<Level, BTreeMap<EntityId, Entity>>,
}

/// Returns the id of what the source calls so.
fn id_of(text: &SourceText) -> EntityId {
    EntityId::of_source(text.as_str())
}

/// The levels of entities with their names in rows.
const LEVELS: [(Level, &str); 3] =
    [(Level::Campaign, "campaign_id"), (Level::AdSet, "adset_id"), (Level::Ad, "ad_id")];

impl<'a> Places<'a> {
    /// Reads what is known of the entities of rows.
    pub(crate) async fn load(
        table: &'a Table,
        workspace: &'a Tenant,
        account: &'a AdAccountId,
        rows: &[&FactRow],
        creates: bool,
    ) -> Result<Self, Error> {
        let mut places =
            Self { table, workspace, account, creates, known: HashMap::new(), changed: BTreeMap::new() };
        let named = |id: fn(&FactRow) -> Option<&SourceText>| -> Vec<EntityId> {
            rows.iter().filter_map(|row| id(row)).map(id_of).collect()
        };
        places.read(Level::Ad, named(|row| Some(&row.ad_id))).await?;
        let adsets = places.known.values().filter_map(|ad| ad.adset_id.clone());
        let adsets = adsets.chain(named(|row| row.adset_id.as_ref())).collect();
        places.read(Level::AdSet, adsets).await?;
        let campaigns = places.known.values().filter_map(|entity| entity.campaign_id.clone());
        let campaigns = campaigns.chain(named(|row| row.campaign_id.as_ref())).collect();
        places.read(Level::Campaign, campaigns).await?;
        Ok(places)
    }

    async fn read(&mut self, level: Level, ids: Vec<EntityId>) -> Result<(), Error> {
        let found = self.table.entities_by_id(self.workspace, self.account, level, &ids).await?;
        self.known.extend(
            found.into_iter().map(|StoredEntity { entity, .. }| ((level, entity.id.clone()), entity)),
        );
        Ok(())
    }

    /// Returns where a row's ad is, and notes what is new about it.
    pub(crate) fn place(&mut self, row: &FactRow) -> Result<Place, Vec<FieldError>> {
        let ad = id_of(&row.ad_id);
        let (adset, campaign) = match self.known.get(&(Level::Ad, ad.clone())) {
            Some(known) => (known.adset_id.clone(), known.campaign_id.clone()),
            None => {
                let adset = row.adset_id.as_ref().map(id_of);
                let known = adset.clone().and_then(|adset| self.known.get(&(Level::AdSet, adset)));
                let campaign = known.and_then(|adset| adset.campaign_id.clone());
                (adset, campaign.or_else(|| row.campaign_id.as_ref().map(id_of)))
            }
        };
        if !self.creates && !self.known.contains_key(&(Level::Ad, ad.clone())) {
            let message = "is no ad of this ad account; `create_entities` creates it";
            return Err(vec![FieldError::new("ad_id", message)]);
        }
        let mut errors = Vec::new();
        let ids = [campaign, adset, Some(ad)];
        let said =
            [&row.campaign_id, &row.adset_id, &Some(row.ad_id.clone())].map(|id| id.as_ref().map(id_of));
        for (((level, field), id), said) in LEVELS.into_iter().zip(&ids).zip(said) {
            if id.is_none() {
                errors.push(FieldError::new(field, "is needed, because the ad is not known yet"));
            } else if said.is_some() && said != *id {
                let (id, below) = (
                    id.as_ref().map_or("", EntityId::as_str),
                    if level == Level::Campaign { "ad set" } else { "ad" },
                );
                errors.push(FieldError::new(
                    field,
                    format!("must be {id}, in which this {below} is, or be left out"),
                ));
            }
        }
        let ([Some(campaign), Some(adset), Some(ad)], true) = (ids, errors.is_empty()) else {
            return Err(errors);
        };
        self.note((Level::Campaign, &campaign), (&row.campaign_name, &row.campaign_id), |_| {});
        self.note((Level::AdSet, &adset), (&row.adset_name, &row.adset_id), |entity| {
            entity.campaign_id = Some(campaign.clone());
        });
        self.note((Level::Ad, &ad), (&row.ad_name, &Some(row.ad_id.clone())), |entity| {
            entity.campaign_id = Some(campaign.clone());
            entity.adset_id = Some(adset.clone());
        });
        Ok(Place { ad, adset, campaign })
    }

    /// Notes an entity that is new, or has another name now. What has no name is called what its source calls it.
    fn note(
        &mut self,
        (level, id): (Level, &EntityId),
        (name, text): (&Option<SourceText>, &Option<SourceText>),
        complete: impl Fn(&mut Entity),
    ) {
        let known = self.known.get(&(level, id.clone()));
        let text = text.as_ref().filter(|_| known.is_none());
        let name = name.as_ref().or(text).map(|name| name.as_str().to_owned());
        let mut entity = known.cloned().unwrap_or_else(|| Entity::new(level, id.clone()));
        if known.is_some() && (name.is_none() || name == entity.name) {
            return;
        }
        entity.name = name.or(entity.name);
        complete(&mut entity);
        self.known.insert((level, id.clone()), entity.clone());
        self.changed.entry(level).or_default().insert(id.clone(), entity);
    }

    /// Stores what was noted.
    pub(crate) async fn store(self) -> Result<(), Error> {
        let Self { table, workspace, account, changed, .. } = self;
        if changed.is_empty() {
            return Ok(());
        }
        let fetch_number = table.begin_fetch(workspace, account).await?;
        for (level, entities) in changed {
            // Each with its change in one transaction: no sync comes by that would find what the index does not have.
            let write = async |entity| {
                let stored = StoredEntity { entity, fetch_number, hidden: false };
                table.upsert_entity(workspace, account, &stored).await.map(drop)
            };
            stream::iter(entities.into_values())
                .map(write)
                .buffer_unordered(CONCURRENT_WRITES)
                .try_collect::<()>()
                .await?;
            // The next request folds what others keep this one from folding.
            match table.fold_entities(workspace, account, level, &[]).await {
                Ok(()) | Err(StoreError::Unavailable(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
