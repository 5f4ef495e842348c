//! The OpenAPI operation of one route.

use std::collections::BTreeMap;

use anyhow::bail;
use domain::Error;
use domain::id::WorkspaceId;
use http::{Method, StatusCode};
use runtime::endpoint::Access;
use runtime::operation::{Header, IDEMPOTENCY_KEY, Operation, ProblemKind, SchemaFn, Success};
use runtime::router::{MAX_BODY_BYTES, MAX_READ_BYTES};
use runtime::session::Role;
use serde_json::{Map, Value, json};

use crate::routes::Route;
use crate::schemas::{Schemas, without_null};

/// The reference to the schema of problems.
pub(crate) const PROBLEM: &str = "#/components/schemas/Problem";

/// Responses of every route, or of every route with a session.
const COMMON: [Common; 5] = [
    ("Unauthorized", unauthorized, "A valid session is needed."),
    (
        "NotFound",
        || Error::NotFound(String::new()).into(),
        "Something that the path names is not there, or not yours.",
    ),
    ("TooLarge", too_large, "The body is too large."),
    ("Internal", || Error::Internal(String::new()).into(), "An error on our side, which was logged."),
    ("Unavailable", || Error::Unavailable(String::new()).into(), "Out of reach at the moment; try again."),
];

fn unauthorized() -> ProblemKind {
    ProblemKind { status: StatusCode::UNAUTHORIZED, kind: "unauthorized", title: "A valid session is needed" }
}

fn too_many_requests() -> ProblemKind {
    ProblemKind {
        status: StatusCode::TOO_MANY_REQUESTS,
        kind: "too-many-requests",
        title: "Too many requests",
    }
}

fn too_large() -> ProblemKind {
    ProblemKind { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "too-large", title: "The body is too large" }
}

/// The response's name, its problem, and the description.
type Common = (&'static str, fn() -> ProblemKind, &'static str);

/// Returns the responses that routes share.
pub(crate) fn common_responses() -> Value {
    let answers = COMMON.iter().map(|(name, problem, why)| {
        let mut answer = problem_response(&[(problem(), why)]);
        if *name == "Unauthorized" {
            answer["headers"] =
                json!({"WWW-Authenticate": {"required": true, "schema": {"const": "Bearer"}}});
        }
        ((*name).to_owned(), answer)
    });
    Value::Object(answers.collect())
}

/// Returns the OpenAPI operation of a route.
pub(crate) fn describe(schemas: &mut Schemas, route: &Route) -> anyhow::Result<Value> {
    let Operation { id, summary, description, path, query, headers, body, response, .. } = &route.operation;
    let mut parameters = path_parameters(schemas, route.path, *path)?;
    parameters.extend(query_parameters(schemas, *query));
    parameters.extend(headers.iter().map(request_header));
    if is_write(route) && headers.iter().all(|header| header.name != IDEMPOTENCY_KEY) {
        let text =
            "Of your own per request: a repeated request with the same text is done once and answered alike.";
        parameters.push(request_header(&Header::idempotency_key(false, text)));
    }
    let mut operation = Map::from_iter([
        ("tags".to_owned(), json!([route.function])),
        ("summary".to_owned(), json!(summary)),
        ("operationId".to_owned(), json!(id)),
        ("responses".to_owned(), responses(schemas, route, response)),
    ]);
    if let Some(text) = access_description(route.access, *description) {
        operation.insert("description".to_owned(), text.into());
    }
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = body {
        let schema = schemas.request(body.shape);
        let content = json!({body.content_type: {"schema": schema}});
        operation.insert("requestBody".to_owned(), json!({"required": body.required, "content": content}));
    }
    let security = match route.access {
        Access::Public => json!([]),
        Access::User | Access::Member(_) => json!([{"session": []}]),
    };
    operation.insert("security".to_owned(), security);
    Ok(Value::Object(operation))
}

/// Returns whether a route is a write with a session, which accepts an idempotency key.
fn is_write(route: &Route) -> bool {
    route.access != Access::Public && route.method != Method::GET
}

fn access_description(access: Access, description: Option<&str>) -> Option<String> {
    let needed = match access {
        Access::Public => None,
        Access::User => Some("Needs a session, in whichever workspace or none.".to_owned()),
        Access::Member(role) => Some(format!("Needs the role {role}.")),
    };
    let parts: Vec<_> = description.map(str::to_owned).into_iter().chain(needed).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Returns the parameters of a path: the workspace, and the fields of the struct that the handler reads.
fn path_parameters(schemas: &mut Schemas, path: &str, shape: Option<SchemaFn>) -> anyhow::Result<Vec<Value>> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let read = fields(schemas, shape);
    let parameter = |name: &str| {
        let field = read.iter().find(|field| field.name == name);
        let (schema, description) = match (name, field) {
            ("workspace", _) => {
                let schema = schemas.request(|generator| generator.subschema_for::<WorkspaceId>());
                (schema, Some(json!("The session's workspace.")))
            }
            (_, Some(field)) => (field.schema.clone(), field.description.clone()),
            (_, None) => bail!("{path} has {{{name}}}, and its handler does not read it"),
        };
        Ok(
            json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema}),
        )
    };
    names.clone().map(parameter).collect::<anyhow::Result<Vec<_>>>().and_then(|parameters| {
        let unknown = read.iter().find(|field| !names.clone().any(|name| name == field.name));
        match unknown {
            Some(field) => bail!("{path} has no {{{}}}, which its handler reads", field.name),
            None => Ok(parameters),
        }
    })
}

/// A field of a struct that path or query are read into.
struct Field {
    name: String,
    schema: Value,
    description: Option<Value>,
    required: bool,
}

