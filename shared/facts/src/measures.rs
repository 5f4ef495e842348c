//! Which column holds which measure.

use std::collections::BTreeMap;

use domain::dataset::Breakdown;
use domain::metrics::{DayFacts, InsightsRow, Measures, Metric, Names};
use jiff::civil::Date;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::FactsError;
use crate::block::{Block, Segment};
use crate::rows::{Rows, Value};

/// Prefixes of the columns of the detail segment: counts and values by action type, conversions by window.
const ACTIONS: &str = "a/";
const ACTION_VALUES: &str = "v/";
const WINDOWS: &str = "w/";

/// What the columns of results begin with; the name of the measure that counts them follows.
pub(crate) const RESULTS: &str = "results/";

/// What cannot be summed.
pub(crate) const REACH: &str = "reach";
pub(crate) const FREQUENCY: &str = "frequency";

/// The column of attribution settings, which are texts.
pub const ATTRIBUTION_SETTING: &str = "attribution_setting";

/// Says that a row has no frequency although it has a reach.
pub(crate) const NO_FREQUENCY: &str = "no_frequency";

/// Decimal places of a frequency. Recorded rows have impressions / reach rounded to them, but for one in 769.
const FREQUENCY_PLACES: u32 = 6;

/// Returns the column of a breakdown's values.
pub(crate) fn breakdown_column(breakdown: Breakdown) -> &'static str {
    match breakdown {
        Breakdown::PublisherPlatform => "b/publisher_platform",
        Breakdown::PlatformPosition => "b/platform_position",
        Breakdown::Age => "b/age",
        Breakdown::Gender => "b/gender",
        Breakdown::Country => "b/country",
        Breakdown::ComscoreMarket => "b/comscore_market",
        Breakdown::DevicePlatform => "b/device_platform",
        Breakdown::ImpressionDevice => "b/impression_device",
        Breakdown::HourOfDay => "b/hour_of_day",
    }
}

/// Returns the breakdown whose values a column has.
fn breakdown_of(name: &str) -> Option<Breakdown> {
    Breakdown::ALL.into_iter().find(|breakdown| breakdown_column(*breakdown) == name)
}

/// Returns whether a column has the values of a breakdown.
pub(crate) fn is_breakdown(name: &str) -> bool {
    name.starts_with("b/")
}

/// Returns what tells the rows of an ad and a day apart.
pub(crate) fn part_of(row: &InsightsRow) -> Box<str> {
    let values: Vec<_> = row.breakdowns.values().map(String::as_str).collect();
    values.join("\u{1f}").into()
}

/// Returns the segment that has a column.
pub(crate) fn segment_of(name: &str) -> Segment {
    let is_detail = [ACTIONS, ACTION_VALUES, WINDOWS].iter().any(|prefix| name.starts_with(prefix));
    if is_detail { Segment::Detail } else { Segment::Core }
}

/// Returns whether the numbers of a column may be summed over objects and days.
pub(crate) fn is_additive(name: &str) -> bool {
    !matches!(name, REACH | FREQUENCY | NO_FREQUENCY | ATTRIBUTION_SETTING)
}

/// Returns the columns of which a metric is computed; those of reach and frequency are [`REACH_COLUMNS`].
pub fn columns_of(metric: Metric) -> &'static [&'static str] {
    match metric {
        Metric::Impressions => &["impressions"],
        Metric::Clicks => &["clicks"],
        Metric::LinkClicks => &["link_clicks"],
        Metric::Spend => &["spend"],
        Metric::Ctr => &["clicks", "impressions"],
        Metric::LinkCtr => &["link_clicks", "impressions"],
        Metric::Cpc => &["spend", "clicks"],
        Metric::CostPerLinkClick => &["spend", "link_clicks"],
        Metric::Cpm => &["spend", "impressions"],
        Metric::LandingPageViews => &["landing_page_views"],
        Metric::AddToCart => &["add_to_cart"],
        Metric::InitiateCheckout => &["initiate_checkout"],
        Metric::Purchases => &["purchases"],
        Metric::PurchaseValue => &["purchase_value"],
        Metric::Roas | Metric::Profit => &["purchase_value", "spend"],
        Metric::CostPerPurchase => &["spend", "purchases"],
        Metric::AverageOrderValue => &["purchase_value", "purchases"],
        Metric::ConversionRate => &["purchases", "link_clicks"],
        Metric::Leads => &["leads"],
        Metric::CostPerLead => &["spend", "leads"],
        Metric::AppInstalls => &["app_installs"],
        Metric::CostPerInstall => &["spend", "app_installs"],
        Metric::Results => &[RESULTS],
        Metric::CostPerResult => &["spend", RESULTS],
        Metric::VideoViews => &["video_views"],
        Metric::Thruplays => &["thruplays"],
    }
}

