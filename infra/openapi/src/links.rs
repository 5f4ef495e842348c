//! Links from responses to the routes that take their ids: whatever was created can be read, changed and removed.

use serde_json::{Map, Value, json};

/// Fields that name resources outside the path that returns them, each with the end of the path that takes it.
const LINKED_FIELDS: [(&str, &str); 5] = [
    ("launch_id", "/launches/{launch}"),
    ("campaign_id", "/campaigns/{id}"),
    ("adset_id", "/adsets/{id}"),
    ("ad_id", "/ads/{id}"),
    ("confirmation_code", "/{code}"),
];

/// Adds links to the responses of a finished document.
pub(crate) fn add(document: &mut Value) {
    let paths = document["paths"].clone();
    let operations = || {
        let paths = paths.as_object().into_iter().flatten();
        paths.flat_map(|(path, methods)| {
            methods
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(method, operation)| (path, method, operation))
        })
    };
    for (path, method, operation) in operations() {
        for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
            let schema = resolved(document, &answer["content"]["application/json"]["schema"]);
            let shape = ResponseShape::of(document, method, schema);
            if !status.starts_with('2') || shape.fields.is_empty() {
                continue;
            }
            let mut links = Map::new();
            for (target_path, target_method, target) in operations() {
                let Some((parameter, field)) = shape.parameter(path, target_path) else { continue };
                if shape.is_list && target_method != "get" {
                    continue;
                }
                links.insert(name(target), link(target, path, parameter, &shape.pointer(field)));
            }
            if !links.is_empty() {
                document["paths"][path][method]["responses"][status]["links"] = links.into();
            }
        }
    }
}

/// The fields of a response that may name a resource.
struct ResponseShape {
    fields: Vec<String>,
    /// Links of a list only read; links of a created resource also change and remove it.
    is_list: bool,
    is_created: bool,
}

impl ResponseShape {
    fn of(document: &Value, method: &str, schema: &Value) -> Self {
        let items = resolved(document, &schema["properties"]["data"]["items"]);
        let is_list = items.is_object();
        let properties = if is_list { &items["properties"] } else { &schema["properties"] };
        let fields = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        Self { fields, is_list, is_created: method == "post" }
    }

    /// Returns the parameter of the path `target`, and the field of a response at `path` that gives its value.
    fn parameter<'a>(&'a self, path: &str, target: &'a str) -> Option<(&'a str, &'a str)> {
        if !self.is_list && !self.is_created {
            return None;
        }
        let linked = LINKED_FIELDS.iter().filter(|(field, _)| self.is_created && self.has(field));
        for (field, place) in linked {
            if let Some((before, after)) = target.split_once(place) {
                let near = path.starts_with(before) && !after.contains('{');
                return near.then(|| (parameter_of(place), *field));
            }
        }
        let (parameter, rest) = target.strip_prefix(path)?.strip_prefix("/{")?.split_once('}')?;
        let field = [parameter, "id"].into_iter().find(|field| self.has(field))?;
        (!rest.contains('{')).then_some((parameter, field))
    }

    fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|known| known == field)
    }

    fn pointer(&self, field: &str) -> String {
        let place = if self.is_list { "/data/0" } else { "" };
        format!("$response.body#{place}/{field}")
    }
}

fn link(target: &Value, path: &str, parameter: &str, from: &str) -> Value {
    let mut parameters = Map::new();
    for known in target["parameters"].as_array().into_iter().flatten() {
        let name = known["name"].as_str().unwrap_or_default();
        if name != parameter && known["in"] == "path" && path.contains(&format!("{{{name}}}")) {
            parameters.insert(name.to_owned(), format!("$request.path.{name}").into());
        }
    }
    parameters.insert(parameter.to_owned(), from.into());
    json!({"operationId": target["operationId"], "parameters": parameters})
}

fn name(operation: &Value) -> String {
    operation["operationId"].as_str().unwrap_or_default().to_owned()
}

fn parameter_of(place: &'static str) -> &'static str {
    place.rsplit('{').next().unwrap_or_default().trim_end_matches('}')
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let place = schema["$ref"].as_str().and_then(|place| document.pointer(place.trim_start_matches('#')));
    place.unwrap_or(schema)
}
