//! What a route takes and gives, said beside it: openapi.yaml is made of this.
//!
//! Schemas come from the very types that requests are read into and answers written from. What follows from a
//! route's access, such as 401, need not be said.

use domain::Error;
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::problem;

/// Makes the schema of a type.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a route takes and gives.
#[derive(Debug)]
pub struct Operation {
    /// Its name for those who generate clients, such as `list_rules`.
    pub id: String,
    /// What it does, in a few words.
    pub summary: String,
    /// What else there is to know.
    pub description: Option<&'static str>,
    /// A struct whose fields are the parameters of the query.
    pub query: Option<Shape>,
    /// The headers that it reads, beside those that follow from its access.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Option<Body>,
    /// How it answers when all is well.
    pub answers: Vec<Answer>,
    /// How it answers when not, beside what follows from its access and from what it takes.
    pub failures: Vec<(Problem, &'static str)>,
    /// Whether failures are pages for a person, unless JSON is asked for.
    pub fails_as_page: bool,
}

/// A header, of a request or of an answer.
#[derive(Debug)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it looks like, as a JSON schema.
    pub schema: serde_json::Value,
}

/// A body of a request.
#[derive(Debug)]
pub struct Body {
    /// Its type.
    pub content_type: &'static str,
    /// What it looks like.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
}

/// How a route answers.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What it means.
    pub description: &'static str,
    /// Type and shape of the body, one of them; none without a body.
    pub contents: Vec<(&'static str, Shape)>,
    /// Headers that are always there.
    pub headers: Vec<Header>,
}

/// Status, `type` and title of an error.
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
    /// An operation of this name that does this.
    pub fn new(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            summary: summary.into(),
            description: None,
            query: None,
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            failures: Vec::new(),
            fails_as_page: false,
        }
    }

    /// Says more.
    pub fn about(self, description: &'static str) -> Self {
        Self { description: Some(description), ..self }
    }

    /// The query is read by [`crate::route::RequestContext::asked`] as this struct.
    pub fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(T::json_schema), ..self }
    }

    /// The body is read by [`crate::route::RequestContext::json`] as this struct.
    pub fn body<T: JsonSchema>(self) -> Self {
        self.body_of::<T>("application/json")
    }

    /// The body is of another type than JSON.
    pub fn body_of<T: JsonSchema>(self, content_type: &'static str) -> Self {
        let shape = |generator: &mut SchemaGenerator| generator.subschema_for::<T>();
        Self { body: Some(Body { content_type, shape, required: true }), ..self }
    }

    /// The body may be left out.
    pub fn or_no_body(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body.required = false;
        }
        self
    }

    /// Reads a header.
    pub fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// Answers JSON.
    pub fn gives<T: JsonSchema>(self, status: StatusCode, description: &'static str) -> Self {
        self.gives_nothing(status, description).or_as::<T>("application/json")
    }

    /// Answers without a body, or with the bodies that follow by [`Self::or_as`].
    pub fn gives_nothing(mut self, status: StatusCode, description: &'static str) -> Self {
        self.answers.push(Answer { status, description, contents: Vec::new(), headers: Vec::new() });
        self
    }

    /// The last answer may also be of this type.
    pub fn or_as<T: JsonSchema>(mut self, content_type: &'static str) -> Self {
        let shape: Shape = |generator| generator.subschema_for::<T>();
        if let Some(answer) = self.answers.last_mut() {
            answer.contents.push((content_type, shape));
        }
        self
    }

    /// The last answer always has this header.
    pub fn with_header(mut self, header: Header) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push(header);
        }
        self
    }

    /// May fail like this, `why` as a sentence: `.may(Error::Conflict, "The campaign is archived.")`.
    pub fn may(mut self, error: fn(String) -> Error, why: &'static str) -> Self {
        self.failures.push((error(String::new()).into(), why));
        self
    }

    /// Fails with a page for a person, unless JSON is asked for.
    pub fn fails_as_page(self) -> Self {
        Self { fails_as_page: true, ..self }
    }

    /// Needs an `Idempotency-Key`, which every other write with a session may have.
    pub fn needs_key(self, description: &'static str) -> Self {
        self.header(Header::idempotency_key(true, description))
    }

    /// May be asked to wait.
    pub fn may_wait(mut self, why: &'static str) -> Self {
        let wait = Error::RateLimited { retry_after: std::time::Duration::ZERO, reason: String::new() };
        self.failures.push((wait.into(), why));
        self
    }

    /// May be refused with 400 although it takes neither a query nor a body.
    pub fn may_be_invalid(mut self, why: &'static str) -> Self {
        self.failures.push((Error::Invalid(Vec::new()).into(), why));
        self
    }

    /// Calls Meta, which fails in ways of its own.
    pub fn calls_meta(self) -> Self {
        self.may(Error::Reconnect, "A person must connect to Meta again.")
            .may(Error::NeedPermission, "The connection lacks a permission at Meta.")
            .may(Error::RejectedByPlatform, "Meta refused the input.")
            .may_wait("Meta wants us to wait.")
    }

    /// Changes something at Meta, whose confirmation may be lost.
    pub fn changes_meta(self) -> Self {
        self.calls_meta().may(Error::Indeterminate, "Meta did not confirm.")
    }
}

impl Header {
    /// A header that must be there.
    pub fn required(name: &'static str, description: &'static str, schema: serde_json::Value) -> Self {
        Self { name, description, required: true, schema }
    }

    /// The header under which a write is done once.
    pub fn idempotency_key(required: bool, description: &'static str) -> Self {
        Self { name: "Idempotency-Key", description, required, schema: idempotency_key() }
    }
}

fn idempotency_key() -> serde_json::Value {
    serde_json::json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})
}
