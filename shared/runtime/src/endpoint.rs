//! Endpoints, each declared once beside its handler. The router, the middleware, openapi.yaml, template.yaml and the
//! tests of roles and tenancy read that declaration.
//!
//! ```text
//! pub(crate) fn replace_rule() -> Endpoint<EvaluateRules> {
//!     endpoint::member(Method::PUT, "/v1/workspaces/{workspace}/rules/{rule}", Role::Editor)
//!         .named("replace_rule", "Replaces a rule")
//!         .responds(StatusCode::OK, "The rule as it is now.", EvaluateRules::replace_rule)
//! }
//! ```
//!
//! The handler's types determine what is read from path, query and body, and how it is documented. The constructor
//! determines the caller's type, so that a handler for members does not compile with a public endpoint.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use domain::Error;
use http::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;

use crate::operation::{Described, Header, Operation, Success};
use crate::request::{FromBody, NoPath, RequestContext};
use crate::response::{IntoResponse, Response};
use crate::router::{MAX_BODY_BYTES, Parameters};
use crate::session::{Role, Session, User};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody. The endpoint itself verifies its input.
    Public,
    /// Any user with a session, with or without a workspace.
    User,
    /// A member of the path's workspace with at least this role.
    Member(Role),
}

/// Caller of an endpoint, as the middleware authenticated it.
#[derive(Debug)]
pub enum Principal {
    /// No authentication.
    Anonymous,
    /// A user with a session.
    User(User),
    /// A member of the path's workspace.
    Member(Session),
}

/// Caller of a public endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

/// Static description of an endpoint.
#[derive(Debug)]
pub struct Declaration {
    /// HTTP method.
    pub method: Method,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether it handles repeated requests itself, with stronger guarantees than the middleware, or its response must
    /// not be stored.
    pub handles_own_idempotency: bool,
    /// Whether it changes nothing. What only reads needs no idempotency.
    pub is_read: bool,
    /// Whether it refuses to change what was changed since the version of `If-Match`.
    pub checks_version: bool,
    /// Maximum body size in bytes.
    pub max_body_bytes: usize,
    /// Inputs and outputs, for the documentation.
    #[cfg(feature = "describe")]
    pub operation: Operation,
}

/// Future of a handler's response.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

type Handler<F> = Box<dyn Fn(F, Principal, Parameters, Request<Bytes>) -> HandlerFuture + Send + Sync>;

/// An endpoint of the function `F`.
pub struct Endpoint<F> {
    /// Static description of the endpoint.
    pub declaration: Declaration,
    handler: Handler<F>,
}

impl<F> AsRef<Declaration> for Endpoint<F> {
    fn as_ref(&self) -> &Declaration {
        &self.declaration
    }
}

impl AsRef<Self> for Declaration {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<F> fmt::Debug for Endpoint<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.declaration.fmt(f)
    }
}

impl<F> Endpoint<F> {
    /// Calls the handler.
    pub fn call(
        &self,
        function: F,
        principal: Principal,
        path: Parameters,
        request: Request<Bytes>,
    ) -> HandlerFuture {
        (self.handler)(function, principal, path, request)
    }

    /// Adds a content type and body type of the response.
    #[must_use]
    pub fn with_content<T: Described>(mut self, content_type: &'static str) -> Self {
        self.declaration.document(|operation| operation.add_content::<T>(content_type));
        self
    }

    /// Adds another response on success, with a status of its own.
    #[must_use]
    pub fn or_responds<T: Described>(
        mut self,
        status: StatusCode,
        content_type: &'static str,
        description: &'static str,
    ) -> Self {
        self.declaration
            .document(|operation| operation.add_alternative::<T>(status, content_type, description));
        self
    }

    /// Adds a redirection as another response on success.
    #[must_use]
    pub fn or_redirects(mut self, status: StatusCode, description: &'static str) -> Self {
        self.declaration.document(|operation| {
            let headers = vec![Header::required("Location", description)];
            operation.alternatives.push(Success::without_body(status, description, headers));
        });
        self
    }

