//! Sums over blocks, column by column: exact, in integers, and without a value per row.

use std::collections::{BTreeSet, HashMap};

use domain::dataset::Breakdown;
use domain::date::Grain;
use domain::entity::Level;
use domain::id::EntityId;
use domain::metrics::Measures;
use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::FactsError;
use crate::block::{Block, Segment};
use crate::measures::{
    ATTRIBUTION_SETTING, FREQUENCY, NO_FREQUENCY, REACH, RESULTS, breakdown_column, computed_frequency,
    decimal, is_additive, is_breakdown, segment_of, set_measure,
};
use crate::objects::{IdKey, Selection};

/// What belongs together in a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The objects that are told apart; at account level, none are.
    pub level: Level,
    /// Which days belong together.
    pub grain: Grain,
    /// The breakdowns whose values are told apart.
    pub breakdowns: Vec<Breakdown>,
}

impl Grouping {
    /// Returns whether a group is a row as the platform reported it, so that its reach is known.
    fn is_of_rows(&self, block: &Block) -> bool {
        let of_ads = self.level == Level::Ad && self.grain == Grain::Day;
        of_ads && !block.columns().any(|(name, ..)| is_breakdown(name))
    }
}

/// Which columns are summed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Columns {
    /// All that the blocks have.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Columns {
    fn contain(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name) || name.starts_with(RESULTS) && names.contains(RESULTS),
        }
    }

    /// Returns whether some of them are in the detail segment.
    pub fn need_detail(&self) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| segment_of(name) == Segment::Detail),
        }
    }
}

/// The object and days of a sum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// What [`Grain::bucket`] returns for its days.
    pub bucket: Option<Date>,
    /// The object; `None` at account level.
    pub id: Option<EntityId>,
    /// Its campaign, below that level.
    pub campaign: Option<EntityId>,
    /// Its ad set, below that level.
    pub adset: Option<EntityId>,
    /// The values of the grouping's breakdowns, in their order; `None` where a row has none.
    pub breakdowns: Vec<Option<String>>,
}

/// Sums of the measures that may be summed. A measure that no row knows is unknown, which is not zero.
#[derive(Debug, Clone)]
pub struct Sums {
    grouping: Grouping,
    wanted: Columns,
    groups: Vec<Group>,
    numbers: HashMap<GroupKey, usize>,
    /// The values of breakdowns so far: groups are told apart by their numbers.
    values: Vec<String>,
    columns: HashMap<Box<str>, Sum>,
    settings: HashMap<usize, Setting>,
}

/// What no two groups have in common; values of breakdowns by their numbers.
type GroupKey = (Option<Date>, Option<IdKey>, Vec<Option<u32>>);

/// The attribution setting of a group's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    Same(Box<str>),
    Mixed,
}

/// A column of sums: one for each group.
#[derive(Debug, Clone, Default)]
struct Sum {
    scale: u8,
    values: Vec<i128>,
}

/// Stands for the sum of a group without a known value. Sums are checked, and none is as small.
const UNKNOWN: i128 = i128::MIN;

impl Sums {
    /// Creates empty sums of these columns.
    pub fn new(grouping: Grouping, wanted: Columns) -> Self {
        Self {
            grouping,
            wanted,
            groups: Vec::new(),
            numbers: HashMap::new(),
            values: Vec::new(),
            columns: HashMap::new(),
            settings: HashMap::new(),
        }
    }

