//! Sums of several ad-day facts.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::action::ActionOptions;
use super::counts::{Count, Counts, slice};
use super::measures::{FormatOptions, Measures, STORED_FIELDS, Unique};
use crate::generator::SeededRng;
use crate::money::ratio;

/// Counts that can be added up. Reach cannot: the same person is in several rows.
const ADDITIVE_FIELDS: [&str; 8] = [
    "impressions",
    "clicks",
    "spend",
    "inline_link_clicks",
    "inline_post_engagement",
    "social_spend",
    "full_view_impressions",
    "instant_experience_clicks_to_open",
];

/// A running sum.
#[derive(Default)]
pub(crate) struct Sum<'a> {
    counted: Counts,
    recorded: Option<RecordedSums>,
    reach: u64,
    largest_reach: u64,
    /// The only part, as long as there is just one.
    only: Option<Measures<'a>>,
    parts: u32,
}

/// Sums of recorded rows, by field, and for lists by action type and by key (`value`, `7d_click`).
#[derive(Default)]
struct RecordedSums {
    scalars: BTreeMap<String, Decimal>,
    lists: BTreeMap<String, BTreeMap<String, BTreeMap<String, Decimal>>>,
}

impl<'a> Sum<'a> {
    pub(crate) fn add(&mut self, measures: Measures<'a>) {
        self.parts += 1;
        if self.parts == 1 {
            self.only = Some(measures);
            return;
        }
        if let Some(only) = self.only.take() {
            self.include(&only);
        }
        self.include(&measures);
    }

    fn include(&mut self, measures: &Measures<'_>) {
        let reach = match measures {
            Measures::Counted(counts) => {
                self.counted.add(counts);
                counts[Count::Reach]
            }
            Measures::EventRecord(row) => self.include_row(row),
            Measures::Summed(row) => self.include_row(row),
        };
        self.reach += reach;
        self.largest_reach = self.largest_reach.max(reach);
    }

    fn include_row(&mut self, row: &Map<String, Value>) -> u64 {
        self.recorded.get_or_insert_default().add(row);
        decimal(row.get("reach")).and_then(|reach| u64::try_from(reach).ok()).unwrap_or_default()
    }

    /// Returns the sum. Reach is known for a single part; for several it is estimated with `estimated`, or else absent.
    pub(crate) fn finish(mut self, currency: &str, estimated: Option<SeededRng>) -> Measures<'a> {
        if let Some(only) = self.only {
            return only;
        }
        let reach = estimated
            .map(|rng| self.largest_reach + (self.reach - self.largest_reach) * rng.between(30, 80) / 100);
        let Some(mut recorded) = self.recorded.take() else {
            self.counted[Count::Reach] = reach.unwrap_or(self.reach);
            return Measures::Counted(self.counted);
        };
        if self.counted != Counts::default() {
            let options =
                FormatOptions { currency, action_options: &ActionOptions::default(), unique: Unique::Known };
            let counted = Measures::Counted(self.counted);
            let fields = STORED_FIELDS
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), counted.field(name, options)?)));
            recorded.add(&fields.collect());
        }
        Measures::Summed(recorded.finish(reach))
    }
}

