//! The objects of a block: its campaigns and, below them, ad sets and ads.

use domain::entity::Level;
use domain::id::EntityId;

use crate::FactsError;
use crate::wire::{Reader, put_len, put_text, put_uint, unzigzag, zigzag};

/// Ids of one account often end in the same digits (all 769 recorded rows do), which compress better apart.
const ENDING: u128 = 10_000;

/// The ids of one level, grouped by their parents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObjectLevel {
    pub(crate) ids: Vec<EntityId>,
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
        let mut levels = vec![ObjectLevel::default(); depth];
        let mut rows = Vec::new();
        let mut last: Option<&Path> = None;
        for path in paths {
            let same = last.map_or(0, |last| last.iter().zip(path).take_while(|(a, b)| a == b).count());
            for (depth, id) in path.iter().enumerate().skip(same) {
                let parent = depth.checked_sub(1).map(|above| levels[above].ids.len() - 1);
                levels[depth].ids.push(id.clone());
                levels[depth].parents.extend(parent.map(|parent| parent as u32));
            }
            rows.push((levels[depth - 1].ids.len() - 1) as u32);
            last = Some(path);
        }
        (Self { levels }, rows)
    }

    /// Returns the number of objects that have rows.
    pub(crate) fn len(&self) -> usize {
        self.levels.last().map_or(0, |level| level.ids.len())
    }

    /// Returns the id of an object, or of what it is below; `None` at a level that the block does not have.
    pub(crate) fn id(&self, object: u32, level: Level) -> Option<&EntityId> {
        let wanted = match level {
            Level::Account => return None,
            Level::Campaign => 0,
            Level::AdSet => 1,
            Level::Ad => 2,
        };
        let mut index = object as usize;
        for depth in (wanted + 1..self.levels.len()).rev() {
            index = self.levels[depth].parents[index] as usize;
        }
        self.levels.get(wanted).map(|level| &level.ids[index])
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

fn encode_ids(out: &mut Vec<u8>, ids: &[EntityId]) {
    put_len(out, ids.len());
    let numbers: Option<Vec<u128>> = ids.iter().map(as_number).collect();
    out.push(u8::from(numbers.is_some()));
    let Some(numbers) = numbers else {
        ids.iter().for_each(|id| put_text(out, id.as_str()));
        return;
    };
    let mut before = 0;
    for number in &numbers {
        let beginning = (number / ENDING) as i128;
        put_uint(out, zigzag(beginning - before));
        before = beginning;
    }
    numbers.iter().for_each(|number| put_uint(out, number % ENDING));
}

fn decode_ids(reader: &mut Reader<'_>) -> Result<Vec<EntityId>, FactsError> {
    let bad = || FactsError::Malformed("an id");
    let count = reader.count()?;
    let mut ids = Vec::with_capacity(count);
    if reader.byte()? == 0 {
        for _ in 0..count {
            ids.push(reader.text()?.parse().map_err(|_| bad())?);
        }
        return Ok(ids);
    }
    let mut beginnings = Vec::with_capacity(count);
    let mut before: i128 = 0;
    for _ in 0..count {
        before = before.checked_add(unzigzag(reader.uint()?)).ok_or_else(bad)?;
        beginnings.push(u128::try_from(before).map_err(|_| bad())?);
    }
    for beginning in beginnings {
        let number = beginning.checked_mul(ENDING).and_then(|number| number.checked_add(reader.uint().ok()?));
        ids.push(number.ok_or_else(bad)?.to_string().parse().map_err(|_| bad())?);
    }
    Ok(ids)
}
