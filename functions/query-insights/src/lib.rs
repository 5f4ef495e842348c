//! Answers queries from the table, never from Meta.
//!
//! Additive measures are summed over the stored blocks. Reach and frequency are returned only for rows that Meta
//! reported as such: an ad and a day.

mod conversions;
mod csv;
mod insights;
mod query;

use std::sync::LazyLock;

use bytes::Bytes;
use http::Request;
use middleware::Middleware;
use runtime::Response;
use runtime::endpoint::Endpoint;
use store::Table;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<QueryInsights>>> = LazyLock::new(|| {
    vec![
        query::run_query(),
        insights::query_insights(),
        insights::export_insights(),
        conversions::list_custom_conversions(),
    ]
});

/// The `query-insights` function.
#[derive(Debug, Clone)]
pub struct QueryInsights {
    table: Table,
    middleware: Middleware,
}

impl QueryInsights {
    /// Creates the function.
    pub fn new(table: Table, middleware: Middleware) -> Self {
        Self { table: table.eventually_consistent(), middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("query-insights", &ENDPOINTS, self, request).await
    }
}
