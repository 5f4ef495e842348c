//! Facts: written as blocks by the holder of a chunk's lease, published day by day.
//!
//! A segment is put into the one of its two slots that the manifest does not name, so that what readers read stays until
//! a single conditional update of the chunk publishes the new one. The condition of the put lets no other run's segment
//! be overwritten by an earlier one, and that of the update no other run's manifest.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use facts::{BlockLevel, EncodedSegment, EncodedShard, FactsError, Rows, Segment};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::chunk::{Chunk, DayGaps, Lease, expiry};
use crate::key::{self, SegmentPlace};
use crate::manifest::{DayEntry, SegmentEntry};
use crate::table::{ConditionExpression, Item, StoreError, Table, number};

/// The most bits of a shard: a day is stored as 1,024 shards at most.
const MAX_BITS: u8 = 10;

/// Seconds by which segments outlive their manifest.
const SEGMENT_GRACE_SECONDS: i64 = 7 * 24 * 3600;

impl From<FactsError> for StoreError {
    fn from(error: FactsError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// A day as it was measured.
#[derive(Debug)]
pub struct MeasuredDay<'a> {
    /// The day.
    pub day: Date,
    /// When its measurement began.
    pub measured_at: Timestamp,
    /// The ads' rows.
    pub rows: &'a Rows,
    /// What could not be read.
    pub gaps: DayGaps,
}

/// What a published day has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishedDay {
    /// Segments that were written.
    pub written: u64,
    /// Segments that had not changed.
    pub unchanged: u64,
}

/// The segments of one kind, one for each shard; `None` for a shard without rows.
type ComparedPart = (Segment, Vec<Option<Compared>>);

/// A segment, compared with what is stored in its place.
enum Compared {
    /// The same.
    Unchanged(SegmentEntry),
    /// To be put, with its compressed bytes.
    Changed { entry: SegmentEntry, data: Vec<u8> },
}

impl Table {
    /// Writes the ads' rows of a day, and their sums per campaign, and publishes them: readers see all of it or nothing.
    /// [`StoreError::Conflict`] when the lease was lost.
    pub async fn publish_day(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        lease: &mut Lease,
        day: MeasuredDay<'_>,
    ) -> Result<PublishedDay, StoreError> {
        let MeasuredDay { day, measured_at, rows, gaps } = day;
        let mut entry = DayEntry::new(measured_at, lease.chunk.requested, rows);
        let mut published = PublishedDay::default();
        let before = lease.chunk.manifest.day(day);
        if let Some(before) = before.filter(|before| before.digest == entry.digest) {
            entry.parts = before.parts.clone();
            published.unchanged =
                entry.parts.iter().map(|part| part.shards.iter().flatten().count() as u64).sum();
        } else if !rows.is_empty() {
            let campaigns = rows.roll_up()?;
            for (level, rows) in [(BlockLevel::Ad, rows), (BlockLevel::Campaign, &campaigns)] {
                let put = self.put_level(ws, account, lease, (level, day), rows, &mut entry).await?;
                published.written += put.written;
                published.unchanged += put.unchanged;
            }
        }
        self.publish(lease, day, entry, gaps).await?;
        Ok(published)
    }

    /// Puts the segments of a level into the slots that are free, except those that are stored already.
    async fn put_level(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        lease: &Lease,
        (level, day): (BlockLevel, Date),
        rows: &Rows,
        entry: &mut DayEntry,
    ) -> Result<PublishedDay, StoreError> {
        let mut put = PublishedDay::default();
        let (bits, parts) = lease.compare(day, level, rows)?;
        for (segment, shards) in parts {
            let mut entries = Vec::with_capacity(shards.len());
            for (shard, compared) in shards.into_iter().enumerate() {
                let entry = match compared {
                    None => None,
                    Some(Compared::Unchanged(entry)) => {
                        put.unchanged += 1;
                        Some(entry)
                    }
                    Some(Compared::Changed { entry, data }) => {
                        let place = SegmentPlace { level, segment, day, bits, shard, slot: entry.slot };
                        self.put_segment(ws, account, lease, &place, (entry.digest, data)).await?;
                        put.written += 1;
                        Some(entry)
                    }
                };
                entries.push(entry);
            }
            entry.push_part((level, segment, bits), entries);
        }
        Ok(put)
    }

    async fn put_segment(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        lease: &Lease,
        place: &SegmentPlace,
        (digest, data): ([u8; 16], Vec<u8>),
    ) -> Result<(), StoreError> {
        let dataset = lease.dataset;
        let digest = AttributeValue::B(Blob::new(digest));
        let mut item: Item = key::segment(ws, account, dataset, place).attributes();
        item.insert("fence".to_owned(), number(lease.fence()));
        item.insert("digest".to_owned(), digest.clone());
        item.insert("data".to_owned(), AttributeValue::B(Blob::new(data)));
        let expires = expiry(dataset, place.day) + SEGMENT_GRACE_SECONDS;
        item.insert("expires".to_owned(), number(expires));
        // Of this run, only the same segment again: a copy that arrives late must not replace what followed it.
        let condition = ConditionExpression {
            expression: "attribute_not_exists(pk) OR fence < :fence OR (fence = :fence AND digest = :digest)",
            values: vec![(":fence", number(lease.fence())), (":digest", digest)],
        };
        self.put_item(item, Some(condition)).await
    }

