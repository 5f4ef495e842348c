//! Failures as RFC 9457 problem details. The one place where a failure becomes an HTTP status.

use ads::Failure;
use http::StatusCode;
use http::header::RETRY_AFTER;
use jiff::SignedDuration;
use serde::Serialize;

use crate::reply::Reply;
use crate::telemetry::{self, Correlation};

/// RFC 9457, with the fields that were refused.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Problem<'a> {
    /// What kind of problem: stable.
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = "^urn:adflight:[a-z-]+$")))]
    r#type: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, and what to do about it.
    detail: &'a str,
    /// The fields that were refused, with what would be right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Finding<'a>>,
    /// What to name when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<String>"))]
    correlation: Option<Correlation>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Finding<'a> {
    /// The field as the sender wrote it, such as `ad_set.countries[0]`.
    field: &'a str,
    /// What is wrong with it, and what would be right.
    problem: &'a str,
}

/// Status, the stable last part of `type`, and title.
pub(crate) fn heading(failure: &Failure) -> (StatusCode, &'static str, &'static str) {
    match failure {
        Failure::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid-input", "The request has a mistake"),
        Failure::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        Failure::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Not possible in the present state"),
        Failure::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        Failure::Wait { .. } => (StatusCode::TOO_MANY_REQUESTS, "throttled", "Meta asks us to wait"),
        Failure::Reconnect(_) => {
            (StatusCode::CONFLICT, "reconnect", "The connection to Meta must be renewed")
        }
        Failure::NeedPermission(_) => {
            (StatusCode::FORBIDDEN, "meta-permission", "The connection lacks a permission at Meta")
        }
        Failure::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "meta-refused", "Meta refused the input"),
        Failure::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Out of reach at the moment; try again")
        }
        Failure::UnknownOutcome(_) => (
            StatusCode::BAD_GATEWAY,
            "unknown-outcome",
            "Meta did not confirm; repeat the request to find out",
        ),
        Failure::Defect(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "An error on our side"),
    }
}

/// The stable last part of a failure's `type`.
pub fn kind(failure: &Failure) -> &'static str {
    heading(failure).1
}

/// Status, title and detail of a failure, as a stranger may see them. Details of parts that are out of
/// reach and of defects are for the log.
pub fn shown(failure: &Failure) -> (StatusCode, &'static str, String) {
    let (status, kind, title) = heading(failure);
    telemetry::meets(kind);
    if status.is_server_error() {
        tracing::error!(kind, %failure, "A request failed.");
    }
    (status, title, detail(failure))
}

/// What happened, as a stranger may read it.
pub fn detail(failure: &Failure) -> String {
    match failure {
        Failure::Defect(_) => "An error on our side, which was logged.".to_owned(),
        Failure::Unavailable(_) => {
            "Meta or a part of the system does not answer properly. Try again in a moment.".to_owned()
        }
        shown => shown.to_string(),
    }
}

/// The answer to a request that failed.
pub fn answer(failure: &Failure) -> Reply {
    let (_, kind, _) = heading(failure);
    let (status, title, detail) = shown(failure);
    let errors = match failure {
        Failure::Invalid(findings) => {
            findings.iter().map(|found| Finding { field: &found.field, problem: &found.problem }).collect()
        }
        _ => Vec::new(),
    };
    let mut reply = problem(status, kind, title, &detail, errors);
    name_wait(failure, &mut reply);
    reply
}

/// Names the time to wait, where a failure has one.
pub fn name_wait(failure: &Failure, reply: &mut Reply) {
    if let Failure::Wait { after, .. } = failure {
        reply.headers_mut().insert(RETRY_AFTER, after.as_secs().max(1).into());
    }
}

/// The answer to a workspace that asks too often.
pub fn too_many_requests(wait: SignedDuration) -> Reply {
    let seconds = u64::try_from(wait.as_millis()).unwrap_or(0).div_ceil(1000).max(1);
    let detail = format!("This workspace has used up its requests; the next one has room in {seconds} s.");
    let mut reply = plain(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", &detail);
    reply.headers_mut().insert(RETRY_AFTER, seconds.into());
    reply
}

/// A problem that is about the request line or the session, and has no fields.
pub(crate) fn plain(status: StatusCode, kind: &'static str, title: &'static str, detail: &str) -> Reply {
    problem(status, kind, title, detail, Vec::new())
}

fn problem(
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: &str,
    errors: Vec<Finding<'_>>,
) -> Reply {
    telemetry::meets(kind);
    let problem = Problem {
        r#type: format!("urn:adflight:{kind}"),
        title,
        status: status.as_u16(),
        detail,
        errors,
        correlation: telemetry::correlation(),
    };
    crate::reply::typed(status, "application/problem+json", serde_json::to_vec(&problem).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use ads::Invalid;

    use super::*;

    #[test]
    fn fields_are_named_and_defects_are_not_shown() {
        let reply = answer(&Invalid::new("since", "must be a date").into());
        assert_eq!(reply.status(), 400);
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        let body = String::from_utf8_lossy(reply.body()).into_owned();
        assert!(body.contains(r#""errors":[{"field":"since","problem":"must be a date"}]"#), "{body}");

        let reply = answer(&Failure::Defect("pk WS#demo unreadable".to_owned()));
        assert!(!String::from_utf8_lossy(reply.body()).contains("WS#demo"));
    }
}
