//! One route as OpenAPI says it.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use domain::Error;
use domain::id::{
    AdAccountId, ConnectionId, InvitationId, LaunchId, MemberId, ObjectId, RuleId, WorkspaceId,
};
use http::{Method, StatusCode};
use runtime::describe::{Answer, Header, Operation, Problem, Shape};
use runtime::route::{Access, MAX_BODY_BYTES};
use runtime::session::Role;
use serde_json::{Map, Value, json};

use crate::document::RouteDescription;
use crate::schemas::{Schemas, without_null};

/// Where the schema of problems stands.
pub(crate) const PROBLEM: &str = "#/components/schemas/Problem";

/// What every route, or every route with a session, may answer.
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

fn unauthorized() -> Problem {
    Problem { status: StatusCode::UNAUTHORIZED, kind: "unauthorized", title: "A valid session is needed" }
}

fn too_many_requests() -> Problem {
    Problem { status: StatusCode::TOO_MANY_REQUESTS, kind: "too-many-requests", title: "Too many requests" }
}

fn too_large() -> Problem {
    Problem { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "too-large", title: "The body is too large" }
}

/// The name under which it is described, the problem, and why.
type Common = (&'static str, fn() -> Problem, &'static str);

/// The answers that routes share.
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

/// One route as OpenAPI says it.
pub(crate) fn describe(schemas: &mut Schemas, route: &RouteDescription) -> anyhow::Result<Value> {
    let Operation { id, summary, description, query, headers, body, answers, .. } = &route.operation;
    let mut parameters = path_parameters(schemas, route.path)?;
    if let Some(query) = query {
        parameters.extend(query_parameters(schemas, *query)?);
    }
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
        ("responses".to_owned(), responses(schemas, route, answers)),
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
        Access::Person | Access::Role(_) => json!([{"session": []}]),
    };
    operation.insert("security".to_owned(), security);
    Ok(Value::Object(operation))
}

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Whether a route is a write of a session, which may be sent again under a key.
fn is_write(route: &RouteDescription) -> bool {
    route.access != Access::Public && route.method != Method::GET
}

fn access_description(access: Access, description: Option<&str>) -> Option<String> {
    let needed = match access {
        Access::Public => None,
        Access::Person => Some("Needs a session, in whichever workspace or none.".to_owned()),
        Access::Role(role) => Some(format!("Needs the role {role}.")),
    };
    let parts: Vec<_> = description.map(str::to_owned).into_iter().chain(needed).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn path_parameters(schemas: &mut Schemas, path: &str) -> anyhow::Result<Vec<Value>> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let (shape, description): (Shape, &str) = match name {
            "workspace" => (|g| g.subschema_for::<WorkspaceId>(), "The session's workspace."),
            "ad_account" => (|g| g.subschema_for::<AdAccountId>(), "An ad account of the workspace."),
            "id" => (|g| g.subschema_for::<ObjectId>(), "Meta's id of the object."),
            "connection" => (|g| g.subschema_for::<ConnectionId>(), "A connection of the workspace."),
            "code" => (|g| g.subschema_for::<String>(), "The confirmation code of a deletion."),
            "rule" => (|g| g.subschema_for::<RuleId>(), "A rule of the workspace."),
            "member" => (|g| g.subschema_for::<MemberId>(), "A member of the workspace."),
            "invitation" => (|g| g.subschema_for::<InvitationId>(), "An invitation to the workspace."),
            "launch" => (|g| g.subschema_for::<LaunchId>(), "A launch of the workspace."),
            other => bail!("what {{{other}}} is must be said in infra/openapi/src/operation.rs"),
        };
        let schema = schemas.request(shape);
        Ok(
            json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema}),
        )
    };
    names.map(parameter).collect()
}

/// A parameter for each field of the query's struct.
fn query_parameters(schemas: &mut Schemas, query: Shape) -> anyhow::Result<Vec<Value>> {
    let shape = schemas.request(query);
    let fields = shape["properties"].as_object().context("a query must be a struct")?;
    let required = shape["required"].as_array().cloned().unwrap_or_default();
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let required = required.iter().any(|required| required == name);
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
    Ok(fields.iter().map(parameter).collect())
}

fn request_header(header: &Header) -> Value {
    let Header { name, description, required, schema } = header;
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": schema})
}

fn responses(schemas: &mut Schemas, route: &RouteDescription, answers: &[Answer]) -> Value {
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for answer in answers {
        responses.insert(answer.status.as_u16(), success(schemas, answer));
    }
    let as_page = route.operation.fails_as_page;
    for (status, problems) in problem_responses(route) {
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

fn success(schemas: &mut Schemas, answer: &Answer) -> Value {
    let mut response = json!({"description": answer.description});
    for (content_type, shape) in &answer.contents {
        response["content"][content_type] = json!({"schema": schemas.response(shape)});
    }
    for header in &answer.headers {
        let Header { name, description, required, schema } = header;
        response["headers"][name] =
            json!({"required": required, "description": description, "schema": schema});
    }
    response
}

/// How a route may fail, by status: what it says itself, and what follows from its access and what it takes.
fn problem_responses(route: &RouteDescription) -> BTreeMap<u16, Vec<(Problem, &'static str)>> {
    let Operation { query, headers, body, .. } = &route.operation;
    let mut all = route.operation.failures.clone();
    let common = |name: &str| {
        let found = COMMON.iter().find(|(known, ..)| *known == name);
        found.map(|(_, problem, why)| (problem(), *why))
    };
    let mut names = vec!["TooLarge", "Internal", "Unavailable"];
    match route.access {
        Access::Public => {}
        Access::Person => {
            names.push("Unauthorized");
            if route.path.contains('{') {
                names.push("NotFound");
            }
            all.push((too_many_requests(), "The person has used up their requests."));
        }
        Access::Role(role) => {
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
    if query.is_some() || body.is_some() || !headers.is_empty() {
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

fn problem_response(problems: &[(Problem, &'static str)]) -> Value {
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
        response["description"] = format!("The body has more than {MAX_BODY_BYTES} bytes.").into();
    }
    response
}
