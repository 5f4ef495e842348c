//! Writing of rows: the measures of an ad-day and of its parts.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::action::{ActionOptions, is_off_meta};
use super::breakdown::Breakdown;
use super::counts::Counts;
use super::dimensions::{Dimensions, is_dimension};
use super::measures::{FormatOptions, Measures};
use super::period::{DateRange, detailed_since};
use super::restatement::{AsOf, VisibleFact};
use super::sum::{decimal, part_of_row};
use crate::facts::Fact;
use crate::generator::SeededRng;

/// The part of an ad-day that belongs to a cell of the breakdown.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) cell: usize,
    share: Share,
}

#[derive(Clone, Copy)]
enum Share {
    Whole,
    /// Range of cumulative impressions.
    Span(u64, u64),
    /// Actions outside of Meta, which have no value of the breakdown.
    OffMeta,
}

/// Writes rows of one level.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) dimensions: Dimensions<'a>,
    pub(crate) action_options: &'a ActionOptions,
    pub(crate) breakdown: &'a Breakdown,
    pub(crate) as_of: AsOf,
}

impl<'a> Writer<'a> {
    /// Returns the requested fields of a row.
    pub(crate) fn row(
        &self,
        fields: &[String],
        ad: usize,
        bounds: DateRange,
        measures: &Measures<'_>,
        sample: Option<&Map<String, Value>>,
    ) -> Map<String, Value> {
        let in_detail = bounds.since >= detailed_since(self.as_of.today);
        let options = FormatOptions {
            currency: &self.dimensions.account.currency,
            action_options: self.action_options,
            unique: self.breakdown.unique(in_detail),
        };
        let mut row = Map::new();
        for field in fields {
            let value = if is_dimension(field) {
                self.dimensions.field(field, &self.dimensions.account.facts.ads[ad], sample, measures)
            } else if self.breakdown.hourly() && field.starts_with("video_") {
                None
            } else {
                measures.field(field, options)
            };
            if let Some(value) = value {
                row.insert(field.clone(), value);
            }
        }
        row.insert("date_start".into(), json!(bounds.since.to_string()));
        row.insert("date_stop".into(), json!(bounds.until.to_string()));
        row
    }

    pub(super) fn labelled(&self, mut row: Map<String, Value>, cell: usize) -> Map<String, Value> {
        self.breakdown.label(cell, &mut row);
        row
    }

    /// Returns the visible part of an ad-day.
    pub(crate) fn visible(&self, ad: usize, day: Date, fact: &'a Fact) -> Option<VisibleFact<'a>> {
        let facts = &self.dimensions.account.facts;
        self.as_of.visible(facts, day, fact, self.day_rng(ad, day))
    }

    /// Returns the measures of a whole ad-day.
    pub(crate) fn day_measures(&self, ad: usize, day: Date, known: VisibleFact<'a>) -> Measures<'a> {
        match known {
            VisibleFact::Counted(numbers) => Measures::Counted(Counts::of(&numbers, self.day_rng(ad, day))),
            VisibleFact::EventRecord(row) => Measures::EventRecord(row),
        }
    }

    /// Returns the parts of an ad-day: one, unless there is a breakdown.
    pub(super) fn parts(&self, ad: usize, day: Date, known: VisibleFact<'_>) -> Vec<Part> {
        if !self.breakdown.divides() {
            return vec![Part { cell: 0, share: Share::Whole }];
        }
        if self.breakdown.hourly() && day < detailed_since(self.as_of.today) {
            return Vec::new();
        }
        let ends =
            self.breakdown.cumulative_impressions(impressions(known), self.ad_rng(ad), self.day_rng(ad, day));
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let mut parts: Vec<Part> = starts
            .zip(&ends)
            .enumerate()
            .filter(|(_, (start, end))| start < end)
            .map(|(cell, (start, end))| Part { cell, share: Share::Span(start, *end) })
            .collect();
        if self.breakdown.separates_off_meta() && has_off_meta(known) {
            parts.push(Part { cell: self.breakdown.unlabelled(), share: Share::OffMeta });
        }
        parts
    }

    pub(super) fn measures(&self, ad: usize, day: Date, known: VisibleFact<'a>, part: Part) -> Measures<'a> {
        let rng = self.day_rng(ad, day);
        match (self.day_measures(ad, day, known), part.share) {
            (whole, Share::Whole) => whole,
            (Measures::Counted(counts), Share::Span(before, after)) => {
                let part = counts.part(before, after, rng.derive(31));
                Measures::Counted(if self.breakdown.drops_off_meta() { part.on_meta() } else { part })
            }
            (Measures::Counted(counts), Share::OffMeta) => Measures::Counted(counts.off_meta()),
            (Measures::EventRecord(row), Share::Span(before, after)) => {
                let part = part_of_row(row, (before, after, impressions(known)), rng.derive(31));
                let drops = self.breakdown.drops_off_meta();
                Measures::Summed(if drops { filter_actions(part, |kind| !is_off_meta(kind)) } else { part })
            }
            (Measures::EventRecord(row), Share::OffMeta) => {
                let lists = row.iter().filter(|(_, value)| value.is_array());
                let lists = lists.map(|(name, value)| (name.clone(), value.clone())).collect();
                Measures::Summed(filter_actions(lists, is_off_meta))
            }
            (summed @ Measures::Summed(_), _) => summed,
        }
    }

    /// Returns the generator for estimating the reach of a sum; `None` for a recording, whose reach cannot be known.
    pub(super) fn estimate(&self, ad: usize, bounds: DateRange) -> Option<SeededRng> {
        if !self.dimensions.account.facts.is_generated() {
            return None;
        }
        let object = self.dimensions.object(&self.dimensions.account.facts.ads[ad]);
        let number = object.parse().unwrap_or_default();
        Some(SeededRng::new(number).derive(ordinal(bounds.since)).derive(ordinal(bounds.until)))
    }

    fn ad_rng(&self, ad: usize) -> SeededRng {
        SeededRng::new(self.dimensions.account.facts.ads[ad].ad.parse().unwrap_or_default())
    }

    fn day_rng(&self, ad: usize, day: Date) -> SeededRng {
        self.ad_rng(ad).derive(ordinal(day))
    }
}

fn ordinal(day: Date) -> u64 {
    (i64::from(day.year()) * 1_000 + i64::from(day.day_of_year())).unsigned_abs()
}

/// Returns the number that a breakdown splits: at least one impression, so that every row belongs to a cell.
fn impressions(known: VisibleFact<'_>) -> u64 {
    let counted = match known {
        VisibleFact::Counted(numbers) => numbers.impressions,
        VisibleFact::EventRecord(row) => {
            decimal(row.get("impressions")).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
        }
    };
    counted.max(1)
}

fn has_off_meta(known: VisibleFact<'_>) -> bool {
    match known {
        VisibleFact::Counted(numbers) => numbers.adds_to_cart + numbers.purchases + numbers.web_leads > 0,
        VisibleFact::EventRecord(row) => {
            !filter_actions(row.clone(), is_off_meta).values().all(|value| !value.is_array())
        }
    }
}

/// Reduces a recorded row to some action types.
fn filter_actions(mut row: Map<String, Value>, keep: impl Fn(&str) -> bool) -> Map<String, Value> {
    for entries in row.values_mut().filter_map(Value::as_array_mut) {
        entries.retain(|entry| entry.get("action_type").and_then(Value::as_str).is_some_and(&keep));
    }
    row.retain(|_, value| value.as_array().is_none_or(|entries| !entries.is_empty()));
    row
}
