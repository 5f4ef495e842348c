//! `auth-meta` on AWS Lambda.

use access::lambda::start;
use ads::job::Queue;
use auth_meta::AuthMeta;
use runtime::lambda::{Error, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (access, host) = start().await?;
    let function = AuthMeta::new(access, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::AuthMeta,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
