//! The OpenAPI operation of one route.

use std::collections::BTreeMap;

use anyhow::bail;
use domain::id::WorkspaceId;
use http::Method;
use runtime::endpoint::Access;
use runtime::operation::{Header, IDEMPOTENCY_KEY, Operation, SchemaFn, Success};
use serde_json::{Map, Value, json};

use crate::problems::{self, ProblemResponses};
use crate::routes::Route;
use crate::schemas::{Schemas, without_null};

/// Returns the OpenAPI operation of a route.
pub(crate) fn describe(
    schemas: &mut Schemas,
    problems: &mut ProblemResponses,
    route: &Route,
) -> anyhow::Result<Value> {
    let Operation { id, summary, description, path, query, headers, body, response, .. } = &route.operation;
    let mut parameters = path_parameters(schemas, route.path, *path)?;
    parameters.extend(query_parameters(schemas, *query));
    parameters.extend(headers.iter().map(request_header));
    if is_write(route) && headers.iter().all(|header| header.name != IDEMPOTENCY_KEY) {
        let text =
            "Of your own per request: a repeated request with the same text is done once and answered alike.";
        parameters.push(request_header(&Header::idempotency_key(false, text)));
    }
    if route.checks_version {
        let text = "The `ETag` that `GET` gave: the change is made only if nothing else changed since.";
        parameters.push(common_header("If-Match", text));
    }
    if is_tagged_read(route, response) {
        let text = "The `ETag` of an earlier answer: 304 if it is still the same.";
        parameters.push(common_header("If-None-Match", text));
    }
    let mut operation = Map::from_iter([
        ("tags".to_owned(), json!([route.function])),
        ("summary".to_owned(), json!(summary)),
        ("operationId".to_owned(), json!(id)),
        ("responses".to_owned(), responses(schemas, problems, route, response)),
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
pub(crate) fn is_write(route: &Route) -> bool {
    route.access != Access::Public && !route.is_read
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
        // Separated by commas in one parameter, or each in its own.
        if parameter["schema"]["type"] == "array" {
            parameter["schema"]["minItems"] = 1.into();
            parameter["explode"] = false.into();
        }
        parameter
    };
    fields(schemas, query).into_iter().map(parameter).collect()
}

/// Whether the answer of a route gets an entity tag: data that is read.
fn is_tagged_read(route: &Route, answer: &Success) -> bool {
    let is_data = |content_type: &str| ["application/json", "text/csv"].contains(&content_type);
    route.method == Method::GET && answer.contents.iter().any(|(kind, _)| is_data(kind))
}

/// Headers of every response to a request that counts.
pub(crate) fn limit_headers() -> Value {
    json!({
        "RateLimit": {
            "description": "Requests that are left, and for how many seconds: `\"requests\";r=1199;t=60`.",
            "schema": {"type": "string"},
        },
        "RateLimit-Policy": {
            "description": "Requests per window in seconds: `\"requests\";q=1200;w=60`.",
            "schema": {"type": "string"},
        },
    })
}

/// A parameter in the header that every route of a kind takes.
fn common_header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"}})
}

fn request_header(header: &Header) -> Value {
    let Header { name, description, required, .. } = header;
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": header.schema()})
}

fn responses(
    schemas: &mut Schemas,
    problems: &mut ProblemResponses,
    route: &Route,
    response: &Success,
) -> Value {
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for response in std::iter::once(response).chain(&route.operation.alternatives) {
        responses.insert(response.status.as_u16(), success(schemas, route, response));
    }
    if is_tagged_read(route, response) {
        responses.insert(304, json!({"description": "It is what `If-None-Match` names."}));
    }
    for (status, kinds) in problems::of(route, reads(schemas, route)) {
        responses.insert(status, problems.response(&kinds, route.operation.fails_as_page));
    }
    responses.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect::<Map<_, _>>().into()
}

/// Whether a route reads something that can be wrong.
fn reads(schemas: &mut Schemas, route: &Route) -> bool {
    let Operation { query, headers, body, .. } = &route.operation;
    !fields(schemas, *query).is_empty() || body.is_some() || !headers.is_empty()
}

fn success(schemas: &mut Schemas, route: &Route, answer: &Success) -> Value {
    let mut response = json!({"description": answer.description});
    if route.access != Access::Public {
        response["headers"] = limit_headers();
    }
    if is_tagged_read(route, answer) {
        response["headers"]["ETag"] = json!({
            "description": "For `If-None-Match` of the next read, and for `If-Match` of a change where one is taken.",
            "schema": {"type": "string"},
        });
    }
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
