//! `evaluate-rules` on AWS Lambda.

use connector::lambda::start;
use domain::job::Queue;
use evaluate_rules::EvaluateRules;
use runtime::lambda::{BoxError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (connector, host) = start().await?;
    let function = EvaluateRules::new(connector, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::EvaluateRules,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
