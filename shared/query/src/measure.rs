//! What a query measures, by the names that requests and responses have.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use domain::metrics::Metric;
use facts::{REACH_COLUMNS, action_column, action_value_column, columns_of};
use serde::{Deserialize, Serialize};

/// A number of a row: a metric, what cannot be summed, what an entity has, or the value of one action type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Measure {
    /// A metric, computed from sums.
    Metric(Metric),
    /// People reached. Never summed: known where the platform reported the row as such, an ad and a day.
    Reach,
    /// Impressions per person reached.
    Frequency,
    /// The entities' daily budgets, in major units.
    DailyBudget,
    /// The entities' lifetime budgets, in major units.
    LifetimeBudget,
    /// The number of entities.
    Count,
    /// The count of an action type: `actions.` and its name, such as `offsite_conversion.custom.1234`.
    Action(Box<str>),
    /// The value of an action type, in major units: `action_values.` and its name.
    ActionValue(Box<str>),
}

const ACTION: &str = "actions.";
const ACTION_VALUE: &str = "action_values.";

/// Longest name of an action type. Meta's longest are half of it.
const MAX_ACTION_TYPE_CHARS: usize = 100;

/// The measures that are no metrics and have a fixed name.
const OTHERS: [(Measure, &str); 5] = [
    (Measure::Reach, "reach"),
    (Measure::Frequency, "frequency"),
    (Measure::DailyBudget, "daily_budget"),
    (Measure::LifetimeBudget, "lifetime_budget"),
    (Measure::Count, "count"),
];

impl Measure {
    /// Returns the columns of facts that it is computed of; none for what entities have.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Self::Metric(metric) => names(columns_of(*metric)),
            Self::Reach | Self::Frequency => names(&REACH_COLUMNS),
            Self::DailyBudget | Self::LifetimeBudget | Self::Count => BTreeSet::new(),
            Self::Action(action) => [action_column(action)].into(),
            Self::ActionValue(action) => [action_value_column(action)].into(),
        }
    }

    /// Returns whether it is known of entities and not of facts.
    pub(crate) fn is_of_entities(&self) -> bool {
        matches!(self, Self::DailyBudget | Self::LifetimeBudget | Self::Count)
    }

    /// Returns whether it is about the results of ad sets, which their goals define.
    pub(crate) fn is_of_results(&self) -> bool {
        matches!(self, Self::Metric(metric) if metric.is_of_results())
    }

    /// Returns whether it is a count, which is shown as a number; the others are decimal strings.
    pub(crate) fn is_count(&self) -> bool {
        match self {
            Self::Metric(metric) => metric.is_count(),
            Self::Reach | Self::Count | Self::Action(_) => true,
            Self::Frequency | Self::DailyBudget | Self::LifetimeBudget | Self::ActionValue(_) => false,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => f.write_str(metric.as_str()),
            Self::Action(action) => write!(f, "{ACTION}{action}"),
            Self::ActionValue(action) => write!(f, "{ACTION_VALUE}{action}"),
            other => {
                f.write_str(OTHERS.iter().find(|(known, _)| known == other).map_or("", |(_, name)| name))
            }
        }
    }
}

impl From<Measure> for String {
    fn from(measure: Measure) -> Self {
        measure.to_string()
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let action_type = |prefix: &str| {
            let name = text.strip_prefix(prefix)?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let is_possible = (1..=MAX_ACTION_TYPE_CHARS).contains(&name.len()) && name.chars().all(is_name);
            is_possible.then(|| name.into())
        };
        let other = OTHERS.iter().find(|(_, name)| *name == text).map(|(measure, _)| measure.clone());
        let metric = || text.parse().ok().map(Self::Metric);
        let action = || action_type(ACTION).map(Self::Action);
        let value = || action_type(ACTION_VALUE).map(Self::ActionValue);
        other.or_else(metric).or_else(action).or_else(value).ok_or_else(|| {
            let names = Metric::ALL.iter().map(Metric::as_str).chain(OTHERS.map(|(_, name)| name));
            let names = names.collect::<Vec<_>>().join(", ");
            format!("must be one of {names}, or {ACTION} or {ACTION_VALUE} with an action type")
        })
    }
}

impl TryFrom<String> for Measure {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Measure {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Measure".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Metric::ALL.iter().map(Metric::as_str).chain(OTHERS.map(|(_, name)| name));
        let names: Vec<_> = names.collect();
        let pattern = format!(r"^action(s|_values)\.[A-Za-z0-9._-]{{1,{MAX_ACTION_TYPE_CHARS}}}$");
        schemars::json_schema!({
            "description": "A number of a row. Rates (`ctr`, `link_ctr`, `conversion_rate`) are fractions: 0.01 is 1 %.",
            "anyOf": [{"type": "string", "enum": names}, {"type": "string", "pattern": pattern}],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_a_name_that_is_read_again() {
        let metrics = Metric::ALL.iter().map(|metric| Measure::Metric(*metric));
        let actions = ["actions.link_click", "action_values.offsite_conversion.custom.17"];
        let actions = actions.map(|name| name.parse::<Measure>().unwrap());
        for measure in metrics.chain(OTHERS.map(|(measure, _)| measure)).chain(actions) {
            assert_eq!(measure.to_string().parse(), Ok(measure));
        }
        for wrong in ["", "Spend", "actions.", "actions.a b", "hook_rate"] {
            assert!(wrong.parse::<Measure>().is_err(), "{wrong}");
        }
    }
}
