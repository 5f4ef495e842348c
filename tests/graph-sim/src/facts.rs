//! The ad-day numbers of an account, in the order in which insights list them.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::generator::Delivery;
use crate::numbers::Numbers;

/// The numbers of one ad on one day.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// Generated counts, from which rows are written on demand.
    Counted(Numbers),
    /// Generated counts of a row that is retracted some days later, as Meta does with some rows.
    Retracted(Numbers),
    /// Recorded or changed by a test: the fields of the row.
    EventRecord(Map<String, Value>),
}

/// An ad with its ad set and campaign.
#[derive(Clone, Debug)]
pub(crate) struct AdRef {
    pub(crate) ad: String,
    pub(crate) adset: String,
    pub(crate) campaign: String,
}

/// All facts, by ad (in listing order) and day.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    pub(crate) ads: Vec<AdRef>,
    index: HashMap<String, usize>,
    rows: BTreeMap<(usize, Date), Fact>,
    progress: Option<Progress>,
    restates: bool,
}

/// The state needed to generate further days.
#[derive(Clone)]
struct Progress {
    delivery: Delivery,
    /// The clock's day at the start; `today` is the last day with numbers then.
    started: Date,
    today: Date,
    generated_until: Date,
}

impl Facts {
    /// Generates facts: `days` of them up to `today`, and more as the clock advances from `started`.
    pub(crate) fn generated(
        ads: Vec<AdRef>,
        delivery: Delivery,
        days: u32,
        today: Date,
        started: Date,
    ) -> Self {
        let first = today.saturating_sub(jiff::Span::new().days(i64::from(days.min(10_000))));
        let mut facts = Self {
            progress: Some(Progress { delivery, started, today, generated_until: first }),
            ..Self::default()
        };
        for ad in ads {
            facts.add_ad(ad);
        }
        facts.generate_until(started);
        facts
    }

    /// Returns whether the numbers are generated, so that any value can be derived from them.
    pub(crate) fn is_generated(&self) -> bool {
        self.progress.is_some()
    }

    /// Returns whether a day's numbers change for weeks afterwards.
    pub(crate) fn is_restated(&self) -> bool {
        self.restates && self.is_generated()
    }

    /// Makes the numbers of the last days provisional, and adds rows that will be retracted.
    pub(crate) fn enable_restatement(&mut self) {
        self.restates = true;
        let Some(progress) = &self.progress else { return };
        for days in 0..7 {
            let day = progress.generated_until.saturating_sub(jiff::Span::new().days(days));
            self.rows.extend(progress.retracted(day));
        }
    }

    /// Returns the last day with numbers when the account's current day is `today`.
    pub(crate) fn last_day(&self, today: Date) -> Date {
        self.progress.as_ref().map_or(today, |progress| progress.last(today))
    }

    /// Returns the index of an ad; adds the ad when it is new.
    pub(crate) fn add_ad(&mut self, ad: AdRef) -> usize {
        if let Some(place) = self.index.get(&ad.ad) {
            return *place;
        }
        self.index.insert(ad.ad.clone(), self.ads.len());
        self.ads.push(ad);
        self.ads.len() - 1
    }

    pub(crate) fn set(&mut self, ad: usize, day: Date, fact: Fact) {
        self.rows.insert((ad, day), fact);
    }

    pub(crate) fn remove(&mut self, ad: usize, day: Date) {
        self.rows.remove(&(ad, day));
    }

    pub(crate) fn get(&self, ad: usize, day: Date) -> Option<&Fact> {
        self.rows.get(&(ad, day))
    }

    /// Returns the facts of one ad from `since` to `until`, both included.
    pub(crate) fn of_ad(&self, ad: usize, since: Date, until: Date) -> impl Iterator<Item = (Date, &Fact)> {
        // `range` panics if it begins after its end.
        let until = until.max(since);
        self.rows.range((ad, since)..=(ad, until)).map(|((_, day), fact)| (*day, fact))
    }

    /// Generates the numbers of the days since the last call.
    pub(crate) fn generate_until(&mut self, now: Date) {
        let Some(progress) = &mut self.progress else { return };
        let last = progress.last(now);
        while progress.generated_until < last {
            let Ok(day) = progress.generated_until.tomorrow() else { return };
            for ad in 0..progress.delivery.ads() {
                if let Some(numbers) = progress.delivery.numbers(ad, day) {
                    self.rows.insert((ad, day), Fact::Counted(numbers));
                }
            }
            if self.restates {
                self.rows.extend(progress.retracted(day));
            }
            progress.generated_until = day;
        }
    }
}

impl Progress {
    fn last(&self, now: Date) -> Date {
        let passed = (now.max(self.started) - self.started).get_days();
        self.today.saturating_add(jiff::Span::new().days(passed))
    }

    /// Returns the rows of a day that will be retracted.
    fn retracted(&self, day: Date) -> impl Iterator<Item = ((usize, Date), Fact)> {
        let numbers = (0..self.delivery.ads()).map(move |ad| (ad, self.delivery.retracted(ad, day)));
        numbers.filter_map(move |(ad, numbers)| Some(((ad, day), Fact::Retracted(numbers?))))
    }
}
