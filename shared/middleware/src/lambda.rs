//! Builds the parts of a function on AWS Lambda that needs only the table and the middleware.

use runtime::aws::{self, Aws};
use runtime::lambda::BoxError;
use runtime::{Clock, SessionVerifier};
use store::Table;

use crate::Middleware;

/// Reads the configuration, and what else `read` reads of it. Reports every missing variable at once.
pub async fn start<T>(read: impl FnOnce(&mut Aws) -> T) -> Result<(Table, Middleware, Clock, T), BoxError> {
    let ((client, name), sessions, requests_per_minute, rest) =
        aws::start(|aws| (aws.table(), aws.sessions(), aws.requests_per_minute(), read(aws))).await?;
    let (table, clock) = (Table::new(client, &name), Clock::system());
    let sessions = SessionVerifier::new(sessions)?;
    let middleware = Middleware::from_parts(table.clone(), sessions, clock.clone(), requests_per_minute?);
    Ok((table, middleware, clock, rest))
}
