//! The objects of a block: its campaigns and, below them, ad sets and ads.

use std::collections::HashSet;

use domain::dataset::Breakdown;
use domain::entity::Level;
use domain::id::EntityId;

use crate::FactsError;
use crate::level::BlockLevel;
use crate::shard::shard_of;
use crate::wire::{Reader, put_len, put_text, put_uint, unzigzag, zigzag};

/// Ids of one account often end in the same digits (all 769 recorded rows do), which compress better apart.
const ENDING: u128 = 10_000;

/// Ids of objects, as numbers where all of them are: reading a block then allocates no text per object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ids {
    Numbers(Vec<u128>),
    Texts(Vec<EntityId>),
}

/// An id, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum IdKey {
    Number(u128),
    Text(EntityId),
}

/// Ids to look for.
#[derive(Debug, Clone, Default)]
struct IdSet {
    numbers: Vec<u128>,
    texts: Vec<EntityId>,
}

/// Which objects, and which parts of their rows, to look at: those that pass every condition. By default all do.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    conditions: Vec<Condition>,
    values: Vec<ValueCondition>,
}

/// A condition on what splits a row.
#[derive(Debug, Clone)]
pub(crate) struct ValueCondition {
    pub(crate) breakdown: Breakdown,
    values: Vec<String>,
    is_among: bool,
}

impl ValueCondition {
    /// Returns whether a value passes; one that is not known is among none.
    pub(crate) fn passes(&self, value: Option<&str>) -> bool {
        value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value)) == self.is_among
    }
}

#[derive(Debug, Clone)]
struct Condition {
    level: Level,
    ids: IdSet,
    is_among: bool,
}

impl Selection {
    /// Selects some objects of a level, and what is below them.
    pub fn only<'a>(level: Level, ids: impl IntoIterator<Item = &'a EntityId>) -> Self {
        let mut selection = Self::default();
        selection.push(level, ids, true);
        selection
    }

    /// Adds a condition: the object of a level must, or must not, be among these.
    pub fn push<'a>(&mut self, level: Level, ids: impl IntoIterator<Item = &'a EntityId>, is_among: bool) {
        self.conditions.push(Condition { level, ids: ids.into_iter().collect(), is_among });
    }

    /// Adds a condition: the value of a breakdown must, or must not, be one of these.
    pub fn push_values(&mut self, breakdown: Breakdown, values: Vec<String>, is_among: bool) {
        self.values.push(ValueCondition { breakdown, values, is_among });
    }

    pub(crate) fn value_conditions(&self) -> &[ValueCondition] {
        &self.values
    }

    /// Returns the shards of a stored level that can hold selected objects; `None` for all of them.
    pub fn shards(&self, level: BlockLevel, bits: u8) -> Option<HashSet<usize>> {
        let conditions = self.conditions.iter();
        let conditions =
            conditions.filter(|condition| condition.is_among && condition.level == level.level());
        let shards = conditions.map(|condition| condition.ids.shards(bits));
        shards.reduce(|shards, others| shards.intersection(&others).copied().collect())
    }

    /// Returns the deepest level with a condition.
    pub fn level(&self) -> Level {
        self.conditions.iter().map(|condition| condition.level).max().unwrap_or(Level::Account)
    }

    /// Returns for each object of the last level whether it passes; `None` when all do.
    pub(crate) fn of(&self, objects: &Objects) -> Option<Vec<bool>> {
        let mut selected = (!self.conditions.is_empty()).then(|| vec![true; objects.len()])?;
        for Condition { level, ids, is_among } in &self.conditions {
            // A level that the block does not have cannot exclude its objects.
            let Some(depth) = Objects::depth(*level).filter(|depth| *depth < objects.levels.len()) else {
                continue;
            };
            let level_ids = &objects.levels[depth].ids;
            let passes: Vec<bool> =
                (0..level_ids.len()).map(|index| ids.contains(level_ids, index) == *is_among).collect();
            for (object, selected) in selected.iter_mut().enumerate() {
                *selected &= objects.place(object as u32, *level).is_some_and(|(_, index)| passes[index]);
            }
        }
        Some(selected)
    }
}