/// The columns of which reach and frequency are computed.
pub const REACH_COLUMNS: [&str; 4] = [REACH, FREQUENCY, NO_FREQUENCY, "impressions"];

/// Returns the column of the counts of an action type.
pub fn action_column(action_type: &str) -> String {
    format!("{ACTIONS}{action_type}")
}

/// Returns the column of the values of an action type.
pub fn action_value_column(action_type: &str) -> String {
    format!("{ACTION_VALUES}{action_type}")
}

pub(crate) fn computed_frequency(impressions: u64, reach: Option<u64>) -> Option<Decimal> {
    let ratio = Decimal::from(impressions).checked_div(Decimal::from(reach?))?;
    Some(ratio.round_dp_with_strategy(FREQUENCY_PLACES, RoundingStrategy::MidpointAwayFromZero))
}

impl Rows {
    /// Adds a row of the level ad.
    pub fn push(&mut self, row: &InsightsRow) {
        self.begin(vec![row.campaign.clone(), row.adset.clone(), row.ad.clone()], part_of(row));
        for (breakdown, value) in &row.breakdowns {
            self.put(breakdown_column(*breakdown), Value::Text(value));
        }
        let DayFacts { measures, reach, frequency, attribution_setting, .. } = &row.facts;
        let Measures { by_window, actions, action_values, results, .. } = measures;
        let numbers = [
            ("impressions", Some(measures.impressions.into())),
            ("clicks", Some(measures.clicks.into())),
            ("link_clicks", measures.link_clicks.map(Decimal::from)),
            ("spend", Some(measures.spend)),
            ("purchases", measures.purchases),
            ("purchase_value", measures.purchase_value),
            ("leads", measures.leads),
            ("landing_page_views", measures.landing_page_views),
            ("add_to_cart", measures.add_to_cart),
            ("initiate_checkout", measures.initiate_checkout),
            ("app_installs", measures.app_installs),
            ("video_views", measures.video_views),
            ("thruplays", measures.thruplays),
            (REACH, reach.map(Decimal::from)),
        ];
        for (name, value) in numbers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            self.put(name, Value::Number(value));
        }
        match (*frequency, computed_frequency(measures.impressions, *reach)) {
            (frequency, computed) if frequency == computed => {}
            (Some(frequency), _) => self.put(FREQUENCY, Value::Number(frequency)),
            (None, _) => self.put(NO_FREQUENCY, Value::Number(Decimal::ONE)),
        }
        if let Some(setting) = attribution_setting {
            self.put(ATTRIBUTION_SETTING, Value::Text(setting));
        }
        let mut name = String::new();
        for (prefix, values) in [(RESULTS, results), (ACTIONS, actions), (ACTION_VALUES, action_values)] {
            for (action, value) in values {
                name.clear();
                name.extend([prefix, action]);
                self.put(&name, Value::Number(*value));
            }
        }
        for (window, conversions) in by_window {
            let parts = [
                ("/purchases", conversions.purchases),
                ("/purchase_value", conversions.purchase_value),
                ("/leads", conversions.leads),
            ];
            for (part, value) in parts.into_iter().filter_map(|(part, value)| Some((part, value?))) {
                name.clear();
                name.extend([WINDOWS, window, part]);
                self.put(&name, Value::Number(value));
            }
        }
    }
}

