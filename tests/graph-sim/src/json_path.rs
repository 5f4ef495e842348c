//! The part of JSONPath that references between batch items use: `$.data[0].id`, `$.data.*.id`.

use serde_json::Value;

/// Returns the value at a path as text, several values separated by commas; `None` when there is no value.
pub(crate) fn find(value: &Value, path: &str) -> Option<String> {
    let mut found = vec![value];
    for step in steps(path.strip_prefix('$')?) {
        found = found.into_iter().flat_map(|value| select(value, step)).collect();
    }
    let texts: Vec<String> = found
        .into_iter()
        .filter(|value| !value.is_null())
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty()).map(|step| step.trim_matches(['\'', '"']))
}

fn select<'a>(value: &'a Value, step: &str) -> Vec<&'a Value> {
    match (value, step) {
        (Value::Array(items), "*") => items.iter().collect(),
        (Value::Object(fields), "*") => fields.values().collect(),
        (Value::Array(items), index) => {
            index.parse::<usize>().ok().and_then(|index| items.get(index)).into_iter().collect()
        }
        (Value::Object(fields), name) => fields.get(name).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_objects_and_lists() {
        let value = json!({"id": "1", "n": 2, "data": [{"id": "a"}, {"id": "b"}]});
        let found = |path| find(&value, path);
        assert_eq!(found("$.id").unwrap(), "1");
        assert_eq!(found("$.n").unwrap(), "2");
        assert_eq!(found("$.data[1].id").unwrap(), "b");
        assert_eq!(found("$.data[*].id").unwrap(), "a,b");
        assert_eq!(found("$['data'].*.id").unwrap(), "a,b");
        assert_eq!((found("$.data[2].id"), found("$.foo"), found("id")), (None, None, None));
    }
}
