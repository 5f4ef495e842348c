//! SQS, embedded: the library stores the messages; a signal for every sent message lets the runner sleep instead of
//! polling constantly.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;
use winterbaume_core::{MockRequest, MockResponse, MockService};
use winterbaume_sqs::SqsService;

/// The queues of the embedded cloud.
pub struct Sqs {
    service: SqsService,
    sent: Arc<Notify>,
}

impl Sqs {
    /// Creates a service without queues that signals `sent` for every message.
    pub fn new(sent: Arc<Notify>) -> Self {
        Self { service: SqsService::new(), sent }
    }
}

impl MockService for Sqs {
    fn service_name(&self) -> &str {
        self.service.service_name()
    }

    fn url_patterns(&self) -> Vec<&str> {
        self.service.url_patterns()
    }

    fn handle(&self, request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        Box::pin(async move {
            let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            let sends = target.is_some_and(|target| target.contains("SendMessage"));
            let answer = self.service.handle(request).await;
            if sends {
                self.sent.notify_waiters();
            }
            answer
        })
    }
}
