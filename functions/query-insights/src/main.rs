//! `query-insights` on AWS Lambda.

use middleware::lambda::start;
use query_insights::QueryInsights;
use runtime::lambda::{BoxError, serve_requests};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (table, middleware, _, ()) = start(|_| ()).await?;
    let function = QueryInsights::new(table, middleware);
    serve_requests(|request| function.handle(request)).await
}
