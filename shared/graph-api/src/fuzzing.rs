//! The readers of answers by themselves, for the tests that give them nonsense.

use serde::de::DeserializeOwned;

use crate::error::{CallKind, GraphError};
use crate::page::Page;
use crate::response::{check_success, decode, is_success_body};
use crate::usage::{Usage, UseCase};

/// The rows of a page.
pub fn rows<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, GraphError> {
    Ok(decode::<Page<T>>(body)?.data)
}

/// What a call ends with that is answered so and was no success.
pub fn error(status: u16, body: &[u8], creates: bool) -> GraphError {
    // Every answer is first asked whether it is one.
    let _ = (is_success_body(body), check_success(body));
    let kind = CallKind { creates, case: UseCase::AdsManagement };
    GraphError::from_response(status, body, &Usage::default(), kind)
}
