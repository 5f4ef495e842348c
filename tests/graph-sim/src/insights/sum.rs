//! Several ad-day facts taken together.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::measures::Measures;
use crate::facts::Fact;
use crate::generator::Chance;
use crate::money::ratio;
use crate::numbers::Numbers;

/// Counts that may be added up. Reach may not: the same person is in several rows.
const ADDITIVE: [&str; 8] = [
    "impressions",
    "clicks",
    "spend",
    "inline_link_clicks",
    "inline_post_engagement",
    "social_spend",
    "full_view_impressions",
    "instant_experience_clicks_to_open",
];

/// A growing sum.
#[derive(Default)]
pub(crate) struct Sum<'a> {
    parts: u32,
    counted: Numbers,
    written: Option<Written>,
    reach: u64,
    largest_reach: u64,
    /// One of the written parts: names stand in it.
    pub(crate) sample: Option<&'a Map<String, Value>>,
    only: Option<&'a Fact>,
}

/// Sums of written rows, by field, and for lists by action type and by key (`value`, `7d_click`).
#[derive(Default)]
struct Written {
    scalars: BTreeMap<String, Decimal>,
    lists: BTreeMap<String, BTreeMap<String, BTreeMap<String, Decimal>>>,
}

impl<'a> Sum<'a> {
    pub(crate) fn add(&mut self, fact: &'a Fact) {
        self.parts += 1;
        self.only = (self.parts == 1).then_some(fact);
        let reach = match fact {
            Fact::Counted(numbers) => {
                self.counted += numbers;
                numbers.reach
            }
            Fact::Written(row) => {
                self.sample.get_or_insert(row);
                self.written.get_or_insert_default().add(row);
                decimal(row.get("reach")).and_then(|reach| u64::try_from(reach).ok()).unwrap_or_default()
            }
        };
        self.reach += reach;
        self.largest_reach = self.largest_reach.max(reach);
    }

    /// The result. Reach is known for a single part; for more it is given when `estimated` by this source of
    /// numbers, and absent otherwise.
    pub(crate) fn finish(mut self, currency: &str, estimated: Option<Chance>) -> Measures<'a> {
        if let Some(only) = self.only {
            return Measures::of(only);
        }
        let reach = estimated.map(|chance| {
            self.largest_reach + (self.reach - self.largest_reach) * chance.between(30, 80) / 100
        });
        let Some(mut written) = self.written.take() else {
            self.counted.reach = reach.unwrap_or(self.counted.reach);
            return Measures::Counted(self.counted);
        };
        if self.counted != Numbers::default() {
            written.add(&self.counted.row(currency, |_| true));
        }
        Measures::Summed(written.finish(reach))
    }
}

impl Written {
    fn add(&mut self, row: &Map<String, Value>) {
        for (name, value) in row {
            match value {
                Value::Array(entries) if is_additive_list(name) => {
                    let list = self.lists.entry(name.clone()).or_default();
                    for entry in entries.iter().filter_map(Value::as_object) {
                        let action = entry.get("action_type").and_then(Value::as_str).unwrap_or_default();
                        let sums = list.entry(action.to_owned()).or_default();
                        for (key, value) in entry.iter().filter(|(key, _)| *key != "action_type") {
                            if let Some(value) = decimal(Some(value)) {
                                *sums.entry(key.clone()).or_default() += value;
                            }
                        }
                    }
                }
                value if ADDITIVE.contains(&name.as_str()) => {
                    if let Some(value) = decimal(Some(value)) {
                        *self.scalars.entry(name.clone()).or_default() += value;
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(self, reach: Option<u64>) -> Map<String, Value> {
        let text = |value: Decimal| json!(value.normalize().to_string());
        let mut row = Map::new();
        if let Some(reach) = reach {
            row.insert("reach".into(), json!(reach.to_string()));
            let impressions = self.scalars.get("impressions").copied().unwrap_or_default();
            if let Some(frequency) = ratio(impressions, Decimal::from(reach)) {
                row.insert("frequency".into(), text(frequency));
            }
        }
        let bought =
            self.lists.get("action_values").and_then(|values| values.get("omni_purchase")?.get("value"));
        let spend = self.scalars.get("spend").copied().unwrap_or_default();
        if let Some(roas) = bought.and_then(|value| ratio(*value, spend)) {
            row.insert(
                "purchase_roas".into(),
                json!([{ "action_type": "omni_purchase", "value": text(roas) }]),
            );
        }
        for (name, value) in self.scalars {
            row.insert(name, text(value));
        }
        for (name, actions) in self.lists {
            let entries: Vec<Value> = actions
                .into_iter()
                .map(|(action, sums)| {
                    let mut entry: Map<String, Value> = sums.into_iter().map(|(k, v)| (k, text(v))).collect();
                    entry.insert("action_type".into(), json!(action));
                    Value::Object(entry)
                })
                .collect();
            row.insert(name, Value::Array(entries));
        }
        row
    }
}

/// Lists of counts or amounts; costs and returns are ratios.
fn is_additive_list(name: &str) -> bool {
    !name.starts_with("cost_per_") && !name.ends_with("_roas") && !name.contains("_avg_")
}

/// A number, which Graph writes as text.
pub(crate) fn decimal(value: Option<&Value>) -> Option<Decimal> {
    match value? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(row: Value) -> Fact {
        Fact::Written(row.as_object().unwrap().clone())
    }

    #[test]
    fn a_single_part_stays_as_it_is_written() {
        let fact = written(json!({"spend": "7.10", "reach": "5", "ad_name": "2024"}));
        let mut sum = Sum::default();
        sum.add(&fact);
        let row = sum.finish("EUR", None).fields("EUR", |_| true);
        assert_eq!(Value::Object(row), json!({"spend": "7.10", "reach": "5", "ad_name": "2024"}));
    }

    #[test]
    fn recorded_parts_add_up_without_reach() {
        let one = written(json!({"spend": "7.02", "reach": "5", "frequency": "1.2", "impressions": "6",
            "actions": [{"action_type": "link_click", "value": "2"}]}));
        let two = written(json!({"spend": "0.08", "reach": "7", "impressions": "7", "ad_name": "2024",
            "actions": [{"action_type": "like", "value": "1"}, {"action_type": "link_click", "value": "3"}]}));
        let mut sum = Sum::default();
        sum.add(&one);
        sum.add(&two);
        assert_eq!(
            Value::Object(sum.finish("EUR", None).fields("EUR", |_| true)),
            json!({"spend": "7.1", "impressions": "13", "actions": [
                {"action_type": "like", "value": "1"}, {"action_type": "link_click", "value": "5"}]})
        );
    }

    #[test]
    fn estimated_reach_lies_between_the_largest_part_and_the_sum() {
        let facts = [300_u64, 200, 100]
            .map(|reach| Fact::Counted(Numbers { reach, impressions: 900, ..Numbers::default() }));
        for seed in 0..50 {
            let mut sum = Sum::default();
            facts.iter().for_each(|fact| sum.add(fact));
            let Measures::Counted(numbers) = sum.finish("SGD", Some(Chance::new(seed))) else {
                panic!("counted")
            };
            assert!((300..=600).contains(&numbers.reach), "{}", numbers.reach);
            assert_eq!(numbers.impressions, 2_700);
        }
    }
}
