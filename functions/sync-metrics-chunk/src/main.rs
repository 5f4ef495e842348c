//! `sync-metrics-chunk` on AWS Lambda.

use access::lambda::start;
use ads::job::Queue;
use runtime::lambda::{Error, serve};
use sync_metrics_chunk::SyncMetricsChunk;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (access, host) = start().await?;
    let function = SyncMetricsChunk::new(access, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::SyncMetricsChunk,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
