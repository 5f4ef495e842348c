//! Provisional numbers: Meta restates them for 28 days, most of all in the first three.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::facts::{Fact, Facts};
use crate::generator::SeededRng;
use crate::node::Account;
use crate::numbers::Numbers;

/// Numbers are updated every quarter of an hour.
const QUARTER_HOURS_PER_DAY: i64 = 96;
/// Days after which delivery numbers are final, and conversions are.
const DELIVERY_FINAL_AFTER_DAYS: i64 = 3;
const CONVERSIONS_FINAL_AFTER_DAYS: i64 = 28;
/// Days after which retracted rows disappear.
const RETRACTED_AFTER_DAYS: i64 = 4;

/// The time at which numbers are read, in the account's time zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsOf {
    pub(crate) today: Date,
    /// Quarters of an hour since midnight.
    quarters: i64,
}

/// A fact as visible at some time.
#[derive(Clone, Copy)]
pub(crate) enum VisibleFact<'a> {
    Counted(Numbers),
    EventRecord(&'a Map<String, Value>),
}

impl AsOf {
    pub(crate) fn new(account: &Account, now: Timestamp) -> Self {
        let local = now.to_zoned(account.zone.clone());
        let quarters = i64::from(local.hour()) * 4 + i64::from(local.minute()) / 15;
        Self { today: local.date(), quarters }
    }

    /// Returns the visible part of an ad-day; `None` while there is nothing to report. `day_rng` decides which
    /// conversions come late.
    pub(crate) fn visible<'a>(
        self,
        facts: &Facts,
        day: Date,
        fact: &'a Fact,
        day_rng: SeededRng,
    ) -> Option<VisibleFact<'a>> {
        let age = || {
            let days = i64::from((facts.last_day(self.today) - day).get_days());
            days * QUARTER_HOURS_PER_DAY + self.quarters
        };
        match fact {
            Fact::EventRecord(row) => Some(VisibleFact::EventRecord(row)),
            Fact::Counted(numbers) if !facts.is_restated() => Some(VisibleFact::Counted(*numbers)),
            Fact::Counted(numbers) => restated(numbers, age(), day_rng).map(VisibleFact::Counted),
            Fact::Retracted(numbers) => {
                let age = age();
                let left = RETRACTED_AFTER_DAYS * QUARTER_HOURS_PER_DAY - age;
                restated(numbers, age, day_rng).filter(|_| left > 0).map(VisibleFact::Counted)
            }
        }
    }
}

/// Returns the visible part of an ad-day's numbers; `age` is in quarters of an hour since the day began.
fn restated(numbers: &Numbers, age: i64, day_rng: SeededRng) -> Option<Numbers> {
    let day_quarters = age.clamp(0, QUARTER_HOURS_PER_DAY);
    let days_since = (age - QUARTER_HOURS_PER_DAY).max(0);
    // Per mille of the final number.
    let delivered = day_quarters * (950 + 50 * share(days_since, DELIVERY_FINAL_AFTER_DAYS) / 1_000)
        / QUARTER_HOURS_PER_DAY;
    let missing = 1_000 - share(days_since, CONVERSIONS_FINAL_AFTER_DAYS);
    // Fast at first, slow at the end.
    let converted = day_quarters * (1_000 - 450 * missing * missing / 1_000_000) / QUARTER_HOURS_PER_DAY;
    let counted = |number: u64| number * delivered.unsigned_abs() / 1_000;
    // The generator decides how late each of a few conversions is.
    let late = |number: u64, kind: u64| {
        (number * converted.unsigned_abs() + day_rng.derive(kind).between(0, 999) * u64::from(converted > 0))
            / 1_000
    };
    let purchases = late(numbers.purchases, 41).min(numbers.purchases);
    let paid = |value: u64| value.checked_div(numbers.purchases).unwrap_or_default() * purchases;
    let all_paid = purchases == numbers.purchases;
    let known = Numbers {
        spend: counted(numbers.spend),
        impressions: counted(numbers.impressions),
        reach: counted(numbers.reach).max(1),
        clicks: counted(numbers.clicks),
        link_clicks: counted(numbers.link_clicks),
        landing_page_views: counted(numbers.landing_page_views),
        video_views: counted(numbers.video_views),
        reactions: counted(numbers.reactions),
        page_likes: counted(numbers.page_likes),
        adds_to_cart: late(numbers.adds_to_cart, 42).min(numbers.adds_to_cart),
        purchases,
        purchase_value: if all_paid { numbers.purchase_value } else { paid(numbers.purchase_value) },
        form_leads: late(numbers.form_leads, 43).min(numbers.form_leads),
        web_leads: late(numbers.web_leads, 44).min(numbers.web_leads),
    };
    (known.impressions > 0).then_some(known)
}

/// Returns, in per mille, how much of `days` has passed after `quarters` of an hour.
fn share(quarters: i64, days: i64) -> i64 {
    (quarters * 1_000 / (days * QUARTER_HOURS_PER_DAY)).min(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_only_grow_and_end_as_what_they_are() {
        let whole = Numbers {
            spend: 4_217,
            impressions: 900,
            reach: 700,
            clicks: 31,
            purchases: 1,
            purchase_value: 9_999,
            adds_to_cart: 7,
            ..Numbers::default()
        };
        for seed in 0..40 {
            let at = |age: i64| restated(&whole, age, SeededRng::new(seed));
            assert_eq!(at(0), None);
            let mut before = Numbers::default();
            for age in (1..=29 * QUARTER_HOURS_PER_DAY).step_by(7) {
                let Some(known) = at(age) else { continue };
                assert!(known.spend >= before.spend && known.clicks >= before.clicks, "{age}");
                assert!(known.purchases >= before.purchases && known.adds_to_cart >= before.adds_to_cart);
                assert!(known.reach <= known.impressions);
                before = known;
            }
            assert_eq!(at(29 * QUARTER_HOURS_PER_DAY), Some(whole));
        }
        let late = (0..40).filter(|seed| {
            restated(&whole, QUARTER_HOURS_PER_DAY, SeededRng::new(*seed)).unwrap().purchases == 0
        });
        assert!((10..30).contains(&late.count()), "nearly half of the purchases come days after the click");
    }
}
