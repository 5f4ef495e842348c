//! Builds the parts of a function on AWS Lambda that needs only the table and the middleware.

use runtime::aws;
use runtime::lambda::BoxError;
use runtime::{Clock, SessionVerifier};
use store::Table;

use crate::Middleware;

/// Reads the configuration. Reports every missing variable at once.
pub async fn start() -> Result<(Table, Middleware, Clock), BoxError> {
    let ((client, name), sessions, requests_per_minute) =
        aws::start(|aws| (aws.table(), aws.sessions(), aws.requests_per_minute())).await?;
    let (table, clock) = (Table::new(client, &name), Clock::system());
    let sessions = SessionVerifier::new(sessions)?;
    let middleware = Middleware::from_parts(table.clone(), sessions, clock.clone(), requests_per_minute?);
    Ok((table, middleware, clock))
}