impl RecordedSums {
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
                value if ADDITIVE_FIELDS.contains(&name.as_str()) => {
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

/// Returns the part of a recorded row that belongs to the impressions from `before` to `after` of `all`. It contains
/// additive fields only, and all parts together are the whole.
pub(crate) fn part_of_row(
    row: &Map<String, Value>,
    (before, after, all): (u64, u64, u64),
    rng: SeededRng,
) -> Map<String, Value> {
    let slice_of = |value: &Value| {
        let whole = decimal(Some(value))?;
        let units = u64::try_from(whole.mantissa()).ok()?;
        let part = slice(units, before, after, all, rng);
        Some(Decimal::from_i128_with_scale(i128::from(part), whole.scale()).normalize())
    };
    let mut part = Map::new();
    for (name, value) in row {
        let value = match value {
            Value::Array(entries) if is_additive_list(name) => {
                let entries: Vec<Value> =
                    entries.iter().filter_map(|entry| part_of_entry(entry, slice_of)).collect();
                (!entries.is_empty()).then_some(Value::Array(entries))
            }
            value if name == "reach" || ADDITIVE_FIELDS.contains(&name.as_str()) => {
                slice_of(value).map(|part| json!(part.to_string()))
            }
            _ => None,
        };
        if let Some(value) = value {
            part.insert(name.clone(), value);
        }
    }
    part
}

fn part_of_entry(entry: &Value, slice_of: impl Fn(&Value) -> Option<Decimal>) -> Option<Value> {
    let mut part = entry.as_object()?.clone();
    for (_, value) in part.iter_mut().filter(|(key, _)| *key != "action_type") {
        if let Some(slice) = slice_of(value) {
            *value = json!(slice.to_string());
        }
    }
    (part.get("value") != Some(&json!("0"))).then_some(Value::Object(part))
}

/// Returns whether a list contains counts or amounts; costs and returns are ratios.
fn is_additive_list(name: &str) -> bool {
    !name.starts_with("cost_per_") && !name.ends_with("_roas") && !name.contains("_avg_")
}

/// Parses a number, which Graph writes as text.
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
    use crate::numbers::Numbers;

    fn written(row: Value) -> Measures<'static> {
        Measures::Summed(row.as_object().unwrap().clone())
    }

    fn row(measures: Measures<'_>) -> Value {
        match measures {
            Measures::Counted(counts) => panic!("{counts:?}"),
            Measures::EventRecord(row) => Value::Object(row.clone()),
            Measures::Summed(row) => Value::Object(row),
        }
    }

    #[test]
    fn a_single_part_stays_as_it_is_written() {
        let part = json!({"spend": "7.10", "reach": "5", "ad_name": "2024"});
        let mut sum = Sum::default();
        sum.add(written(part.clone()));
        assert_eq!(row(sum.finish("EUR", None)), part);
    }

    #[test]
    fn recorded_parts_add_up_without_reach() {
        let one = written(json!({"spend": "7.02", "reach": "5", "frequency": "1.2", "impressions": "6",
            "actions": [{"action_type": "link_click", "value": "2"}]}));
        let two = written(json!({"spend": "0.08", "reach": "7", "impressions": "7", "ad_name": "2024",
            "actions": [{"action_type": "like", "value": "1"}, {"action_type": "link_click", "value": "3"}]}));
        let mut sum = Sum::default();
        sum.add(one);
        sum.add(two);
        assert_eq!(
            row(sum.finish("EUR", None)),
            json!({"spend": "7.1", "impressions": "13", "actions": [
                {"action_type": "like", "value": "1"}, {"action_type": "link_click", "value": "5"}]})
        );
    }

    #[test]
    fn estimated_reach_lies_between_the_largest_part_and_the_sum() {
        for seed in 0..50 {
            let mut sum = Sum::default();
            for reach in [300, 200, 100] {
                let numbers = Numbers { reach, impressions: 900, ..Numbers::default() };
                sum.add(Measures::Counted(Counts::of(&numbers, SeededRng::new(seed))));
            }
            let Measures::Counted(counts) = sum.finish("SGD", Some(SeededRng::new(seed))) else {
                panic!("counted")
            };
            assert!((300..=600).contains(&counts[Count::Reach]), "{}", counts[Count::Reach]);
            assert_eq!(counts[Count::Impressions], 2_700);
        }
    }

    #[test]
    fn a_written_row_divides_into_what_adds_up_again() {
        let whole = json!({"spend": "7.05", "impressions": "10", "frequency": "1.2", "ad_name": "A",
            "actions": [{"action_type": "link_click", "value": "1", "7d_click": "1"}]});
        let whole = whole.as_object().unwrap();
        let mut sum = Sum::default();
        for (before, after) in [(0, 3), (3, 10)] {
            sum.add(Measures::Summed(part_of_row(whole, (before, after, 10), SeededRng::new(2))));
        }
        assert_eq!(
            row(sum.finish("EUR", None)),
            json!({"spend": "7.05", "impressions": "10",
                   "actions": [{"action_type": "link_click", "value": "1", "7d_click": "1"}]})
        );
    }
}
