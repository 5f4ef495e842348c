//! Answers to HTTP requests.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// What a function answers.
pub type Response = http::Response<Bytes>;

/// A body of a given type. Nothing that the API answers may be cached by somebody in between.
pub fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// JSON.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, domain::Error> {
    let body = serde_json::to_vec(value).map_err(|error| domain::Error::Internal(error.to_string()))?;
    Ok(typed(status, "application/json", body))
}

/// JSON with status 200.
pub fn ok<T: Serialize>(value: &T) -> Result<Response, domain::Error> {
    json(StatusCode::OK, value)
}

/// Nothing to say.
pub fn no_content() -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
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
