//! `webhook-ingest` on AWS Lambda.

use access::lambda::{Parts, start};
use ads::job::Queue;
use runtime::lambda::{Error, serve};
use webhook_ingest::{Shared, WebhookIngest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let Parts { access, host, app_secret, verify_token } = start().await?;
    let function = WebhookIngest::new(access.table, host.clone(), Shared { app_secret, verify_token });
    serve(&host.queues, Queue::WebhookIngest, |request| function.handle(request), |job| function.process(job))
        .await
}
