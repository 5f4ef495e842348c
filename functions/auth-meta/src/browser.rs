//! Binds a response to one browser: secrets that only the browser holds, stored here as hashes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::Error;
use http::Request;
use http::header::{ACCEPT, COOKIE, HeaderValue, SET_COOKIE};
use jiff::SignedDuration;
use runtime::{Response, random};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// An HttpOnly cookie: scripts cannot read it.
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'static str,
    pub(crate) value: &'a str,
    /// Only path to which the browser sends it.
    pub(crate) path: &'static str,
    pub(crate) max_age: SignedDuration,
    pub(crate) same_site: &'static str,
    pub(crate) secure: bool,
}

impl Cookie<'_> {
    /// Adds the cookie to a response.
    pub(crate) fn set(&self, response: &mut Response) -> Result<(), Error> {
        let Self { name, value, path, max_age, same_site, secure } = self;
        let secure = if *secure { "; Secure" } else { "" };
        let max_age = max_age.as_secs();
        let cookie =
            format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite={same_site}{secure}");
        let cookie = HeaderValue::from_str(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(())
    }
}

/// Checks, in constant time, whether a request carries the cookie with this hash.
pub(crate) fn is_same_browser(request: &Request<Bytes>, name: &str, browser_hash: &str) -> bool {
    let presented = cookie(request, name).map(hash).unwrap_or_default();
    presented.as_bytes().ct_eq(browser_hash.as_bytes()).into()
}

/// Checks whether the client accepts JSON instead of the HTML page.
pub(crate) fn wants_json(request: &Request<Bytes>) -> bool {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains("application/json"))
}

/// Generates 256 random bits in base64url.
pub(crate) fn random_secret() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))
}

pub(crate) fn hash(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// Returns the value of one of our cookies.
fn cookie<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    let cookies = request.headers().get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    cookies
        .flat_map(|header| header.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}