    /// Adds a header that every response carries.
    #[must_use]
    pub fn with_header(mut self, header: Header) -> Self {
        self.declaration.document(|operation| operation.response.headers.push(header));
        self
    }
}

/// A kind of caller, determined by an endpoint's constructor.
pub trait Caller: Sized {
    /// Returns the caller if the principal is of this kind.
    fn from_principal(principal: Principal) -> Option<Self>;
}

impl Caller for Session {
    fn from_principal(principal: Principal) -> Option<Self> {
        if let Principal::Member(session) = principal { Some(session) } else { None }
    }
}

impl Caller for User {
    fn from_principal(principal: Principal) -> Option<Self> {
        if let Principal::User(user) = principal { Some(user) } else { None }
    }
}

impl Caller for Anonymous {
    fn from_principal(_: Principal) -> Option<Self> {
        Some(Self)
    }
}

/// Declares an endpoint for members of the path's workspace with at least this role.
pub fn member(method: Method, path: &'static str, role: Role) -> Unnamed<Session> {
    Unnamed::new(method, path, Access::Member(role))
}

/// Declares an endpoint for any user with a session, with or without a workspace.
pub fn user(method: Method, path: &'static str) -> Unnamed<User> {
    Unnamed::new(method, path, Access::User)
}

/// Declares a public endpoint.
pub fn public(method: Method, path: &'static str) -> Unnamed<Anonymous> {
    Unnamed::new(method, path, Access::Public)
}

/// An endpoint without a name.
#[must_use]
pub struct Unnamed<C> {
    method: Method,
    path: &'static str,
    access: Access,
    caller: std::marker::PhantomData<C>,
}

impl<C> Unnamed<C> {
    fn new(method: Method, path: &'static str, access: Access) -> Self {
        Self { method, path, access, caller: std::marker::PhantomData }
    }

    /// Sets the operation id for client generators, such as `list_rules`, and a short summary.
    pub fn named(
        self,
        id: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
    ) -> Builder<C> {
        let Self { method, path, access, .. } = self;
        let declaration = Declaration {
            is_read: method == Method::GET,
            method,
            path,
            access,
            handles_own_idempotency: false,
            checks_version: false,
            max_body_bytes: MAX_BODY_BYTES,
            #[cfg(feature = "describe")]
            operation: Operation::default(),
        };
        let builder = Builder { declaration, caller: std::marker::PhantomData };
        builder.document(|operation| (operation.id, operation.summary) = (id.into(), summary.into()))
    }
}

/// An endpoint without a handler.
#[must_use]
pub struct Builder<C> {
    declaration: Declaration,
    caller: std::marker::PhantomData<C>,
}

impl Declaration {
    /// Adds to the documentation, which exists only with the feature `describe`.
    #[cfg(feature = "describe")]
    fn document(&mut self, write: impl FnOnce(&mut Operation)) {
        write(&mut self.operation);
    }

    /// Does nothing without the feature `describe`.
    #[cfg(not(feature = "describe"))]
    fn document(&mut self, _: impl FnOnce(&mut Operation)) {}
}

impl<C> Builder<C> {
    fn document(mut self, write: impl FnOnce(&mut Operation)) -> Self {
        self.declaration.document(write);
        self
    }

    /// Sets the description.
    pub fn description(self, description: &'static str) -> Self {
        self.document(|operation| operation.description = Some(description))
    }

    /// Declares a request header.
    pub fn header(self, header: Header) -> Self {
        self.document(|operation| operation.headers.push(header))
    }

    /// Declares a failure, with `why` as a sentence: `.fails_with(Error::Conflict, "The campaign is archived.")`.
    pub fn fails_with(self, error: fn(String) -> Error, why: &'static str) -> Self {
        self.document(|operation| operation.failures.push((error(String::new()).into(), why)))
    }

