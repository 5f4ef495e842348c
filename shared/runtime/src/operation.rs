//! Inputs and outputs of an endpoint, from which openapi.yaml is generated.
//!
//! Schemas are generated from the types that requests are parsed into and responses serialized from. What follows from
//! an endpoint's access, such as 401, is not repeated. Schemas exist only with the feature `describe`; without it no
//! operation is filled in, so that a deployed program contains none of these texts.

use std::borrow::Cow;

use domain::Error;
use http::StatusCode;

use crate::problem;
use crate::request::FromBody;
use crate::response::IntoResponse;

/// A type with a JSON schema, with the feature `describe`; without it any type.
#[cfg(feature = "describe")]
pub trait Described: schemars::JsonSchema {}
#[cfg(feature = "describe")]
impl<T: schemars::JsonSchema> Described for T {}

/// A type with a JSON schema, with the feature `describe`; without it any type.
#[cfg(not(feature = "describe"))]
pub trait Described {}
#[cfg(not(feature = "describe"))]
impl<T> Described for T {}

/// Generates the schema of a type.
#[cfg(feature = "describe")]
pub type SchemaFn = fn(&mut schemars::SchemaGenerator) -> schemars::Schema;

/// Inputs and outputs of an endpoint.
#[derive(Debug, Default)]
pub struct Operation {
    /// Operation id for client generators, such as `list_rules`.
    pub id: Cow<'static, str>,
    /// Short summary.
    pub summary: Cow<'static, str>,
    /// Further description.
    pub description: Option<&'static str>,
    /// A struct whose fields are the parameters of the path, except the workspace.
    #[cfg(feature = "describe")]
    pub path: Option<SchemaFn>,
    /// A struct whose fields are the parameters of the query.
    #[cfg(feature = "describe")]
    pub query: Option<SchemaFn>,
    /// Request headers, beyond those that follow from the endpoint's access.
    pub headers: Vec<Header>,
    /// Request body.
    #[cfg(feature = "describe")]
    pub body: Option<Body>,
    /// Response on success.
    pub response: Success,
    /// Further responses on success, each with another status.
    pub alternatives: Vec<Success>,
    /// Failures, beyond those that follow from the endpoint's access and inputs.
    pub failures: Vec<(ProblemKind, &'static str)>,
    /// Whether failures are HTML pages, except for clients that accept JSON.
    pub fails_as_page: bool,
}

/// A request body.
#[cfg(feature = "describe")]
#[derive(Debug)]
pub struct Body {
    /// Content type.
    pub content_type: &'static str,
    /// Schema.
    pub shape: SchemaFn,
    /// Whether it is required.
    pub required: bool,
}

/// The response of an endpoint on success.
#[derive(Debug, Default)]
pub struct Success {
    /// HTTP status.
    pub status: StatusCode,
    /// Description, as a sentence.
    pub description: &'static str,
    /// Content type and schema of the body, one of them; empty without a body.
    #[cfg(feature = "describe")]
    pub contents: Vec<(&'static str, SchemaFn)>,
    /// Headers that every response carries.
    pub headers: Vec<Header>,
}

impl Success {
    pub(crate) fn without_body(status: StatusCode, description: &'static str, headers: Vec<Header>) -> Self {
        Self {
            status,
            description,
            #[cfg(feature = "describe")]
            contents: Vec::new(),
            headers,
        }
    }
}

/// Status, `type` and title of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemKind {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable last segment of `type`.
    pub kind: &'static str,
    /// Title.
    pub title: &'static str,
}

impl From<Error> for ProblemKind {
    fn from(error: Error) -> Self {
        let (status, kind, title) = problem::classify(&error);
        Self { status, kind, title }
    }
}

impl Operation {
    /// Sets schemas and status from the handler's types.
    #[cfg(feature = "describe")]
    pub(crate) fn set_schemas<P: Described, Q: Described, B: FromBody, R: IntoResponse>(
        &mut self,
        status: StatusCode,
        description: &'static str,
    ) {
        self.path = Some(P::json_schema);
        self.query = Some(Q::json_schema);
        self.body = B::describe();
        self.response = Success { status, description, contents: R::contents(), headers: Vec::new() };
    }

    /// Sets the status; there are no schemas.
    #[cfg(not(feature = "describe"))]
    #[expect(clippy::extra_unused_type_parameters, reason = "the types are what would be documented")]
    pub(crate) fn set_schemas<P: Described, Q: Described, B: FromBody, R: IntoResponse>(
        &mut self,
        status: StatusCode,
        description: &'static str,
    ) {
        self.response = Success { status, description, headers: Vec::new() };
    }

    /// Adds another response on success.
    #[cfg(feature = "describe")]
    pub(crate) fn add_alternative<T: Described>(
        &mut self,
        status: StatusCode,
        content_type: &'static str,
        description: &'static str,
    ) {
        let shape: SchemaFn = |generator| generator.subschema_for::<T>();
        let contents = vec![(content_type, shape)];
        self.alternatives.push(Success { status, description, contents, headers: Vec::new() });
    }

    /// Does nothing; there are no schemas.
    #[cfg(not(feature = "describe"))]
    pub(crate) fn add_alternative<T: Described>(&mut self, _: StatusCode, _: &'static str, _: &'static str) {}

    /// Adds a content type of the response.
    #[cfg(feature = "describe")]
    pub(crate) fn add_content<T: Described>(&mut self, content_type: &'static str) {
        self.response.contents.push((content_type, |generator| generator.subschema_for::<T>()));
    }

    /// Does nothing; there are no schemas.
    #[cfg(not(feature = "describe"))]
    pub(crate) fn add_content<T: Described>(&mut self, _: &'static str) {}
}

/// A header of a request or response. Its value is text.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Name.
    pub name: &'static str,
    /// Purpose, as a sentence.
    pub description: &'static str,
    /// Whether it is required.
    pub required: bool,
    /// JSON Schema format.
    pub format: Option<&'static str>,
}

/// Name of the header that makes a write idempotent.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

impl Header {
    /// Creates a required header.
    pub const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: true, format: None }
    }

    /// Sets the JSON Schema format.
    #[must_use]
    pub const fn with_format(self, format: &'static str) -> Self {
        Self { format: Some(format), ..self }
    }

    /// Creates the header that makes a write idempotent.
    pub const fn idempotency_key(required: bool, description: &'static str) -> Self {
        Self { name: IDEMPOTENCY_KEY, description, required, format: None }
    }

    /// Returns the JSON Schema of the value.
    #[cfg(feature = "describe")]
    pub fn schema(&self) -> serde_json::Value {
        use serde_json::json;
        match (self.name, self.format) {
            (IDEMPOTENCY_KEY, _) => {
                json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})
            }
            (_, Some(format)) => json!({"type": "string", "format": format}),
            (_, None) => json!({"type": "string"}),
        }
    }
}
