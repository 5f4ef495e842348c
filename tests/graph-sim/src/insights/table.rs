//! The rows of an insights call, before they are split into pages.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::Subject;
use super::dimensions::Dimensions;
use super::measures::Measures;
use super::period::{DateRange, Increment};
use super::query::{Level, Query, SortOrder};
use super::restatement::AsOf;
use super::sum::Sum;
use super::writer::{Part, Writer};
use crate::facts::{AdRef, Fact};
use crate::node::{Account, Kind};
use crate::world::World;

/// The rows of one call, written on demand.
pub(crate) struct Table<'a> {
    writer: Writer<'a>,
    query: &'a Query,
    ads: Vec<usize>,
    entries: Vec<Entry<'a>>,
}

/// A row that is not written yet.
struct Entry<'a> {
    /// One of the ads it is about.
    ad: usize,
    bounds: DateRange,
    cell: usize,
    source: RowSource<'a>,
}

enum RowSource<'a> {
    /// A part of one ad-day.
    Day(&'a Fact, Part),
    Sum(Box<Measures<'a>>, Option<&'a Map<String, Value>>),
}

/// A row that is not written yet and no longer depends on the data it was made from.
#[derive(Clone)]
pub(super) struct SnapshotRow {
    pub(super) ad: usize,
    pub(super) bounds: DateRange,
    pub(super) cell: usize,
    pub(super) measures: Measures<'static>,
    pub(super) sample: Option<Map<String, Value>>,
}

impl<'a> Table<'a> {
    /// Finds the rows of a subject.
    pub(crate) fn new(world: &'a World, subject: &Subject, query: &'a Query, as_of: AsOf) -> Self {
        let account = world.account_of(&subject.account);
        let dimensions = Dimensions { world, account, level: query.level };
        let writer =
            Writer { dimensions, action_options: &query.action_options, breakdown: &query.breakdown, as_of };
        let ads = query.filter.ads(&dimensions, ads_below(account, subject));
        let mut table = Self { writer, query, ads, entries: Vec::new() };
        table.entries = table.find();
        table.apply_measure_filters();
        table.sort();
        table
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the number of campaigns the rows come from.
    pub(crate) fn campaigns(&self) -> usize {
        let ads = &self.writer.dimensions.account.facts.ads;
        let mut campaigns: Vec<&str> = self.ads.iter().map(|ad| ads[*ad].campaign.as_str()).collect();
        campaigns.sort_unstable();
        campaigns.dedup();
        campaigns.len()
    }

    /// Writes some of the rows.
    pub(crate) fn rows(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = Value> {
        self.entries[range].iter().map(|entry| {
            let row = self.writer.row(
                &self.query.fields,
                entry.ad,
                entry.bounds,
                &self.measures(entry),
                entry.sample(),
            );
            Value::Object(self.writer.labelled(row, entry.cell))
        })
    }

    /// Returns all rows, to be written later.
    pub(super) fn snapshot_rows(&self) -> Vec<SnapshotRow> {
        let rows = self.entries.iter().map(|entry| SnapshotRow {
            ad: entry.ad,
            bounds: entry.bounds,
            cell: entry.cell,
            measures: self.measures(entry).into_owned(),
            sample: entry.sample().cloned(),
        });
        rows.collect()
    }

    /// Writes the row that sums up all others, at account level, so that it names no single object.
    pub(crate) fn summary(&self, fields: &[String]) -> Option<Value> {
        let mut sum = Sum::default();
        for entry in &self.entries {
            sum.add(self.measures(entry));
        }
        let bounds = self.query.period.bounds_of_all();
        let dimensions = Dimensions { level: Level::Account, ..self.writer.dimensions };
        let writer = Writer { dimensions, ..self.writer };
        let ad = *self.ads.first()?;
        let measures = sum.finish(&dimensions.account.currency, writer.estimate(ad, bounds));
        Some(Value::Object(writer.row(fields, ad, bounds, &measures, None)))
    }

    fn find(&self) -> Vec<Entry<'a>> {
        let period = &self.query.period;
        if self.query.level == Level::Ad && period.increment == Increment::Days(1) {
            period.ranges.iter().flat_map(|range| self.days(*range)).collect()
        } else {
            self.sums()
        }
    }

    /// Returns one row for each ad-day, or for each of its parts.
    fn days(&self, range: DateRange) -> Vec<Entry<'a>> {
        let facts = &self.writer.dimensions.account.facts;
        let mut entries = Vec::new();
        for ad in &self.ads {
            for (day, fact) in facts.of_ad(*ad, range.since, range.until) {
                let bounds = DateRange { since: day, until: day };
                let Some(known) = self.writer.visible(*ad, day, fact) else { continue };
                let parts = self.writer.parts(*ad, day, known);
                entries.extend(parts.into_iter().map(|part| Entry {
                    ad: *ad,
                    bounds,
                    cell: part.cell,
                    source: RowSource::Day(fact, part),
                }));
            }
        }
        entries
    }

