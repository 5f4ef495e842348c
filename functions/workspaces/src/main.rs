//! `workspaces` on AWS Lambda.

use middleware::lambda::start;
use runtime::lambda::{BoxError, serve_with_stream};
use workspaces::Workspaces;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (table, middleware, clock, ()) = start(|_| ()).await?;
    let function = Workspaces::new(table, clock.clone(), middleware);
    serve_with_stream(
        &clock,
        "workspaces",
        |request| function.handle(request),
        |items| function.publish(items),
    )
    .await
}
