//! The numbers of a row, and how they are shown.

use std::collections::BTreeMap;

use domain::metrics::{ByActionType, Conversions, Details, Measures};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::measure::Measure;

/// What is known of a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// Sums of facts; `None` where none of the days is measured.
    pub measures: Option<Measures>,
    /// People reached, where the platform reported this row as such.
    pub reach: Option<u64>,
    /// Impressions per person, with the same restriction.
    pub frequency: Option<Decimal>,
    /// The daily budget, in major units.
    pub daily_budget: Option<Decimal>,
    /// The lifetime budget, in major units.
    pub lifetime_budget: Option<Decimal>,
    /// The number of entities.
    pub count: u64,
}

impl Numbers {
    /// Returns a number; `None` where it is unknown.
    pub fn of(&self, measure: &Measure) -> Option<Decimal> {
        match measure {
            Measure::Metric(metric) => metric.of(self.measures.as_ref()?),
            Measure::Reach => self.reach.map(Decimal::from),
            Measure::Frequency => self.frequency,
            Measure::DailyBudget => self.daily_budget,
            Measure::LifetimeBudget => self.lifetime_budget,
            Measure::Count => Some(self.count.into()),
            Measure::Action(action) => self.measures.as_ref()?.actions.get(&**action).copied(),
            Measure::ActionValue(action) => self.measures.as_ref()?.action_values.get(&**action).copied(),
        }
    }

    /// Returns the measure that counts the results, if it is one and known.
    pub fn result_type(&self) -> Option<&str> {
        self.measures.as_ref()?.result().map(|(measure, _)| measure)
    }

    /// Takes over the numbers of a group of facts, of which a row may have several. Of a single one, the reach is known.
    pub(crate) fn absorb(&mut self, group: Self) {
        if self.measures.is_none() {
            *self = group;
        } else {
            self.add(&group);
        }
    }

    /// Makes what was measured and has no facts zero. What was not measured stays unknown.
    pub(crate) fn settle(&mut self, is_measured: bool) {
        if is_measured {
            self.measures.get_or_insert_default();
        }
    }

    /// Adds what may be added: sums, budgets and counts. Reach and frequency of several rows are unknown.
    pub(crate) fn add(&mut self, other: &Self) {
        fn add(sum: &mut Option<Decimal>, part: Option<Decimal>) {
            *sum = match (*sum, part) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
        }
        match (&mut self.measures, &other.measures) {
            (Some(sum), Some(part)) => *sum += part,
            (sum @ None, Some(part)) => *sum = Some(part.clone()),
            (_, None) => {}
        }
        add(&mut self.daily_budget, other.daily_budget);
        add(&mut self.lifetime_budget, other.lifetime_budget);
        self.count += other.count;
        (self.reach, self.frequency) = (None, None);
    }

    /// Returns the numbers to show: these measures, in this order, and these details.
    pub fn values<'a>(&self, measures: impl IntoIterator<Item = &'a Measure>, details: Details) -> Values {
        let value = |measure: &Measure| Some((measure.clone(), self.of(measure)?));
        let detailed = self.measures.as_ref().filter(|_| details != Details::default());
        let Measures { by_window, actions, action_values, .. } =
            detailed.map(|measures| details.of(measures.clone())).unwrap_or_default();
        let numbers = measures.into_iter().filter_map(value).collect();
        Values { numbers, by_window, actions, action_values }
    }
}

/// Numbers as the API shows them everywhere: counts as numbers, money and ratios as decimal strings, and what is unknown
/// left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    numbers: Vec<(Measure, Decimal)>,
    by_window: BTreeMap<String, Conversions>,
    actions: ByActionType,
    action_values: ByActionType,
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (measure, value) in &self.numbers {
            let name = measure.to_string();
            if measure.is_count() {
                map.serialize_entry(&name, &Count(*value))?;
            } else {
                map.serialize_entry(&name, value)?;
            }
        }
        if !self.by_window.is_empty() {
            map.serialize_entry("by_window", &self.by_window)?;
        }
        if !self.actions.is_empty() {
            let counts: BTreeMap<_, _> =
                self.actions.iter().map(|(name, count)| (name, Count(*count))).collect();
            map.serialize_entry("actions", &counts)?;
        }
        if !self.action_values.is_empty() {
            map.serialize_entry("action_values", &self.action_values)?;
        }
        map.end()
    }
}

/// A count as a JSON number: an integer, but for the fractions that modelled conversions may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub(crate) Decimal);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_i64().filter(|whole| Decimal::from(*whole) == self.0) {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_f64(self.0.to_f64().unwrap_or_default()),
        }
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Values {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        use domain::metrics::Metric;
        let count = serde_json::json!({"type": "number"});
        let decimal = serde_json::to_value(generator.subschema_for::<Decimal>()).unwrap_or_default();
        let shape = |measure: &Measure| if measure.is_count() { count.clone() } else { decimal.clone() };
        let others = [
            Measure::Reach,
            Measure::Frequency,
            Measure::DailyBudget,
            Measure::LifetimeBudget,
            Measure::Count,
        ];
        let measures = Metric::ALL.iter().map(|metric| Measure::Metric(*metric)).chain(others);
        let mut properties: serde_json::Map<String, serde_json::Value> =
            measures.map(|measure| (measure.to_string(), shape(&measure))).collect();
        let windows = serde_json::to_value(generator.subschema_for::<BTreeMap<String, Conversions>>());
        properties.insert("by_window".to_owned(), windows.unwrap_or_default());
        let by_type =
            |of: &serde_json::Value| serde_json::json!({"type": "object", "additionalProperties": of});
        properties.insert("actions".to_owned(), by_type(&count));
        properties.insert("action_values".to_owned(), by_type(&decimal));
        schemars::json_schema!({
            "type": "object",
            "description": "Numbers: counts as numbers, money and ratios as decimal strings. Money is in major units, rates are fractions. What is unknown is left out.",
            "properties": properties,
            "patternProperties": {r"^actions\.": count, r"^action_values\.": decimal},
            "additionalProperties": false,
        })
    }
}
