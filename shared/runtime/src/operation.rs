//! What an endpoint takes and gives: openapi.yaml is made of this.
//!
//! Schemas come from the very types that requests are read into and responses written from. What follows from an
//! endpoint's access, such as 401, is not repeated. Schemas exist only with the feature `describe`, without which no
//! operation is ever filled in, so that none of its texts is in a deployed program.

use std::borrow::Cow;

use domain::Error;
use http::StatusCode;

use crate::problem;
use crate::request::FromBody;
use crate::response::IntoResponse;

/// A type with a JSON schema, where the API is documented; otherwise any type.
#[cfg(feature = "describe")]
pub trait Described: schemars::JsonSchema {}
#[cfg(feature = "describe")]
impl<T: schemars::JsonSchema> Described for T {}

/// A type with a JSON schema, where the API is documented; otherwise any type.
#[cfg(not(feature = "describe"))]
pub trait Described {}
#[cfg(not(feature = "describe"))]
impl<T> Described for T {}

/// Makes the schema of a type.
#[cfg(feature = "describe")]
pub type Shape = fn(&mut schemars::SchemaGenerator) -> schemars::Schema;

/// What an endpoint takes and gives.
#[derive(Debug, Default)]
pub struct Operation {
    /// Its name for those who generate clients, such as `list_rules`.
    pub id: Cow<'static, str>,
    /// What it does, in a few words.
    pub summary: Cow<'static, str>,
    /// What else there is to know.
    pub description: Option<&'static str>,
    /// A struct whose fields are the parameters of the path, but for the workspace.
    #[cfg(feature = "describe")]
    pub path: Option<Shape>,
    /// A struct whose fields are the parameters of the query.
    #[cfg(feature = "describe")]
    pub query: Option<Shape>,
    /// The headers that it reads, beside those that follow from its access.
    pub headers: Vec<Header>,
    /// The body.
    #[cfg(feature = "describe")]
    pub body: Option<Body>,
    /// How it responds when all is well.
    pub response: Success,
    /// How it fails, beside what follows from its access and from what it takes.
    pub failures: Vec<(Problem, &'static str)>,
    /// Whether failures are pages for a person, unless JSON is asked for.
    pub fails_as_page: bool,
}

/// A body of a request.
#[cfg(feature = "describe")]
#[derive(Debug)]
pub struct Body {
    /// Its type.
    pub content_type: &'static str,
    /// What it looks like.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
}

/// How an endpoint responds when all is well.
#[derive(Debug, Default)]
pub struct Success {
    /// The status.
    pub status: StatusCode,
    /// What it means, as a sentence.
    pub description: &'static str,
    /// Type and shape of the body, one of them; none without a body.
    #[cfg(feature = "describe")]
    pub contents: Vec<(&'static str, Shape)>,
    /// Headers that are always there.
    pub headers: Vec<Header>,
}

/// Status, `type` and title of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// The stable last part of its `type`.
    pub kind: &'static str,
    /// The title.
    pub title: &'static str,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, kind, title) = problem::classify(&error);
        Self { status, kind, title }
    }
}

impl Operation {
    /// Takes over what the types of a handler say.
    #[cfg(feature = "describe")]
    pub(crate) fn take_shapes<P: Described, Q: Described, B: FromBody, R: IntoResponse>(
        &mut self,
        status: StatusCode,
        description: &'static str,
    ) {
        self.path = Some(P::json_schema);
        self.query = Some(Q::json_schema);
        self.body = B::describe();
        self.response = Success { status, description, contents: R::contents(), headers: Vec::new() };
    }

    /// Takes over the status; there are no schemas.
    #[cfg(not(feature = "describe"))]
    #[expect(clippy::extra_unused_type_parameters, reason = "the types are what would be documented")]
    pub(crate) fn take_shapes<P: Described, Q: Described, B: FromBody, R: IntoResponse>(
        &mut self,
        status: StatusCode,
        description: &'static str,
    ) {
        self.response = Success { status, description, headers: Vec::new() };
    }

    /// Adds another type of body that it may respond with.
    #[cfg(feature = "describe")]
    pub(crate) fn add_content<T: Described>(&mut self, content_type: &'static str) {
        self.response.contents.push((content_type, |generator| generator.subschema_for::<T>()));
    }

    /// Adds nothing; there are no schemas.
    #[cfg(not(feature = "describe"))]
    pub(crate) fn add_content<T: Described>(&mut self, _: &'static str) {}
}

/// A header of a request or response. Its value is text.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// What it is for, as a sentence.
    pub description: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// A format of JSON schema.
    pub format: Option<&'static str>,
}

/// The name of the header under which a write is done once.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

impl Header {
    /// A header that must be there.
    pub const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: true, format: None }
    }

    /// The same header, in this format of JSON schema.
    #[must_use]
    pub const fn with_format(self, format: &'static str) -> Self {
        Self { format: Some(format), ..self }
    }

    /// The header under which a write is done once.
    pub const fn idempotency_key(required: bool, description: &'static str) -> Self {
        Self { name: IDEMPOTENCY_KEY, description, required, format: None }
    }

    /// What its value looks like, as a JSON schema.
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
