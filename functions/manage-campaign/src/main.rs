//! `manage-campaign` on AWS Lambda.

use access::lambda::{self, Parts};
use manage_campaign::ManageCampaign;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, .. } = lambda::start().await?;
    let function = ManageCampaign::new(access, host.clone());
    lambda::run(&host, "manage-campaign", |request| function.handle(request), |job| function.process(job))
        .await
}
