//! `webhook-ingest` on AWS Lambda.

use ads::job::Queue;
use runtime::aws::Aws;
use runtime::lambda::{Error, serve};
use runtime::{AppSecrets, Clock};
use store::Table;
use webhook_ingest::{Door, WebhookIngest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut aws = Aws::begin().await;
    let ((client, name), queues, secrets) = (aws.table(), aws.queues(), aws.app_secrets());
    aws.check()?;
    let door = Door::new(queues.clone(), AppSecrets::parse(&secrets.fetch().await?)?);
    let function = WebhookIngest::new(Table::new(client, &name), queues.clone(), Clock::system());
    serve(&queues, Queue::WebhookIngest, |request| door.handle(request), |job| function.process(job)).await
}
