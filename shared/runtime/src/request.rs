//! Input of a handler: its caller, and the parsed path, query and body.

use std::marker::PhantomData;

use bytes::Bytes;
use domain::id::AdAccountId;
use domain::{Error, FieldError};
use http::Request;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::endpoint::{Caller, Principal};
use crate::input;
pub use crate::input::EachOf;
use crate::operation::Described;
#[cfg(feature = "describe")]
use crate::operation::{Body, SchemaFn};
use crate::page::Cursor;
use crate::router::{Parameters, parse_query};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Maximum length of an `Idempotency-Key`, in bytes.
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Origin at which the host received a request, such as `https://api.example.com`. It comes from the host, not from a
/// header.
#[derive(Debug, Clone)]
pub struct Origin(pub String);

/// A request that passed the middleware.
#[derive(Debug)]
pub struct RequestContext<C, P = NoPath, Q = NoQuery, B = NoBody> {
    /// Caller.
    pub caller: C,
    /// Parameters of the path, except the workspace, which is part of the caller.
    pub path: P,
    /// Parameters of the query.
    pub query: Q,
    /// Body.
    pub body: B,
    /// The request itself, for its headers.
    pub request: Request<Bytes>,
}

/// Of a path without parameters beside the workspace.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct NoPath {}

/// Of a path that names an ad account.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AdAccountPath {
    /// An ad account of the workspace.
    pub ad_account: AdAccountId,
}

/// Refuses a query: a filter that does nothing must not be ignored.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// A query that the handler parses itself, for example to show errors on a page. `T` is its documented type.
#[derive(Debug, Clone, Copy)]
pub struct IgnoredQuery<T>(PhantomData<T>);

impl<'de, T> Deserialize<'de> for IgnoredQuery<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(PhantomData))
    }
}

#[cfg(feature = "describe")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for IgnoredQuery<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Ignores the body.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

/// Content type of bytes as they are.
const BINARY: &str = "application/octet-stream";

/// A JSON body of a request or response.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// A body that the handler parses from its bytes: a form or a signed document. `T` is its documented type.
#[derive(Debug, Clone)]
pub struct Raw<T, const FORM: bool>(pub Bytes, PhantomData<T>);

/// Bytes of a form.
pub type Form<T> = Raw<T, true>;

/// Bytes of a JSON document.
pub type RawJson<T> = Raw<T, false>;

/// A body of bytes as they are.
#[derive(Debug, Clone)]
pub struct Binary(pub Bytes);

/// A type that a request body is parsed into.
pub trait FromBody: Sized {
    /// Parses the body of a request. Errors name each field.
    fn from_body(request: &Request<Bytes>) -> Result<Self, Error>;

    /// Returns the documentation of the body.
    #[cfg(feature = "describe")]
    fn describe() -> Option<Body>;
}

impl FromBody for NoBody {
    fn from_body(_: &Request<Bytes>) -> Result<Self, Error> {
        Ok(Self)
    }

    #[cfg(feature = "describe")]
    fn describe() -> Option<Body> {
        None
    }
}

/// A request without a Content-Type counts as JSON.
impl<T: DeserializeOwned + Described> FromBody for Json<T> {
    fn from_body(request: &Request<Bytes>) -> Result<Self, Error> {
        if let Some(stated) = request.headers().get(CONTENT_TYPE)
            && !stated.to_str().is_ok_and(is_json)
        {
            let form = stated.as_bytes().starts_with(b"application/x-www-form-urlencoded");
            let hint =
                if form { ", and says a form; `curl -d` does so unless `-H` says otherwise" } else { "" };
            return Err(FieldError::new("Content-Type", format!("must be application/json{hint}")).into());
        }
        Ok(Self(input::json(request.body()).map_err(Error::Invalid)?))
    }

    #[cfg(feature = "describe")]
    fn describe() -> Option<Body> {
        Some(Body { content_type: "application/json", shape: shape::<T>(), required: true })
    }
}

/// An optional body.
impl<T: DeserializeOwned + Described> FromBody for Option<Json<T>> {
    fn from_body(request: &Request<Bytes>) -> Result<Self, Error> {
        if request.body().is_empty() { Ok(None) } else { Json::from_body(request).map(Some) }
    }

    #[cfg(feature = "describe")]
    fn describe() -> Option<Body> {
        Json::<T>::describe().map(|body| Body { required: false, ..body })
    }
}

impl<T: Described, const FORM: bool> FromBody for Raw<T, FORM> {
    fn from_body(request: &Request<Bytes>) -> Result<Self, Error> {
        Ok(Self(request.body().clone(), PhantomData))
    }

