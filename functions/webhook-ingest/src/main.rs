//! `webhook-ingest` on AWS Lambda.

use domain::job::Queue;
use runtime::aws;
use runtime::lambda::{BoxError, serve};
use runtime::{AppSecrets, Clock};
use store::Table;
use webhook_ingest::{WebhookIngest, WebhookReceiver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let ((client, name), queues, secrets) =
        aws::start(|aws| (aws.table(), aws.queues(), aws.app_secrets())).await?;
    let clock = Clock::system();
    let secrets = AppSecrets::parse(&secrets.fetch().await?)?;
    let receiver = WebhookReceiver::new(clock.clone(), queues.clone(), secrets);
    let function = WebhookIngest::new(Table::new(client, &name), queues.clone(), clock.clone());
    serve(
        &queues,
        &clock,
        Queue::WebhookIngest,
        |request| receiver.handle(request),
        |job| function.process(job),
    )
    .await
}