    /// Makes an entry the day's current one.
    async fn publish(
        &self,
        lease: &mut Lease,
        day: Date,
        entry: DayEntry,
        gaps: DayGaps,
    ) -> Result<(), StoreError> {
        let manifest = lease.chunk.manifest.with(day, entry);
        let (seen, next) = (lease.chunk.published, lease.chunk.published + 1);
        let mut day_gaps = lease.chunk.day_gaps.clone();
        day_gaps.remove(&day);
        if gaps != DayGaps::default() {
            day_gaps.insert(day, gaps);
        }
        let values = vec![
            (":fence", number(lease.fence())),
            (":seen", number(seen)),
            (":next", number(next)),
            (":manifest", to_attribute_value(&manifest)?),
            (":gaps", to_attribute_value(&day_gaps)?),
        ];
        let expression = "SET manifest = :manifest, day_gaps = :gaps, published = :next";
        let condition = Some("fence = :fence AND published = :seen");
        if let Err(error) = self.update::<Chunk>(&lease.key, expression, condition, values).await {
            // The update may have been applied although its response was lost: only this run publishes with its fence.
            let is_applied = |chunk: &Chunk| (chunk.fence, chunk.published) == (lease.fence(), next);
            if !self.consistent().get::<Chunk>(&lease.key).await?.as_ref().is_some_and(is_applied) {
                return Err(error);
            }
        }
        lease.chunk.manifest = manifest;
        lease.chunk.day_gaps = day_gaps;
        lease.chunk.published = next;
        Ok(())
    }

    /// Deletes the segments of a week of an account that is not stored any more, up to a fence: a run that had begun
    /// before its deletion may have left some. Those of an account that was connected again since stay: the fences of a
    /// chunk begin with the time at which it was planned, in milliseconds since 1970.
    pub async fn delete_orphaned_facts(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        chunk: (Dataset, IsoWeek),
        max_fence: u64,
    ) -> Result<(), StoreError> {
        loop {
            match self.delete_facts(ws, account, chunk, Some(max_fence)).await {
                Ok(true) => {}
                Ok(false) | Err(StoreError::Conflict) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes a page of the segments of a week, and returns whether there were any. [`StoreError::Conflict`] when one
    /// has a higher fence.
    pub(crate) async fn delete_facts(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        (dataset, week): (Dataset, IsoWeek),
        max_fence: Option<u64>,
    ) -> Result<bool, StoreError> {
        let keys = self.list_keys(&key::fact_partition(ws, account, dataset, week), "", None).await?;
        // One by one: the sizes of the items count for a transaction, even where it deletes them.
        for key in &keys {
            let mut delete =
                self.client.delete_item().table_name(&*self.name).set_key(Some(key.attributes()));
            if let Some(max_fence) = max_fence {
                delete = delete
                    .condition_expression("attribute_not_exists(pk) OR fence <= :max_fence")
                    .expression_attribute_values(":max_fence", number(max_fence));
            }
            delete.send().await?;
        }
        Ok(!keys.is_empty())
    }
}

impl Lease {
    /// Compares rows with what is stored of their day, with as many bits as keep every segment small enough. Only what has
    /// changed is compressed.
    fn compare(
        &self,
        day: Date,
        level: BlockLevel,
        rows: &Rows,
    ) -> Result<(u8, Vec<ComparedPart>), StoreError> {
        let segments: &[Segment] = if level == BlockLevel::Ad { &Segment::ALL } else { &[Segment::Core] };
        for bits in self.bits(day, level)..=MAX_BITS {
            let shards = rows.encode(bits)?;
            let compared = segments.iter().map(|segment| {
                let stored = self.chunk.manifest.day(day).and_then(|entry| entry.part(level, *segment));
                let stored = stored.filter(|part| part.bits == bits);
                let compare = |(shard, encoded): (usize, &Option<EncodedShard>)| {
                    let encoded = encoded.as_ref().and_then(|encoded| encoded.segment(*segment));
                    let before = stored.and_then(|part| part.shards.get(shard).copied().flatten());
                    encoded.map(|encoded| self.compare_segment(encoded, before)).transpose()
                };
                Ok((*segment, shards.iter().enumerate().map(compare).collect::<Result<_, FactsError>>()?))
            });
            match compared.collect::<Result<Vec<ComparedPart>, FactsError>>() {
                Ok(parts) => return Ok((bits, parts)),
                Err(FactsError::TooLarge(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Internal("the rows of one day are too many to be stored".to_owned()))
    }

    /// [`FactsError::TooLarge`] where a segment does not fit into an item.
    fn compare_segment(
        &self,
        encoded: &EncodedSegment,
        before: Option<SegmentEntry>,
    ) -> Result<Compared, FactsError> {
        if let Some(before) = before.filter(|before| before.digest == encoded.digest) {
            return Ok(Compared::Unchanged(before));
        }
        let data = encoded.compressed()?;
        if data.len() > self.dataset.segment_bytes {
            return Err(FactsError::TooLarge("a segment".to_owned()));
        }
        let slot = before.map_or(0, |before| 1 - before.slot);
        let (fence, digest, bytes) = (self.fence(), encoded.digest, data.len() as u32);
        Ok(Compared::Changed { entry: SegmentEntry { slot, fence, digest, bytes }, data })
    }

    /// Returns the number of bits to begin with: those of the day itself, or of its neighbours. They never shrink, so that
    /// a day which is measured again stays in its slots.
    fn bits(&self, day: Date, level: BlockLevel) -> u8 {
        let manifest = &self.chunk.manifest;
        let bits = |entry: &DayEntry| entry.part(level, Segment::Core).map_or(0, |part| part.bits);
        match manifest.day(day).filter(|entry| !entry.parts.is_empty()) {
            Some(entry) => bits(entry),
            None => manifest.days.values().map(bits).max().unwrap_or(0),
        }
    }
}
