//! The delivery of generated ads: each number is derived from the seed, the ad and the date only, so that a run on a
//! later day gives the same past.

use jiff::civil::{Date, date};

use super::plan::{AdPlan, Goal, Plan};
use super::seeded_rng::SeededRng;
use crate::numbers::Numbers;

/// Spend by weekday in percent of an average day, Monday first.
const WEEKDAY_SPEND_PERCENT: [u64; 7] = [92, 94, 97, 100, 108, 119, 111];
/// Weeks for which an interrupted ad delivers, and then pauses.
const FLIGHT_WEEKS: i64 = 3;
/// The Monday from which weeks are counted.
const FIRST_MONDAY: Date = date(2020, 1, 6);

/// Computes the numbers of a planned account.
#[derive(Clone)]
pub(crate) struct Delivery {
    rng: SeededRng,
    ads: Vec<AdPlan>,
}

impl Delivery {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { rng: plan.rng.derive(77), ads: plan.ads.clone() }
    }

    /// Returns the number of ads.
    pub(crate) fn ads(&self) -> usize {
        self.ads.len()
    }

    /// Returns the numbers of an ad on a day, if it delivered.
    pub(crate) fn numbers(&self, ad: usize, day: Date) -> Option<Numbers> {
        let plan = self.ads[ad];
        let rng = self.rng.derive(ad as u64);
        let since_monday = i64::from((day - FIRST_MONDAY).get_days());
        let week = since_monday.div_euclid(7);
        let in_flight = || (week.div_euclid(FLIGHT_WEEKS) + ad as i64).rem_euclid(2) == 0;
        if !plan.delivers || (plan.in_flights && !in_flight()) {
            return None;
        }
        let today = rng.derive(since_monday.unsigned_abs());
        // On about 3 percent of its days an ad finds no audience.
        if plan.rests && today.derive(0).percent(3) {
            return None;
        }
        let weekday = WEEKDAY_SPEND_PERCENT[since_monday.rem_euclid(7) as usize];
        let spend = rng.derive(1).between(300, 5_000) * weekday * today.derive(1).between(70, 130) / 10_000;
        Some(count(plan, rng, today, spend))
    }
}

impl Delivery {
    /// Returns numbers that are retracted some days later; they occur on some of the days on which the ad did not
    /// deliver.
    pub(crate) fn retracted(&self, ad: usize, day: Date) -> Option<Numbers> {
        let since_monday = (day - FIRST_MONDAY).get_days().unsigned_abs();
        let today = self.rng.derive(ad as u64).derive(u64::from(since_monday)).derive(90);
        let impressions = today.derive(1).between(2, 30);
        let numbers = Numbers { spend: impressions, impressions, reach: impressions, ..Numbers::default() };
        (today.percent(6) && self.numbers(ad, day).is_none()).then_some(numbers)
    }
}

/// Derives the counts of a day from its spend; `ad` determines what is typical of the ad, `today` the day's noise.
fn count(plan: AdPlan, ad: SeededRng, today: SeededRng, spend: u64) -> Numbers {
    let share = |of: u64, typical: (u64, u64, u64), noise: u64| {
        let per_10_000 =
            ad.derive(typical.0).between(typical.1, typical.2) * today.derive(noise).between(80, 120) / 100;
        of * per_10_000 / 10_000
    };
    let cost_per_mille = ad.derive(2).between(400, 1_600) * today.derive(2).between(85, 115) / 100;
    let impressions = (spend * 1_000 / cost_per_mille).max(1);
    let reach = (impressions * today.derive(3).between(72, 98) / 100).max(1);
    let clicks = share(impressions, (3, 90, 300), 4);
    let link_clicks = clicks * today.derive(5).between(60, 85) / 100;
    let landing_page_views = link_clicks * today.derive(6).between(70, 92) / 100;
    let reactions = share(impressions, (4, 5, 40), 7);
    let video_views = if plan.video { share(impressions, (5, 1_000, 3_500), 8) } else { 0 };
    let mut numbers = Numbers {
        spend,
        impressions,
        reach,
        clicks,
        link_clicks,
        landing_page_views,
        video_views,
        reactions,
        page_likes: reactions / 9,
        ..Numbers::default()
    };
    match plan.goal {
        Goal::Sales => {
            let rare = today.derive(9).between(0, 99) / 70;
            numbers.purchases = share(landing_page_views, (6, 200, 900), 10) + rare;
            numbers.adds_to_cart = numbers.purchases * 3 + share(landing_page_views, (7, 300, 900), 11);
            numbers.purchase_value =
                numbers.purchases * ad.derive(8).between(2_500, 12_000) * today.derive(12).between(75, 130)
                    / 100;
        }
        Goal::Leads => {
            numbers.form_leads = share(landing_page_views, (9, 400, 1_200), 13);
            numbers.web_leads =
                share(landing_page_views, (10, 100, 500), 14) + u64::from(today.derive(15).percent(25));
        }
        Goal::Traffic => {}
    }
    numbers
}