impl<'a> FromIterator<&'a EntityId> for IdSet {
    fn from_iter<I: IntoIterator<Item = &'a EntityId>>(ids: I) -> Self {
        let mut set = Self::default();
        for id in ids {
            match IdKey::from(id) {
                IdKey::Number(number) => set.numbers.push(number),
                IdKey::Text(id) => set.texts.push(id),
            }
        }
        set.numbers.sort_unstable();
        set.texts.sort_unstable();
        set
    }
}

impl IdSet {
    fn shards(&self, bits: u8) -> HashSet<usize> {
        let numbers = self.numbers.iter().filter_map(|number| number.to_string().parse::<EntityId>().ok());
        numbers.chain(self.texts.iter().cloned()).map(|id| shard_of(&id, bits)).collect()
    }

    /// Returns whether an object of these ids is looked for.
    fn contains(&self, ids: &Ids, index: usize) -> bool {
        match ids {
            Ids::Numbers(numbers) => self.numbers.binary_search(&numbers[index]).is_ok(),
            // Among texts, there may be numbers.
            Ids::Texts(texts) => match IdKey::from(&texts[index]) {
                IdKey::Number(number) => self.numbers.binary_search(&number).is_ok(),
                IdKey::Text(id) => self.texts.binary_search(&id).is_ok(),
            },
        }
    }
}

impl From<&EntityId> for IdKey {
    fn from(id: &EntityId) -> Self {
        as_number(id).map_or_else(|| Self::Text(id.clone()), Self::Number)
    }
}

impl Ids {
    fn of(ids: Vec<EntityId>) -> Self {
        let numbers: Option<Vec<u128>> = ids.iter().map(as_number).collect();
        numbers.map_or(Self::Texts(ids), Self::Numbers)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    pub(crate) fn key(&self, index: usize) -> IdKey {
        match self {
            Self::Numbers(numbers) => IdKey::Number(numbers[index]),
            Self::Texts(texts) => IdKey::from(&texts[index]),
        }
    }

    fn get(&self, index: usize) -> Option<EntityId> {
        match self {
            Self::Numbers(numbers) => numbers[index].to_string().parse().ok(),
            Self::Texts(texts) => Some(texts[index].clone()),
        }
    }
}

/// The ids of one level, grouped by their parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectLevel {
    pub(crate) ids: Ids,
    /// Index of each object's parent in the level above; empty at the first level.
    pub(crate) parents: Vec<u32>,
}

/// The objects of a block from campaigns down; rows belong to those of the last level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objects {
    pub(crate) levels: Vec<ObjectLevel>,
}

/// The place of a row: its campaign and, at the level of ads, its ad set and ad.
pub(crate) type Path = Vec<EntityId>;

/// Orders ids as numbers where they are numbers.
pub(crate) fn sort_key(id: &EntityId) -> (usize, &str) {
    (id.as_str().len(), id.as_str())
}