    /// Adds the rows of a block about the selected objects.
    pub fn add(&mut self, day: Date, block: &Block, selection: &Selection) -> Result<(), FactsError> {
        let is_selected = selection.of(&block.objects);
        let conditions = selection.value_conditions();
        let filtered = conditions.iter().map(|condition| condition.breakdown);
        let breakdowns: Vec<_> = self.grouping.breakdowns.iter().copied().chain(filtered).collect();
        let values = self.values_of_rows(block, &breakdowns)?;
        let grouped = self.grouping.breakdowns.len();
        let passes = |row: usize, values: &[Vec<Option<u32>>], names: &[String]| {
            conditions.iter().zip(&values[grouped..]).all(|(condition, values)| {
                condition.passes(values[row].and_then(|value| names.get(value as usize)).map(String::as_str))
            })
        };
        let mut group_of_row = Vec::with_capacity(block.len());
        let (mut last, mut is_any) = (None, false);
        for (row, object) in block.rows.iter().enumerate() {
            if is_selected.as_ref().is_some_and(|selected| !selected[*object as usize])
                || !passes(row, &values, &self.values)
            {
                group_of_row.push(None);
                continue;
            }
            // Rows are ordered by their objects, so that most belong to the same group as the one before.
            let index = block.objects.place(*object, self.grouping.level).map(|(_, index)| index);
            let group = match last {
                Some((last_index, group)) if last_index == index && grouped == 0 => group,
                _ => self.group(
                    day,
                    block,
                    *object,
                    values[..grouped].iter().map(|values| values[row]).collect(),
                ),
            };
            is_any = true;
            last = Some((index, group));
            group_of_row.push(Some(group));
        }
        if !is_any {
            return Ok(());
        }
        let of_rows = self.grouping.is_of_rows(block);
        for (name, column, bytes) in block.columns() {
            let is_summed = is_additive(name) || of_rows;
            if column.is_text() && name == ATTRIBUTION_SETTING && self.wanted.contain(name) {
                column.for_each_text(bytes, block.len(), |row, text| {
                    if let Some(group) = group_of_row[row] {
                        self.add_setting(group, text);
                    }
                })?;
            } else if !column.is_text() && is_summed && self.wanted.contain(name) {
                if !self.columns.contains_key(name) {
                    self.columns.insert(name.into(), Sum { scale: column.scale(), values: Vec::new() });
                }
                let Some(sum) = self.columns.get_mut(name) else { continue };
                sum.widen(column.scale(), name)?;
                sum.values.resize(self.groups.len(), UNKNOWN);
                let too_large = || FactsError::TooLarge(name.to_owned());
                let factor = 10_i128.pow(u32::from(sum.scale - column.scale()));
                column.for_each(bytes, block.len(), |row, value| {
                    if let Some(group) = group_of_row[row] {
                        let value = value.checked_mul(factor).ok_or_else(too_large)?;
                        let before = Some(sum.values[group]).filter(|sum| *sum != UNKNOWN).unwrap_or(0);
                        sum.values[group] = before.checked_add(value).ok_or_else(too_large)?;
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn add_setting(&mut self, group: usize, text: &str) {
        match self.settings.get_mut(&group) {
            None => drop(self.settings.insert(group, Setting::Same(text.into()))),
            Some(Setting::Same(same)) if **same == *text => {}
            Some(setting) => *setting = Setting::Mixed,
        }
    }

    /// Returns the value of each row for each of these breakdowns, as the number of a value.
    fn values_of_rows(
        &mut self,
        block: &Block,
        breakdowns: &[Breakdown],
    ) -> Result<Vec<Vec<Option<u32>>>, FactsError> {
        let mut of_rows = vec![vec![None; block.len()]; breakdowns.len()];
        for (breakdown, of_rows) in breakdowns.iter().zip(&mut of_rows) {
            let wanted = breakdown_column(*breakdown);
            for (_, column, bytes) in
                block.columns().filter(|(name, column, _)| *name == wanted && column.is_text())
            {
                column.for_each_text(bytes, block.len(), |row, text| {
                    let known = self.values.iter().position(|value| value == text);
                    let number = known.unwrap_or_else(|| {
                        self.values.push(text.to_owned());
                        self.values.len() - 1
                    });
                    of_rows[row] = u32::try_from(number).ok();
                })?;
            }
        }
        Ok(of_rows)
    }

    fn group(&mut self, day: Date, block: &Block, object: u32, values: Vec<Option<u32>>) -> usize {
        let Grouping { level, grain, .. } = self.grouping;
        let bucket = grain.bucket(day);
        let id = block.objects.place(object, level).map(|(ids, index)| ids.key(index));
        let key = (bucket, id, values);
        if let Some(group) = self.numbers.get(&key) {
            return *group;
        }
        let parent = |parent: Level| (level > parent).then(|| block.objects.id(object, parent)).flatten();
        self.groups.push(Group {
            bucket,
            id: block.objects.id(object, level),
            campaign: parent(Level::Campaign),
            adset: parent(Level::AdSet),
            breakdowns: key.2.iter().map(|value| self.values.get((*value)? as usize).cloned()).collect(),
        });
        self.numbers.insert(key, self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Returns the groups that have rows, in the order in which they came.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the group of an object over all days, or of a bucket, where no breakdown is told apart.
    pub fn find(&self, bucket: Option<Date>, id: Option<&EntityId>) -> Option<usize> {
        self.numbers.get(&(bucket, id.map(IdKey::from), Vec::new())).copied()
    }

    /// Returns the sums of a group.
    pub fn measures(&self, group: usize) -> Result<Measures, FactsError> {
        let mut measures = Measures::default();
        for name in self.columns.keys().filter(|name| is_additive(name)) {
            if let Some(value) = self.value(name, group)? {
                set_measure(&mut measures, name, value);
            }
        }
        Ok(measures)
    }

    /// Returns the reach and frequency of a group that is a row of the platform's: of an ad and a day.
    pub fn reach(&self, group: usize) -> Result<(Option<u64>, Option<Decimal>), FactsError> {
        let reach = self.value(REACH, group)?.and_then(|reach| reach.to_u64());
        let frequency = match self.value(FREQUENCY, group)? {
            None if self.value(NO_FREQUENCY, group)?.is_none() => {
                let impressions = self.value("impressions", group)?.and_then(|number| number.to_u64());
                computed_frequency(impressions.unwrap_or_default(), reach)
            }
            frequency => frequency,
        };
        Ok((reach, frequency))
    }

    /// Returns the attribution setting behind the conversions of a group, if all its rows have the same.
    pub fn attribution_setting(&self, group: usize) -> Option<&str> {
        match self.settings.get(&group)? {
            Setting::Same(text) => Some(text),
            Setting::Mixed => None,
        }
    }

    fn value(&self, name: &str, group: usize) -> Result<Option<Decimal>, FactsError> {
        let Some(sum) = self.columns.get(name) else { return Ok(None) };
        let value = sum.values.get(group).copied().filter(|value| *value != UNKNOWN);
        value.map(|value| decimal(value, sum.scale, name)).transpose()
    }
}

impl Sum {
    /// Gives the sums at least as many decimal places.
    fn widen(&mut self, scale: u8, name: &str) -> Result<(), FactsError> {
        if scale <= self.scale {
            return Ok(());
        }
        let factor = 10_i128.pow(u32::from(scale - self.scale));
        for value in self.values.iter_mut().filter(|value| **value != UNKNOWN) {
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
    use crate::{BlockLevel, EncodedShard, Rows};

    fn blocks(rows: &Rows, bits: u8) -> Vec<Block> {
        rows.encode(bits).unwrap().iter().flatten().map(EncodedShard::decoded).collect()
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
    fn summed(days: &[(Date, Vec<InsightsRow>)], grouping: &Grouping) -> BTreeMap<String, Measures> {
        let mut sums = BTreeMap::<String, Measures>::new();
        for (day, rows) in days {
            for row in rows {
                let values: Vec<_> = grouping.breakdowns.iter().map(|of| row.breakdowns.get(of)).collect();
                let id = id_of(row, grouping.level);
                let key = format!("{:?} {values:?} {id:?}", grouping.grain.bucket(*day));
                *sums.entry(key).or_default() += &row.facts.measures;
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn sums_over_blocks_equal_sums_over_rows(first in rows(), second in rows(), bits in 0u8..3, grain in prop_oneof![Just(Grain::All), Just(Grain::Day), Just(Grain::Month), Just(Grain::Weekday)], by_age in any::<bool>()) {
            let breakdowns = if by_age { vec![Breakdown::Age] } else { Vec::new() };
            let days = [(DAY, first), (DAY.tomorrow().unwrap(), second)];
            for level in [Level::Account, Level::Campaign, Level::AdSet, Level::Ad] {
                let grouping = Grouping { level, grain, breakdowns: breakdowns.clone() };
                let mut sums = Sums::new(grouping.clone(), Columns::All);
                let mut of_campaigns = Sums::new(grouping.clone(), Columns::All);
                for (day, rows) in &days {
                    let mut collected = Rows::new(BlockLevel::Ad);
                    rows.iter().for_each(|row| collected.push(row));
                    for block in blocks(&collected, bits) {
                        sums.add(*day, &block, &Selection::default()).unwrap();
                    }
                    for block in blocks(&collected.roll_up().unwrap(), bits) {
                        of_campaigns.add(*day, &block, &Selection::default()).unwrap();
                    }
                }
                let key = |group: &Group| format!("{:?} {:?} {:?}", group.bucket, group.breakdowns, group.id);
                let of = |sums: &Sums| -> BTreeMap<String, Measures> {
                    sums.groups().iter().enumerate().map(|(n, group)| (key(group), sums.measures(n).unwrap())).collect()
                };
                let expected = summed(&days, &grouping);
                // One object alone has the same sums.
                if let Some(id) = sums.groups().first().and_then(|group| group.id.clone()) {
                    let mut alone = Sums::new(grouping.clone(), Columns::All);
                    for (day, rows) in &days {
                        let mut collected = Rows::new(BlockLevel::Ad);
                        rows.iter().for_each(|row| collected.push(row));
                        for block in blocks(&collected, bits) {
                            alone.add(*day, &block, &Selection::only(level, [&id])).unwrap();
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
