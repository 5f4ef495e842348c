//! Reads facts: block by block, in batches, at half the price where the table reads so, and never two generations of a
//! day at once.

use std::collections::{HashMap, VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek, Weekdays};
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use facts::{Block, BlockLevel, Segment, Selection};
use jiff::civil::Date;

use crate::batch::MAX_BATCH_KEYS;
use crate::chunk::Chunk;
use crate::key::{self, SegmentPlace};
use crate::manifest::{DayEntry, SegmentEntry};
use crate::table::{Item, StoreError, Table};

/// Bytes of segments in a batch: they are in memory at once. DynamoDB answers with 16 MB at most.
const MAX_BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// How often a day is read again while others publish it.
const MAX_ATTEMPTS: usize = 5;

/// Which facts to read.
#[derive(Debug, Clone, Copy)]
pub struct FactSelection<'a> {
    /// The dataset.
    pub dataset: Dataset,
    /// The days.
    pub range: DateRange,
    /// Only these days of the week.
    pub weekdays: Option<Weekdays>,
    /// The stored level.
    pub level: BlockLevel,
    /// Whether values by action type and window are read, too.
    pub with_detail: bool,
    /// Only the shards of these objects; other objects of these shards come along.
    pub objects: &'a Selection,
}

/// The blocks of one day, of one generation.
#[derive(Debug)]
pub struct DayBlocks {
    /// The day.
    pub day: Date,
    blocks: Vec<StoredBlock>,
}

impl DayBlocks {
    /// Decodes the blocks one after the other.
    pub fn decode(&self) -> impl Iterator<Item = Result<Block, StoreError>> {
        self.blocks.iter().map(|(core, detail)| Ok(Block::decode(core, detail.as_deref())?))
    }
}

/// Reads the facts of a selection, a day at a time.
#[derive(Debug)]
pub struct FactReader<'a> {
    table: &'a Table,
    ws: &'a Tenant,
    account: &'a AdAccountId,
    selection: FactSelection<'a>,
    days: VecDeque<(Date, DayEntry)>,
    ready: VecDeque<DayBlocks>,
}

/// A segment that a manifest names.
type Wanted = (SegmentPlace, SegmentEntry);

/// The stored segments of a block: core, and detail if it is read.
type StoredBlock = (Vec<u8>, Option<Vec<u8>>);

impl Table {
    /// Opens the facts of a selection that these chunks have. Days that are not measured are left out; a day that is
    /// published anew meanwhile is read as it is then.
    pub fn read_facts<'a>(
        &'a self,
        ws: &'a Tenant,
        account: &'a AdAccountId,
        chunks: &[Chunk],
        selection: FactSelection<'a>,
    ) -> FactReader<'a> {
        let mut days = VecDeque::new();
        for chunk in chunks.iter().filter(|chunk| chunk.dataset.name == selection.dataset.name) {
            for day in chunk.week.range().days_within(selection.range) {
                let is_wanted = selection.weekdays.is_none_or(|weekdays| weekdays.contains(day));
                let entry = chunk.manifest.day(day).filter(|_| is_wanted);
                days.extend(entry.map(|entry| (day, entry.clone())));
            }
        }
        FactReader { table: self, ws, account, selection, days, ready: VecDeque::new() }
    }
}

