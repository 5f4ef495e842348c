//! `sync-metrics-chunk` on AWS Lambda.

use access::lambda::{self, Parts};
use sync_metrics_chunk::SyncMetricsChunk;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, .. } = lambda::start().await?;
    let function = SyncMetricsChunk::new(access, host.clone());
    lambda::run(&host, "sync-metrics-chunk", |request| function.handle(request), |job| function.process(job))
        .await
}
