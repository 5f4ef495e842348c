//! Metrics: what a platform measures for an ad and a day, and which values may be summed.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::str::FromStr;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::FieldError;
use crate::dataset::Breakdown;
use crate::date::DateRange;
use crate::id::EntityId;

/// Values by action type. Types overlap: sum one type over days and ads, never several types.
pub type ByActionType = BTreeMap<String, Decimal>;

/// Conversions under one attribution window. Windows overlap: never add window to window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Conversions {
    /// Purchases under the key that was chosen for the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchases: Option<Decimal>,
    /// Their value, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_value: Option<Decimal>,
    /// Leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads: Option<Decimal>,
}

/// Measures that may be summed over days and ads. An absent value is unknown, which is not zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Times an ad was on screen.
    pub impressions: u64,
    /// All clicks.
    pub clicks: u64,
    /// Clicks on links, where the platform reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_clicks: Option<u64>,
    /// Amount spent, in major units of the account's currency.
    pub spend: Decimal,
    /// Purchases, each counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchases: Option<Decimal>,
    /// Value of those purchases under the same key, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_value: Option<Decimal>,
    /// Leads, each counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads: Option<Decimal>,
    /// Landing pages that were loaded after a click.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_page_views: Option<Decimal>,
    /// Additions to a cart, each counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_to_cart: Option<Decimal>,
    /// Checkouts that were begun, each counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiate_checkout: Option<Decimal>,
    /// Installations of an app, each counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_installs: Option<Decimal>,
    /// Videos that were watched for three seconds, or to their end if they are shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_views: Option<Decimal>,
    /// Videos that were watched for 15 seconds, or to their end if they are shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thruplays: Option<Decimal>,
    /// Results by the measure that counts them, which is empty where it is not known. A row has one of them; only sums
    /// over ad sets of different goals have several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<String, Decimal>,
    /// The same conversions under each attribution window that was requested.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_window: BTreeMap<String, Conversions>,
    /// Counts of every action type that the platform reported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: ByActionType,
    /// Monetary values by action type, in major units.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub action_values: ByActionType,
}

/// Measures that are shown only when they are asked for: there are many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Counts by action type.
    Actions,
    /// Values by action type.
    ActionValues,
    /// Conversions by attribution window.
    ByWindow,
}

/// Which details are asked for; none by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Details {
    actions: bool,
    action_values: bool,
    by_window: bool,
}

impl From<Option<Vec<Detail>>> for Details {
    fn from(wanted: Option<Vec<Detail>>) -> Self {
        let mut details = Self::default();
        for detail in wanted.into_iter().flatten() {
            match detail {
                Detail::Actions => details.actions = true,
                Detail::ActionValues => details.action_values = true,
                Detail::ByWindow => details.by_window = true,
            }
        }
        details
    }
}

impl Details {
    /// Leaves out the details that are not asked for.
    #[must_use]
    pub fn of(self, measures: Measures) -> Measures {
        fn kept<K, V>(is_wanted: bool, values: BTreeMap<K, V>) -> BTreeMap<K, V> {
            if is_wanted { values } else { BTreeMap::new() }
        }
        Measures {
            actions: kept(self.actions, measures.actions),
            action_values: kept(self.action_values, measures.action_values),
            by_window: kept(self.by_window, measures.by_window),
            ..measures
        }
    }
}

/// Adds the known values; the sum of two unknown values stays unknown.
fn add<T: Copy + std::ops::Add<Output = T>>(sum: &mut Option<T>, part: Option<T>) {
    *sum = match (*sum, part) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
}

impl AddAssign<&Self> for Measures {
    fn add_assign(&mut self, other: &Self) {
        fn add_types(sum: &mut ByActionType, part: &ByActionType) {
            for (action, value) in part {
                match sum.get_mut(action) {
                    Some(total) => *total += value,
                    None => {
                        sum.insert(action.clone(), *value);
                    }
                }
            }
        }
        self.impressions += other.impressions;
        self.clicks += other.clicks;
        self.spend += other.spend;
        add(&mut self.link_clicks, other.link_clicks);
        add(&mut self.purchases, other.purchases);
        add(&mut self.purchase_value, other.purchase_value);
        add(&mut self.leads, other.leads);
        add(&mut self.landing_page_views, other.landing_page_views);
        add(&mut self.add_to_cart, other.add_to_cart);
        add(&mut self.initiate_checkout, other.initiate_checkout);
        add(&mut self.app_installs, other.app_installs);
        add(&mut self.video_views, other.video_views);
        add(&mut self.thruplays, other.thruplays);
        add_types(&mut self.results, &other.results);
        for (window, part) in &other.by_window {
            let sum = self.by_window.entry(window.clone()).or_default();
            add(&mut sum.purchases, part.purchases);
            add(&mut sum.purchase_value, part.purchase_value);
            add(&mut sum.leads, part.leads);
        }
        add_types(&mut self.actions, &other.actions);
        add_types(&mut self.action_values, &other.action_values);
    }
}

