//! `query-insights` on AWS Lambda.

use access::lambda::{self, Parts};
use query_insights::QueryInsights;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, .. } = lambda::start().await?;
    let function = QueryInsights::new(access, host.clone());
    lambda::run(&host, "query-insights", |request| function.handle(request), lambda::no_jobs).await
}
