//! Routes: one table per function says the path, who may come in, and which endpoint it is. The router,
//! the role check and the local host all read that table.

use std::borrow::Cow;
use std::future::Future;
use std::str::FromStr;

use bytes::Bytes;
use domain::id::{AdAccountId, WorkspaceId};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, StatusCode};
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::input;
use crate::problem;
use crate::response::Response;
use crate::session::{Role, RoleSource, Session, SessionVerifier, User, VerifyError};
use crate::telemetry::{self, UnitOfWork};

/// Larger bodies are refused with 413. Meta's own largest webhook stays below.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest `Idempotency-Key`.
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody: the endpoint checks for itself what it is given.
    Public,
    /// Whoever has a session, in whichever workspace or none.
    Person,
    /// A session of the path's workspace with at least this role.
    Role(Role),
}

/// One route of a function.
#[derive(Debug)]
pub struct Route<E> {
    /// The method.
    pub method: Method,
    /// The path with `{parameters}`.
    pub path: &'static str,
    /// Who may come in.
    pub access: Access,
    /// Which endpoint it is.
    pub endpoint: E,
}

/// Where the host took a request in, such as `https://api.example.com`: its own knowledge, not a header's claim.
#[derive(Debug, Clone)]
pub struct Origin(pub String);

/// A request that was let in.
#[derive(Debug)]
pub struct RequestContext<E> {
    /// Which endpoint it is for.
    pub endpoint: E,
    /// The request.
    pub request: Request<Bytes>,
    principal: Principal,
    path: Parameters,
    query: Vec<(String, String)>,
}

/// Whom a route let in.
#[derive(Debug)]
pub enum Principal {
    /// Whoever it is.
    Anonymous,
    /// Somebody with a session.
    User(User),
    /// Somebody with a role in the path's workspace.
    Member(Session),
}

/// Finds the route of a request, lets it in or not, and turns failures into problem+json. This is the door on
/// every host: here the request becomes a unit of work of this function.
///
/// `member` says who is in the path's workspace, with which role, when the issuer does not say that it is theirs.
pub async fn serve<E, M, F, Fut>(
    function: &'static str,
    routes: &'static [Route<E>],
    sessions: &SessionVerifier,
    clock: &Clock,
    request: Request<Bytes>,
    member: M,
    answer: F,
) -> Response
where
    E: Copy,
    M: AsyncFnOnce(&User, &WorkspaceId) -> Result<Option<(Tenant, Role)>, Error>,
    F: FnOnce(RequestContext<E>) -> Fut,
    Fut: Future<Output = Result<Response, Error>>,
{
    let unit = UnitOfWork::request(function, clock, request.method(), request.headers());
    let work = async {
        let admitted = async {
            let (route, path) = find(routes, &request)?;
            let principal = match route.access {
                Access::Public => Principal::Anonymous,
                Access::Person => Principal::User(authenticate(sessions, clock, &request).await?),
                Access::Role(role) => {
                    let user = authenticate(sessions, clock, &request).await?;
                    Principal::Member(admit(user, role, &path, member).await?)
                }
            };
            Ok(RequestContext::new(route, request, principal, path))
        };
        answered(admitted.await, answer).await
    };
    unit.respond(Box::pin(work)).await
}

/// [`serve`] for a function that knows no sessions, for all that it does is public.
pub async fn serve_public<E, F, Fut>(
    function: &'static str,
    routes: &'static [Route<E>],
    clock: &Clock,
    request: Request<Bytes>,
    answer: F,
) -> Response
where
    E: Copy,
    F: FnOnce(RequestContext<E>) -> Fut,
    Fut: Future<Output = Result<Response, Error>>,
{
    let unit = UnitOfWork::request(function, clock, request.method(), request.headers());
    let work = async {
        let admitted = find(routes, &request).and_then(|(route, path)| match route.access {
            Access::Public => Ok(RequestContext::new(route, request, Principal::Anonymous, path)),
            Access::Person | Access::Role(_) => {
                let error = Error::Internal("a route that needs a session has none to check".to_owned());
                Err(Box::new(problem::to_response(&error)))
            }
        });
        answered(admitted, answer).await
    };
    unit.respond(Box::pin(work)).await
}

async fn answered<E, F, Fut>(admitted: Result<RequestContext<E>, Box<Response>>, answer: F) -> Response
where
    F: FnOnce(RequestContext<E>) -> Fut,
    Fut: Future<Output = Result<Response, Error>>,
{
    match admitted {
        Ok(context) => answer(context).await.unwrap_or_else(|error| problem::to_response(&error)),
        Err(response) => *response,
    }
}

