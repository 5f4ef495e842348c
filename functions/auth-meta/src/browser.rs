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

/// A kind of HttpOnly cookie: scripts cannot read it.
///
/// Over HTTPS its name has the prefix `__Host-`, which no other host and no plain HTTP can set, at the price that it is
/// sent to every path.
pub(crate) struct CookieKind {
    pub(crate) name: &'static str,
    /// Only path to which the browser sends it over plain HTTP.
    pub(crate) path: &'static str,
    pub(crate) same_site: &'static str,
}

/// A cookie that is to be set.
pub(crate) struct Cookie<'a> {
    kind: &'a CookieKind,
    value: &'a str,
    max_age: SignedDuration,
    secure: bool,
}

impl CookieKind {
    /// Returns a cookie of this kind; `secure` when the API is reached over HTTPS.
    pub(crate) fn with<'a>(&'a self, value: &'a str, max_age: SignedDuration, secure: bool) -> Cookie<'a> {
        Cookie { kind: self, value, max_age, secure }
    }

    /// Returns the value of the cookie that a request carries.
    pub(crate) fn read<'a>(&self, request: &'a Request<Bytes>, secure: bool) -> Option<&'a str> {
        let name = self.full_name(secure);
        let headers = request.headers().get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        headers
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Checks, in constant time, whether a request carries the cookie with this hash.
    pub(crate) fn matches(&self, request: &Request<Bytes>, secure: bool, browser_hash: &str) -> bool {
        let presented = self.read(request, secure).map(hash).unwrap_or_default();
        !presented.is_empty() && bool::from(presented.as_bytes().ct_eq(browser_hash.as_bytes()))
    }

    fn full_name(&self, secure: bool) -> String {
        if secure { format!("__Host-{}", self.name) } else { self.name.to_owned() }
    }
}

impl Cookie<'_> {
    /// Adds the cookie to a response.
    pub(crate) fn set(&self, response: &mut Response) -> Result<(), Error> {
        let Self { kind, value, max_age, secure } = self;
        let (path, secure_attribute) = if *secure { ("/", "; Secure") } else { (kind.path, "") };
        let cookie = format!(
            "{}={value}; Path={path}; Max-Age={}; HttpOnly; SameSite={}{secure_attribute}",
            kind.full_name(*secure),
            max_age.as_secs(),
            kind.same_site
        );
        let cookie = HeaderValue::from_str(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(())
    }
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

/// Hashes a value so that it reveals nothing to whoever lacks the secret.
pub(crate) fn keyed_hash(secret: &str, value: impl std::fmt::Display) -> String {
    hash(format!("{secret}|{value}"))
}
