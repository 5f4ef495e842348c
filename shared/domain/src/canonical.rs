//! Canonical JSON, for values that are identified by their content or hashed.
// Runs in the Cloudflare Worker, where a panic ends every request of the isolate.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use serde_json::Value;

/// Serializes a value without whitespace and with the names of every object sorted, whatever their original order.
pub fn json(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut pairs: Vec<_> = object.iter().collect();
            pairs.sort_unstable_by_key(|(name, _)| *name);
            let pairs = pairs
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), json(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(json).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_in_one_way_only() {
        let value = serde_json::json!({"b": [1, {"z": null, "a": "é\"\n"}], "a": {"y": true, "x": -7}});
        let text = json(&value);
        assert_eq!(text, r#"{"a":{"x":-7,"y":true},"b":[1,{"a":"é\"\n","z":null}]}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