/// The answer to a body over [`MAX_BODY_BYTES`].
pub fn too_large() -> Response {
    let detail = format!("The body may have {MAX_BODY_BYTES} bytes at most.");
    problem::plain(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", &detail)
}

/// Whether one of these routes has this path, whatever the method.
pub fn knows<E>(routes: &[Route<E>], path: &str) -> bool {
    routes.iter().any(|route| match_path(route.path, path).is_some())
}

/// The parameters of a path, by name.
type Parameters = Vec<(&'static str, String)>;

fn not_found() -> Box<Response> {
    Box::new(problem::to_response(&Error::NotFound("this path".to_owned())))
}

fn find<E>(
    routes: &'static [Route<E>],
    request: &Request<Bytes>,
) -> Result<(&'static Route<E>, Parameters), Box<Response>> {
    let candidates: Vec<_> = routes
        .iter()
        .filter_map(|route| Some((route, match_path(route.path, request.uri().path())?)))
        .collect();
    let Some((route, _)) = candidates.first() else { return Err(not_found()) };
    telemetry::record_operation(route.path);
    let methods: Vec<_> = candidates.iter().map(|(route, _)| route.method.clone()).collect();
    let Some(found) = candidates.into_iter().find(|(route, _)| route.method == request.method()) else {
        let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
        let methods = methods.join(", ");
        let mut response = problem::plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            &format!("This path knows {methods}."),
        );
        // Names of methods are always a header's text.
        response.headers_mut().extend(HeaderValue::from_str(&methods).ok().map(|methods| (ALLOW, methods)));
        return Err(Box::new(response));
    };
    if request.body().len() > MAX_BODY_BYTES {
        return Err(Box::new(too_large()));
    }
    Ok(found)
}

/// Who sends a request.
async fn authenticate(
    sessions: &SessionVerifier,
    clock: &Clock,
    request: &Request<Bytes>,
) -> Result<User, Box<Response>> {
    let token = bearer(request).map_err(unauthorized)?;
    sessions.verify(token, clock.now()).await.map_err(|why| match why {
        VerifyError::InvalidToken(why) => unauthorized(&format!("The session token {why}.")),
        VerifyError::IssuerUnavailable => {
            let why = "the issuer of sessions does not say its keys".to_owned();
            Box::new(problem::to_response(&Error::Unavailable(why)))
        }
    })
}

/// Lets a user into the path's workspace, or says why not. A foreign workspace is not told apart from one that does
/// not exist.
async fn admit<M>(user: User, needs: Role, path: &Parameters, member: M) -> Result<Session, Box<Response>>
where
    M: AsyncFnOnce(&User, &WorkspaceId) -> Result<Option<(Tenant, Role)>, Error>,
{
    let parameter = |wanted| path.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let wanted: WorkspaceId =
        parameter("workspace").and_then(|value| value.parse().ok()).ok_or_else(not_found)?;
    let is_wanted = |(tenant, _): &(Tenant, Role)| **tenant == wanted;
    let (has, role_source) = match user.claimed_role.clone().filter(is_wanted) {
        Some(role) => (Some(role), RoleSource::Claim),
        None => {
            let member = member(&user, &wanted).await;
            (member.map_err(|error| Box::new(problem::to_response(&error)))?, RoleSource::Membership)
        }
    };
    let (workspace, role) = has.filter(is_wanted).ok_or_else(not_found)?;
    let ad_account = parameter("ad_account").and_then(|value| value.parse::<AdAccountId>().ok());
    telemetry::record_workspace(&workspace, ad_account.as_ref());
    if role < needs {
        let why = format!("this needs the role {needs} or above; the session has {role}");
        return Err(Box::new(problem::to_response(&Error::Forbidden(why))));
    }
    Ok(Session { subject: user.subject, workspace, role, role_source })
}

fn unauthorized(detail: &str) -> Box<Response> {
    let status = StatusCode::UNAUTHORIZED;
    let mut response = problem::plain(status, "unauthorized", "A valid session is needed", detail);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Box::new(response)
}

/// The session token of a request, or what is wrong with how it was sent.
fn bearer(request: &Request<Bytes>) -> Result<&str, &'static str> {
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err("Send one Authorization header: Bearer and a session token.");
    };
    let scheme_and_token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let token = scheme_and_token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token
        .map(|(_, token)| token.trim_start_matches(' '))
        .ok_or("The Authorization header must be Bearer and a session token.")
}

/// The parameters of `path` under `pattern`, if it matches.
fn match_path(pattern: &'static str, path: &str) -> Option<Parameters> {
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => parameters.push((name, decode(segment).into_owned())),
            None if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name).into_owned(), decode(&value.replace('+', " ")).into_owned())
        })
        .collect()
}

/// Percent-decoding; text that is not well-formed stays as it is and is refused by whoever parses it.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex =
            tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

impl<E: Copy> RequestContext<E> {
    fn new(route: &Route<E>, request: Request<Bytes>, principal: Principal, path: Parameters) -> Self {
        let query = parse_query(request.uri().query().unwrap_or_default());
        Self { endpoint: route.endpoint, request, principal, path, query }
    }
}

