//! The decoders of responses, exposed for fuzz tests.

use domain::gap::Gap;
use serde::de::DeserializeOwned;

use crate::error::{CallKind, GraphError};
use crate::lenient::OddFields;
use crate::response::{check_success, decode_page, is_success_body};
use crate::usage::{Usage, UseCase};

/// Decodes the rows of a page, and returns what was left out of it. `whole` rejects rows with an odd field.
pub fn rows<T: DeserializeOwned>(body: &[u8], whole: bool) -> Result<(Vec<T>, Vec<Gap>), GraphError> {
    let odd = if whole { OddFields::RejectRow } else { OddFields::LeaveOut };
    decode_page::<T>(body, odd).map(|(page, gaps)| (page.data, gaps))
}

/// Classifies a response that is not a success.
pub fn error(status: u16, body: &[u8], creates: bool) -> GraphError {
    // The client first checks every body for success.
    let _ = (is_success_body(body), check_success(body));
    let kind = CallKind { creates, case: UseCase::AdsManagement };
    GraphError::from_response(status, body, &Usage::default(), kind)
}
