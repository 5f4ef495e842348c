//! The targeting of ad sets: whom they reach, and where. Meta replaces it whole, so that a change of one value is made in
//! what Meta shows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The values that can be changed, as paths in Meta's `targeting`.
const PATHS: [&str; 26] = [
    "geo_locations.countries",
    "geo_locations.regions",
    "geo_locations.cities",
    "geo_locations.zips",
    "excluded_geo_locations.countries",
    "excluded_geo_locations.regions",
    "age_min",
    "age_max",
    "genders",
    "locales",
    "flexible_spec.0.interests",
    "flexible_spec.0.behaviors",
    "custom_audiences",
    "excluded_custom_audiences",
    "targeting_automation.advantage_audience",
    "targeting_automation.individual_setting.device",
    "publisher_platforms",
    "facebook_positions",
    "instagram_positions",
    "audience_network_positions",
    "messenger_positions",
    "threads_positions",
    "whatsapp_positions",
    "device_platforms",
    "user_os",
    "user_device",
];

/// A second narrowing of the audience, beside which the interests of the first one say little.
pub(crate) const SECOND_NARROWING: &str = "flexible_spec.1";

/// Stands for places that are named otherwise than by a country, region, city or postcode: country groups, pins and the like.
pub(crate) const OTHER_PLACES: &str = "geo_locations.*";

/// What remains of the entries of lists: the rest is their names, which Meta shows and does not need.
const ENTRY_FIELDS: [&str; 4] = ["id", "key", "radius", "distance_unit"];

/// Returns the values of a targeting that can be changed, each in one form for the same value: lists in one order, without
/// the names of what they hold, and no ages that hold anyway.
pub(crate) fn values(targeting: &Value) -> BTreeMap<String, Value> {
    let paths = PATHS.iter().chain([&SECOND_NARROWING]);
    let values = paths.map(|path| ((*path).to_owned(), canonical(path, find(targeting, path))));
    let is_other = |(name, places): (&String, &Value)| {
        name != "location_types"
            && !PATHS.contains(&format!("geo_locations.{name}").as_str())
            && places.as_array().is_some_and(|places| !places.is_empty())
    };
    let other = targeting["geo_locations"].as_object().is_some_and(|places| places.iter().any(is_other));
    let other = other.then(|| (OTHER_PLACES.to_owned(), true.into()));
    values.filter(|(_, value)| !value.is_null()).chain(other).collect()
}

fn find<'a>(targeting: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(targeting, |value, part| match part.parse::<usize>() {
        Ok(place) => &value[place],
        Err(_) => &value[part],
    })
}

/// Returns the one form of a value of this path.
pub(crate) fn canonical(path: &str, value: &Value) -> Value {
    match (path, value) {
        // What holds without a word.
        ("age_min", age) if *age == json!(18) => Value::Null,
        ("age_max", age) if *age == json!(65) => Value::Null,
        (_, Value::Array(entries)) if entries.is_empty() => Value::Null,
        (_, Value::Array(entries)) => {
            let mut entries: Vec<Value> = entries.iter().map(entry).collect();
            entries.sort_by_key(Value::to_string);
            entries.dedup();
            entries.into()
        }
        _ => value.clone(),
    }
}

fn entry(value: &Value) -> Value {
    let Some(fields) = value.as_object() else { return value.clone() };
    let kept = ENTRY_FIELDS.iter().filter_map(|name| {
        let value = fields.get(*name)?;
        let is_id = matches!(*name, "id" | "key");
        // Ids are text, even where Meta shows a number.
        let value = if is_id && value.is_number() { value.to_string().into() } else { value.clone() };
        Some(((*name).to_owned(), value))
    });
    let kept: Map<String, Value> = kept.collect();
    if kept.is_empty() { value.clone() } else { kept.into() }
}

/// Sets a value in a targeting; null takes it away.
pub(crate) fn set(targeting: &mut Value, path: &str, value: Value) {
    let Value::Object(fields) = targeting else { return };
    let Some((first, rest)) = path.split_once('.') else {
        match value {
            Value::Null => drop(fields.remove(path)),
            value => drop(fields.insert(path.to_owned(), value)),
        }
        return;
    };
    if value.is_null() && !fields.contains_key(first) {
        return;
    }
    // Of the narrowings only the first one is set.
    if let Some(rest) = rest.strip_prefix("0.") {
        let list = fields.entry(first).or_insert_with(|| json!([{}]));
        if list[0].is_null() {
            *list = json!([{}]);
        }
        set(&mut list[0], rest, value);
        if list.as_array().is_some_and(|list| list.iter().all(|entry| *entry == json!({}))) {
            fields.remove(first);
        }
        return;
    }
    let below = fields.entry(first).or_insert_with(|| json!({}));
    if !below.is_object() {
        *below = json!({});
    }
    set(below, rest, value);
    if *below == json!({}) {
        fields.remove(first);
    }
}

/// Returns a targeting as Meta shows it with other values, in a form that Meta takes.
pub(crate) fn with_values(mut targeting: Value, values: &BTreeMap<String, Value>) -> Value {
    for places in ["geo_locations", "excluded_geo_locations"] {
        // Shown, and refused (1870199).
        if let Some(places) = targeting.get_mut(places).and_then(Value::as_object_mut) {
            places.remove("location_types");
        }
    }
    for (path, value) in values {
        set(&mut targeting, path, value.clone());
    }
    targeting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_changed_and_the_rest_stays() {
        let shown = json!({
            "geo_locations": {"countries": ["SG"], "location_types": ["home", "recent"]},
            "age_min": 18, "age_max": 65, "brand_safety_content_filter_levels": ["FACEBOOK_STANDARD"],
            "flexible_spec": [{"interests": [{"id": "6003", "name": "Tea"}]}],
            "custom_audiences": [{"id": "2", "name": "Buyers"}, {"id": 1, "name": "Visitors"}],
        });
        let before = values(&shown);
        let expected = json!({
            "geo_locations.countries": ["SG"], "flexible_spec.0.interests": [{"id": "6003"}],
            "custom_audiences": [{"id": "1"}, {"id": "2"}],
        });
        assert_eq!(json!(before), expected);

        let change = BTreeMap::from([
            ("geo_locations.countries".to_owned(), json!(["MY"])),
            ("geo_locations.cities".to_owned(), Value::Null),
            ("excluded_geo_locations.regions".to_owned(), Value::Null),
            ("age_min".to_owned(), json!(25)),
            ("flexible_spec.0.interests".to_owned(), Value::Null),
            ("targeting_automation.advantage_audience".to_owned(), json!(0)),
        ]);
        let changed = with_values(shown, &change);
        let expected = json!({
            "geo_locations": {"countries": ["MY"]},
            "age_min": 25, "age_max": 65, "brand_safety_content_filter_levels": ["FACEBOOK_STANDARD"],
            "custom_audiences": [{"id": "2", "name": "Buyers"}, {"id": 1, "name": "Visitors"}],
            "targeting_automation": {"advantage_audience": 0},
        });
        assert_eq!(changed, expected);
        // What was there before comes back.
        let undone = values(&with_values(changed, &before));
        assert_eq!(undone["flexible_spec.0.interests"], json!([{"id": "6003"}]));
        assert_eq!(undone["geo_locations.countries"], json!(["SG"]));
    }
}
