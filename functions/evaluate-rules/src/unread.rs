//! Rows of metrics that could not be read: what is above them has incomplete numbers, on which no rule acts.

use std::collections::HashMap;

use domain::Error;
use domain::date::DateRange;
use domain::entity::Level;
use domain::gap::Gap;
use domain::id::EntityId;
use domain::tenant::Tenant;
use jiff::civil::Date;
use store::Table;
use store::account::AdAccount;
use store::chunk::Chunk;

/// What has incomplete numbers in a window.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Why every entity has: it is not known which one a row is about.
    all: Option<String>,
    entities: HashMap<EntityId, String>,
}

impl Unread {
    /// Finds the entities of a level whose numbers lack a row of these days.
    pub(crate) async fn find(
        table: &Table,
        workspace: &Tenant,
        account: &AdAccount,
        (level, window): (Level, DateRange),
        chunks: &[Chunk],
    ) -> Result<Self, Error> {
        let mut unread = Self::default();
        let measured = chunks.iter().filter(|chunk| window.weeks().any(|week| week == chunk.week));
        for chunk in measured.filter(|chunk| !chunk.gaps.is_empty()) {
            if chunk.gaps.count > chunk.gaps.first.len() as u64 {
                unread.all = Some(format!("{} rows of {} could not be read", chunk.gaps.count, chunk.week));
            }
            for gap in chunk.gaps.first.iter().filter(|gap| is_row_of(gap, window)) {
                let day = gap.day.as_deref().unwrap_or("an unknown day");
                let ad: Option<EntityId> = gap.id.as_deref().and_then(|id| id.parse().ok());
                let Some(ad) = ad.filter(|_| level != Level::Account) else {
                    unread.all = Some(format!("a row of {day} could not be read"));
                    continue;
                };
                let reason = format!("the row of ad {ad} of {day} could not be read");
                let entity = match level {
                    Level::Ad => Some(ad),
                    _ => {
                        let stored = table.entity(workspace, &account.id, Level::Ad, &ad).await?;
                        let stored = stored.map(|stored| stored.entity);
                        stored.and_then(|ad| if level == Level::AdSet { ad.adset_id } else { ad.campaign_id })
                    }
                };
                match entity {
                    Some(entity) => drop(unread.entities.insert(entity, reason)),
                    None => unread.all = Some(reason),
                }
            }
        }
        Ok(unread)
    }

    /// Returns why the numbers of an entity are incomplete; `None` when they are not.
    pub(crate) fn reason(&self, entity: &EntityId) -> Option<String> {
        self.entities.get(entity).or(self.all.as_ref()).cloned()
    }
}

/// Whether a gap is a whole row that may be of one of these days. A missing field is known to the condition as an unknown
/// measure.
fn is_row_of(gap: &Gap, window: DateRange) -> bool {
    let day = gap.day.as_deref().and_then(|day| day.parse::<Date>().ok());
    gap.field.is_none() && day.is_none_or(|day| window.contains(day))
}