    /// Returns one row for each object, bucket of the period and cell, in a stable order.
    fn sums(&self) -> Vec<Entry<'a>> {
        let period = &self.query.period;
        let facts = &self.writer.dimensions.account.facts;
        let mut groups: HashMap<&str, usize> = HashMap::new();
        let mut sums: BTreeMap<(usize, usize, i32, usize), Group<'a>> = BTreeMap::new();
        for ad in &self.ads {
            let next = groups.len();
            let group = *groups.entry(self.writer.dimensions.object(&facts.ads[*ad])).or_insert(next);
            for (index, range) in period.ranges.iter().enumerate() {
                for (day, fact) in facts.of_ad(*ad, range.since, range.until) {
                    let Some(known) = self.writer.visible(*ad, day, fact) else { continue };
                    for part in self.writer.parts(*ad, day, known) {
                        let place = (group, index, period.bucket(*range, day), part.cell);
                        let sum = sums.entry(place).or_insert_with(|| Group::of(*ad));
                        sum.sample = sum.sample.or(sample(fact));
                        sum.sum.add(self.writer.measures(*ad, day, known, part));
                    }
                }
            }
        }
        let entry = |((_, index, bucket, cell), group): ((usize, usize, i32, usize), Group<'a>)| {
            let bounds = period.bounds(period.ranges[index], bucket);
            let estimated = self.writer.estimate(group.ad, bounds);
            let estimated = estimated.map(|rng| rng.derive(cell as u64));
            let measures = group.sum.finish(&self.writer.dimensions.account.currency, estimated);
            Entry { ad: group.ad, bounds, cell, source: RowSource::Sum(Box::new(measures), group.sample) }
        };
        sums.into_iter().map(entry).collect()
    }

    fn measures(&self, entry: &Entry<'a>) -> Measures<'a> {
        match &entry.source {
            RowSource::Day(fact, part) => {
                let (ad, day) = (entry.ad, entry.bounds.since);
                match self.writer.visible(ad, day, fact) {
                    Some(known) => self.writer.measures(ad, day, known, *part),
                    None => Measures::Summed(Map::new()),
                }
            }
            RowSource::Sum(measures, _) => Measures::clone(measures),
        }
    }

    /// Removes the rows whose measures do not pass the filters.
    fn apply_measure_filters(&mut self) {
        if !self.query.filter.filters_measures() {
            return;
        }
        let currency = &self.writer.dimensions.account.currency;
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| {
            let measures = self.measures(entry);
            self.query.filter.wants(|name| measures.number(name, currency))
        });
        self.entries = entries;
    }

    fn sort(&mut self) {
        // The first sort key has precedence, so it is applied last.
        for order in self.query.order.iter().rev() {
            let mut entries = std::mem::take(&mut self.entries);
            if order.descending {
                entries.sort_by_cached_key(|entry| Reverse(self.key(entry, order)));
            } else {
                entries.sort_by_cached_key(|entry| self.key(entry, order));
            }
            self.entries = entries;
        }
    }

    /// Returns what a row is sorted by: a number, or a text such as a name or a day.
    fn key(&self, entry: &Entry<'a>, order: &SortOrder) -> (Option<Decimal>, String) {
        let measures = self.measures(entry);
        let number = match order.field.split_once(':') {
            Some((_, kind)) => measures.action(kind),
            None => measures.number(&order.field, &self.writer.dimensions.account.currency),
        };
        let text = match order.field.as_str() {
            "date_start" => entry.bounds.since.to_string(),
            "date_stop" => entry.bounds.until.to_string(),
            field => {
                let ad = &self.writer.dimensions.account.facts.ads[entry.ad];
                let value = self.writer.dimensions.field(field, ad, entry.sample(), &measures);
                value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        };
        (number, text)
    }
}

impl<'a> Entry<'a> {
    fn sample(&self) -> Option<&'a Map<String, Value>> {
        match self.source {
            RowSource::Day(fact, _) => sample(fact),
            RowSource::Sum(_, sample) => sample,
        }
    }
}

/// A row being summed, and one of the ads in it.
struct Group<'a> {
    ad: usize,
    sample: Option<&'a Map<String, Value>>,
    sum: Sum<'a>,
}

impl Group<'_> {
    fn of(ad: usize) -> Self {
        Self { ad, sample: None, sum: Sum::default() }
    }
}

/// Returns the recorded row of a fact, which contains names.
pub(crate) fn sample(fact: &Fact) -> Option<&Map<String, Value>> {
    match fact {
        Fact::Counted(_) | Fact::Retracted(_) => None,
        Fact::EventRecord(row) => Some(row),
    }
}

fn ads_below(account: &Account, subject: &Subject) -> Vec<usize> {
    let below = |ad: &AdRef| match subject.kind {
        Kind::Account => true,
        Kind::Campaign => ad.campaign == subject.id,
        Kind::AdSet => ad.adset == subject.id,
        Kind::Ad => ad.ad == subject.id,
        _ => false,
    };
    let ads = account.facts.ads.iter().enumerate().filter(|(_, ad)| below(ad));
    ads.map(|(index, _)| index).collect()
}
