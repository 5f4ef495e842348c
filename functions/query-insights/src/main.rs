//! `query-insights` on AWS Lambda.

use middleware::Middleware;
use query_insights::QueryInsights;
use runtime::aws::Aws;
use runtime::lambda::{BoxError, serve_requests};
use runtime::{Clock, SessionVerifier};
use store::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut aws = Aws::load().await;
    let ((client, name), sessions) = (aws.table(), aws.sessions());
    let requests_per_minute = aws.requests_per_minute();
    aws.check()?;
    let table = Table::new(client, &name);
    let middleware = Middleware::from_parts(
        table.clone(),
        SessionVerifier::new(sessions)?,
        Clock::system(),
        requests_per_minute?,
    );
    let function = QueryInsights::new(table, middleware);
    serve_requests(|request| function.handle(request)).await
}
