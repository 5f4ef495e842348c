//! `evaluate-rules` on AWS Lambda.

use access::lambda::{self, Parts};
use evaluate_rules::EvaluateRules;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, .. } = lambda::start().await?;
    let function = EvaluateRules::new(access, host.clone());
    lambda::run(&host, "evaluate-rules", |request| function.handle(request), |job| function.process(job))
        .await
}