impl<E> RequestContext<E> {
    /// Where the front end reaches the API from outside, without a trailing slash: as configured, or where this
    /// request came in.
    pub fn public_url<'a>(&'a self, configured: Option<&'a str>) -> Result<&'a str, Error> {
        let origin = || self.request.extensions().get::<Origin>().map(|origin| origin.0.as_str());
        let unknown = || Error::Internal("neither configuration nor host say where the API is".to_owned());
        configured.or_else(origin).ok_or_else(unknown)
    }

    /// The session. Routes with [`Access::Role`] always have one.
    pub fn session(&self) -> Result<&Session, Error> {
        match &self.principal {
            Principal::Member(session) => Ok(session),
            Principal::Anonymous | Principal::User(_) => {
                Err(Error::Internal("a route without a role asked for a session".to_owned()))
            }
        }
    }

    /// Whom the route let in.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Who is asking. Routes with [`Access::Person`] always know.
    pub fn user(&self) -> Result<&User, Error> {
        match &self.principal {
            Principal::User(user) => Ok(user),
            Principal::Anonymous | Principal::Member(_) => {
                Err(Error::Internal("a route that is not for persons asked for one".to_owned()))
            }
        }
    }

    /// The `Idempotency-Key`, if there is one.
    pub fn idempotency_key(&self) -> Result<Option<&str>, FieldError> {
        if !self.request.headers().contains_key(IDEMPOTENCY_KEY) {
            return Ok(None);
        }
        let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
        let key =
            self.header(IDEMPOTENCY_KEY).filter(|key| (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
        let problem = "must be there once, with 1 to 255 visible ASCII characters of your own per request";
        key.filter(visible).map(Some).ok_or_else(|| FieldError::new("Idempotency-Key", problem))
    }

    /// The session's workspace.
    pub fn workspace(&self) -> Result<&Tenant, Error> {
        Ok(&self.session()?.workspace)
    }

    /// A parameter of the path. One that cannot be an id names nothing, so it is not found.
    pub fn path<T: FromStr>(&self, name: &'static str) -> Result<T, Error> {
        let value = self.path.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        value.and_then(|value| value.parse().ok()).ok_or_else(|| Error::NotFound(format!("this {name}")))
    }

    /// A query parameter that may be absent.
    pub fn query<T>(&self, name: &'static str) -> Result<Option<T>, Error>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let Some((_, value)) = self.query.iter().find(|(known, _)| known == name) else { return Ok(None) };
        let parsed =
            value.parse().map_err(|error: T::Err| FieldError::new(name, format!("{value:?}: {error}")));
        Ok(Some(parsed?))
    }

    /// A query parameter that must be there.
    pub fn required<T>(&self, name: &'static str, example: &str) -> Result<T, Error>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let missing =
            || FieldError::new(name, format!("is missing; give for example {name}={example}")).into();
        self.query(name)?.ok_or_else(missing)
    }

    /// Refuses a query: a filter that does nothing here must not be ignored.
    pub fn takes_no_query(&self) -> Result<(), Error> {
        match self.query.first() {
            Some((name, _)) => {
                Err(FieldError::new(name, "is not a parameter here; this path takes none").into())
            }
            None => Ok(()),
        }
    }

    /// A header, when it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.request.headers().get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// The JSON body. A request that does not say what its body is means JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if let Some(stated) = self.request.headers().get(CONTENT_TYPE)
            && !stated.to_str().is_ok_and(is_json)
        {
            return Err(FieldError::new("Content-Type", "must be application/json").into());
        }
        Ok(input::json(self.request.body())?)
    }

    /// The query, as a struct whose fields are the parameters.
    pub fn asked<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(input::query(&self.query)?)
    }
}

/// Whether a Content-Type means JSON, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_whole_segments_only() {
        let pattern = "/v1/workspaces/{workspace}/rules/{id}";
        let matched = match_path(pattern, "/v1/workspaces/demo/rules/a%2Fb").unwrap();
        assert_eq!(matched, [("workspace", "demo".to_owned()), ("id", "a/b".to_owned())]);
        for other in [
            "/v1/workspaces/demo/rules",
            "/v1/workspaces/demo/rules/",
            "/v1/workspaces//rules/1",
            "/v1/workspaces/demo/rules/1/x",
        ] {
            assert!(match_path(pattern, other).is_none(), "{other}");
        }
    }

    #[test]
    fn queries_are_decoded_and_broken_escapes_survive() {
        assert_eq!(
            parse_query("a=1%2B2&b=x+y&c"),
            [
                ("a".to_owned(), "1+2".to_owned()),
                ("b".to_owned(), "x y".to_owned()),
                ("c".to_owned(), String::new())
            ]
        );
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%ff"), "%ff");
    }
}
