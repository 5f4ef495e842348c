//! Holds answers to openapi.yaml: a described status, content type, headers and body.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, anyhow, bail, ensure};
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

/// Under this name the validator knows the document.
const DOCUMENT: &str = "https://adflight.invalid/openapi.json";

/// Compiled at first use, for all stories of the process.
static DESCRIBED: LazyLock<anyhow::Result<Described>> = LazyLock::new(Described::read);

/// Whether openapi.yaml says that a request may be answered like this.
pub fn hold(
    method: &Method,
    path: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> anyhow::Result<()> {
    let described = DESCRIBED.as_ref().map_err(|error| anyhow!("openapi.yaml: {error:#}"))?;
    let what = || format!("{method} {path} is answered {status} with {}", shown(body));
    described.holds(method, path, status, headers, body).with_context(what)
}

struct Described {
    schemas: Schemas,
    routes: Vec<Route>,
    problem: Answer,
}

/// The methods of a path.
struct Route {
    parts: Vec<String>,
    methods: BTreeMap<String, BTreeMap<u16, Answer>>,
}

/// Bodies by content type, and headers: of each whether it must be there.
struct Answer {
    contents: BTreeMap<String, SchemaIndex>,
    headers: Vec<(String, bool)>,
}

impl Described {
    fn read() -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.yaml");
        let document: Value = serde_yaml_ng::from_str(&fs::read_to_string(file)?)?;
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, document.clone()).map_err(failed)?;
        let mut reader = Reader { document: &document, compiler, schemas: Schemas::new() };
        let routes = reader.routes()?;
        let mut problem = reader.answer("/components/responses/NotFound")?;
        let any = reader.schema("/components/schemas/Problem")?;
        problem.contents.values_mut().for_each(|schema| *schema = any);
        Ok(Self { schemas: reader.schemas, routes, problem })
    }

    fn holds(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let Some(route) = self.route(path) else {
            ensure!(status == 404, "there is no such route");
            return self.is(&self.problem, headers, body);
        };
        let Some(answers) = route.methods.get(&method.as_str().to_ascii_lowercase()) else {
            ensure!(status == 405, "the route has no such method");
            return self.is(&self.problem, headers, body);
        };
        let answer = answers.get(&status.as_u16()).context("the status is not described")?;
        self.is(answer, headers, body)
    }

    /// The path with most literal parts, of those that it could be.
    fn route(&self, path: &str) -> Option<&Route> {
        let parts: Vec<&str> = path.split('/').collect();
        let is_open = |part: &str| part.starts_with('{');
        let fits = |route: &&Route| {
            let mut pairs = route.parts.iter().zip(&parts);
            route.parts.len() == parts.len()
                && pairs.all(|(known, part)| known == part || (is_open(known) && !part.is_empty()))
        };
        let open = |route: &&Route| route.parts.iter().filter(|part| is_open(part)).count();
        self.routes.iter().filter(fits).min_by_key(open)
    }

    fn is(&self, answer: &Answer, headers: &HeaderMap, body: &[u8]) -> anyhow::Result<()> {
        for (name, _) in answer.headers.iter().filter(|(_, required)| *required) {
            ensure!(headers.contains_key(name), "the header {name} is missing");
        }
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str()).transpose()?;
        let Some(kind) = kind.and_then(|kind| kind.split(';').next()) else {
            ensure!(body.is_empty(), "a body without a content type");
            ensure!(answer.contents.is_empty(), "a body is missing");
            return Ok(());
        };
        let schema = answer.contents.get(kind).with_context(|| format!("{kind} is not described"))?;
        if !kind.ends_with("json") {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(body).context("the body is not JSON")?;
        self.schemas.validate(&body, *schema).map_err(|error| anyhow!("{error}"))
    }
}

struct Reader<'a> {
    document: &'a Value,
    compiler: Compiler,
    schemas: Schemas,
}

impl Reader<'_> {
    fn routes(&mut self) -> anyhow::Result<Vec<Route>> {
        let mut routes = Vec::new();
        for (path, methods) in object(&self.document["paths"])? {
            let mut route =
                Route { parts: path.split('/').map(str::to_owned).collect(), methods: BTreeMap::new() };
            for (method, operation) in object(methods)? {
                let mut answers = BTreeMap::new();
                for status in object(&operation["responses"])?.keys() {
                    let place = format!("/paths/{}/{method}/responses/{status}", escaped(path));
                    answers.insert(status.parse()?, self.answer(&place)?);
                }
                route.methods.insert(method.clone(), answers);
            }
            routes.push(route);
        }
        Ok(routes)
    }

    fn answer(&mut self, place: &str) -> anyhow::Result<Answer> {
        let answer = self.document.pointer(place).context("no answer")?;
        if let Some(other) = answer["$ref"].as_str() {
            return self.answer(other.trim_start_matches('#'));
        }
        let mut contents = BTreeMap::new();
        for kind in answer["content"].as_object().into_iter().flat_map(|contents| contents.keys()) {
            let schema = self.schema(&format!("{place}/content/{}/schema", escaped(kind)))?;
            contents.insert(kind.clone(), schema);
        }
        let headers = answer["headers"].as_object().into_iter().flatten();
        let headers = headers.map(|(name, header)| (name.clone(), header["required"] == true)).collect();
        Ok(Answer { contents, headers })
    }

    fn schema(&mut self, place: &str) -> anyhow::Result<SchemaIndex> {
        // A pointer in a URL.
        let place = place.replace('{', "%7B").replace('}', "%7D").replace('+', "%2B");
        self.compiler.compile(&format!("{DOCUMENT}#{place}"), &mut self.schemas).map_err(failed)
    }
}

fn failed(error: boon::CompileError) -> anyhow::Error {
    anyhow!("{error:#}")
}

fn object(value: &Value) -> anyhow::Result<&serde_json::Map<String, Value>> {
    let Value::Object(object) = value else { bail!("no object: {value:.100}") };
    Ok(object)
}

/// A part of a JSON pointer.
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(500).collect()
}
