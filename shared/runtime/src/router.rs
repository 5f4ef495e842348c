//! Finds the endpoint of a request by path and method.

use std::borrow::Cow;

use bytes::Bytes;
use domain::Error;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};

use crate::endpoint::Declaration;
use crate::problem;
use crate::response::Response;
use crate::telemetry;

/// Maximum body size of most endpoints; larger bodies are rejected with 413.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Maximum body size of any endpoint, up to which a host reads a body.
pub const MAX_READ_BYTES: usize = 5 * 1024 * 1024;

/// Creates the response to a body that is too large.
pub fn too_large(max_bytes: usize) -> Response {
    let detail = format!("The body may have {max_bytes} bytes at most.");
    problem::plain(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", &detail)
}

/// How well endpoints fit a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// None has its path.
    None,
    /// One has its path, with another method.
    Path,
    /// One serves it.
    Full,
}

/// Returns how well a function's endpoints fit a request.
pub fn fit<E: AsRef<Declaration>>(endpoints: &[E], request: &Request<Bytes>) -> Fit {
    let path = request.uri().path();
    let mut with_path =
        endpoints.iter().filter(|one| match_path(one.as_ref().path, path).is_some()).peekable();
    if with_path.peek().is_none() {
        return Fit::None;
    }
    let method = served_method(request);
    if with_path.any(|endpoint| endpoint.as_ref().method == method) { Fit::Full } else { Fit::Path }
}

/// What can be read can be asked for without its body.
fn served_method(request: &Request<Bytes>) -> &Method {
    if request.method() == Method::HEAD { &Method::GET } else { request.method() }
}

/// Parameters of a path, by name.
pub type Parameters = Vec<(&'static str, String)>;

/// Creates the response to an unknown path.
pub fn not_found() -> Box<Response> {
    Box::new(problem::to_response(&Error::NotFound("this path".to_owned())))
}

/// Returns the endpoint of a request with its path parameters, or the error response: 404, 405 or 413.
pub fn find<'a, E: AsRef<Declaration>>(
    endpoints: &'a [E],
    request: &Request<Bytes>,
) -> Result<(&'a E, Parameters), Box<Response>> {
    let candidates: Vec<_> = endpoints
        .iter()
        .filter_map(|endpoint| Some((endpoint, match_path(endpoint.as_ref().path, request.uri().path())?)))
        .collect();
    let Some((endpoint, _)) = candidates.first() else { return Err(not_found()) };
    telemetry::record_operation(endpoint.as_ref().path);
    let mut methods: Vec<_> =
        candidates.iter().map(|(endpoint, _)| endpoint.as_ref().method.clone()).collect();
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    let method = served_method(request);
    let found = candidates.into_iter().find(|(endpoint, _)| endpoint.as_ref().method == method);
    let Some(found) = found else {
        let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
        let methods = methods.join(", ");
        let mut response = problem::plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            &format!("This path knows {methods}."),
        );
        // Method names are always valid header values.
        response.headers_mut().extend(HeaderValue::from_str(&methods).ok().map(|methods| (ALLOW, methods)));
        return Err(Box::new(response));
    };
    let max_bytes = found.0.as_ref().max_body_bytes;
    if request.body().len() > max_bytes {
        return Err(Box::new(too_large(max_bytes)));
    }
    Ok(found)
}

/// Returns the parameters of `path` if it matches `pattern`.
pub fn match_path(pattern: &'static str, path: &str) -> Option<Parameters> {
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

pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name).into_owned(), decode(&value.replace('+', " ")).into_owned())
        })
        .collect()
}

/// Percent-decodes text. Malformed text stays unchanged and is rejected by the parser.
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
