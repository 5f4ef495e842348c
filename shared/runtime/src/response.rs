//! HTTP responses.

use bytes::Bytes;
use domain::Error;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use crate::operation::Described;
#[cfg(feature = "describe")]
use crate::operation::SchemaFn;
use crate::request::Json;

/// Response of a function.
pub type Response = http::Response<Bytes>;

/// Creates a response with a content type. Intermediaries must not cache any response of the API.
pub fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Creates a JSON response.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Error> {
    let body = serde_json::to_vec(value).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(typed(status, "application/json", body))
}

/// Creates a JSON response with status 200.
pub fn ok<T: Serialize>(value: &T) -> Result<Response, Error> {
    json(StatusCode::OK, value)
}

/// Creates a response with status 204.
pub fn no_content() -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A handler's result that converts into a response.
pub trait IntoResponse {
    /// Converts into a response with this status.
    fn into_response(self, status: StatusCode) -> Result<Response, Error>;

    /// Returns the content types and schemas of the body.
    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, SchemaFn)>;
}

impl<T: Serialize + Described> IntoResponse for Json<T> {
    fn into_response(self, status: StatusCode) -> Result<Response, Error> {
        json(status, &self.0)
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, SchemaFn)> {
        vec![("application/json", |generator| generator.subschema_for::<T>())]
    }
}

/// A response without a body.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self, status: StatusCode) -> Result<Response, Error> {
        let mut response = no_content();
        *response.status_mut() = status;
        Ok(response)
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, SchemaFn)> {
        Vec::new()
    }
}

/// Plain text.
#[derive(Debug, Clone)]
pub struct Text(pub String);

impl IntoResponse for Text {
    fn into_response(self, status: StatusCode) -> Result<Response, Error> {
        Ok(typed(status, "text/plain; charset=utf-8", self.0))
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, SchemaFn)> {
        vec![("text/plain", |generator| generator.subschema_for::<String>())]
    }
}

/// A response that the handler built itself; its types are declared with the endpoint.
impl IntoResponse for Response {
    fn into_response(self, _: StatusCode) -> Result<Response, Error> {
        Ok(self)
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, SchemaFn)> {
        Vec::new()
    }
}

/// A JSON response with additional headers.
impl<T: Serialize + Described> IntoResponse for (HeaderMap, Json<T>) {
    fn into_response(self, status: StatusCode) -> Result<Response, Error> {
        let (headers, body) = self;
        let mut response = body.into_response(status)?;
        response.headers_mut().extend(headers);
        Ok(response)
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, SchemaFn)> {
        Json::<T>::contents()
    }
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
