//! What the routes take and give.

use domain::Error;
use http::StatusCode;
use runtime::describe::{Header, Operation};
use serde_json::json;

use crate::{Accepted, Endpoint, Handshake};

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Handshake => Operation::new("confirm_webhook", "Shows Meta that this address is ours")
            .query::<Handshake>()
            .gives_nothing(StatusCode::OK, "The challenge.")
            .or_as::<String>("text/plain")
            .may(Error::Forbidden, "The mode or the verify token is not ours."),
        Endpoint::Deliver => Operation::new("deliver_webhook", "Takes changes in that Meta brings")
            .about("The body must be signed with the app's secret. What it holds is Meta's to say.")
            .body::<graph_api::webhook::Envelope>()
            .header(Header::required(
                "X-Hub-Signature-256",
                "`sha256=` and the HMAC of the body.",
                json!({"type": "string"}),
            ))
            .gives::<Accepted>(StatusCode::OK, "Every change is kept.")
            .may(Error::Forbidden, "The signature is missing, doubled or wrong."),
    }
}
