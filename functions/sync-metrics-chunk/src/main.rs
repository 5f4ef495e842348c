//! `sync-metrics-chunk` on AWS Lambda.

use connector::lambda::start;
use domain::job::Queue;
use runtime::lambda::{BoxError, serve};
use runtime::router;
use sync_metrics_chunk::SyncMetricsChunk;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (connector, host) = start().await?;
    let function = SyncMetricsChunk::new(connector, host.clone());
    serve(
        &host.queues,
        &host.clock,
        Queue::SyncMetricsChunk,
        |_| async { *router::not_found() },
        |job| function.process(job),
    )
    .await
}
