//! The rows an insights call comes to, before they are put on pages.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::Subject;
use super::about::{About, is_about};
use super::action::{Shape, is_off_meta};
use super::breakdown::Breakdown;
use super::counts::Counts;
use super::measures::{Measures, Style};
use super::period::{Increment, Range, detailed_since};
use super::query::{Level, Order, Query};
use super::ripening::{Known, Moment};
use super::sum::{Sum, decimal, part_of_row};
use crate::facts::{AdRef, Fact};
use crate::generator::Chance;
use crate::node::Kind;
use crate::world::World;

/// The rows of one call, made when they are asked for.
pub(crate) struct Table<'a> {
    writer: Writer<'a>,
    query: &'a Query,
    ads: Vec<usize>,
    entries: Vec<Entry<'a>>,
}

/// One row to be.
struct Entry<'a> {
    /// One of the ads it is about.
    ad: usize,
    bounds: Range,
    cell: usize,
    of: Of<'a>,
}

enum Of<'a> {
    /// A part of one ad-day.
    Day(&'a Fact, Part),
    Sum(Box<Measures<'a>>, Option<&'a Map<String, Value>>),
}

/// The part of an ad-day that falls into a cell of the breakdown.
#[derive(Clone, Copy)]
struct Part {
    cell: usize,
    share: Share,
}

#[derive(Clone, Copy)]
enum Share {
    Whole,
    /// Impressions, counted through.
    Span(u64, u64),
    /// What happened outside of Meta and has no value of the breakdown.
    OffMeta,
}

