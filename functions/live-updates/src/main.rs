//! `live-updates` on AWS Lambda.

use std::time::Duration;

use live_updates::key::HubKey;
use live_updates::{HubClient, LiveUpdates};
use middleware::lambda::start;
use runtime::lambda::{BoxError, serve_with_stream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (table, middleware, clock, hub) = start(|aws| aws.live_hub()).await?;
    let hub = match hub {
        Some((url, key)) => Some(HubClient::new(&url, HubKey::new(key.fetch().await?)?)?),
        None => None,
    };
    // Lambda bills the time that a request waits.
    let function = LiveUpdates::new(table, clock.clone(), middleware, hub, Duration::ZERO);
    serve_with_stream(
        &clock,
        "live-updates",
        |request| function.handle(request),
        |items| function.publish(items),
    )
    .await
}
