//! What the routes take and give.

use ads::Failure;
use http::StatusCode;
use runtime::describe::Operation;

use crate::Endpoint;
use crate::progress::{Accepted, Progress};

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Sync => Operation::new("sync", "Asks for a sync of an ad account")
            .gives::<Accepted>(StatusCode::ACCEPTED, "It will be synced.")
            .may(Failure::Conflict, "The ad account is not selected."),
        Endpoint::Progress => Operation::new("show_sync", "Shows how far an ad account's sync is")
            .gives::<Progress>(StatusCode::OK, "Counted from the weeks themselves."),
    }
}
