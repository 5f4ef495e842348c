//! What can go wrong.

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::{Area, ErrorResponse, RequestInfo, ThrottleKind};

/// What goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The call has no effect and is answered with this error.
    Error {
        /// HTTP status.
        status: u16,
        /// Graph's code.
        code: i64,
        /// Graph's subcode.
        #[serde(default)]
        subcode: Option<i64>,
        /// Headers of the response, beside or instead of the usual ones.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// The call has no effect and is answered with this error, told in full.
    ErrorResponse(ErrorResponse),
    /// The call has no effect: a quota is said to be used up, and the headers say for how many minutes.
    Throttle {
        /// Which quota.
        limit: ThrottleKind,
        /// For how long; the headers convert it where their unit is seconds.
        minutes: u32,
    },
    /// The call has its effect, but the connection is closed without a response; an item of a batch is null.
    LostResponse,
    /// The call is lost on its way: no effect, and the connection is closed without a response. An item of a batch is
    /// null, and a webhook delivery does not arrive.
    LostRequest,
    /// The call has no effect and is answered 502 with a page instead of JSON.
    Html,
    /// The call has no effect and is answered 503 with a page instead of JSON.
    HtmlUnavailable,
    /// The call has no effect and is answered 200 with the plain words "Service Unavailable", as Meta's SDKs
    /// expect it to happen.
    PlainUnavailable,
    /// The call has no effect and is answered 413 without a body.
    TooLarge,
    /// The call has its effect, but only half of the JSON arrives.
    Truncated,
    /// The call has its effect, and its response comes late.
    Delay {
        /// Real time, for clients measure it.
        millis: u64,
    },
    /// The call has no effect and is never answered.
    Hang,
    /// A later page of a listing is not served: the page before it comes again, with the same cursors.
    RepeatedPage,
    /// A webhook delivery is made twice.
    Duplicate,
    /// A webhook delivery is overtaken by the one after it.
    OutOfOrder,
}

impl FaultKind {
    /// Whether this can happen to that: some faults need a later page, or a delivery.
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
