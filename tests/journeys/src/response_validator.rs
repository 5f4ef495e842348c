//! Validates responses against openapi.yaml: status, content type, headers and body.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, anyhow, bail, ensure};
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

/// The validator's name of the document.
const DOCUMENT_URL: &str = "https://adflight.invalid/openapi.json";

/// Compiled at first use, for all scenarios of the process.
static VALIDATOR: LazyLock<anyhow::Result<ResponseValidator>> = LazyLock::new(ResponseValidator::read);

/// Fails unless openapi.yaml allows this response to the request.
pub fn validate_response(
    method: &Method,
    path: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> anyhow::Result<()> {
    let validator = VALIDATOR.as_ref().map_err(|error| anyhow!("openapi.yaml: {error:#}"))?;
    let message = || format!("{method} {path} is answered {status} with {}", preview(body));
    validator.validate(method, path, status, headers, body).with_context(message)
}

struct ResponseValidator {
    schemas: Schemas,
    routes: Vec<Route>,
    problem: ResponseSpec,
}

/// A path and its methods.
struct Route {
    parts: Vec<String>,
    methods: BTreeMap<String, BTreeMap<u16, ResponseSpec>>,
}

/// The bodies of a response by content type, and its headers, each with whether it is required.
struct ResponseSpec {
    contents: BTreeMap<String, SchemaIndex>,
    headers: Vec<(String, bool)>,
}

impl ResponseValidator {
    fn read() -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.yaml");
        let document: Value = serde_yaml_ng::from_str(&fs::read_to_string(file)?)?;
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT_URL, document.clone()).map_err(compile_error)?;
        let mut reader = Reader { document: &document, compiler, schemas: Schemas::new() };
        let routes = reader.routes()?;
        let mut problem = reader.response("/components/responses/NotFound")?;
        let any = reader.schema("/components/schemas/Problem")?;
        problem.contents.values_mut().for_each(|schema| *schema = any);
        Ok(Self { schemas: reader.schemas, routes, problem })
    }

    fn validate(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let Some(route) = self.route(path) else {
            ensure!(status == 404, "there is no such route");
            return self.validate_against(&self.problem, headers, body);
        };
        let read = if method == Method::HEAD { &Method::GET } else { method };
        let Some(responses) = route.methods.get(&read.as_str().to_ascii_lowercase()) else {
            ensure!(status == 405, "the route has no such method");
            return self.validate_against(&self.problem, headers, body);
        };
        let response = responses.get(&status.as_u16()).context("the status is not described")?;
        if method == Method::HEAD {
            ensure!(body.is_empty(), "a body that nobody asked for");
            return Ok(());
        }
        self.validate_against(response, headers, body)
    }

    /// Returns the matching path with the most literal segments.
    fn route(&self, path: &str) -> Option<&Route> {
        let parts: Vec<&str> = path.split('/').collect();
        let is_parameter = |part: &str| part.starts_with('{');
        let matches_path = |route: &&Route| {
            let mut pairs = route.parts.iter().zip(&parts);
            route.parts.len() == parts.len()
                && pairs.all(|(known, part)| known == part || (is_parameter(known) && !part.is_empty()))
        };
        let parameter_count = |route: &&Route| route.parts.iter().filter(|part| is_parameter(part)).count();
        self.routes.iter().filter(matches_path).min_by_key(parameter_count)
    }

    fn validate_against(
        &self,
        response: &ResponseSpec,
        headers: &HeaderMap,
        body: &[u8],
    ) -> anyhow::Result<()> {
        for (name, _) in response.headers.iter().filter(|(_, required)| *required) {
            ensure!(headers.contains_key(name), "the header {name} is missing");
        }
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str()).transpose()?;
        let Some(kind) = kind.and_then(|kind| kind.split(';').next()) else {
            ensure!(body.is_empty(), "a body without a content type");
            ensure!(response.contents.is_empty(), "a body is missing");
            return Ok(());
        };
        let schema = response.contents.get(kind).with_context(|| format!("{kind} is not described"))?;
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
                let mut responses = BTreeMap::new();
                for status in object(&operation["responses"])?.keys() {
                    let pointer = format!("/paths/{}/{method}/responses/{status}", escaped(path));
                    responses.insert(status.parse()?, self.response(&pointer)?);
                }
                route.methods.insert(method.clone(), responses);
            }
            routes.push(route);
        }
        Ok(routes)
    }

    fn response(&mut self, pointer: &str) -> anyhow::Result<ResponseSpec> {
        let response = self.document.pointer(pointer).context("no such response")?;
        if let Some(other) = response["$ref"].as_str() {
            return self.response(other.trim_start_matches('#'));
        }
        let mut contents = BTreeMap::new();
        for kind in response["content"].as_object().into_iter().flat_map(|contents| contents.keys()) {
            let schema = self.schema(&format!("{pointer}/content/{}/schema", escaped(kind)))?;
            contents.insert(kind.clone(), schema);
        }
        let headers = response["headers"].as_object().into_iter().flatten();
        let headers = headers.map(|(name, header)| (name.clone(), header["required"] == true)).collect();
        Ok(ResponseSpec { contents, headers })
    }

    fn schema(&mut self, pointer: &str) -> anyhow::Result<SchemaIndex> {
        // A pointer in a URL.
        let pointer = pointer.replace('{', "%7B").replace('}', "%7D").replace('+', "%2B");
        self.compiler.compile(&format!("{DOCUMENT_URL}#{pointer}"), &mut self.schemas).map_err(compile_error)
    }
}

fn compile_error(error: boon::CompileError) -> anyhow::Error {
    anyhow!("{error:#}")
}

fn object(value: &Value) -> anyhow::Result<&serde_json::Map<String, Value>> {
    let Value::Object(object) = value else { bail!("no object: {value:.100}") };
    Ok(object)
}

/// Escapes a segment of a JSON pointer.
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn preview(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(500).collect()
}
