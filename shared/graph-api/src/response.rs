//! Responses: checks them for errors and decodes them.

use bytes::Bytes;
use domain::gap::Gap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::error::{CallKind, Details, GraphError};
use crate::lenient::{self, OddFields};
use crate::page::Page;
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
        let Self { status, usage, mut body } = self;
        let is_success = (200..300).contains(&status);
        if is_success && !is_success_body(&body) {
            body = lenient::clean(&body).into();
        }
        let result = if is_success && is_success_body(&body) {
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
        success: Option<Value>,
    }
    match decode::<Success>(body)?.success {
        Some(success) if success == false || success == "false" => {
            Err(GraphError::Transient(Details::of("Meta answered success: false")))
        }
        _ => Ok(()),
    }
}

/// Decodes a response. An odd field is an error: what a token may do, for instance, must not be guessed.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, GraphError> {
    if let Ok(read) = serde_json::from_slice(body) {
        return Ok(read);
    }
    let read = lenient::decode(parse(body)?, OddFields::RejectRow);
    read.map(|(read, _)| read).map_err(unexpected_shape)
}

/// Decodes a response without the odd fields that it can do without, which are logged.
pub(crate) fn decode_partly<T: DeserializeOwned>(body: &[u8]) -> Result<T, GraphError> {
    if let Ok(read) = serde_json::from_slice(body) {
        return Ok(read);
    }
    let (read, gaps) = lenient::decode(parse(body)?, OddFields::LeaveOut).map_err(unexpected_shape)?;
    for Gap { id, field, reason, .. } in gaps {
        tracing::warn!(?id, ?field, reason, "Meta's answer has an odd field, which is left out.");
    }
    Ok(read)
}

/// Decodes a page of rows. Returns what was left out of them as well: odd rows, and odd fields where these may be.
pub(crate) fn decode_page<T: DeserializeOwned>(
    body: &[u8],
    odd: OddFields,
) -> Result<(Page<T>, Vec<Gap>), GraphError> {
    if let Ok(page) = serde_json::from_slice(body) {
        return Ok((page, Vec::new()));
    }
    let (page, mut gaps): (Page<Value>, _) =
        lenient::decode(parse(body)?, OddFields::LeaveOut).map_err(unexpected_shape)?;
    let (data, of_rows) = lenient::decode_rows(page.data, odd);
    gaps.extend(of_rows);
    Ok((Page { data, paging: page.paging }, gaps))
}

fn parse(body: &[u8]) -> Result<Value, GraphError> {
    serde_json::from_str(&lenient::clean(body)).map_err(|error| GraphError::UnexpectedShape {
        at: ".".to_owned(),
        problem: lenient::without_values(&error.to_string()),
    })
}

fn unexpected_shape(gap: Gap) -> GraphError {
    GraphError::UnexpectedShape { at: gap.field.unwrap_or_else(|| ".".to_owned()), problem: gap.reason }
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
