//! `manage-campaign` on AWS Lambda.

use connector::lambda::start;
use domain::job::Queue;
use manage_campaign::ManageCampaign;
use runtime::lambda::{BoxError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (connector, host) = start().await?;
    let function = ManageCampaign::new(connector, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::ManageCampaign,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