fn fields(schemas: &mut Schemas, shape: Option<SchemaFn>) -> Vec<Field> {
    let Some(shape) = shape else { return Vec::new() };
    let shape = schemas.request(shape);
    let required = shape["required"].as_array().cloned().unwrap_or_default();
    let fields = shape["properties"].as_object().into_iter().flatten();
    let field = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let required = required.iter().any(|required| required == name);
        Field { name: name.clone(), schema, description, required }
    };
    fields.map(field).collect()
}

/// Returns a parameter for each field of the query's struct.
fn query_parameters(schemas: &mut Schemas, query: Option<SchemaFn>) -> Vec<Value> {
    let parameter = |Field { name, schema, description, required }| {
        // It is there or not; there is no null in a query.
        let schema = if required { schema } else { without_null(schema) };
        let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
        if let Some(description) = description {
            parameter["description"] = description;
        }
        // Lists are separated by commas, in one parameter.
        if parameter["schema"]["type"] == "array" {
            parameter["schema"]["minItems"] = 1.into();
            parameter["explode"] = false.into();
        }
        parameter
    };
    fields(schemas, query).into_iter().map(parameter).collect()
}

fn request_header(header: &Header) -> Value {
    let Header { name, description, required, .. } = header;
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": header.schema()})
}

fn responses(schemas: &mut Schemas, route: &Route, response: &Success) -> Value {
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for response in std::iter::once(response).chain(&route.operation.alternatives) {
        responses.insert(response.status.as_u16(), success(schemas, response));
    }
    let as_page = route.operation.fails_as_page;
    for (status, problems) in problem_responses(schemas, route) {
        let mut response = problem_response(&problems);
        let common =
            COMMON.iter().find(|(_, common, _)| matches!(problems[..], [(one, _)] if one == common()));
        if let (Some((name, ..)), false) = (common, as_page) {
            response = json!({"$ref": format!("#/components/responses/{name}")});
        } else if as_page {
            response["content"]["text/html"] = json!({"schema": {"type": "string"}});
        }
        responses.insert(status, response);
    }
    responses.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect::<Map<_, _>>().into()
}

fn success(schemas: &mut Schemas, answer: &Success) -> Value {
    let mut response = json!({"description": answer.description});
    for (content_type, shape) in &answer.contents {
        response["content"][content_type] = json!({"schema": schemas.response(shape)});
    }
    for header in &answer.headers {
        let Header { name, description, required, .. } = header;
        response["headers"][name] =
            json!({"required": required, "description": description, "schema": header.schema()});
    }
    response
}

/// Returns a route's problem responses by status: its own, and those that follow from its access and its body.
fn problem_responses(
    schemas: &mut Schemas,
    route: &Route,
) -> BTreeMap<u16, Vec<(ProblemKind, &'static str)>> {
    let Operation { query, headers, body, .. } = &route.operation;
    let reads_query = !fields(schemas, *query).is_empty();
    let mut all = route.operation.failures.clone();
    let common = |name: &str| {
        let found = COMMON.iter().find(|(known, ..)| *known == name);
        found.map(|(_, problem, why)| (problem(), *why))
    };
    let mut names = vec!["TooLarge", "Internal", "Unavailable"];
    match route.access {
        Access::Public => {}
        Access::User => {
            names.push("Unauthorized");
            if route.path.contains('{') {
                names.push("NotFound");
            }
            all.push((too_many_requests(), "The person has used up their requests."));
        }
        Access::Member(role) => {
            names.extend(["Unauthorized", "NotFound"]);
            all.push((too_many_requests(), "The workspace has used up its requests."));
            if role > Role::Viewer {
                let forbidden = Error::Forbidden(String::new());
                all.push((forbidden.into(), "The session's role does not allow this."));
            }
        }
    }
    if is_write(route) {
        let why = "The Idempotency-Key was used for another request, or its request is under way.";
        all.push((Error::Conflict(String::new()).into(), why));
    }
    all.extend(names.into_iter().filter_map(common));
    if reads_query || body.is_some() || !headers.is_empty() {
        let invalid = Error::Invalid(Vec::new());
        all.push((invalid.into(), "What was sent has mistakes; each is named with its field."));
    } else {
        let invalid = Error::Invalid(Vec::new());
        all.push((invalid.into(), "The query holds a parameter; this path takes none."));
    }
    let mut by_status: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for (problem, why) in all {
        by_status.entry(problem.status.as_u16()).or_default().push((problem, why));
    }
    by_status
}

fn problem_response(problems: &[(ProblemKind, &'static str)]) -> Value {
    let mut kinds: Vec<_> =
        problems.iter().map(|(problem, _)| format!("urn:adflight:{}", problem.kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let why: Vec<_> = problems.iter().map(|(_, why)| *why).collect();
    let status = problems.first().map_or(0, |(problem, _)| problem.status.as_u16());
    let schema = json!({
        "$ref": PROBLEM,
        "properties": {"type": {"enum": kinds}, "status": {"const": status}},
    });
    let mut response = json!({
        "description": why.join(" "),
        "content": {"application/problem+json": {"schema": schema}},
    });
    if status == StatusCode::TOO_MANY_REQUESTS.as_u16() {
        let seconds = json!({"type": "integer", "minimum": 1});
        response["headers"] = json!({"Retry-After": {
            "required": true, "description": "Seconds to wait, at least.", "schema": seconds,
        }});
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE.as_u16() {
        let text = format!("The body has more than {MAX_BODY_BYTES} bytes; of a webhook, {MAX_READ_BYTES}.");
        response["description"] = text.into();
    }
    response
}
