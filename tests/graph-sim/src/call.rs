//! One Graph call, parsed from any of the forms it can be sent in.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, Multipart, Query, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};

use crate::config::{AppAge, PagingQuirks};
use crate::error::{GraphError, invalid};
use crate::selection::{self, Field};
use crate::version::{self, DEFAULT_VERSION};

/// One Graph call.
#[derive(Debug, Default)]
pub(crate) struct GraphCall {
    pub(crate) method: Method,
    /// Whether the method comes from a parameter.
    pub(crate) method_overridden: bool,
    pub(crate) version: String,
    /// The path after the version.
    pub(crate) segments: Vec<String>,
    /// Parameters of the query and the form, without token and proof.
    pub(crate) params: BTreeMap<String, String>,
    /// Files of a multipart form, by the name of their part.
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) token: Option<String>,
    pub(crate) proof: Option<String>,
    /// How listings are split into pages.
    pub(crate) pages: PagingQuirks,
}

/// A file sent with a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct File {
    /// The file name the caller gave.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

impl GraphCall {
    pub(crate) async fn read(request: Request) -> Result<Self, GraphError> {
        let method = request.method().clone();
        let (version, segments) = split_path(request.uri().path());
        let segments = normalize_upload(segments);
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer =
            bearer.and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("OAuth ")));
        let bearer = bearer.map(str::to_owned);
        let (params, files) = body(request).await?;
        let call = Self { method, version, segments, files, token: bearer, ..Self::default() };
        Ok(call.with_params(params))
    }

    /// Sets the parameters of a call; token, proof and method override are removed from them and applied.
    pub(crate) fn with_params(mut self, mut params: BTreeMap<String, String>) -> Self {
        self.token = params.remove("access_token").or(self.token).filter(|token| !token.is_empty());
        self.proof = params.remove("appsecret_proof").or(self.proof);
        // The method override is for clients that can send only GET and POST.
        if let Some(method) = params.remove("method") {
            self.method_overridden = true;
            self.method = method.to_ascii_uppercase().parse().unwrap_or(self.method);
        }
        self.params = params;
        self
    }

    /// Returns whether the call uploads a video to its upload URL; the specification does not contain such calls.
    pub(crate) fn is_upload(&self) -> bool {
        self.segments.get(1).is_some_and(|edge| edge == UPLOAD_PATH)
    }

    /// Returns the path segments as text, for matching.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Rejects what was removed in all versions, and what apps created since November 2026 may not use. Meta's words are
    /// known for `ids` only.
    pub(crate) fn check_protocol(&self, app: AppAge) -> Result<(), GraphError> {
        let has = |name: &str| self.params.contains_key(name);
        if has("ids") {
            return Err(GraphError::new(100, "The ids query parameter is deprecated in v26.0+.")
                .status(StatusCode::INTERNAL_SERVER_ERROR));
        }
        if has("date_format") {
            return Err(invalid("The date_format query parameter is deprecated in v26.0+."));
        }
        if app == AppAge::Old {
            return Ok(());
        }
        let has_alias =
            || self.params.get("fields").and_then(|text| selection::parse(text).ok()).is_some_and(has_alias);
        let closed = if self.method_overridden {
            "method"
        } else if has("callback") {
            "callback"
        } else if has("asyncbatch") {
            "asyncbatch"
        } else if has_alias() {
            "fields with .as()"
        } else {
            return Ok(());
        };
        Err(invalid(format_args!("{closed} is not available to apps created after November 4, 2026.")))
    }
}

/// Returns whether a field at any depth has another name in the answer.
fn has_alias(fields: Vec<Field>) -> bool {
    fields.into_iter().any(|field| field.modifiers.contains_key("as") || field.inner.is_some_and(has_alias))
}

/// Splits a path into its version and the remaining segments.
pub(crate) fn split_path(path: &str) -> (String, Vec<String>) {
    let mut segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let version = if has_version(path) { segments.remove(0) } else { DEFAULT_VERSION.to_owned() };
    (version, segments)
}

/// Returns whether a path begins with a version.
pub(crate) fn has_version(path: &str) -> bool {
    path.split('/').find(|segment| !segment.is_empty()).is_some_and(|first| version::numbers(first).is_some())
}

/// First segment of the path of video upload URLs; at Meta it is the host.
pub(crate) const UPLOAD_PATH: &str = "video-ads-upload";

/// Rewrites the path of an upload URL, which has the video last, as an edge of the video.
fn normalize_upload(segments: Vec<String>) -> Vec<String> {
    match segments.as_slice() {
        [host, .., video] if host == UPLOAD_PATH => vec![video.clone(), UPLOAD_PATH.to_owned()],
        _ => segments,
    }
}

type Pairs = Vec<(String, String)>;
type Files = BTreeMap<String, File>;

/// Reads the parameters of the query, then those of a URL-encoded form.
pub(crate) async fn pairs(request: Request) -> Result<BTreeMap<String, String>, GraphError> {
    Ok(body(request).await?.0)
}

/// Reads the parameters of the query, then those of a form of either content type, and its files.
async fn body(request: Request) -> Result<(BTreeMap<String, String>, Files), GraphError> {
    let Query(mut all) = Query::<Pairs>::try_from_uri(request.uri()).map_err(invalid_params)?;
    let mut files = Files::new();
    let kind = content_type(request.headers()).to_owned();
    // For GET and HEAD the extractor would read the query again.
    let has_form = !matches!(*request.method(), Method::GET | Method::HEAD);
    if has_form && kind.starts_with("application/x-www-form-urlencoded") {
        let Form(form) = Form::<Pairs>::from_request(request, &()).await.map_err(invalid_params)?;
        all.extend(form);
    } else if kind.starts_with("multipart/form-data") {
        let mut parts = Multipart::from_request(request, &()).await.map_err(invalid_params)?;
        while let Some(part) = parts.next_field().await.map_err(invalid_params)? {
            let name = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file) => {
                    let bytes = part.bytes().await.map_err(invalid_params)?;
                    files.insert(name, File { name: file, bytes });
                }
                None => all.push((name, part.text().await.map_err(invalid_params)?)),
            }
        }
    } else if is_upload(&request) {
        // An upload to an upload URL describes its content in headers.
        for name in ["offset", "file_size", "file_url"] {
            if let Some(value) = request.headers().get(name).and_then(|value| value.to_str().ok()) {
                all.push((name.to_owned(), value.to_owned()));
            }
        }
        let bytes = Bytes::from_request(request, &()).await.map_err(invalid_params)?;
        if !bytes.is_empty() {
            files.insert("body".to_owned(), File { name: "body".to_owned(), bytes });
        }
    }
    Ok((all.into_iter().collect(), files))
}

/// Returns whether a request goes to a video's upload URL.
pub(crate) fn is_upload(request: &Request) -> bool {
    request.uri().path().split('/').nth(1) == Some(UPLOAD_PATH)
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn invalid_params<E>(_: E) -> GraphError {
    invalid("The parameters cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_be_missing() {
        assert_eq!(
            split_path("/v25.0/act_1/ads"),
            ("v25.0".to_owned(), vec!["act_1".to_owned(), "ads".to_owned()])
        );
        assert_eq!(split_path("/me"), (DEFAULT_VERSION.to_owned(), vec!["me".to_owned()]));
        assert_eq!(split_path("/very.old/x").0, DEFAULT_VERSION);
    }
}
