//! The decoders of responses, exposed for fuzz tests.

use serde::de::DeserializeOwned;

use crate::error::{CallKind, GraphError};
use crate::page::Page;
use crate::response::{check_success, decode, is_success_body};
use crate::usage::{Usage, UseCase};

/// Decodes the rows of a page.
pub fn rows<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, GraphError> {
    Ok(decode::<Page<T>>(body)?.data)
}

/// Classifies a response that is not a success.
pub fn error(status: u16, body: &[u8], creates: bool) -> GraphError {
    // The client first checks every body for success.
    let _ = (is_success_body(body), check_success(body));
    let kind = CallKind { creates, case: UseCase::AdsManagement };
    GraphError::from_response(status, body, &Usage::default(), kind)
}
