//! Answers to HTTP requests.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// What a function answers.
pub type Reply = Response<Bytes>;

/// A body of a given type. Nothing that the API answers may be cached by somebody in between.
pub fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// JSON.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Reply, ads::Failure> {
    let body = serde_json::to_vec(value).map_err(|error| ads::Failure::Defect(error.to_string()))?;
    Ok(typed(status, "application/json", body))
}

/// JSON with status 200.
pub fn ok<T: Serialize>(value: &T) -> Result<Reply, ads::Failure> {
    json(StatusCode::OK, value)
}

/// Nothing to say.
pub fn no_content() -> Reply {
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// A page of a list, with the cursor of the next one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(rename = "ListOf{T}"))]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
