//! One Graph call, whatever way it was written.

use std::collections::BTreeMap;

use axum::extract::{Form, FromRequest, Query, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, StatusCode};

use crate::error::{GraphError, invalid};

/// The version a call gets that names none.
pub(crate) const CURRENT: &str = "v26.0";
const SERVED: [&str; 2] = ["v25.0", CURRENT];
/// Taken by every call, without effect here.
const EVERYWHERE: [&str; 5] = ["pretty", "debug", "metadata", "locale", "suppress_http_code"];

/// One Graph call.
#[derive(Debug)]
pub(crate) struct GraphCall {
    pub(crate) method: Method,
    pub(crate) version: String,
    /// The path after the version.
    pub(crate) segments: Vec<String>,
    /// From the query and the form; without token and proof.
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) token: Option<String>,
    pub(crate) proof: Option<String>,
}

impl GraphCall {
    pub(crate) async fn read(request: Request) -> Result<Self, GraphError> {
        let method = request.method().clone();
        let (version, segments) = split(request.uri().path());
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer =
            bearer.and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("OAuth ")));
        let bearer = bearer.map(str::to_owned);
        let mut params = pairs(request).await?;
        let token = params.remove("access_token").or(bearer).filter(|token| !token.is_empty());
        let proof = params.remove("appsecret_proof");
        Ok(Self { method, version, segments, params, token, proof })
    }

    /// Segments as text, to match on.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Refuses what Graph refuses of any call: versions that have ended, parameters that were removed.
    pub(crate) fn check_protocol(&self) -> Result<(), GraphError> {
        if !SERVED.contains(&self.version.as_str()) {
            return Err(GraphError::new(
                2635,
                format!(
                    "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest \
                     version: {CURRENT}."
                ),
            ));
        }
        if self.params.contains_key("ids") {
            return Err(GraphError::new(100, "The ids query parameter is deprecated in v26.0+.")
                .status(StatusCode::INTERNAL_SERVER_ERROR));
        }
        if self.params.contains_key("date_format") {
            return Err(invalid("The date_format query parameter is deprecated in v26.0+."));
        }
        Ok(())
    }

    /// The parameters this call does not know, which Graph ignores.
    pub(crate) fn unknown_params(&self, known: impl Fn(&str) -> bool) -> Vec<&str> {
        let names = self.params.keys().map(String::as_str);
        names.filter(|name| !known(name) && !EVERYWHERE.contains(name)).collect()
    }
}

/// Splits a path into its version and the rest.
pub(crate) fn split(path: &str) -> (String, Vec<String>) {
    let mut segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let versioned = segments.first().is_some_and(|first| {
        first
            .strip_prefix('v')
            .and_then(|v| v.split_once('.'))
            .is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok())
    });
    let version = if versioned { segments.remove(0) } else { CURRENT.to_owned() };
    (version, segments)
}

/// The pairs of the query, then those of a form.
pub(crate) async fn pairs(request: Request) -> Result<BTreeMap<String, String>, GraphError> {
    type Pairs = Vec<(String, String)>;
    let unreadable = || invalid("The parameters cannot be read");
    let Query(mut all) = Query::<Pairs>::try_from_uri(request.uri()).map_err(|_| unreadable())?;
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    // For GET and HEAD the extractor would read the query again.
    if is_form && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let Form(form) = Form::<Pairs>::from_request(request, &()).await.map_err(|_| unreadable())?;
        all.extend(form);
    }
    Ok(all.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_be_missing() {
        assert_eq!(
            split("/v25.0/act_1/ads"),
            ("v25.0".to_owned(), vec!["act_1".to_owned(), "ads".to_owned()])
        );
        assert_eq!(split("/me"), (CURRENT.to_owned(), vec!["me".to_owned()]));
        assert_eq!(split("/very.old/x").0, CURRENT);
    }
}
