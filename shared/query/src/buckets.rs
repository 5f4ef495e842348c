//! The days of a range that belong together.

use std::collections::{BTreeMap, HashSet};

use domain::date::{DateRange, Grain};
use jiff::civil::Date;
use store::chunk::Chunk;

use crate::document::Query;

/// The buckets of a range, oldest first.
pub(crate) struct Buckets(pub(crate) Vec<Bucket>);

/// Days that belong together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// The day that stands for them.
    pub(crate) day: Option<Date>,
    /// Their first and last day inside the range.
    pub(crate) period: DateRange,
    /// Whether any of them is measured.
    pub(crate) is_measured: bool,
}

impl Buckets {
    /// Puts the days of a range together. Days that the query's filters exclude count as not measured, so that none of
    /// them seems to be zero.
    pub(crate) fn new(
        query: &Query,
        grain: Grain,
        (range, chunks): (DateRange, &[Chunk]),
        is_enabled: bool,
    ) -> Self {
        let weekdays = query.weekdays();
        let is_wanted = |day: &Date| {
            weekdays
                .is_none_or(|days| days[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())])
        };
        let measured: HashSet<Date> = chunks
            .iter()
            .filter(|_| is_enabled)
            .flat_map(|chunk| {
                chunk.week.range().days_within(range).filter(|day| chunk.measured_at(*day).is_some())
            })
            .filter(is_wanted)
            .collect();
        let mut buckets = BTreeMap::<Option<Date>, Bucket>::new();
        for day in range.days_within(range) {
            let period = DateRange { since: day, until: day };
            let first = Bucket { day: grain.bucket(day), period, is_measured: false };
            let bucket = buckets.entry(first.day).or_insert(first);
            bucket.period.until = day;
            bucket.is_measured |= measured.contains(&day);
        }
        Self(buckets.into_values().collect())
    }

    /// Returns the number of a bucket; `None` where all days are one.
    pub(crate) fn number(&self, bucket: Option<Date>) -> Option<usize> {
        bucket?;
        self.0.iter().position(|known| known.day == bucket)
    }

    pub(crate) fn get(&self, number: Option<usize>) -> Option<Bucket> {
        self.0.get(number.unwrap_or(0)).copied()
    }

    pub(crate) fn periods(&self) -> impl Iterator<Item = DateRange> + use<'_> {
        self.0.iter().map(|bucket| bucket.period)
    }
}