    /// Declares a rate-limited failure.
    pub fn may_be_rate_limited(self, why: &'static str) -> Self {
        let wait = || Error::RateLimited { retry_after: std::time::Duration::ZERO, reason: String::new() };
        self.document(|operation| operation.failures.push((wait().into(), why)))
    }

    /// Declares that failures are HTML pages, except for clients that accept JSON.
    pub fn fails_as_page(self) -> Self {
        self.document(|operation| operation.fails_as_page = true)
    }

    /// Declares the failures of calls to Meta.
    pub fn calls_platform(self) -> Self {
        self.fails_with(Error::Reconnect, "A person must connect to Meta again.")
            .fails_with(Error::NeedPermission, "The connection lacks a permission at Meta.")
            .fails_with(Error::RejectedByPlatform, "Meta refused the input.")
            .fails_with(
                Error::PlatformVersion,
                "Meta does not serve the version in use; the operator chooses another one.",
            )
            .may_be_rate_limited("Meta wants us to wait.")
    }

    /// Declares the failures of changes at Meta, whose confirmation may be lost.
    pub fn changes_platform(self) -> Self {
        self.calls_platform().fails_with(Error::Indeterminate, "Meta did not confirm.")
    }

    /// Requires an `Idempotency-Key`, which is optional for every other authenticated write.
    pub fn requires_idempotency_key(self, description: &'static str) -> Self {
        self.header(Header::idempotency_key(true, description))
    }

    /// Exempts the endpoint from the middleware's idempotency: it handles repeated requests itself, with stronger
    /// guarantees, or its response must not be stored.
    pub fn handles_own_idempotency(mut self) -> Self {
        self.declaration.handles_own_idempotency = true;
        self
    }

    /// Declares that the endpoint changes nothing although its method is not GET: what it is asked is too much for a query.
    pub fn only_reads(mut self) -> Self {
        self.declaration.is_read = true;
        self
    }

    /// Declares that the handler holds `If-Match` against what it changes.
    pub fn checks_version(mut self) -> Self {
        self.declaration.checks_version = true;
        self
    }

    /// Accepts bodies of this size instead of [`MAX_BODY_BYTES`]; [`MAX_READ_BYTES`](crate::router::MAX_READ_BYTES) at
    /// most.
    pub fn accepts_body_of(mut self, max_bytes: usize) -> Self {
        self.declaration.max_body_bytes = max_bytes;
        self
    }

    /// Completes the endpoint with its success status, a sentence that describes it, and its handler. The handler's
    /// types determine what is read and documented.
    pub fn responds<F, P, Q, B, R, H, Fut>(
        mut self,
        status: StatusCode,
        description: &'static str,
        handler: H,
    ) -> Endpoint<F>
    where
        F: Send + 'static,
        C: Caller + Send + 'static,
        P: DeserializeOwned + Described + Send + 'static,
        Q: DeserializeOwned + Described + Send + 'static,
        B: FromBody + Send + 'static,
        R: IntoResponse,
        H: Fn(F, RequestContext<C, P, Q, B>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Error>> + Send + 'static,
    {
        self.declaration.document(|operation| operation.set_schemas::<P, Q, B, R>(status, description));
        let call: Handler<F> = Box::new(move |function, principal, path, request| {
            let handler = handler.clone();
            Box::pin(async move {
                let context = RequestContext::read(principal, &path, request)?;
                handler(function, context).await?.into_response(status)
            })
        });
        Endpoint { declaration: self.declaration, handler: call }
    }

    /// Declares an endpoint without a handler, for the Worker, which calls its handlers itself. See [`Self::responds`].
    pub fn without_handler<Q: Described, B: FromBody, R: IntoResponse>(
        mut self,
        status: StatusCode,
        description: &'static str,
    ) -> Declaration {
        self.declaration.document(|operation| operation.set_schemas::<NoPath, Q, B, R>(status, description));
        self.declaration
    }
}
