//! The days of a range that belong together.

use std::collections::HashSet;

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
        let measured: HashSet<Option<Date>> = chunks
            .iter()
            .filter(|_| is_enabled)
            .flat_map(|chunk| {
                chunk.week.range().days_within(range).filter(|day| chunk.measured_at(*day).is_some())
            })
            .filter(|day| weekdays.is_none_or(|weekdays| weekdays.contains(*day)))
            .map(|day| grain.bucket(day))
            .collect();
        let bucket = |(day, period)| Bucket { day, period, is_measured: measured.contains(&day) };
        Self(grain.periods(range).into_iter().map(bucket).collect())
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