/// Sets the measure that a column holds. Columns that are none are left out.
pub(crate) fn set_measure(measures: &mut Measures, name: &str, value: Decimal) {
    match name {
        "impressions" => measures.impressions = value.to_u64().unwrap_or_default(),
        "clicks" => measures.clicks = value.to_u64().unwrap_or_default(),
        "link_clicks" => measures.link_clicks = value.to_u64(),
        "spend" => measures.spend = value,
        "purchases" => measures.purchases = Some(value),
        "purchase_value" => measures.purchase_value = Some(value),
        "leads" => measures.leads = Some(value),
        "landing_page_views" => measures.landing_page_views = Some(value),
        "add_to_cart" => measures.add_to_cart = Some(value),
        "initiate_checkout" => measures.initiate_checkout = Some(value),
        "app_installs" => measures.app_installs = Some(value),
        "video_views" => measures.video_views = Some(value),
        "thruplays" => measures.thruplays = Some(value),
        _ => {
            if let Some(measure) = name.strip_prefix(RESULTS) {
                measures.results.insert(measure.to_owned(), value);
            } else if let Some(action) = name.strip_prefix(ACTIONS) {
                measures.actions.insert(action.to_owned(), value);
            } else if let Some(action) = name.strip_prefix(ACTION_VALUES) {
                measures.action_values.insert(action.to_owned(), value);
            } else if let Some((window, part)) =
                name.strip_prefix(WINDOWS).and_then(|name| name.rsplit_once('/'))
            {
                let conversions = measures.by_window.entry(window.to_owned()).or_default();
                match part {
                    "purchases" => conversions.purchases = Some(value),
                    "purchase_value" => conversions.purchase_value = Some(value),
                    "leads" => conversions.leads = Some(value),
                    _ => {}
                }
            }
        }
    }
}

/// Returns a number of a column as a decimal without trailing zeros.
pub(crate) fn decimal(value: i128, scale: u8, name: &str) -> Result<Decimal, FactsError> {
    let number = Decimal::try_from_i128_with_scale(value, u32::from(scale));
    Ok(number.map_err(|_| FactsError::TooLarge(name.to_owned()))?.normalize())
}

