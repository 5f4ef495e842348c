//! Kinds of faults.

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::{Area, ErrorResponse, RequestInfo, ThrottleKind};

/// The kind of a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The call has no effect and returns this error.
    Error {
        /// HTTP status.
        status: u16,
        /// Graph's code.
        code: i64,
        /// Graph's subcode.
        #[serde(default)]
        subcode: Option<i64>,
        /// Response headers, added to the usual ones or replacing them.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// The call has no effect and returns this error, given in full.
    ErrorResponse(ErrorResponse),
    /// The call has no effect: a quota is reported as exhausted, and the headers say for how many minutes.
    Throttle {
        /// The quota.
        limit: ThrottleKind,
        /// Duration in minutes; headers whose unit is seconds contain it converted.
        minutes: u32,
    },
    /// The call has its effect, but the connection is closed without a response; an item of a batch is null.
    LostResponse,
    /// The call is lost on its way: it has no effect, and the connection is closed without a response. An item of a
    /// batch is null, and a webhook delivery does not arrive.
    LostRequest,
    /// The call has no effect and returns 502 with an HTML page instead of JSON.
    Html,
    /// The call has no effect and returns 503 with an HTML page instead of JSON.
    HtmlUnavailable,
    /// The call has no effect and returns 200 with the plain text "Service Unavailable", a case that Meta's SDKs
    /// handle.
    PlainUnavailable,
    /// The call has no effect and returns 413 without a body.
    TooLarge,
    /// The call has its effect, but only half of the JSON arrives.
    Truncated,
    /// The call has its effect, and its response is late.
    Delay {
        /// In real time, because clients measure it.
        millis: u64,
    },
    /// The call has its effect, and its response names another version as the one that served it.
    OtherVersion {
        /// That version.
        version: String,
    },
    /// The call has no effect and never gets a response.
    Hang,
    /// A later page of a listing is not served: the page before it is returned again, with the same cursors.
    RepeatedPage,
    /// A webhook delivery is sent twice.
    Duplicate,
    /// A webhook delivery arrives after the one that follows it.
    OutOfOrder,
}

impl FaultKind {
    /// Returns whether the fault can happen to a request: some faults need a later page, or a delivery.
    pub(super) fn applies_to(&self, request: RequestInfo<'_>) -> bool {
        let delivery = request.area == Area::Webhook;
        match self {
            Self::RepeatedPage => {
                !delivery && *request.method == Method::GET && request.path.contains("after=")
            }
            Self::Duplicate | Self::OutOfOrder => delivery,
            Self::LostRequest => true,
            _ => !delivery,
        }
    }
}
