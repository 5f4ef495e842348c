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
    let clock = Clock::system();
    let secrets = AppSecrets::parse(&secrets.fetch().await?)?;
    let door = Door::new(clock.clone(), queues.clone(), secrets);
    let function = WebhookIngest::new(Table::new(client, &name), queues.clone(), clock.clone());
    serve(&queues, &clock, Queue::WebhookIngest, |request| door.handle(request), |job| function.process(job))
        .await
}
