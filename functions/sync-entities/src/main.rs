//! `sync-entities` on AWS Lambda.

use access::lambda::{self, Parts};
use sync_entities::SyncEntities;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, .. } = lambda::start().await?;
    let function = SyncEntities::new(access, host.clone());
    lambda::run(&host, "sync-entities", |request| function.handle(request), |job| function.process(job)).await
}
