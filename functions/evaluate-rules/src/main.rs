//! `evaluate-rules` on AWS Lambda.

use access::lambda::start;
use ads::job::Queue;
use evaluate_rules::EvaluateRules;
use runtime::lambda::{Error, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (access, host) = start().await?;
    let function = EvaluateRules::new(access, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::EvaluateRules,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
