//! The measures of one row, and those that follow from others.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::sum::decimal;
use crate::facts::Fact;
use crate::money::{major, ratio};
use crate::numbers::Numbers;

/// The measures of one row.
pub(crate) enum Measures<'a> {
    Counted(Numbers),
    Written(&'a Map<String, Value>),
    Summed(Map<String, Value>),
}

impl<'a> Measures<'a> {
    pub(crate) fn of(fact: &'a Fact) -> Self {
        match fact {
            Fact::Counted(numbers) => Self::Counted(*numbers),
            Fact::Written(row) => Self::Written(row),
        }
    }

    /// The wanted fields, as stored.
    pub(crate) fn fields(&self, currency: &str, wants: impl Fn(&str) -> bool) -> Map<String, Value> {
        let row = match self {
            Self::Counted(numbers) => return numbers.row(currency, wants),
            Self::Written(row) => row,
            Self::Summed(row) => row,
        };
        row.iter()
            .filter(|(name, _)| wants(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// A field that is not stored but follows from others, where these are known.
    pub(crate) fn derived(&self, name: &str, currency: &str) -> Option<Value> {
        let thousand = Decimal::ONE_THOUSAND;
        let get = |name: &str| self.scalar(name, currency);
        let value = match name {
            "cpm" => ratio(get("spend")? * thousand, get("impressions")?),
            "cpp" => ratio(get("spend")? * thousand, get("reach")?),
            "cpc" => ratio(get("spend")?, get("clicks")?),
            "ctr" => ratio(get("clicks")? * Decimal::ONE_HUNDRED, get("impressions")?),
            "cost_per_inline_link_click" => ratio(get("spend")?, get("inline_link_clicks")?),
            "inline_link_click_ctr" => {
                ratio(get("inline_link_clicks")? * Decimal::ONE_HUNDRED, get("impressions")?)
            }
            "cost_per_action_type" => return self.cost_per_action(currency),
            _ => None,
        };
        value.map(|value| json!(value.to_string()))
    }

    fn cost_per_action(&self, currency: &str) -> Option<Value> {
        let spend = self.scalar("spend", currency)?;
        let actions = self.fields(currency, |name| name == "actions").remove("actions")?;
        let costs = actions.as_array()?.iter().filter_map(|action| {
            let cost = ratio(spend, decimal(action.get("value"))?)?;
            Some(json!({ "action_type": action.get("action_type")?, "value": cost.to_string() }))
        });
        Some(costs.collect())
    }

    fn scalar(&self, name: &str, currency: &str) -> Option<Decimal> {
        let numbers = match self {
            Self::Counted(numbers) => numbers,
            Self::Written(row) => return decimal(row.get(name)),
            Self::Summed(row) => return decimal(row.get(name)),
        };
        Some(match name {
            "spend" => major(numbers.spend, currency),
            "impressions" => numbers.impressions.into(),
            "reach" => numbers.reach.into(),
            "clicks" => numbers.clicks.into(),
            "inline_link_clicks" => numbers.link_clicks.into(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_follow_from_what_is_known() {
        let row = json!({"spend": "7.02", "impressions": "284", "clicks": "0"});
        let measures = Measures::Written(row.as_object().unwrap());
        assert_eq!(measures.derived("cpm", "EUR"), Some(json!("24.71831")));
        assert_eq!(measures.derived("ctr", "EUR"), Some(json!("0")));
        assert_eq!(measures.derived("cpc", "EUR"), None);
        assert_eq!(measures.derived("cpp", "EUR"), None);
    }
}
