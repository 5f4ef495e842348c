//! Examples of responses, chosen from those that stories have received.
//!
//! `cargo xtask openapi --record` runs the stories and chooses anew; what it chose is kept in [`FILE`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use runtime::router::match_path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::document;
use crate::routes::routes;
use crate::template::capitalized;

/// The kept examples, below the workspace's folder.
pub const FILE: &str = "infra/openapi/examples.json";

/// The size up to which a body is an example, in bytes.
const MAX_BYTES: usize = 2_500;

/// The start of the type of problems.
const PROBLEM_TYPE: &str = "urn:adflight:";

/// Examples by operation and status, and of problems by their kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    operations: BTreeMap<String, BTreeMap<u16, Value>>,
    problems: BTreeMap<String, Value>,
}

/// A response that a story received; one line of a recording.
#[derive(Deserialize)]
struct Received {
    method: String,
    path: String,
    status: u16,
    body: Value,
}

impl Examples {
    /// Returns the kept examples. Fails when they are none.
    pub(crate) fn kept() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("../examples.json"))
    }

    /// Chooses from a recording: the body with the most fields, and of these the shortest.
    pub fn choose(recording: impl BufRead) -> anyhow::Result<Self> {
        let routes = routes();
        let mut best: BTreeMap<(String, u16), Candidate> = BTreeMap::new();
        for line in recording.lines() {
            let Received { method, path, status, body } = serde_json::from_str(&line?)?;
            let kind =
                body["type"].as_str().and_then(|kind| kind.strip_prefix(PROBLEM_TYPE)).map(str::to_owned);
            let matching = routes
                .iter()
                .filter(|route| route.method.as_str() == method && match_path(route.path, &path).is_some());
            let route = matching.min_by_key(|route| route.path.matches('{').count());
            let name = match (kind, route) {
                (Some(kind), _) => (kind, 0),
                (None, Some(route)) if status < 300 => (route.operation.id.to_string(), status),
                _ => continue,
            };
            let Some(candidate) = Candidate::of(body) else { continue };
            match best.get(&name) {
                Some(known) if known.rank() <= candidate.rank() => {}
                _ => drop(best.insert(name, candidate)),
            }
        }
        let mut examples = Self::default();
        for ((name, status), Candidate { body, .. }) in best {
            match status {
                0 => drop(examples.problems.insert(name, body)),
                _ => drop(examples.operations.entry(name).or_default().insert(status, body)),
            }
        }
        examples.add_to(&mut document()?);
        Ok(examples)
    }

    /// Adds the examples to a document, and leaves out those that have no place in it.
    pub(crate) fn add_to(&mut self, document: &mut Value) {
        let mut known = std::mem::take(&mut self.operations);
        let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
        for operation in paths.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut()) {
            let Some(id) = operation["operationId"].as_str().map(str::to_owned) else { continue };
            let mut examples = known.remove(&id).unwrap_or_default();
            examples.retain(|status, body| {
                let response = operation["responses"].get_mut(status.to_string());
                let content =
                    response.and_then(|response| response.pointer_mut("/content/application~1json"));
                content.map(|content| content["example"] = body.clone()).is_some()
            });
            if !examples.is_empty() {
                self.operations.insert(id, examples);
            }
        }
        self.problems.retain(|kind, body| {
            let schema = document["components"]["schemas"].get_mut(schema_of(kind));
            schema.map(|schema| schema["examples"] = json!([body])).is_some()
        });
    }
}

/// Returns the name of the schema of a kind of problem: `NoBudgetProblem` of `no-budget`.
pub(crate) fn schema_of(kind: &str) -> String {
    kind.split('-').map(capitalized).collect::<String>() + "Problem"
}

struct Candidate {
    body: Value,
    fields: usize,
    text: String,
}

impl Candidate {
    /// Shortens a body: of lists, the first two items are enough to see their shape.
    fn of(mut body: Value) -> Option<Self> {
        shorten(&mut body);
        let mut fields = BTreeSet::new();
        collect_fields(&body, "", &mut fields);
        let text = body.to_string();
        let fields = fields.len();
        (text.len() <= MAX_BYTES).then_some(Self { body, fields, text })
    }

    fn rank(&self) -> (std::cmp::Reverse<usize>, usize, &str) {
        (std::cmp::Reverse(self.fields), self.text.len(), &self.text)
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.truncate(2);
            items.iter_mut().for_each(shorten);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        // Each story's own system stands in for the one of a laptop.
        Value::String(text) => {
            for scheme in ["http", "ws"] {
                let host = format!("{scheme}://127.0.0.1:");
                let Some(rest) = text.strip_prefix(&host) else { continue };
                let path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                *text = format!("{host}8787{path}");
            }
        }
        _ => {}
    }
}

fn collect_fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_fields(item, path, into)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                collect_fields(value, &path, into);
                into.insert(path);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_success_has_an_example_and_every_example_a_place() {
        let mut document = document().unwrap();
        let kept = Examples::kept().unwrap();
        let mut placed = kept.clone();
        placed.add_to(&mut document);
        assert!(kept == placed, "examples of what is not there; run `cargo xtask openapi --record`");
        let operations = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values());
        for operation in operations {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let content = &response["content"]["application/json"];
                assert!(
                    !status.starts_with('2') || content.is_null() || !content["example"].is_null(),
                    "{} has no example of {status}; run `cargo xtask openapi --record`",
                    operation["operationId"]
                );
            }
        }
    }
}