impl FactReader<'_> {
    /// Returns the next day's blocks; `None` after the last day.
    pub async fn next(&mut self) -> Result<Option<DayBlocks>, StoreError> {
        if self.ready.is_empty() {
            self.read_batch().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// Reads as many days as a batch holds.
    async fn read_batch(&mut self) -> Result<(), StoreError> {
        let (mut batch, mut keys, mut bytes) = (Vec::new(), 0, 0);
        while let Some((day, entry)) = self.days.pop_front() {
            let wanted = self.wanted(day, &entry);
            let size: u64 = wanted.iter().map(|(_, entry)| u64::from(entry.bytes)).sum();
            let is_full = keys + wanted.len() > MAX_BATCH_KEYS || bytes + size > MAX_BATCH_BYTES;
            if is_full && !batch.is_empty() {
                self.days.push_front((day, entry));
                break;
            }
            keys += wanted.len();
            bytes += size;
            batch.push((day, wanted));
        }
        let all: Vec<Wanted> = batch.iter().flat_map(|(_, wanted)| wanted).copied().collect();
        let mut items = self.get_segments(&all, self.table).await?;
        for (day, wanted) in batch {
            let blocks = match assemble(&wanted, &mut items) {
                Some(blocks) => Some(blocks),
                // Published anew since the manifest was read, or not visible yet.
                None => self.read_again(day).await?,
            };
            self.ready.extend(blocks.map(|blocks| DayBlocks { day, blocks }));
        }
        Ok(())
    }

    /// Reads a day consistently, beginning with its manifest; `None` when it is gone.
    async fn read_again(&self, day: Date) -> Result<Option<Vec<StoredBlock>>, StoreError> {
        let consistent = self.table.consistent();
        let key = key::chunk(self.ws, self.account, self.selection.dataset, IsoWeek::of(day));
        for _ in 0..MAX_ATTEMPTS {
            let chunk = consistent.get::<Chunk>(&key).await?;
            let Some(entry) = chunk.as_ref().and_then(|chunk| chunk.manifest.day(day)) else {
                return Ok(None);
            };
            let wanted = self.wanted(day, entry);
            let mut items = self.get_segments(&wanted, &consistent).await?;
            if let Some(blocks) = assemble(&wanted, &mut items) {
                return Ok(Some(blocks));
            }
        }
        Err(StoreError::Unavailable(format!("the facts of {day} change faster than they can be read")))
    }

    /// Returns the segments of a day to read: each core, followed by its detail if that is read.
    fn wanted(&self, day: Date, entry: &DayEntry) -> Vec<Wanted> {
        let FactSelection { level, with_detail, objects, .. } = self.selection;
        let Some(core) = entry.part(level, Segment::Core) else { return Vec::new() };
        let detail = entry.part(level, Segment::Detail).filter(|_| with_detail);
        let shards = objects.shards(level, core.bits);
        let mut wanted = Vec::new();
        for shard in 0..core.shards.len() {
            if shards.as_ref().is_some_and(|shards| !shards.contains(&shard)) {
                continue;
            }
            wanted.extend(core.segment((level, Segment::Core, day), shard));
            wanted.extend(detail.and_then(|part| part.segment((level, Segment::Detail, day), shard)));
        }
        wanted
    }

    async fn get_segments(
        &self,
        wanted: &[Wanted],
        table: &Table,
    ) -> Result<HashMap<String, Item>, StoreError> {
        let key = |(place, _): &Wanted| {
            key::segment(self.ws, self.account, self.selection.dataset, place).attributes()
        };
        let mut items = HashMap::with_capacity(wanted.len());
        for item in table.batch_get(wanted.iter().map(key).collect()).await? {
            // The day is part of the sort key, which therefore is unique among all weeks.
            if let Some(AttributeValue::S(sk)) = item.get("sk") {
                items.insert(sk.clone(), item);
            }
        }
        Ok(items)
    }
}

/// Takes the segments that a manifest names out of what was read; `None` when one is missing or another one.
fn assemble(wanted: &[Wanted], items: &mut HashMap<String, Item>) -> Option<Vec<StoredBlock>> {
    let mut blocks: Vec<StoredBlock> = Vec::new();
    for (place, entry) in wanted {
        let mut item = items.remove(&place.sort_key())?;
        let fence = item.get("fence")?.as_n().ok()?.parse::<u64>().ok()?;
        if fence != entry.fence || item.get("digest")?.as_b().ok()?.as_ref() != entry.digest {
            return None;
        }
        let Some(AttributeValue::B(data)) = item.remove("data") else { return None };
        match place.segment {
            Segment::Core => blocks.push((data.into_inner(), None)),
            Segment::Detail => blocks.last_mut()?.1 = Some(data.into_inner()),
        }
    }
    Some(blocks)
}
