//! `webhook-ingest` on AWS Lambda.

use access::lambda::{self, Parts};
use webhook_ingest::{Shared, WebhookIngest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, app_secret, verify_token } = lambda::start().await?;
    let function = WebhookIngest::new(access.table, host.clone(), Shared { app_secret, verify_token });
    lambda::run(&host, "webhook-ingest", |request| function.handle(request), |job| function.process(job))
        .await
}
