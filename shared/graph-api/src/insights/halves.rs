//! A query that is read in halves: counts, then actions.

use std::collections::{BTreeMap, HashSet};

use domain::dataset::Breakdown;
use domain::gap::Gap;
use domain::id::EntityId;
use domain::metrics::{DayFacts, InsightsRow, Measures};
use jiff::civil::Date;

use super::row::GraphRow;
use super::sub_query::SubQuery;
use crate::error::GraphError;
use crate::page::Pages;

/// What no two rows have in common.
pub(super) type RowKey = (EntityId, Date, BTreeMap<Breakdown, String>);

pub(super) fn row_key(row: &InsightsRow) -> RowKey {
    (row.ad.clone(), row.facts.day, row.breakdowns.clone())
}

/// A sub-query whose counts and actions are read one after the other, and merged row by row.
#[derive(Debug)]
pub(super) struct Halves {
    pub(super) sub_query: SubQuery,
    counts: Pages<GraphRow>,
    actions: Pages<GraphRow>,
    rows: BTreeMap<RowKey, InsightsRow>,
}

impl Halves {
    pub(super) fn new(sub_query: SubQuery, counts: Pages<GraphRow>, actions: Pages<GraphRow>) -> Self {
        Self { sub_query, counts, actions, rows: BTreeMap::new() }
    }

    /// Reads what is left of both. After an error it may be called again.
    pub(super) async fn read(&mut self) -> Result<(), GraphError> {
        while let Some(page) = self.counts.next().await? {
            self.rows.extend(page.into_iter().map(|GraphRow(row)| (row_key(&row), row)));
        }
        while let Some(page) = self.actions.next().await? {
            for GraphRow(row) in page {
                // An action without an impression on that day has a row of its own.
                let known = self.rows.entry(row_key(&row)).or_insert_with(|| InsightsRow {
                    facts: DayFacts { measures: Measures::default(), ..row.facts.clone() },
                    ..row.clone()
                });
                known.facts.measures += &row.facts.measures;
            }
        }
        Ok(())
    }

    /// Returns the rows, and what could not be read: half of a row is a wrong row, and is left out.
    pub(super) fn finish(mut self) -> (Vec<InsightsRow>, Vec<Gap>) {
        let odd = [self.counts.take_gaps(), self.actions.take_gaps()].concat();
        let odd_rows: HashSet<_> = odd.iter().map(|gap| (gap.id.clone(), gap.day.clone())).collect();
        let is_whole =
            |(ad, day, _): &RowKey| !odd_rows.contains(&(Some(ad.to_string()), Some(day.to_string())));
        self.rows.retain(|key, _| is_whole(key));
        (self.rows.into_values().collect(), odd)
    }
}
