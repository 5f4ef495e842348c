//! The way back from a login to the front end, with its outcome.

use domain::{Error, FieldError};
use runtime::origins::AllowedOrigins;
use runtime::problem;
use url::Url;

/// Upper bound of a `return_url`.
const MAX_RETURN_URL_BYTES: usize = 2000;

/// How a login ended.
pub(crate) enum Outcome<'a> {
    Connected,
    Cancelled,
    Failed(&'a Error),
}

/// A link back to the front end.
pub(crate) struct ReturnLink {
    /// URL with the outcome in its query.
    pub(crate) url: String,
    /// Where it leads, as people know it: host and port.
    pub(crate) host: String,
    /// Its origin, to which a form of ours may be redirected.
    pub(crate) origin: String,
}

impl ReturnLink {
    /// Returns the link to this URL, or else to the first front end that is allowed.
    pub(crate) fn new(
        return_url: Option<&str>,
        origins: &AllowedOrigins,
        outcome: &Outcome<'_>,
    ) -> Option<Self> {
        let mut url = Url::parse(return_url.or_else(|| origins.first())?).ok()?;
        let (name, error) = match outcome {
            Outcome::Connected => ("connected", None),
            Outcome::Cancelled => ("cancelled", None),
            Outcome::Failed(error) => ("failed", Some(problem::classify(error).1)),
        };
        url.query_pairs_mut().append_pair("outcome", name).extend_pairs(error.map(|error| ("error", error)));
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", url.host_str()?);
        Some(Self { host, origin: url.origin().ascii_serialization(), url: url.into() })
    }
}

/// Returns the origin of a URL as browsers write it.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.origin().ascii_serialization())
}

/// Checks that a login may lead back to a URL.
pub(crate) fn check(text: &str, origins: &AllowedOrigins) -> Result<(), FieldError> {
    let invalid = |message: &str| FieldError::new("return_url", message);
    if text.len() > MAX_RETURN_URL_BYTES {
        return Err(invalid(&format!("may have {MAX_RETURN_URL_BYTES} bytes at most")));
    }
    let url =
        Url::parse(text).map_err(|_| invalid("must be a URL such as https://app.example.com/connected"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not contain a user"));
    }
    let origin = url.origin().ascii_serialization();
    if !origins.contains(&origin) {
        let message = format!("leads to {origin}, which is none of the allowed origins of this deployment");
        return Err(invalid(&message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_added_to_the_query_before_a_fragment() {
        let origins = AllowedOrigins::parse("https://app.example.com").unwrap();
        let back = "https://app.example.com/meta?tab=2#/accounts";
        let link = ReturnLink::new(Some(back), &origins, &Outcome::Connected).unwrap();
        assert_eq!(link.url, "https://app.example.com/meta?tab=2&outcome=connected#/accounts");
        let error = Error::Forbidden(String::new());
        let link = ReturnLink::new(None, &origins, &Outcome::Failed(&error)).unwrap();
        assert_eq!(link.url, "https://app.example.com/?outcome=failed&error=forbidden");
        assert!(ReturnLink::new(None, &AllowedOrigins::default(), &Outcome::Cancelled).is_none());
    }

    #[test]
    fn a_login_returns_to_allowed_origins_only() {
        let origins = AllowedOrigins::parse("https://app.example.com").unwrap();
        assert!(check("https://app.example.com/x?y=1#z", &origins).is_ok());
        for wrong in [
            "https://app.example.com.evil.example/",
            "https://evil.example/https://app.example.com",
            "https://app.example.com@evil.example/",
            "https://user:word@app.example.com/",
            "http://app.example.com/",
            "//app.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/relative",
            "",
        ] {
            assert!(check(wrong, &origins).is_err(), "{wrong}");
        }
    }
}