impl Block {
    /// Returns the rows of a block of the level ad as they were pushed; trailing zeros of numbers are gone.
    pub fn to_rows(&self, day: Date) -> Result<Vec<InsightsRow>, FactsError> {
        use domain::entity::Level;
        let mut rows = Vec::with_capacity(self.len());
        for row in 0..self.len() {
            let id =
                |level| self.id(row, level).ok_or(FactsError::Malformed("its rows are not those of ads"));
            rows.push(InsightsRow {
                ad: id(Level::Ad)?,
                adset: id(Level::AdSet)?,
                campaign: id(Level::Campaign)?,
                names: Names::default(),
                breakdowns: BTreeMap::new(),
                facts: DayFacts {
                    day,
                    measures: Measures::default(),
                    reach: None,
                    frequency: None,
                    attribution_setting: None,
                },
            });
        }
        let mut without_frequency = vec![false; rows.len()];
        for (name, column, bytes) in self.columns() {
            if column.is_text() {
                column.for_each_text(bytes, self.len(), |row, text| {
                    if name == ATTRIBUTION_SETTING {
                        rows[row].facts.attribution_setting = Some(text.to_owned());
                    } else if let Some(breakdown) = breakdown_of(name) {
                        rows[row].breakdowns.insert(breakdown, text.to_owned());
                    }
                })?;
                continue;
            }
            column.for_each(bytes, self.len(), |row, value| {
                let facts = &mut rows[row].facts;
                let value = decimal(value, column.scale(), name)?;
                match name {
                    REACH => facts.reach = value.to_u64(),
                    FREQUENCY => facts.frequency = Some(value),
                    NO_FREQUENCY => without_frequency[row] = true,
                    _ => set_measure(&mut facts.measures, name, value),
                }
                Ok(())
            })?;
        }
        for (row, without) in rows.iter_mut().zip(without_frequency) {
            let facts = &mut row.facts;
            if facts.frequency.is_none() && !without {
                facts.frequency = computed_frequency(facts.measures.impressions, facts.reach);
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::metrics::Conversions;
    use proptest::prelude::*;

    use super::*;

    pub(crate) const DAY: Date = jiff::civil::date(2026, 11, 18);

    /// A row of an ad that differs from every other ad's.
    pub(crate) fn insights_row(ad: u64) -> InsightsRow {
        let id = |n: u64| (120_210_000_000_000_001 + n * 10_000).to_string().parse().unwrap();
        let measures =
            Measures { impressions: 100 + ad, spend: Decimal::new(12_345, 2), ..Measures::default() };
        let facts =
            DayFacts { day: DAY, measures, reach: Some(80), frequency: None, attribution_setting: None };
        InsightsRow {
            ad: id(ad),
            adset: id(1_000 + ad / 3),
            campaign: id(2_000 + ad / 6),
            names: Names::default(),
            breakdowns: BTreeMap::new(),
            facts,
        }
    }

    fn known(range: std::ops::Range<i64>, scale: u32) -> impl Strategy<Value = Option<Decimal>> {
        proptest::option::of(range.prop_map(move |n| Decimal::new(n, scale).normalize()))
    }

    prop_compose! {
        fn conversions()(purchases in known(0..99, 0), purchase_value in known(0..99_999, 2), leads in known(1..9, 1)) -> Conversions {
            Conversions { purchases, purchase_value, leads }
        }
    }

    prop_compose! {
        fn facts()(
            (impressions, clicks, link_clicks) in (0u64..1 << 40, 0u64..9_999, proptest::option::of(0u64..99)),
            spend in -5i64..9_999_999, purchases in known(0..99, 0), purchase_value in known(-9..99_999, 4),
            (leads, add_to_cart, thruplays) in (known(0..99, 0), known(0..99, 0), known(0..99, 0)),
            by_window in proptest::collection::btree_map("[17]d_(click|view)", conversions(), 0..3),
            actions in proptest::collection::btree_map("lead|purchase|offsite[a-c]|\u{e9}/x", 0i64..999, 0..4),
            values in proptest::collection::btree_map("purchase|omni_purchase", -9i64..99_999, 0..2),
            results in proptest::collection::btree_map("|purchases|actions.lead", 0i64..999, 0..3),
            reach in proptest::option::of(0u64..5_000), frequency in known(0..9_999_999, 6), computed in any::<bool>(),
            attribution_setting in proptest::option::of("(7d_click|1d_view|)"),
        ) -> DayFacts {
            // An empty set of conversions says nothing, and is not stored.
            let by_window = by_window.into_iter().filter(|(_, conversions)| *conversions != Conversions::default());
            let numbers = |values: BTreeMap<String, i64>| {
                values.into_iter().map(|(action, value)| (action, Decimal::new(value, 2).normalize())).collect()
            };
            let measures = Measures {
                impressions, clicks, link_clicks, purchases, purchase_value, leads, add_to_cart, thruplays,
                landing_page_views: add_to_cart,
                initiate_checkout: leads,
                app_installs: purchases,
                video_views: thruplays,
                spend: Decimal::new(spend, 2).normalize(),
                by_window: by_window.collect(),
                actions: numbers(actions),
                action_values: numbers(values),
                results: numbers(results),
            };
            let frequency = if computed { computed_frequency(impressions, reach) } else { frequency };
            DayFacts { day: DAY, measures, reach, frequency, attribution_setting }
        }
    }

    /// An ad has up to three rows, by age and gender.
    fn breakdowns(part: u64) -> BTreeMap<Breakdown, String> {
        let (age, gender) = [("18-24", "female"), ("25-34", "female"), ("25-34", "male")][part as usize];
        [(Breakdown::Age, age.to_owned()), (Breakdown::Gender, gender.to_owned())].into()
    }

    /// Rows of ads, sorted by their ids and parts.
    pub(crate) fn rows() -> impl Strategy<Value = Vec<InsightsRow>> {
        let odd = |id: u64| id.is_multiple_of(7);
        let id = move |n: u64| {
            let id =
                if odd(n) { format!("urn:li:{n}") } else { (120_210_000_000_000_001 + n * 30).to_string() };
            id.parse().unwrap()
        };
        proptest::collection::btree_map((0u64..400, 0u64..3), facts(), 0..30).prop_map(move |facts| {
            let row = |((ad, part), facts)| InsightsRow {
                ad: id(ad),
                adset: id(1_000 + ad / 3),
                campaign: id(2_001 + ad / 9),
                names: Names::default(),
                breakdowns: breakdowns(part),
                facts,
            };
            let mut rows: Vec<InsightsRow> = facts.into_iter().map(row).collect();
            rows.sort_by(|a, b| (&a.ad, &a.breakdowns).cmp(&(&b.ad, &b.breakdowns)));
            rows
        })
    }
}
