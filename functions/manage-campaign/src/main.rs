//! `manage-campaign` on AWS Lambda.

use access::lambda::start;
use ads::job::Queue;
use manage_campaign::ManageCampaign;
use runtime::lambda::{Error, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (access, host) = start().await?;
    let function = ManageCampaign::new(access, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::ManageCampaign,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
