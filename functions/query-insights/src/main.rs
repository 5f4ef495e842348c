//! `query-insights` on AWS Lambda.

use access::Entrance;
use query_insights::QueryInsights;
use runtime::aws::Aws;
use runtime::lambda::{Error, serve_requests};
use runtime::{Clock, Sessions};
use store::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut aws = Aws::begin().await;
    let ((client, name), sessions) = (aws.table(), aws.sessions());
    let requests_per_minute = aws.requests_per_minute();
    aws.check()?;
    let table = Table::new(client, &name);
    let entrance =
        Entrance::with(table.clone(), Sessions::new(sessions)?, Clock::system(), requests_per_minute?);
    let function = QueryInsights::new(table, entrance);
    serve_requests(|request| function.handle(request)).await
}