impl Objects {
    /// Collects the objects of sorted paths, and returns for each path the index of its last object.
    pub(crate) fn of<'a>(depth: usize, paths: impl Iterator<Item = &'a Path>) -> (Self, Vec<u32>) {
        let mut levels: Vec<(Vec<EntityId>, Vec<u32>)> = vec![Default::default(); depth];
        let mut rows = Vec::new();
        let mut last: Option<&Path> = None;
        for path in paths {
            let same = last.map_or(0, |last| last.iter().zip(path).take_while(|(a, b)| a == b).count());
            for (depth, id) in path.iter().enumerate().skip(same) {
                let parent = depth.checked_sub(1).map(|above| levels[above].0.len() - 1);
                levels[depth].0.push(id.clone());
                levels[depth].1.extend(parent.map(|parent| parent as u32));
            }
            rows.push((levels[depth - 1].0.len() - 1) as u32);
            last = Some(path);
        }
        let level = |(ids, parents)| ObjectLevel { ids: Ids::of(ids), parents };
        (Self { levels: levels.into_iter().map(level).collect() }, rows)
    }

    /// Returns the number of objects that have rows.
    pub(crate) fn len(&self) -> usize {
        self.levels.last().map_or(0, |level| level.ids.len())
    }

    /// Returns the depth of a level's ids; the account has none.
    fn depth(level: Level) -> Option<usize> {
        match level {
            Level::Account => None,
            Level::Campaign => Some(0),
            Level::AdSet => Some(1),
            Level::Ad => Some(2),
        }
    }

    /// Returns the ids of a level, and there the index of an object or of what it is below; `None` at a level that the
    /// block does not have.
    pub(crate) fn place(&self, object: u32, level: Level) -> Option<(&Ids, usize)> {
        let wanted = Self::depth(level)?;
        let mut index = object as usize;
        for depth in (wanted + 1..self.levels.len()).rev() {
            index = self.levels[depth].parents[index] as usize;
        }
        self.levels.get(wanted).map(|level| (&level.ids, index))
    }

    /// Returns the id of an object, or of what it is below.
    pub(crate) fn id(&self, object: u32, level: Level) -> Option<EntityId> {
        self.place(object, level).and_then(|(ids, index)| ids.get(index))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.levels.len());
        for (depth, level) in self.levels.iter().enumerate() {
            encode_ids(out, &level.ids);
            if depth > 0 {
                let mut children = vec![0; self.levels[depth - 1].ids.len()];
                for parent in &level.parents {
                    children[*parent as usize] += 1;
                }
                children.into_iter().for_each(|count| put_uint(out, count));
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, FactsError> {
        let mut levels: Vec<ObjectLevel> = Vec::new();
        for depth in 0..reader.count()? {
            let ids = decode_ids(reader)?;
            let mut parents = Vec::new();
            if depth > 0 {
                for parent in 0..levels[depth - 1].ids.len() {
                    let children = reader.len()?;
                    if children > ids.len() - parents.len() {
                        return Err(FactsError::Malformed("more children than objects"));
                    }
                    parents.resize(parents.len() + children, parent as u32);
                }
                if parents.len() != ids.len() {
                    return Err(FactsError::Malformed("an object without a parent"));
                }
            }
            levels.push(ObjectLevel { ids, parents });
        }
        Ok(Self { levels })
    }
}

/// Returns the number that an id is, if it can be written as that number again.
fn as_number(id: &EntityId) -> Option<u128> {
    let number = id.as_str().parse::<u128>().ok()?;
    (number.to_string() == id.as_str()).then_some(number)
}

fn encode_ids(out: &mut Vec<u8>, ids: &Ids) {
    put_len(out, ids.len());
    let numbers = match ids {
        Ids::Texts(texts) => {
            out.push(0);
            texts.iter().for_each(|id| put_text(out, id.as_str()));
            return;
        }
        Ids::Numbers(numbers) => numbers,
    };
    out.push(1);
    let mut before = 0;
    for number in numbers {
        let beginning = (number / ENDING) as i128;
        put_uint(out, zigzag(beginning - before));
        before = beginning;
    }
    numbers.iter().for_each(|number| put_uint(out, number % ENDING));
}

fn decode_ids(reader: &mut Reader<'_>) -> Result<Ids, FactsError> {
    let bad = || FactsError::Malformed("an id");
    let count = reader.count()?;
    if reader.byte()? == 0 {
        let ids: Result<Vec<EntityId>, _> =
            (0..count).map(|_| reader.text()?.parse().map_err(|_| bad())).collect();
        return ids.map(Ids::Texts);
    }
    let mut numbers = Vec::with_capacity(count);
    let mut before: i128 = 0;
    for _ in 0..count {
        before = before.checked_add(unzigzag(reader.uint()?)).ok_or_else(bad)?;
        numbers.push(u128::try_from(before).map_err(|_| bad())?);
    }
    for number in &mut numbers {
        let ending = reader.uint()?;
        *number = number.checked_mul(ENDING).and_then(|number| number.checked_add(ending)).ok_or_else(bad)?;
    }
    Ok(Ids::Numbers(numbers))
}
