//! Schemas of types, for requests and for responses.

use std::collections::BTreeSet;

use anyhow::ensure;
use runtime::operation::SchemaFn;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const SCHEMAS_PATH: &str = "/components/schemas";

/// The schemas collected so far. A type that is used in both directions may have two schemas: a field that is optional
/// in a request is present in a response.
pub(crate) struct Schemas {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = SCHEMAS_PATH.into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            responses: settings().for_serialize().into_generator(),
        }
    }

    /// Returns the schema of a request. References to it are marked until [`Self::finish`].
    pub(crate) fn request(&mut self, shape: SchemaFn) -> Value {
        let mut schema = shape(&mut self.requests).to_value();
        rename(&mut schema, &|name| format!("{REQUEST_MARKER}{name}"));
        schema
    }

    /// Returns the schema of a response.
    pub(crate) fn response(&mut self, shape: impl Fn(&mut SchemaGenerator) -> schemars::Schema) -> Value {
        shape(&mut self.responses).to_value()
    }

    /// Puts the schemas into the document. A type with the same schema in both directions appears once; otherwise the
    /// name of its request schema ends with `Input`.
    pub(crate) fn finish(mut self, document: &mut Value) -> anyhow::Result<()> {
        let mut responses = self.responses.take_definitions(true);
        responses.values_mut().for_each(never_null);
        let requests = self.requests.take_definitions(true);
        let mut differ: BTreeSet<String> = BTreeSet::new();
        loop {
            let more: BTreeSet<String> = requests
                .iter()
                .filter(|(name, schema)| {
                    responses.get(*name).is_some_and(|other| other != *schema)
                        || (responses.contains_key(*name) && refers_to(schema, &differ))
                })
                .map(|(name, _)| name.clone())
                .collect();
            if more.is_subset(&differ) {
                break;
            }
            differ.extend(more);
        }
        let input = |name: &str| {
            let name = name.strip_prefix(REQUEST_MARKER).unwrap_or(name);
            if differ.contains(name) { format!("{name}Input") } else { name.to_owned() }
        };
        for (name, mut schema) in requests {
            rename(&mut schema, &input);
            let earlier = responses.insert(input(&name), schema);
            ensure!(earlier.is_none() || !differ.contains(&name), "two types are called {name}Input");
        }
        rename(document, &|name| {
            if name.starts_with(REQUEST_MARKER) { input(name) } else { name.to_owned() }
        });
        let mut sorted: Map<String, Value> = responses.into_iter().collect();
        sorted.values_mut().for_each(describe_defaults);
        document["components"]["schemas"] = json!(sorted);
        list_words(document);
        Ok(())
    }
}

/// Marks references to request schemas. No type's name begins like this.
const REQUEST_MARKER: &str = "~";

/// Renames the references in a schema.
fn rename(schema: &mut Value, new: &dyn Fn(&str) -> String) {
    let place = format!("#{SCHEMAS_PATH}/");
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value.as_str().and_then(|text| text.strip_prefix(place.as_str()))) {
                    ("$ref", Some(name)) => *value = format!("{place}{}", new(name)).into(),
                    _ => rename(value, new),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, new)),
        _ => {}
    }
}

/// Removes null from optional properties: an absent value is left out of a response.
fn never_null(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        if !required.iter().any(|required| required == name) {
            *property = without_null(property.take());
        }
    }
}

/// Returns a schema without its null alternative.
pub(crate) fn without_null(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [kind] = types.as_slice() {
            let kind = kind.clone();
            object.insert("type".to_owned(), kind);
        }
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            if let Value::Object(only) = only {
                object.extend(only);
            }
        }
    }
    schema
}

/// Moves the default of a property into its description: for generators a property with a default is one that is always
/// there, also in what is sent.
fn describe_defaults(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                for property in properties.values_mut().filter_map(Value::as_object_mut) {
                    let default = property.remove("default").filter(|default| !default.is_null());
                    if let Some(default) = default {
                        let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
                        let text = format!("{text} By default `{default}`.").trim().to_owned();
                        property.insert("description".to_owned(), text.into());
                    }
                }
            }
            object.values_mut().for_each(describe_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(describe_defaults),
        _ => {}
    }
}

/// Replaces alternatives that are each one word by a list of the words, which generators make an enum of. What each word
/// means goes into the description.
fn list_words(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(list_words);
            // Some of the words of a type: generators look at the type only.
            if object.contains_key("enum") && object.remove("$ref").is_some() {
                object.insert("type".to_owned(), "string".into());
            }
            let Some(words) = object.get("oneOf").and_then(Value::as_array).and_then(|all| words(all)) else {
                return;
            };
            object.remove("oneOf");
            let mut lines: Vec<String> =
                object.get("description").and_then(Value::as_str).map(str::to_owned).into_iter().collect();
            let meaning = |(word, meaning): &(Value, Option<String>)| {
                meaning
                    .as_ref()
                    .map(|meaning| format!("- `{}`: {meaning}", word.as_str().unwrap_or_default()))
            };
            lines.extend(words.iter().filter_map(meaning));
            object.insert("description".to_owned(), lines.join("\n").into());
            object.insert("type".to_owned(), "string".into());
            let words: Vec<_> = words.into_iter().map(|(word, _)| word).collect();
            object.insert("enum".to_owned(), words.into());
        }
        Value::Array(items) => items.iter_mut().for_each(list_words),
        _ => {}
    }
}

/// Returns the words of alternatives with what each means, if all of them are words.
fn words(alternatives: &[Value]) -> Option<Vec<(Value, Option<String>)>> {
    let mut words = Vec::new();
    for one in alternatives {
        let meaning = one["description"].as_str().map(str::to_owned);
        match (&one["const"], &one["enum"]) {
            (word @ Value::String(_), _) => words.push((word.clone(), meaning)),
            (_, Value::Array(several)) if several.iter().all(Value::is_string) => {
                words.extend(several.iter().map(|word| (word.clone(), None)));
            }
            _ => return None,
        }
    }
    Some(words)
}

fn refers_to(schema: &Value, names: &BTreeSet<String>) -> bool {
    match schema {
        Value::Object(object) => object.iter().any(|(key, value)| match value.as_str() {
            Some(text) if key == "$ref" => text.rsplit('/').next().is_some_and(|name| names.contains(name)),
            _ => refers_to(value, names),
        }),
        Value::Array(items) => items.iter().any(|item| refers_to(item, names)),
        _ => false,
    }
}
