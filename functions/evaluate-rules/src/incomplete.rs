//! Metrics that lack a row: it could not be read, or the account's own total says so. No rule acts on them.

use std::collections::HashMap;

use domain::Error;
use domain::date::{DateRange, IsoWeek};
use domain::entity::Level;
use domain::id::EntityId;
use domain::tenant::Tenant;
use store::Table;
use store::account::AdAccount;
use store::chunk::Chunk;

/// The entities of a level whose metrics of a window lack a row, each with the reason.
#[derive(Debug, Default)]
pub(crate) struct IncompleteMetrics {
    /// Why those of every entity may: it is not known which one a row is about.
    any: Option<String>,
    entities: HashMap<EntityId, String>,
}

impl IncompleteMetrics {
    /// Finds them among what the chunks of the window could not read.
    pub(crate) async fn find(
        table: &Table,
        workspace: &Tenant,
        account: &AdAccount,
        (level, window): (Level, DateRange),
        chunks: &[Chunk],
    ) -> Result<Self, Error> {
        let mut incomplete = Self::default();
        for day in window.days_within(window) {
            let chunk = chunks.iter().find(|chunk| chunk.week == IsoWeek::of(day));
            if chunk.is_some_and(|chunk| chunk.difference(day).is_some()) {
                incomplete.any = Some(format!("the sum of {day} is not the account's own total"));
            }
            for ad in chunk.map_or(&[][..], |chunk| chunk.unreadable_rows(day)) {
                let reason = format!("a row of {day} could not be read");
                let entity = match ad {
                    Some(ad) if level == Level::Ad => Some(ad.clone()),
                    Some(ad) => {
                        let ad = table.entity(workspace, &account.id, Level::Ad, ad).await?;
                        ad.and_then(|ad| match level {
                            Level::AdSet => ad.entity.adset_id,
                            _ => ad.entity.campaign_id,
                        })
                    }
                    None => None,
                };
                match entity {
                    Some(entity) => drop(incomplete.entities.insert(entity, reason)),
                    None => incomplete.any = Some(reason),
                }
            }
        }
        Ok(incomplete)
    }

    /// Returns why the metrics of an entity are incomplete; `None` when they are not.
    pub(crate) fn reason(&self, entity: &EntityId) -> Option<String> {
        self.entities.get(entity).or(self.any.as_ref()).cloned()
    }
}
