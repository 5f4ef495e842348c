//! Manifests: which stored segments are the facts of each day of a chunk. A segment that no manifest names is not read.

use std::collections::BTreeMap;

use facts::{BlockLevel, Rows, Segment};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::key::SegmentPlace;

/// First byte of a stored manifest.
const FORMAT: u8 = 2;

/// The days of a chunk that are measured, by their number in the week (Monday is 1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ByteBuf", into = "ByteBuf")]
pub struct Manifest {
    pub(crate) days: BTreeMap<i8, DayEntry>,
}

/// A measured day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayEntry {
    /// When its measurement began, in milliseconds since 1970.
    measured_at: i64,
    /// The chunk's count of requests that it answers.
    pub(crate) answers: u64,
    pub(crate) rows: u64,
    /// Of its rows: a measurement with the same one changes nothing.
    pub(crate) digest: [u8; 16],
    pub(crate) parts: Vec<Part>,
}

/// A measured day in format 1, which had no digest: what is measured next is compared segment by segment.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
struct DayEntry1 {
    measured_at: i64,
    answers: u64,
    rows: u64,
    parts: Vec<Part>,
}

impl From<DayEntry1> for DayEntry {
    fn from(DayEntry1 { measured_at, answers, rows, parts }: DayEntry1) -> Self {
        Self { measured_at, answers, rows, digest: [0; 16], parts }
    }
}

/// The segments of one kind, one for each shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    level: u8,
    segment: u8,
    pub(crate) bits: u8,
    /// `None` for a shard without rows.
    pub(crate) shards: Vec<Option<SegmentEntry>>,
}

/// A segment: where it is, and what must be found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    pub(crate) slot: u8,
    pub(crate) fence: u64,
    pub(crate) digest: [u8; 16],
    pub(crate) bytes: u32,
}

impl Manifest {
    /// Returns the entry of a day, if it is measured.
    pub fn day(&self, day: Date) -> Option<&DayEntry> {
        self.days.get(&weekday(day))
    }

    /// Returns the rows of all days.
    pub fn rows(&self) -> u64 {
        self.days.values().map(|entry| entry.rows).sum()
    }

    /// Returns the rows of the day with the most of them.
    pub fn most_rows(&self) -> Option<u64> {
        self.days.values().map(|entry| entry.rows).max()
    }

    /// Returns the manifest with another entry of a day.
    pub(crate) fn with(&self, day: Date, entry: DayEntry) -> Self {
        let mut changed = self.clone();
        changed.days.insert(weekday(day), entry);
        changed
    }
}

/// Returns the number of a day in its week, from 1 for Monday.
pub(crate) fn weekday(day: Date) -> i8 {
    day.weekday().to_monday_one_offset()
}

impl DayEntry {
    pub(crate) fn new(measured_at: Timestamp, answers: u64, rows: &Rows) -> Self {
        let (measured_at, digest) = (measured_at.as_millisecond(), rows.digest());
        Self { measured_at, answers, rows: rows.len() as u64, digest, parts: Vec::new() }
    }

    /// Returns when the measurement began: what happened later may be missing.
    pub fn measured_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.measured_at).unwrap_or_default()
    }

    /// Returns its rows: one for each ad with delivery.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the segments of one kind; `None` on a day without rows.
    pub(crate) fn part(&self, level: BlockLevel, segment: Segment) -> Option<&Part> {
        self.parts.iter().find(|part| (part.level, part.segment) == (level as u8, segment as u8))
    }

    pub(crate) fn push_part(
        &mut self,
        (level, segment, bits): (BlockLevel, Segment, u8),
        shards: Vec<Option<SegmentEntry>>,
    ) {
        self.parts.push(Part { level: level as u8, segment: segment as u8, bits, shards });
    }
}

impl Part {
    /// Returns a segment's place and entry; `None` for a shard without rows.
    pub(crate) fn segment(
        &self,
        (level, segment, day): (BlockLevel, Segment, Date),
        shard: usize,
    ) -> Option<(SegmentPlace, SegmentEntry)> {
        let entry = self.shards.get(shard).copied().flatten()?;
        Some((SegmentPlace { level, segment, day, bits: self.bits, shard, slot: entry.slot }, entry))
    }
}

impl From<Manifest> for ByteBuf {
    fn from(manifest: Manifest) -> Self {
        // Writing to memory does not fail.
        Self::from(postcard::to_extend(&manifest.days, vec![FORMAT]).unwrap_or_default())
    }
}

impl TryFrom<ByteBuf> for Manifest {
    type Error = &'static str;

    fn try_from(bytes: ByteBuf) -> Result<Self, Self::Error> {
        match bytes.split_first() {
            None => Ok(Self::default()),
            Some((&1, days)) => {
                let days: BTreeMap<i8, DayEntry1> =
                    postcard::from_bytes(days).map_err(|_| "a manifest is malformed")?;
                Ok(Self { days: days.into_iter().map(|(day, entry)| (day, entry.into())).collect() })
            }
            Some((&FORMAT, days)) => {
                let days = postcard::from_bytes(days).map_err(|_| "a manifest is malformed")?;
                Ok(Self { days })
            }
            Some(_) => Err("a newer version wrote this manifest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_format_1_keeps_its_days() {
        let entry = SegmentEntry { slot: 1, fence: 7, digest: [3; 16], bytes: 9 };
        let part = || Part { level: 0, segment: 1, bits: 0, shards: vec![None, Some(entry)] };
        let old = DayEntry1 { measured_at: 5, answers: 6, rows: 2, parts: vec![part()] };
        let bytes = postcard::to_extend(&BTreeMap::from([(3_i8, old)]), vec![1]).unwrap();
        let read = Manifest::try_from(ByteBuf::from(bytes)).unwrap();
        assert_eq!((read.rows(), &read.days[&3].parts), (2, &vec![part()]));
        assert_eq!(Manifest::try_from(Into::<ByteBuf>::into(read.clone())).unwrap(), read);
    }
}