/// One ad's metrics for one day, or for the part of it that a breakdown tells, with the ad's place in the hierarchy.
#[derive(Debug, Clone, PartialEq)]
pub struct InsightsRow {
    /// The ad's id.
    pub ad: EntityId,
    /// The id of its ad set.
    pub adset: EntityId,
    /// The id of its campaign.
    pub campaign: EntityId,
    /// Their names, where the platform sends them along.
    pub names: Names,
    /// What splits the ad's row of the day; nothing in most datasets.
    pub breakdowns: BTreeMap<Breakdown, String>,
    /// The metrics.
    pub facts: DayFacts,
}

/// The names of what a row is about, when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The campaign's.
    pub campaign: Option<String>,
    /// The ad set's.
    pub adset: Option<String>,
    /// The ad's.
    pub ad: Option<String>,
}

/// The people whom an object has reached in a period. They cannot be summed over objects or periods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodReach {
    /// The object; `None` for the whole account.
    pub id: Option<EntityId>,
    /// The period.
    pub period: DateRange,
    /// People reached.
    pub reach: u64,
    /// Impressions per person.
    pub frequency: Option<Decimal>,
}

/// One entity's metrics for one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayFacts {
    /// Local date of the ad account.
    pub day: Date,
    /// Additive measures.
    pub measures: Measures,
    /// People reached. Never summed; present only in rows that were requested at this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<u64>,
    /// Impressions per person, with the same restriction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<Decimal>,
    /// The attribution setting behind the conversions, such as `7d_click_1d_view`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution_setting: Option<String>,
}

