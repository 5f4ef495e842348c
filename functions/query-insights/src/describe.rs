//! What the route takes and gives.

use http::StatusCode;
use runtime::describe::Operation;

use crate::{Endpoint, Insights, InsightsQuery};

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Insights => Operation::new("query_insights", "Answers with numbers of an ad account")
            .about("JSON in pages; CSV, whole, for those who accept `text/csv`.")
            .query::<InsightsQuery>()
            .gives::<Insights>(StatusCode::OK, "The numbers.")
            .or_as::<String>("text/csv"),
    }
}
