//! Sums over blocks, column by column: exact, in integers, and without a value per row.

use std::collections::HashMap;

use domain::entity::Level;
use domain::id::EntityId;
use domain::metrics::Measures;
use jiff::civil::Date;

use crate::FactsError;
use crate::block::Block;
use crate::measures::{decimal, is_additive, set_measure};
use crate::objects::{IdKey, IdSet};

/// What belongs together in a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// The objects that are told apart; at account level, none are.
    pub level: Level,
    /// Whether days are told apart.
    pub by_day: bool,
}

/// The object and day of a sum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// The day; `None` for all days.
    pub day: Option<Date>,
    /// The object; `None` at account level.
    pub id: Option<EntityId>,
    /// Its campaign, below that level.
    pub campaign: Option<EntityId>,
    /// Its ad set, below that level.
    pub adset: Option<EntityId>,
}

/// Sums of the measures that may be summed. A measure that no row knows is unknown, which is not zero.
#[derive(Debug, Clone)]
pub struct Sums {
    grouping: Grouping,
    groups: Vec<Group>,
    numbers: HashMap<(Option<Date>, Option<IdKey>), usize>,
    columns: HashMap<Box<str>, Sum>,
}

/// A column of sums: one for each group that has one.
#[derive(Debug, Clone, Default)]
struct Sum {
    scale: u8,
    values: Vec<Option<i128>>,
}

impl Sums {
    /// Creates empty sums.
    pub fn new(grouping: Grouping) -> Self {
        Self { grouping, groups: Vec::new(), numbers: HashMap::new(), columns: HashMap::new() }
    }

