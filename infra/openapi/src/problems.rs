//! Responses of failures: problems, of which most are the same for many routes.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Error;
use http::StatusCode;
use runtime::endpoint::Access;
use runtime::operation::ProblemKind;
use runtime::router::{MAX_BODY_BYTES, MAX_READ_BYTES};
use runtime::session::Role;
use serde_json::{Value, json};

use crate::examples::schema_of;
use crate::operation::{is_write, limit_headers};
use crate::routes::Route;

/// The reference to the schema of problems.
pub(crate) const PROBLEM: &str = "#/components/schemas/Problem";

/// A problem with what it means for a route.
type Kind = (ProblemKind, &'static str);

/// Problems that mean the same everywhere, each with the name of its response.
fn common() -> Vec<(&'static str, Kind)> {
    let of = |error: Error| ProblemKind::from(error);
    let plain = |status, kind, title| ProblemKind { status, kind, title };
    let wait = Error::RateLimited { retry_after: Duration::ZERO, reason: String::new() };
    let stale = Error::StaleVersion { sent: String::new(), current: String::new() };
    let text = String::new;
    vec![
        (
            "InvalidInput",
            (of(Error::Invalid(Vec::new())), "What was sent has mistakes; each is named with its field."),
        ),
        ("Unauthorized", (plain(StatusCode::UNAUTHORIZED, "unauthorized", ""), "A valid session is needed.")),
        ("Forbidden", (of(Error::Forbidden(text())), "The session's role does not allow this.")),
        ("MetaPermission", (of(Error::NeedPermission(text())), "The connection lacks a permission at Meta.")),
        (
            "NotFound",
            (of(Error::NotFound(text())), "Something that the path names is not there, or not yours."),
        ),
        ("Reconnect", (of(Error::Reconnect(text())), "A person must connect to Meta again.")),
        (
            "InProgress",
            (
                of(Error::InProgress(text())),
                "A request with this Idempotency-Key is under way; ask again after Retry-After.",
            ),
        ),
        ("StaleVersion", (of(stale), "It was changed since the version of If-Match.")),
        ("TooLarge", (plain(StatusCode::PAYLOAD_TOO_LARGE, "too-large", ""), "The body is too large.")),
        ("MetaRefused", (of(Error::RejectedByPlatform(text())), "Meta refused the input.")),
        (
            "PlatformVersion",
            (
                of(Error::PlatformVersion(text())),
                "Meta does not serve the version in use; the operator chooses another one.",
            ),
        ),
        ("KeyReused", (of(Error::KeyReused(text())), "The Idempotency-Key was used for another request.")),
        ("Throttled", (of(wait), "Meta wants us to wait.")),
        (
            "TooManyRequests",
            (
                plain(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", ""),
                "The workspace, or the person, has used up the requests of this minute.",
            ),
        ),
        ("Internal", (of(Error::Internal(text())), "An error on our side, which was logged.")),
        (
            "UnknownOutcome",
            (of(Error::Indeterminate(text())), "Meta did not confirm; repeat the request to find out."),
        ),
        ("Unavailable", (of(Error::Unavailable(text())), "Out of reach at the moment; try again.")),
    ]
}

/// Returns a route's problems by status: its own, and those that follow from its access and its inputs.
pub(crate) fn of(route: &Route, reads_input: bool) -> BTreeMap<u16, Vec<Kind>> {
    let mut names = vec!["TooLarge", "Internal", "Unavailable", "InvalidInput"];
    let mut all = route.operation.failures.clone();
    match route.access {
        Access::Public => {}
        Access::User => {
            names.extend(["Unauthorized", "TooManyRequests"]);
            if route.path.contains('{') {
                names.push("NotFound");
            }
        }
        Access::Member(role) => {
            names.extend(["Unauthorized", "NotFound", "TooManyRequests"]);
            if role > Role::Viewer {
                names.push("Forbidden");
            }
        }
    }
    if is_write(route) {
        names.extend(["InProgress", "KeyReused"]);
    }
    if route.checks_version {
        names.push("StaleVersion");
    }
    if !reads_input && route.access == Access::Public {
        all.push((Error::Invalid(Vec::new()).into(), "The query holds a parameter; this path takes none."));
        names.retain(|name| *name != "InvalidInput");
    }
    let common = common();
    all.extend(common.iter().filter(|(name, _)| names.contains(name)).map(|(_, kind)| *kind));
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in all {
        let kinds = by_status.entry(kind.0.status.as_u16()).or_default();
        if !kinds.iter().any(|(known, why)| known.kind == kind.0.kind && *why == kind.1) {
            kinds.push(kind);
        }
    }
    by_status
}

/// The responses that routes share, and the schemas of problems, collected on the way.
#[derive(Debug, Default)]
pub(crate) struct ProblemResponses {
    shared: BTreeMap<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl ProblemResponses {
    /// Returns the response of these problems, as a reference if they mean the same on every route.
    pub(crate) fn response(&mut self, kinds: &[Kind], as_page: bool) -> Value {
        let common = common();
        let name = |kind: &Kind| {
            let same = |(_, known): &&(&'static str, Kind)| known.0.kind == kind.0.kind && known.1 == kind.1;
            common.iter().find(same).map(|(name, _)| *name)
        };
        let mut names: Option<Vec<_>> = kinds.iter().map(name).collect();
        let response = problem_response(kinds, self.schema(kinds), as_page);
        let Some(names) = &mut names else { return response };
        names.sort_unstable();
        let name = names.join("Or") + if as_page { "Page" } else { "" };
        self.shared.insert(name.clone(), response);
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// Returns the schema of one of these problems: each kind has its own, which its `type` tells.
    fn schema(&mut self, kinds: &[Kind]) -> Value {
        let mut names: Vec<&str> = kinds.iter().map(|(kind, _)| kind.kind).collect();
        names.sort_unstable();
        names.dedup();
        let status = kinds.first().map_or(0, |(kind, _)| kind.status.as_u16());
        let mut references = Vec::new();
        for kind in names {
            let name = schema_of(kind);
            references.push(json!({"$ref": format!("#/components/schemas/{name}")}));
            let own = json!({"type": "object", "required": ["type", "status"], "properties": {
                "type": {"type": "string", "enum": [format!("urn:adflight:{kind}")]},
                "status": {"type": "integer", "enum": [status]},
            }});
            self.schemas.insert(name, json!({"allOf": [{"$ref": PROBLEM}, own]}));
        }
        match references.as_slice() {
            [only] => only.clone(),
            _ => json!({"oneOf": references}),
        }
    }

    /// Adds what was collected to a document.
    pub(crate) fn finish(self, document: &mut Value) {
        document["components"]["responses"] = Value::Object(self.shared.into_iter().collect());
        if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
            schemas.extend(self.schemas);
            schemas.sort_keys();
        }
    }
}

fn problem_response(kinds: &[Kind], schema: Value, as_page: bool) -> Value {
    let why: Vec<_> = kinds.iter().map(|(_, why)| *why).collect();
    let mut response = json!({
        "description": why.join(" "),
        "content": {"application/problem+json": {"schema": schema}},
    });
    if as_page {
        response["content"]["text/html"] = json!({"schema": {"type": "string"}});
    }
    let has = |name: &str| kinds.iter().any(|(kind, _)| kind.kind == name);
    let waits = |required| {
        json!({
            "required": required, "description": "Seconds to wait, at least.",
            "schema": {"type": "integer", "minimum": 1},
        })
    };
    if has("unauthorized") {
        response["headers"]["WWW-Authenticate"] =
            json!({"required": true, "schema": {"type": "string", "enum": ["Bearer"]}});
    }
    if has("too-many-requests") {
        response["headers"] = limit_headers();
    }
    if has("too-many-requests") || has("throttled") {
        response["headers"]["Retry-After"] = waits(true);
    } else if has("in-progress") {
        response["headers"]["Retry-After"] = waits(false);
    }
    if has("too-large") {
        let text = format!("The body has more than {MAX_BODY_BYTES} bytes; of a webhook, {MAX_READ_BYTES}.");
        response["description"] = text.into();
    }
    response
}
