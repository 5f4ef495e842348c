//! What the routes take and give.

use domain::Error;
use http::StatusCode;
use runtime::describe::Operation;

use crate::Endpoint;
use crate::status::{SyncAccepted, SyncStatus};

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Sync => Operation::new("sync", "Asks for a sync of an ad account")
            .gives::<SyncAccepted>(StatusCode::ACCEPTED, "It will be synced.")
            .may(Error::Conflict, "The ad account is not selected."),
        Endpoint::SyncStatus => Operation::new("show_sync", "Shows how far an ad account's sync is")
            .gives::<SyncStatus>(StatusCode::OK, "Counted from the weeks themselves."),
    }
}
