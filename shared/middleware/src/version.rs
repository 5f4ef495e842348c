//! Entity tags: `ETag` and `If-None-Match` of what is read, `If-Match` of what is changed.
//!
//! A tag is `"VERSION"`, or `"VERSION-CONTENT"` where what is returned changes more often than what can be changed: an
//! entity with its metrics. `If-Match` compares versions, `If-None-Match` whole tags.

use bytes::Bytes;
use domain::Error;
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, HeaderValue, Request};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Refuses a change of something that was changed since the client read it. `current` is what `GET` returns of it.
pub fn require_match<T: Serialize>(request: &Request<Bytes>, current: &T) -> Result<(), Error> {
    let Some(sent) = request.headers().get(IF_MATCH) else { return Ok(()) };
    let sent = sent.to_str().unwrap_or_default();
    let current = version(current)?;
    let is_current =
        |tag: &str| tag.split('-').next().is_some_and(|version| version == current.trim_matches('"'));
    if tags(sent).any(|tag| tag == "*" || is_current(tag)) {
        return Ok(());
    }
    Err(Error::StaleVersion { sent: sent.to_owned(), current })
}

/// Returns the header that names the version of what is returned, where it is not the whole content.
pub fn version_header<T: Serialize>(of: &T) -> Result<HeaderMap, Error> {
    Ok(HeaderMap::from_iter([(ETAG, header_value(&version(of)?))]))
}

/// Completes a response to a read with its tag. Returns whether the client has this content already.
pub(crate) fn tag(response: &mut http::Response<Bytes>, if_none_match: Option<&str>) -> bool {
    let content = digest(response.body());
    let version = response.headers().get(ETAG).and_then(|version| version.to_str().ok());
    let tag = match version {
        Some(version) => format!("{}-{content}", version.trim_matches('"')),
        None => content,
    };
    response.headers_mut().insert(ETAG, header_value(&format!("\"{tag}\"")));
    if_none_match.is_some_and(|known| tags(known).any(|known| known == "*" || known == tag))
}

/// The tags of a list, without their quotes. A cache marks a tag as weak when it changes the encoding.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
}

fn version<T: Serialize>(value: &T) -> Result<String, Error> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(format!("\"{}\"", digest(&bytes)))
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes).get(..10).unwrap_or_default())
}

/// Digits and quotes are always a header value.
fn header_value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"\""))
}