/// Declares the metrics with their names.
macro_rules! metrics {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// A number that can be sorted by, filtered by or compared in a rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum Metric {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Metric {
            /// Every metric, in display order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the metric's name in requests and responses.
            pub fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

metrics! {
    /// Times on screen.
    Impressions = "impressions",
    /// All clicks.
    Clicks = "clicks",
    /// Clicks on links.
    LinkClicks = "link_clicks",
    /// Amount spent, major units.
    Spend = "spend",
    /// Clicks per impression, as a fraction: 0.01 is 1 %.
    Ctr = "ctr",
    /// Link clicks per impression, as a fraction.
    LinkCtr = "link_ctr",
    /// Spend per click.
    Cpc = "cpc",
    /// Spend per link click.
    CostPerLinkClick = "cost_per_link_click",
    /// Spend per thousand impressions.
    Cpm = "cpm",
    /// Landing pages that were loaded after a click.
    LandingPageViews = "landing_page_views",
    /// De-duplicated additions to a cart.
    AddToCart = "add_to_cart",
    /// De-duplicated checkouts that were begun.
    InitiateCheckout = "initiate_checkout",
    /// De-duplicated purchases.
    Purchases = "purchases",
    /// Their value, major units.
    PurchaseValue = "purchase_value",
    /// Purchase value per spend.
    Roas = "roas",
    /// Spend per purchase.
    CostPerPurchase = "cost_per_purchase",
    /// Purchase value per purchase.
    AverageOrderValue = "average_order_value",
    /// Purchases per link click, as a fraction.
    ConversionRate = "conversion_rate",
    /// Purchase value less spend; the cost of goods is not known.
    Profit = "profit",
    /// De-duplicated leads.
    Leads = "leads",
    /// Spend per lead.
    CostPerLead = "cost_per_lead",
    /// De-duplicated installations of an app.
    AppInstalls = "app_installs",
    /// Spend per installation.
    CostPerInstall = "cost_per_install",
    /// What the ad sets are optimised for; unknown where they have different goals.
    Results = "results",
    /// Spend per result.
    CostPerResult = "cost_per_result",
    /// Videos watched for three seconds, or to their end.
    VideoViews = "video_views",
    /// Videos watched for 15 seconds, or to their end.
    Thruplays = "thruplays",
}

/// Decimal places of ratios.
const RATIO_PLACES: u32 = 6;

/// Decimal places of rates, which are fractions: Meta reports them in percent with six places.
const RATE_PLACES: u32 = 8;

impl Metric {
    /// Computes the metric from these measures; `None` where an input is unknown or the divisor is zero.
    pub fn of(&self, m: &Measures) -> Option<Decimal> {
        let quotient = |above: Option<Decimal>, below: Option<Decimal>, places| {
            above?.checked_div(below?).map(|ratio| ratio.round_dp(places).normalize())
        };
        let rate = |above, below| quotient(above, below, RATE_PLACES);
        let ratio = |above, below| quotient(above, below, RATIO_PLACES);
        let clicks = Some(Decimal::from(m.clicks));
        let impressions = Some(Decimal::from(m.impressions));
        let link_clicks = m.link_clicks.map(Decimal::from);
        let spend = Some(m.spend);
        match self {
            Self::Impressions => impressions,
            Self::Clicks => clicks,
            Self::LinkClicks => link_clicks,
            Self::Spend => spend,
            Self::Ctr => rate(clicks, impressions),
            Self::LinkCtr => rate(link_clicks, impressions),
            Self::Cpc => ratio(spend, clicks),
            Self::CostPerLinkClick => ratio(spend, link_clicks),
            Self::Cpm => ratio(m.spend.checked_mul(Decimal::ONE_THOUSAND), impressions),
            Self::LandingPageViews => m.landing_page_views,
            Self::AddToCart => m.add_to_cart,
            Self::InitiateCheckout => m.initiate_checkout,
            Self::Purchases => m.purchases,
            Self::PurchaseValue => m.purchase_value,
            Self::Roas => ratio(m.purchase_value, spend),
            Self::CostPerPurchase => ratio(spend, m.purchases),
            Self::AverageOrderValue => ratio(m.purchase_value, m.purchases),
            Self::ConversionRate => rate(m.purchases, link_clicks),
            Self::Profit => m.purchase_value.map(|value| (value - m.spend).normalize()),
            Self::Leads => m.leads,
            Self::CostPerLead => ratio(spend, m.leads),
            Self::AppInstalls => m.app_installs,
            Self::CostPerInstall => ratio(spend, m.app_installs),
            Self::Results => m.result().map(|(_, count)| count),
            Self::CostPerResult => ratio(spend, m.result().map(|(_, count)| count)),
            Self::VideoViews => m.video_views,
            Self::Thruplays => m.thruplays,
        }
    }

    /// Returns whether it is a count, which the API shows as a number; the others are decimal strings.
    pub fn is_count(&self) -> bool {
        matches!(
            self,
            Self::Impressions
                | Self::Clicks
                | Self::LinkClicks
                | Self::LandingPageViews
                | Self::AddToCart
                | Self::InitiateCheckout
                | Self::Purchases
                | Self::Leads
                | Self::AppInstalls
                | Self::Results
                | Self::VideoViews
                | Self::Thruplays
        )
    }

    /// Returns whether it is about results, which the goals of ad sets define.
    pub fn is_of_results(&self) -> bool {
        matches!(self, Self::Results | Self::CostPerResult)
    }

    /// Returns whether it is a rate: a fraction that people read in percent.
    pub fn is_rate(&self) -> bool {
        matches!(self, Self::Ctr | Self::LinkCtr | Self::ConversionRate)
    }
}

impl FromStr for Metric {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL.iter().copied().find(|metric| metric.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(Self::as_str).collect();
            FieldError::new("metric", format!("must be one of {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_is_not_zero() {
        let none = Measures::default();
        assert_eq!(Metric::Roas.of(&none), None);
        assert_eq!(Metric::Ctr.of(&none), None);
        assert_eq!(Metric::Clicks.of(&none), Some(Decimal::ZERO));
        for metric in Metric::ALL {
            assert_eq!(metric.as_str().parse::<Metric>().unwrap(), *metric);
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.as_str());
        }
    }

    fn measures() -> impl Strategy<Value = Measures> {
        let types =
            proptest::collection::btree_map("omni_purchase|purchase|lead|link_click", 0i64..1000, 0..4);
        let count = proptest::option::of(0u64..99);
        (0u64..1_000_000, 0u64..10_000, 0i64..10_000_000, count.clone(), count, types).prop_map(
            |(impressions, clicks, cents, link_clicks, purchases, types)| Measures {
                impressions,
                clicks,
                link_clicks,
                spend: Decimal::new(cents, 2),
                purchases: purchases.map(Decimal::from),
                actions: types.into_iter().map(|(k, v)| (k, Decimal::from(v))).collect(),
                ..Measures::default()
            },
        )
    }

    proptest! {
        #[test]
        fn adding_is_independent_of_order_and_grouping(parts in proptest::collection::vec(measures(), 0..8), cut in 0usize..8) {
            let sum = |parts: &[Measures]| {
                parts.iter().fold(Measures::default(), |mut sum, part| { sum += part; sum })
            };
            let mut reversed = parts.clone();
            reversed.reverse();
            let (left, right) = parts.split_at(cut.min(parts.len()));
            let mut grouped = sum(left);
            grouped += &sum(right);
            prop_assert_eq!(&sum(&parts), &sum(&reversed));
            prop_assert_eq!(&sum(&parts), &grouped);
        }
    }
}