    #[cfg(feature = "describe")]
    fn describe() -> Option<Body> {
        let content_type = if FORM { "application/x-www-form-urlencoded" } else { "application/json" };
        Some(Body { content_type, shape: shape::<T>(), required: true })
    }
}

impl FromBody for Binary {
    fn from_body(request: &Request<Bytes>) -> Result<Self, Error> {
        let stated = request.headers().get(CONTENT_TYPE).and_then(|stated| stated.to_str().ok());
        match stated.is_some_and(|stated| stated.eq_ignore_ascii_case(BINARY)) {
            true => Ok(Self(request.body().clone())),
            false => Err(FieldError::new("Content-Type", format!("must be {BINARY}")).into()),
        }
    }

    #[cfg(feature = "describe")]
    fn describe() -> Option<Body> {
        let shape = |_: &mut schemars::SchemaGenerator| schemars::json_schema!({"type": "string", "format": "binary"});
        Some(Body { content_type: BINARY, shape, required: true })
    }
}

#[cfg(feature = "describe")]
fn shape<T: schemars::JsonSchema>() -> SchemaFn {
    |generator| generator.subschema_for::<T>()
}

/// Checks whether a Content-Type is JSON, ignoring its parameters.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

impl<C, P, Q, B> RequestContext<C, P, Q, B>
where
    C: Caller,
    P: DeserializeOwned,
    Q: DeserializeOwned,
    B: FromBody,
{
    /// Parses path, query and body. An invalid id in the path is [`Error::NotFound`]; the mistakes of query and body are
    /// one [`Error::Invalid`].
    pub(crate) fn read(
        principal: Principal,
        path: &Parameters,
        request: Request<Bytes>,
    ) -> Result<Self, Error> {
        let wrong_pairing = || Error::Internal("an endpoint was called by another kind of caller".to_owned());
        let caller = C::from_principal(principal).ok_or_else(wrong_pairing)?;
        let path = input::path(path).map_err(|error| Error::NotFound(format!("this {}", error.field)))?;
        match (query(&request), B::from_body(&request)) {
            (Ok(query), Ok(body)) => Ok(Self { caller, path, query, body, request }),
            (Err(Error::Invalid(mut mistakes)), Err(Error::Invalid(more))) => {
                mistakes.extend(more);
                Err(Error::Invalid(mistakes))
            }
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        }
    }
}

impl<C, P, Q, B> RequestContext<C, P, Q, B> {
    /// Returns the public URL of the API, without a trailing slash: as configured, or where this request was received.
    pub fn public_url<'a>(&'a self, configured: Option<&'a str>) -> Result<&'a str, Error> {
        let origin = || self.request.extensions().get::<Origin>().map(|origin| origin.0.as_str());
        let unknown = || Error::Internal("neither configuration nor host say where the API is".to_owned());
        configured.or_else(origin).ok_or_else(unknown)
    }

    /// Returns the `Idempotency-Key`, if there is one.
    pub fn idempotency_key(&self) -> Result<Option<&str>, FieldError> {
        idempotency_key(&self.request)
    }

    /// Returns a header that occurs once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.request, name)
    }
}

/// Returns the `Idempotency-Key` of a request, if there is one.
pub fn idempotency_key(request: &Request<Bytes>) -> Result<Option<&str>, FieldError> {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key =
        header(request, IDEMPOTENCY_KEY).filter(|key| (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
    let problem = "must be there once, with 1 to 255 visible ASCII characters of your own per request";
    key.filter(visible).map(Some).ok_or_else(|| FieldError::new("Idempotency-Key", problem))
}

/// Returns the `Idempotency-Key` of a request that must have one: one per this.
pub fn require_idempotency_key<'a>(request: &'a Request<Bytes>, per: &str) -> Result<&'a str, FieldError> {
    idempotency_key(request)?.ok_or_else(|| {
        let message = format!(
            "send this header, with 1 to 255 visible ASCII characters of your own per {per}: a repeated request with the same text counts once"
        );
        FieldError::new("Idempotency-Key", message)
    })
}

/// Parses the query of a request.
pub fn query<Q: DeserializeOwned>(request: &Request<Bytes>) -> Result<Q, Error> {
    let pairs = parse_query(request.uri().query().unwrap_or_default());
    let query = input::query(&pairs).map_err(Error::Invalid)?;
    Cursor::check(request, &pairs)?;
    Ok(query)
}

/// Returns a header that occurs once and is text.
pub fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
