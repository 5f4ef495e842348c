//! The document as YAML, with each object's keys in the order in which readers look for them.

use anyhow::Context;
use serde_json::Value;
use serde_yaml_ng::{Mapping, Value as Yaml};

/// Keys in this order, then the others alphabetically.
const KEY_ORDER: [&str; 27] = [
    "openapi",
    "info",
    "servers",
    "paths",
    "components",
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "tags",
    "name",
    "in",
    "title",
    "summary",
    "operationId",
    "description",
    "$ref",
    "type",
    "required",
    "parameters",
    "requestBody",
    "responses",
    "security",
    "content",
    "schema",
    "properties",
];

/// Returns the document as YAML.
pub fn yaml(document: &Value) -> anyhow::Result<String> {
    let text = serde_yaml_ng::to_string(&ordered(document)).context("the document is no YAML")?;
    Ok(format!("# Made of the code by `cargo xtask openapi`; not written by hand.\n{text}"))
}

fn ordered(value: &Value) -> Yaml {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| {
                (KEY_ORDER.iter().position(|first| first == key).unwrap_or(KEY_ORDER.len()), *key)
            });
            let entries = entries.into_iter().map(|(key, value)| (Yaml::from(key.as_str()), ordered(value)));
            Yaml::Mapping(Mapping::from_iter(entries))
        }
        Value::Array(items) => Yaml::Sequence(items.iter().map(ordered).collect()),
        Value::String(text) => Yaml::from(text.as_str()),
        Value::Bool(flag) => Yaml::from(*flag),
        Value::Null => Yaml::Null,
        Value::Number(number) => {
            let whole = number.as_u64().map(Yaml::from).or_else(|| number.as_i64().map(Yaml::from));
            whole.unwrap_or_else(|| Yaml::from(number.as_f64().unwrap_or_default()))
        }
    }
}
