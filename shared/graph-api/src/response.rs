//! Responses: checks them for errors and decodes them.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::error::{CallKind, Details, GraphError};
use crate::usage::Usage;

/// The body size up to which an error object is searched for. Error objects are small; longer bodies are rows.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// The response to a call or to an item of a batch.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) usage: Usage,
    pub(crate) body: Bytes,
}

impl Response {
    /// Returns the reported usage, and the body or the error.
    pub(crate) fn check(self, kind: CallKind) -> (Option<Usage>, Result<Bytes, GraphError>) {
        let Self { status, usage, body } = self;
        let result = if (200..300).contains(&status) && is_success_body(&body) {
            Ok(body)
        } else {
            Err(GraphError::from_response(status, &body, &usage, kind))
        };
        (Some(usage), result)
    }
}

/// Returns whether a body with a success status is a valid response. Graph has been seen to put an error object, and
/// proxies their own page, into a 200, and half a body to arrive as a whole one.
pub(crate) fn is_success_body(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        error: Option<IgnoredAny>,
    }
    let trimmed = body.trim_ascii();
    let [first, .., last] = trimmed else { return false };
    match (first, last) {
        // The response of a batch is a list, whose items carry their own errors.
        (b'[', b']') => true,
        (b'{', b'}') if body.len() > MAX_ERROR_BODY_BYTES => true,
        (b'{', b'}') => serde_json::from_slice::<Shape>(body).is_ok_and(|shape| shape.error.is_none()),
        _ => false,
    }
}

/// Fails when the response denies the change: `success` is false, as a boolean or, in places, as text.
pub(crate) fn check_success(body: &[u8]) -> Result<(), GraphError> {
    #[derive(Deserialize)]
    struct Success {
        success: Option<serde_json::Value>,
    }
    match decode::<Success>(body)?.success {
        Some(success) if success == false || success == "false" => {
            Err(GraphError::Transient(Details::of("Meta answered success: false")))
        }
        _ => Ok(()),
    }
}

/// Decodes a response. If that fails, a second pass finds the path of the mismatch.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, GraphError> {
    serde_json::from_slice(body).or_else(|_| {
        let mut json = serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| GraphError::UnexpectedShape {
            at: error.path().to_string(),
            problem: error.into_inner().to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_a_success_is_found_wherever_it_stands() {
        assert!(is_success_body(br#"{"data":[]}"#));
        assert!(is_success_body(br#"{"id":"1","error":null}"#));
        for body in [
            r#"{"error":{"code":2}}"#,
            r#"{ "__fb_trace_id__":"x", "error":{"code":2}}"#,
            "Service Unavailable",
            "<html></html>",
            r#"{"data":[{"id":"#,
            "",
        ] {
            assert!(!is_success_body(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_change_that_meta_denies_is_no_success() {
        for body in [r#"{"success":true}"#, r#"{"success":"true"}"#, r#"{"id":"1"}"#] {
            assert!(check_success(body.as_bytes()).is_ok(), "{body}");
        }
        for body in [r#"{"success":false}"#, r#"{"success":"false"}"#] {
            assert!(check_success(body.as_bytes()).is_err(), "{body}");
        }
    }
}
