//! Errors as RFC 9457 problem details. The only place that maps an error to an HTTP status.

use domain::Error;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Serialize;

use crate::response::Response;
use crate::telemetry::{self, CorrelationId};

/// RFC 9457, with the fields that were refused.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Problem<'a> {
    /// What kind of problem: stable.
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = "^urn:adflight:[a-z-]+$")))]
    r#type: String,
    /// The kind in words.
    title: &'static str,
    #[serde(skip)]
    kind: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, and what to do about it.
    detail: &'a str,
    /// The entity tag of `If-Match`, where the resource was changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<&'a str>,
    /// The entity tag that the resource has instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a str>,
    /// The fields that were refused, with what would be right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
    /// What to name when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<String>"))]
    correlation: Option<CorrelationId>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct FieldError<'a> {
    /// The field as the sender wrote it, such as `ad_set.countries[0]`.
    field: &'a str,
    /// What is wrong with it, and what would be right.
    message: &'a str,
}

/// Returns the status, the last part of `type`, and the title of an error.
pub fn classify(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid-input", "The request has a mistake"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        Error::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Not possible in the present state"),
        Error::InProgress(_) => (StatusCode::CONFLICT, "in-progress", "The same request is under way"),
        Error::KeyReused(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The Idempotency-Key belongs to another request",
        ),
        Error::NotSelected(_) => (StatusCode::CONFLICT, "not-selected", "The ad account is not selected"),
        Error::NoBudget(_) => (StatusCode::CONFLICT, "no-budget", "There is no budget to change here"),
        Error::StaleVersion { .. } => {
            (StatusCode::PRECONDITION_FAILED, "stale-version", "It was changed since it was read")
        }
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        Error::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "throttled", "Wait, and try again"),
        Error::Reconnect(_) => (StatusCode::CONFLICT, "reconnect", "The connection to Meta must be renewed"),
        Error::NeedPermission(_) => {
            (StatusCode::FORBIDDEN, "meta-permission", "The connection lacks a permission at Meta")
        }
        Error::RejectedByPlatform(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "meta-refused", "Meta refused the input")
        }
        Error::PlatformVersion(_) => {
            (StatusCode::CONFLICT, "platform-version", "Meta no longer serves the version in use")
        }
        Error::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Out of reach at the moment; try again")
        }
        Error::Indeterminate(_) => (
            StatusCode::BAD_GATEWAY,
            "unknown-outcome",
            "Meta did not confirm; repeat the request to find out",
        ),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "An error on our side"),
    }
}

/// Returns the stable last segment of an error's `type`.
pub fn kind(error: &Error) -> &'static str {
    classify(error).1
}

/// Returns status, title and detail of an error for external clients. Details of unavailable services and internal
/// errors are only logged.
pub fn public_parts(error: &Error) -> (StatusCode, &'static str, String) {
    let (status, kind, title) = classify(error);
    telemetry::record_problem(kind);
    if status.is_server_error() {
        tracing::error!(kind, %error, "A request failed.");
    }
    (status, title, error.public_detail())
}

/// Creates the response of a failed request.
pub fn to_response(error: &Error) -> Response {
    let (_, kind, _) = classify(error);
    let (status, title, detail) = public_parts(error);
    let mut problem = Problem::new(status, kind, title, &detail);
    match error {
        Error::Invalid(fields) => {
            let refused = fields.iter();
            problem.errors =
                refused.map(|field| FieldError { field: &field.field, message: &field.message }).collect();
        }
        Error::StaleVersion { sent, current } => {
            (problem.sent, problem.current) = (Some(sent.as_str()), Some(current.as_str()));
        }
        _ => {}
    }
    let mut response = problem.into_response();
    set_retry_after(error, &mut response);
    response
}

/// Seconds after which to ask again for the response of a request that is under way.
const IN_PROGRESS_SECONDS: u64 = 2;

/// Sets Retry-After if the error has a delay.
pub fn set_retry_after(error: &Error, response: &mut Response) {
    let seconds = match error {
        Error::RateLimited { retry_after: after, .. } => after.as_secs().max(1),
        Error::InProgress(_) => IN_PROGRESS_SECONDS,
        _ => return,
    };
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
}

/// Creates the response of a rate-limited request, which has room again after `seconds`.
pub fn too_many_requests(seconds: u64) -> Response {
    let detail = format!("This workspace has used up its requests; the next one has room in {seconds} s.");
    let mut response =
        plain(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", &detail);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// Creates a problem without field errors, about the request line or the session.
pub fn plain(status: StatusCode, kind: &'static str, title: &'static str, detail: &str) -> Response {
    Problem::new(status, kind, title, detail).into_response()
}

impl<'a> Problem<'a> {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: &'a str) -> Self {
        Self {
            r#type: format!("urn:adflight:{kind}"),
            title,
            kind,
            status: status.as_u16(),
            detail,
            sent: None,
            current: None,
            errors: Vec::new(),
            correlation: telemetry::correlation_id(),
        }
    }

    fn into_response(self) -> Response {
        telemetry::record_problem(self.kind);
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        crate::response::typed(
            status,
            "application/problem+json",
            serde_json::to_vec(&self).unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use domain::FieldError;

    use super::*;

    #[test]
    fn fields_are_named_and_defects_are_not_shown() {
        let response = to_response(&FieldError::new("since", "must be a date").into());
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = String::from_utf8_lossy(response.body()).into_owned();
        assert!(body.contains(r#""errors":[{"field":"since","message":"must be a date"}]"#), "{body}");

        let response = to_response(&Error::Internal("pk WS#demo unreadable".to_owned()));
        assert!(!String::from_utf8_lossy(response.body()).contains("WS#demo"));
    }
}
