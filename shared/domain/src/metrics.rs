//! Metrics: what a platform measures for an ad and a day, and which values may be summed.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::str::FromStr;

use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use crate::FieldError;
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

/// One ad's metrics for one day, with the ad's place in the hierarchy.
#[derive(Debug, Clone, PartialEq)]
pub struct InsightsRow {
    /// The ad's id.
    pub ad: EntityId,
    /// The id of its ad set.
    pub adset: EntityId,
    /// The id of its campaign.
    pub campaign: EntityId,
    /// The metrics.
    pub facts: DayFacts,
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

/// A number that can be sorted by or compared in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Times on screen.
    Impressions,
    /// All clicks.
    Clicks,
    /// Clicks on links.
    LinkClicks,
    /// Amount spent, major units.
    Spend,
    /// Clicks per impression, in percent.
    Ctr,
    /// Spend per click.
    Cpc,
    /// Spend per thousand impressions.
    Cpm,
    /// De-duplicated purchases.
    Purchases,
    /// Their value, major units.
    PurchaseValue,
    /// Purchase value per spend.
    Roas,
    /// Spend per purchase.
    CostPerPurchase,
    /// De-duplicated leads.
    Leads,
    /// Spend per lead.
    CostPerLead,
}

impl Metric {
    /// Every metric, in display order.
    pub const ALL: [Self; 13] = [
        Self::Impressions,
        Self::Clicks,
        Self::LinkClicks,
        Self::Spend,
        Self::Ctr,
        Self::Cpc,
        Self::Cpm,
        Self::Purchases,
        Self::PurchaseValue,
        Self::Roas,
        Self::CostPerPurchase,
        Self::Leads,
        Self::CostPerLead,
    ];

    /// Returns the metric's name in requests and responses.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Clicks => "clicks",
            Self::LinkClicks => "link_clicks",
            Self::Spend => "spend",
            Self::Ctr => "ctr",
            Self::Cpc => "cpc",
            Self::Cpm => "cpm",
            Self::Purchases => "purchases",
            Self::PurchaseValue => "purchase_value",
            Self::Roas => "roas",
            Self::CostPerPurchase => "cost_per_purchase",
            Self::Leads => "leads",
            Self::CostPerLead => "cost_per_lead",
        }
    }

    /// Computes the metric from these measures; `None` where an input is unknown or the divisor is zero.
    pub fn of(&self, m: &Measures) -> Option<Decimal> {
        let ratio = |above: Option<Decimal>, below: Option<Decimal>| {
            above?.checked_div(below?).map(|ratio| ratio.round_dp(6).normalize())
        };
        let clicks = Some(Decimal::from(m.clicks));
        let impressions = Some(Decimal::from(m.impressions));
        let spend = Some(m.spend);
        match self {
            Self::Impressions => impressions,
            Self::Clicks => clicks,
            Self::LinkClicks => m.link_clicks.map(Decimal::from),
            Self::Spend => spend,
            Self::Ctr => ratio(clicks.map(|c| c * Decimal::ONE_HUNDRED), impressions),
            Self::Cpc => ratio(spend, clicks),
            Self::Cpm => ratio(spend.map(|s| s * Decimal::ONE_THOUSAND), impressions),
            Self::Purchases => m.purchases,
            Self::PurchaseValue => m.purchase_value,
            Self::Roas => ratio(m.purchase_value, spend),
            Self::CostPerPurchase => ratio(spend, m.purchases),
            Self::Leads => m.leads,
            Self::CostPerLead => ratio(spend, m.leads),
        }
    }
}

impl FromStr for Metric {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(Self::as_str).collect();
            FieldError::new("metric", format!("must be one of {}", names.join(", ")))
        })
    }
}

/// Metrics as the API shows them everywhere: counts as numbers, money and ratios as decimal strings, and what is unknown
/// left out.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Metrics {
    impressions: u64,
    clicks: u64,
    spend: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_clicks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctr: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpc: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpm: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchases: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_value: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roas: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_purchase: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leads: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_lead: Option<Decimal>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_window: BTreeMap<String, Conversions>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    actions: BTreeMap<String, Count>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    action_values: ByActionType,
    /// People reached, where the platform reported this row as such: an ad and a day. Never summed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<u64>,
    /// Impressions per person, where there is a reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency: Option<Decimal>,
}

impl Metrics {
    /// Adds what the platform reported for this row and which cannot be summed.
    #[must_use]
    pub fn with_reach(self, reach: Option<u64>, frequency: Option<Decimal>) -> Self {
        Self { reach, frequency, ..self }
    }
}

/// A count as a JSON number: an integer, but for the fractions that modelled conversions may have.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Count(#[cfg_attr(feature = "describe", schemars(with = "f64", extend("minimum" = 0)))] Decimal);

impl Serialize for Count {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_u64().filter(|whole| Decimal::from(*whole) == self.0) {
            Some(whole) => serializer.serialize_u64(whole),
            None => serializer.serialize_f64(self.0.to_f64().unwrap_or_default()),
        }
    }
}

impl From<&Measures> for Metrics {
    fn from(m: &Measures) -> Self {
        Self {
            impressions: m.impressions,
            clicks: m.clicks,
            spend: m.spend,
            link_clicks: m.link_clicks,
            ctr: Metric::Ctr.of(m),
            cpc: Metric::Cpc.of(m),
            cpm: Metric::Cpm.of(m),
            purchases: m.purchases.map(Count),
            purchase_value: m.purchase_value,
            roas: Metric::Roas.of(m),
            cost_per_purchase: Metric::CostPerPurchase.of(m),
            leads: m.leads.map(Count),
            cost_per_lead: Metric::CostPerLead.of(m),
            by_window: m.by_window.clone(),
            actions: m.actions.iter().map(|(action, value)| (action.clone(), Count(*value))).collect(),
            action_values: m.action_values.clone(),
            reach: None,
            frequency: None,
        }
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
            assert_eq!(metric.as_str().parse::<Metric>().unwrap(), metric);
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