    /// Adds the rows of a block, or only those about some objects of the grouping's level.
    pub fn add(&mut self, day: Date, block: &Block, only: Option<&IdSet>) -> Result<(), FactsError> {
        let mut group_of_row = Vec::with_capacity(block.len());
        let (mut last, mut is_any) = (None, false);
        for object in &block.rows {
            let place = block.objects.place(*object, self.grouping.level);
            // Rows are ordered by their objects, so that most belong to the same group as the one before.
            let index = place.map(|(_, index)| index);
            let group = match last {
                Some((last_index, group)) if last_index == index => group,
                _ => {
                    let is_wanted =
                        only.is_none_or(|only| place.is_some_and(|(ids, index)| only.contains(ids, index)));
                    is_wanted.then(|| self.group(day, block, *object))
                }
            };
            is_any |= group.is_some();
            last = Some((index, group));
            group_of_row.push(group);
        }
        if !is_any {
            return Ok(());
        }
        for (name, column, bytes) in
            block.columns().filter(|(name, column, _)| !column.is_text() && is_additive(name))
        {
            if !self.columns.contains_key(name) {
                self.columns.insert(name.into(), Sum { scale: column.scale(), values: Vec::new() });
            }
            let Some(sum) = self.columns.get_mut(name) else { continue };
            sum.widen(column.scale(), name)?;
            sum.values.resize(self.groups.len(), None);
            let too_large = || FactsError::TooLarge(name.to_owned());
            let factor = 10_i128.pow(u32::from(sum.scale - column.scale()));
            column.for_each(bytes, block.len(), |row, value| {
                if let Some(group) = group_of_row[row] {
                    let value = value.checked_mul(factor).ok_or_else(too_large)?;
                    let before = sum.values[group].unwrap_or(0);
                    sum.values[group] = Some(before.checked_add(value).ok_or_else(too_large)?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn group(&mut self, day: Date, block: &Block, object: u32) -> usize {
        let Grouping { level, by_day } = self.grouping;
        let day = by_day.then_some(day);
        let key = (day, block.objects.place(object, level).map(|(ids, index)| ids.key(index)));
        if let Some(group) = self.numbers.get(&key) {
            return *group;
        }
        let parent = |parent: Level| (level > parent).then(|| block.objects.id(object, parent)).flatten();
        self.groups.push(Group {
            day,
            id: block.objects.id(object, level),
            campaign: parent(Level::Campaign),
            adset: parent(Level::AdSet),
        });
        self.numbers.insert(key, self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Returns the groups that have rows, in the order in which they came.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the group of an object over all days, or of a day.
    pub fn find(&self, day: Option<Date>, id: Option<&EntityId>) -> Option<usize> {
        self.numbers.get(&(day, id.map(IdKey::from))).copied()
    }

    /// Returns the sums of a group.
    pub fn measures(&self, group: usize) -> Result<Measures, FactsError> {
        let mut measures = Measures::default();
        for (name, sum) in &self.columns {
            if let Some(value) = sum.values.get(group).copied().flatten() {
                set_measure(&mut measures, name, decimal(value, sum.scale, name)?);
            }
        }
        Ok(measures)
    }
}

impl Sum {
    /// Gives the sums at least as many decimal places.
    fn widen(&mut self, scale: u8, name: &str) -> Result<(), FactsError> {
        if scale <= self.scale {
            return Ok(());
        }
        let factor = 10_i128.pow(u32::from(scale - self.scale));
        for value in self.values.iter_mut().flatten() {
            *value = value.checked_mul(factor).ok_or_else(|| FactsError::TooLarge(name.to_owned()))?;
        }
        self.scale = scale;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::metrics::InsightsRow;
    use proptest::prelude::*;

    use super::*;
    use crate::measures::tests::{DAY, rows};
    use crate::{BlockLevel, Rows};

    fn blocks(rows: &Rows, bits: u8) -> Vec<Block> {
        let shards = rows.encode(bits).unwrap().into_iter().flatten();
        shards
            .map(|shard| {
                Block::decode(&shard.core.data, shard.detail.as_ref().map(|detail| &detail.data[..])).unwrap()
            })
            .collect()
    }

    fn id_of(row: &InsightsRow, level: Level) -> Option<EntityId> {
        match level {
            Level::Account => None,
            Level::Campaign => Some(row.campaign.clone()),
            Level::AdSet => Some(row.adset.clone()),
            Level::Ad => Some(row.ad.clone()),
        }
    }

    /// A measure that is zero everywhere is known to be so; the plain sum cannot tell for these two.
    fn summed(days: &[(Date, Vec<InsightsRow>)], grouping: Grouping) -> BTreeMap<String, Measures> {
        let mut sums = BTreeMap::<String, Measures>::new();
        for (day, rows) in days {
            for row in rows {
                let key = format!("{:?} {:?}", grouping.by_day.then_some(*day), id_of(row, grouping.level));
                *sums.entry(key).or_default() += &row.facts.measures;
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn sums_over_blocks_equal_sums_over_rows(first in rows(), second in rows(), bits in 0u8..3, by_day in any::<bool>()) {
            let days = [(DAY, first), (DAY.tomorrow().unwrap(), second)];
            for level in [Level::Account, Level::Campaign, Level::AdSet, Level::Ad] {
                let grouping = Grouping { level, by_day };
                let mut sums = Sums::new(grouping);
                let mut of_campaigns = Sums::new(grouping);
                for (day, rows) in &days {
                    let mut collected = Rows::new(BlockLevel::Ad);
                    rows.iter().for_each(|row| collected.push(row));
                    for block in blocks(&collected, bits) {
                        sums.add(*day, &block, None).unwrap();
                    }
                    for block in blocks(&collected.roll_up().unwrap(), bits) {
                        of_campaigns.add(*day, &block, None).unwrap();
                    }
                }
                let key = |group: &Group| format!("{:?} {:?}", group.day, group.id);
                let of = |sums: &Sums| -> BTreeMap<String, Measures> {
                    sums.groups().iter().enumerate().map(|(n, group)| (key(group), sums.measures(n).unwrap())).collect()
                };
                let expected = summed(&days, grouping);
                // One object alone has the same sums.
                if let Some(id) = sums.groups().first().and_then(|group| group.id.clone()) {
                    let mut alone = Sums::new(grouping);
                    for (day, rows) in &days {
                        let mut collected = Rows::new(BlockLevel::Ad);
                        rows.iter().for_each(|row| collected.push(row));
                        for block in blocks(&collected, bits) {
                            alone.add(*day, &block, Some(&IdSet::from_iter([&id]))).unwrap();
                        }
                    }
                    let end = format!("{:?}", Some(&id));
                    let expected = expected.iter().filter(|(key, _)| key.ends_with(&end));
                    let expected: BTreeMap<_, _> = expected.map(|(key, sums)| (key.clone(), sums.clone())).collect();
                    prop_assert_eq!(of(&alone), expected);
                }
                prop_assert_eq!(&of(&sums), &expected);
                if level <= Level::Campaign {
                    let core = |measures: &Measures| Measures {
                        by_window: BTreeMap::new(), actions: BTreeMap::new(), action_values: BTreeMap::new(), ..measures.clone()
                    };
                    let expected: BTreeMap<_, _> = expected.iter().map(|(key, sums)| (key.clone(), core(sums))).collect();
                    prop_assert_eq!(of(&of_campaigns), expected);
                }
            }
        }
    }
}
