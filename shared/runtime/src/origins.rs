//! The origins of front ends: they may call the API from a browser, and a login may return to them.

use domain::FieldError;
use http::{Method, Uri};

/// Methods of the API, which a browser of an allowed origin may use.
pub const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Request headers that a browser of an allowed origin may send.
pub const REQUEST_HEADERS: [&str; 6] =
    ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-correlation-id"];

/// Response headers that a script of an allowed origin may read.
pub const RESPONSE_HEADERS: [&str; 6] =
    ["etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-correlation-id"];

/// Seconds for which a browser may remember a preflight.
pub const MAX_AGE_SECONDS: u64 = 3600;

/// Allowed origins, such as `https://app.example.com`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    origins: Vec<String>,
    loopback: bool,
}

impl AllowedOrigins {
    /// Parses origins that are separated by commas; empty for none.
    pub fn parse(list: &str) -> Result<Self, FieldError> {
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        let origins = parts.map(parse_origin).collect::<Result<_, _>>()?;
        Ok(Self { origins, loopback: false })
    }

    /// Also allows every port of the machine itself over HTTP, for development.
    #[must_use]
    pub fn with_loopback(self) -> Self {
        Self { loopback: true, ..self }
    }

    /// Returns whether an origin, as browsers write it, is allowed.
    pub fn contains(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin) || (self.loopback && is_loopback(origin))
    }

    /// Returns the origin to send people back to when nothing else is known.
    pub fn first(&self) -> Option<&str> {
        self.origins.first().map(String::as_str)
    }
}

/// Returns an origin as browsers write it.
fn parse_origin(text: &str) -> Result<String, FieldError> {
    let invalid = || {
        FieldError::new("origin", format!("{text} must look like https://app.example.com, without a path"))
    };
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid());
    };
    let (is_bare, has_user) = (!text.ends_with('/') && uri.path() == "/", authority.as_str().contains('@'));
    if !is_bare || has_user || uri.query().is_some() {
        return Err(invalid());
    }
    let default_port = if scheme == "https" { 443 } else { 80 };
    let port = uri.port_u16().filter(|port| *port != default_port);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{}{port}", authority.host().to_ascii_lowercase()))
}

fn is_loopback(origin: &str) -> bool {
    let uri: Option<Uri> = origin.parse().ok();
    let host = uri.as_ref().and_then(Uri::host);
    let is_origin = parse_origin(origin).is_ok_and(|normalized| normalized == origin);
    is_origin && origin.starts_with("http://") && matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_and_this_machine_are_allowed() {
        let listed = AllowedOrigins::parse("https://App.example.com, https://b.example.com:8443").unwrap();
        let local = listed.clone().with_loopback();
        for (origin, by_list, by_loopback) in [
            ("https://app.example.com", true, true),
            ("https://b.example.com:8443", true, true),
            ("https://b.example.com", false, false),
            ("http://app.example.com", false, false),
            ("https://app.example.com.evil.example", false, false),
            ("http://localhost:5173", false, true),
            ("http://127.0.0.1", false, true),
            ("http://[::1]:3000", false, true),
            ("https://localhost:5173", false, false),
            ("http://localhost.evil.example", false, false),
            ("http://127.0.0.1@evil.example", false, false),
            ("http://localhost:5173/", false, false),
            ("null", false, false),
            ("", false, false),
        ] {
            assert_eq!((listed.contains(origin), local.contains(origin)), (by_list, by_loopback), "{origin}");
        }
        assert_eq!(listed.first(), Some("https://app.example.com"));
        for wrong in ["app.example.com", "https://app.example.com/", "ftp://x", "https://u@x", "https://x/y"]
        {
            assert!(AllowedOrigins::parse(wrong).is_err(), "{wrong}");
        }
    }
}
