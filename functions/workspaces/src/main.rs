//! `workspaces` on AWS Lambda.

use middleware::Middleware;
use runtime::aws::Aws;
use runtime::lambda::{BoxError, serve_with_stream};
use runtime::{Clock, SessionVerifier};
use store::Table;
use workspaces::Workspaces;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut aws = Aws::load().await;
    let ((client, name), sessions) = (aws.table(), aws.sessions());
    let requests_per_minute = aws.requests_per_minute();
    aws.check()?;
    let (table, clock) = (Table::new(client, &name), Clock::system());
    let middleware = Middleware::from_parts(
        table.clone(),
        SessionVerifier::new(sessions)?,
        clock.clone(),
        requests_per_minute?,
    );
    let function = Workspaces::new(table, clock.clone(), middleware);
    serve_with_stream(
        &clock,
        "workspaces",
        |request| function.handle(request),
        |items| function.publish(items),
    )
    .await
}