impl<'a> Table<'a> {
    /// Finds the rows about a node; only the main account has numbers.
    pub(crate) fn new(world: &'a World, subject: &Subject, query: &'a Query, moment: Moment) -> Self {
        let about = About { world, account: world.main(), level: query.level };
        let writer = Writer { about, shape: &query.shape, breakdown: &query.breakdown, moment };
        let known = subject.account == world.main().digits;
        let ads = if known { ads_below(world, subject) } else { Vec::new() };
        let ads = query.narrow.ads(world, ads, query.level);
        let mut table = Self { writer, query, ads, entries: Vec::new() };
        table.entries = table.find();
        table.narrow();
        table.sort();
        table
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many campaigns the rows are taken from.
    pub(crate) fn campaigns(&self) -> usize {
        let ads = &self.writer.about.world.facts.ads;
        let mut campaigns: Vec<&str> = self.ads.iter().map(|ad| ads[*ad].campaign.as_str()).collect();
        campaigns.sort_unstable();
        campaigns.dedup();
        campaigns.len()
    }

    /// Some of the rows.
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

    /// The row that sums up all others, without what would say which of them it is about.
    pub(crate) fn summary(&self, fields: &[String]) -> Option<Value> {
        let mut sum = Sum::default();
        for entry in &self.entries {
            sum.add(self.measures(entry));
        }
        let bounds = self.query.period.bounds_of_all();
        let about = About { level: Level::Account, ..self.writer.about };
        let writer = Writer { about, ..self.writer };
        let ad = *self.ads.first()?;
        let measures = sum.finish(&about.account.currency, writer.estimate(ad, bounds));
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

    /// One row for each ad-day, or for each of its parts.
    fn days(&self, range: Range) -> Vec<Entry<'a>> {
        let facts = &self.writer.about.world.facts;
        let mut entries = Vec::new();
        for ad in &self.ads {
            for (day, fact) in facts.of_ad(*ad, range.since, range.until) {
                let bounds = Range { since: day, until: day };
                let Some(known) = self.writer.known(*ad, day, fact) else { continue };
                let parts = self.writer.parts(*ad, day, known);
                entries.extend(parts.into_iter().map(|part| Entry {
                    ad: *ad,
                    bounds,
                    cell: part.cell,
                    of: Of::Day(fact, part),
                }));
            }
        }
        entries
    }

    /// One row for each object, part of the period and cell, in a stable order.
    fn sums(&self) -> Vec<Entry<'a>> {
        let period = &self.query.period;
        let facts = &self.writer.about.world.facts;
        let mut groups: HashMap<&str, usize> = HashMap::new();
        let mut sums: BTreeMap<(usize, usize, i32, usize), Group<'a>> = BTreeMap::new();
        for ad in &self.ads {
            let next = groups.len();
            let group = *groups.entry(self.writer.about.object(&facts.ads[*ad])).or_insert(next);
            for (index, range) in period.ranges.iter().enumerate() {
                for (day, fact) in facts.of_ad(*ad, range.since, range.until) {
                    let Some(known) = self.writer.known(*ad, day, fact) else { continue };
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
            let estimated = estimated.map(|chance| chance.of(cell as u64));
            let measures = group.sum.finish(&self.writer.about.account.currency, estimated);
            Entry { ad: group.ad, bounds, cell, of: Of::Sum(Box::new(measures), group.sample) }
        };
        sums.into_iter().map(entry).collect()
    }

    fn measures(&self, entry: &Entry<'a>) -> Measures<'a> {
        match &entry.of {
            Of::Day(fact, part) => {
                let (ad, day) = (entry.ad, entry.bounds.since);
                match self.writer.known(ad, day, fact) {
                    Some(known) => self.writer.measures(ad, day, known, *part),
                    None => Measures::Summed(Map::new()),
                }
            }
            Of::Sum(measures, _) => Measures::clone(measures),
        }
    }

    /// Leaves out the rows whose measures are not wanted.
    fn narrow(&mut self) {
        if !self.query.narrow.by_measure() {
            return;
        }
        let currency = &self.writer.about.account.currency;
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| {
            let measures = self.measures(entry);
            self.query.narrow.wants(|name| measures.number(name, currency))
        });
        self.entries = entries;
    }

    fn sort(&mut self) {
        // The first order counts most, so it is applied last.
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

    /// What a row is sorted by: a number, or a text such as a name or a day.
    fn key(&self, entry: &Entry<'a>, order: &Order) -> (Option<Decimal>, String) {
        let measures = self.measures(entry);
        let number = match order.field.split_once(':') {
            Some((_, kind)) => measures.action(kind),
            None => measures.number(&order.field, &self.writer.about.account.currency),
        };
        let text = match order.field.as_str() {
            "date_start" => entry.bounds.since.to_string(),
            "date_stop" => entry.bounds.until.to_string(),
            field => {
                let ad = &self.writer.about.world.facts.ads[entry.ad];
                let value = self.writer.about.field(field, ad, entry.sample(), &measures);
                value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        };
        (number, text)
    }
}

impl<'a> Entry<'a> {
    fn sample(&self) -> Option<&'a Map<String, Value>> {
        match self.of {
            Of::Day(fact, _) => sample(fact),
            Of::Sum(_, sample) => sample,
        }
    }
}

/// A growing row, and one of the ads in it.
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

/// A written row, in which names stand.
pub(crate) fn sample(fact: &Fact) -> Option<&Map<String, Value>> {
    match fact {
        Fact::Counted(_) | Fact::Passing(_) => None,
        Fact::Written(row) => Some(row),
    }
}

fn ads_below(world: &World, subject: &Subject) -> Vec<usize> {
    let below = |ad: &AdRef| match subject.kind {
        Kind::Account => true,
        Kind::Campaign => ad.campaign == subject.id,
        Kind::AdSet => ad.adset == subject.id,
        Kind::Ad => ad.ad == subject.id,
        _ => false,
    };
    let ads = world.facts.ads.iter().enumerate().filter(|(_, ad)| below(ad));
    ads.map(|(index, _)| index).collect()
}

/// Writes rows of one level.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) about: About<'a>,
    pub(crate) shape: &'a Shape,
    pub(crate) breakdown: &'a Breakdown,
    pub(crate) moment: Moment,
}

impl<'a> Writer<'a> {
    /// The wanted fields of a row.
    pub(crate) fn row(
        &self,
        fields: &[String],
        ad: usize,
        bounds: Range,
        measures: &Measures<'_>,
        sample: Option<&Map<String, Value>>,
    ) -> Map<String, Value> {
        let in_detail = bounds.since >= detailed_since(self.moment.today);
        let style = Style {
            currency: &self.about.account.currency,
            shape: self.shape,
            unique: self.breakdown.unique(in_detail),
        };
        let mut row = Map::new();
        for field in fields {
            let value = if is_about(field) {
                self.about.field(field, &self.about.world.facts.ads[ad], sample, measures)
            } else if self.breakdown.hourly() && field.starts_with("video_") {
                None
            } else {
                measures.field(field, style)
            };
            if let Some(value) = value {
                row.insert(field.clone(), value);
            }
        }
        row.insert("date_start".into(), json!(bounds.since.to_string()));
        row.insert("date_stop".into(), json!(bounds.until.to_string()));
        row
    }

    fn labelled(&self, mut row: Map<String, Value>, cell: usize) -> Map<String, Value> {
        self.breakdown.label(cell, &mut row);
        row
    }

    /// What is known of an ad-day.
    pub(crate) fn known(&self, ad: usize, day: Date, fact: &'a Fact) -> Option<Known<'a>> {
        let facts = &self.about.world.facts;
        self.moment.known(facts, day, fact, self.of_day(ad, day))
    }

    /// All an ad did on a day.
    pub(crate) fn whole(&self, ad: usize, day: Date, known: Known<'a>) -> Measures<'a> {
        match known {
            Known::Counted(numbers) => Measures::Counted(Counts::of(&numbers, self.of_day(ad, day))),
            Known::Written(row) => Measures::Written(row),
        }
    }

    /// The parts of an ad-day: one, unless there is a breakdown.
    fn parts(&self, ad: usize, day: Date, known: Known<'_>) -> Vec<Part> {
        if !self.breakdown.divides() {
            return vec![Part { cell: 0, share: Share::Whole }];
        }
        if self.breakdown.hourly() && day < detailed_since(self.moment.today) {
            return Vec::new();
        }
        let ends = self.breakdown.ends(impressions(known), self.of_ad(ad), self.of_day(ad, day));
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let mut parts: Vec<Part> = starts
            .zip(&ends)
            .enumerate()
            .filter(|(_, (start, end))| start < end)
            .map(|(cell, (start, end))| Part { cell, share: Share::Span(start, *end) })
            .collect();
        if self.breakdown.sets_off_meta_apart() && has_off_meta(known) {
            parts.push(Part { cell: self.breakdown.unlabelled(), share: Share::OffMeta });
        }
        parts
    }

    fn measures(&self, ad: usize, day: Date, known: Known<'a>, part: Part) -> Measures<'a> {
        let chance = self.of_day(ad, day);
        match (self.whole(ad, day, known), part.share) {
            (whole, Share::Whole) => whole,
            (Measures::Counted(counts), Share::Span(before, after)) => {
                let part = counts.part(before, after, chance.of(31));
                Measures::Counted(if self.breakdown.drops_off_meta() { part.on_meta() } else { part })
            }
            (Measures::Counted(counts), Share::OffMeta) => Measures::Counted(counts.off_meta()),
            (Measures::Written(row), Share::Span(before, after)) => {
                let part = part_of_row(row, (before, after, impressions(known)), chance.of(31));
                let drops = self.breakdown.drops_off_meta();
                Measures::Summed(if drops { chosen(part, |kind| !is_off_meta(kind)) } else { part })
            }
            (Measures::Written(row), Share::OffMeta) => {
                let lists = row.iter().filter(|(_, value)| value.is_array());
                let lists = lists.map(|(name, value)| (name.clone(), value.clone())).collect();
                Measures::Summed(chosen(lists, is_off_meta))
            }
            (summed @ Measures::Summed(_), _) => summed,
        }
    }

    /// Where the reach of a sum comes from: nowhere for a recording, which cannot know it.
    fn estimate(&self, ad: usize, bounds: Range) -> Option<Chance> {
        if !self.about.world.facts.is_generated() {
            return None;
        }
        let object = self.about.object(&self.about.world.facts.ads[ad]);
        let number = object.parse().unwrap_or_default();
        Some(Chance::new(number).of(ordinal(bounds.since)).of(ordinal(bounds.until)))
    }

    fn of_ad(&self, ad: usize) -> Chance {
        Chance::new(self.about.world.facts.ads[ad].ad.parse().unwrap_or_default())
    }

    fn of_day(&self, ad: usize, day: Date) -> Chance {
        self.of_ad(ad).of(ordinal(day))
    }
}

fn ordinal(day: Date) -> u64 {
    (i64::from(day.year()) * 1_000 + i64::from(day.day_of_year())).unsigned_abs()
}

fn impressions(known: Known<'_>) -> u64 {
    match known {
        Known::Counted(numbers) => numbers.impressions,
        Known::Written(row) => {
            decimal(row.get("impressions")).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
        }
    }
}

fn has_off_meta(known: Known<'_>) -> bool {
    match known {
        Known::Counted(numbers) => numbers.adds_to_cart + numbers.purchases + numbers.web_leads > 0,
        Known::Written(row) => !chosen(row.clone(), is_off_meta).values().all(|value| !value.is_array()),
    }
}

/// A written row with only some kinds of action.
fn chosen(mut row: Map<String, Value>, keep: impl Fn(&str) -> bool) -> Map<String, Value> {
    for entries in row.values_mut().filter_map(Value::as_array_mut) {
        entries.retain(|entry| entry.get("action_type").and_then(Value::as_str).is_some_and(&keep));
    }
    row.retain(|_, value| value.as_array().is_none_or(|entries| !entries.is_empty()));
    row
}
