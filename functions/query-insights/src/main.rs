//! `query-insights` on AWS Lambda.

use query_insights::QueryInsights;
use runtime::aws::Aws;
use runtime::lambda::{Error, serve_requests};
use runtime::{Clock, Sessions};
use store::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut aws = Aws::begin().await;
    let ((client, name), sessions) = (aws.table(), aws.sessions());
    aws.check()?;
    let function = QueryInsights::new(Table::new(client, &name), Sessions::new(sessions)?, Clock::system());
    serve_requests(|request| function.handle(request)).await
}
