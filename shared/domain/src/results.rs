//! Results: what the goals of ad sets count.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::metrics::{Measures, Metric};

/// What the names of the counts of action types begin with.
const ACTION: &str = "actions.";

/// What an advertiser counts by a rule of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct CustomConversion {
    /// The measure that counts it, such as `actions.offsite_conversion.custom.1234`.
    pub measure: String,
    /// Its name, as the advertiser has given it.
    pub name: String,
    /// Whether it counts no longer.
    #[serde(default)]
    pub is_archived: bool,
}

impl CustomConversion {
    /// Returns the measure that counts the custom conversion with this id.
    pub fn measure_of(id: &str) -> String {
        format!("{ACTION}offsite_conversion.custom.{id}")
    }
}

impl Measures {
    /// Returns the measure that counts the results, and their count; `None` where it is not known, or not one.
    pub fn result(&self) -> Option<(&str, Decimal)> {
        let mut results = self.results.iter();
        match (results.next(), results.next()) {
            (Some((measure, count)), None) if !measure.is_empty() => Some((measure, *count)),
            _ => None,
        }
    }

    /// Counts the results of a row of an ad whose ad set's are counted by this measure. In a row with every field, what
    /// the platform does not list has not happened.
    pub fn set_result(&mut self, measure: Option<&str>, has_all_fields: bool) {
        let count = |measure: &str| match measure.strip_prefix(ACTION) {
            Some(action) => Some(self.actions.get(action).copied()),
            None => Some(measure.parse::<Metric>().ok()?.of(self)),
        };
        let known = measure.and_then(|measure| Some((measure, count(measure)?)));
        let (measure, count) =
            known.filter(|(_, count)| count.is_some() || has_all_fields).unwrap_or_default();
        self.results = [(measure.to_owned(), count.unwrap_or_default())].into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_different_goals_are_unknown_together_and_so_are_those_without_a_field() {
        let row = |measure: Option<&str>, has_all_fields| {
            let mut row = Measures { purchases: Some(3.into()), spend: 12.into(), ..Measures::default() };
            row.set_result(measure, has_all_fields);
            row
        };
        let purchases = row(Some("purchases"), true);
        assert_eq!(Metric::CostPerResult.of(&purchases), Some(4.into()));
        let mut twice = purchases.clone();
        twice += &purchases;
        assert_eq!(twice.result(), Some(("purchases", 6.into())));
        for (other, alone) in [
            (row(Some("leads"), true), Some(("leads", Decimal::ZERO))),
            (row(Some("leads"), false), None),
            (row(Some("actions.offsite_conversion.custom.1"), false), None),
            (row(Some("no measure"), true), None),
            (row(None, true), None),
        ] {
            assert_eq!(other.result(), alone);
            let mut sum = purchases.clone();
            sum += &other;
            assert_eq!((sum.result(), Metric::Results.of(&sum)), (None, None));
        }
    }
}
