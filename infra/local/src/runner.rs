//! Replaces the event sources of the cloud: polls queues and fires schedules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use domain::job::{Job, Queue};
use runtime::queue::{Delivery, consume, dead_letter_queue_name};
use runtime::telemetry::{self, MessageMetadata};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::calls;
use crate::cloud::Cloud;
use crate::functions::{Functions, StreamConsumer};
use crate::outbox;

/// The interval at which a queue is polled although nothing was sent, for messages whose delay or timeout is over.
const POLL: Duration = Duration::from_millis(200);

/// The interval at which [`Runner::settle`] checks the queues.
const SETTLE_POLL: Duration = Duration::from_millis(10);

/// The interval at which schedules are checked.
const TIMER_POLL: Duration = Duration::from_millis(100);

/// Messages that one function processes at once, as `MaximumConcurrency` limits it on AWS.
const CONCURRENCY: usize = 4;

/// Polls every queue and fires every schedule, until dropped.
pub struct Runner {
    tasks: JoinSet<()>,
    cloud: Cloud,
    busy: Arc<AtomicUsize>,
}

impl Runner {
    /// Starts polling.
    pub fn start(cloud: &Cloud, functions: &Functions) -> Self {
        let mut tasks = JoinSet::new();
        let busy = Arc::new(AtomicUsize::new(0));
        for queue in Queue::ALL {
            let source =
                Source { cloud: cloud.clone(), functions: functions.clone(), busy: busy.clone(), queue };
            tasks.spawn(source.poll());
        }
        tasks.spawn(fire(cloud.clone()));
        for consumer in [StreamConsumer::Workspaces, StreamConsumer::LiveUpdates] {
            tasks.spawn(outbox::deliver(cloud.clone(), functions.clone(), consumer));
        }
        Self { tasks, cloud: cloud.clone(), busy }
    }

    /// Waits until no message is visible and none is being processed. Does not wait for delayed messages.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let mut ticks = ticks(SETTLE_POLL);
        let mut quiet = 0;
        while quiet < 2 {
            ticks.tick().await;
            quiet = if self.is_idle().await? { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    async fn is_idle(&self) -> anyhow::Result<bool> {
        for queue in Queue::ALL {
            if self.busy.load(Ordering::SeqCst) > 0 || self.visible_messages(queue.name()).await? > 0 {
                return Ok(false);
            }
        }
        Ok(self.busy.load(Ordering::SeqCst) == 0)
    }

    /// Returns the number of messages of a queue that could be received now.
    async fn visible_messages(&self, queue: &str) -> anyhow::Result<u64> {
        self.count(queue, &[QueueAttributeName::ApproximateNumberOfMessages]).await
    }

    /// Returns the number of messages in a queue: visible, delayed and in process.
    pub async fn outstanding(&self, queue: Queue) -> anyhow::Result<u64> {
        let all = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        self.count(queue.name(), &all).await
    }

    /// Returns the number of dead letters of a queue.
    pub async fn dead_letter_count(&self, queue: Queue) -> anyhow::Result<u64> {
        self.visible_messages(&dead_letter_queue_name(queue)).await
    }

    async fn count(&self, queue: &str, names: &[QueueAttributeName]) -> anyhow::Result<u64> {
        let url = &self.cloud.queues.address(queue)?.url;
        let request = self.cloud.sqs.get_queue_attributes().queue_url(url);
        let request = request.set_attribute_names(Some(names.to_vec()));
        let attributes = request.send().await?.attributes.unwrap_or_default();
        let count = |name| attributes.get(name).and_then(|count| count.parse::<u64>().ok());
        names.iter().map(count).sum::<Option<u64>>().context("a queue without a count")
    }

    /// Stops polling without waiting: recovery restores unfinished work from the table.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// One queue with its function.
struct Source {
    cloud: Cloud,
    functions: Functions,
    busy: Arc<AtomicUsize>,
    queue: Queue,
}

impl Source {
    async fn poll(self) {
        let source = Arc::new(self);
        let mut work = JoinSet::new();
        let mut ticks = ticks(POLL);
        loop {
            // Registered before receiving, so that a message sent right after it wakes the loop.
            let sent = source.cloud.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            // Counts as busy while receiving: a received message is in no queue and with no worker yet.
            let receiving = Busy::new(&source.busy);
            let received = source.receive(CONCURRENCY - work.len()).await;
            for message in received {
                let (source, busy) = (source.clone(), Busy::new(&source.busy));
                work.spawn(async move {
                    source.work(message).await;
                    drop(busy);
                });
            }
            drop(receiving);
            tokio::select! {
                biased;
                Some(_done) = work.join_next() => {}
                () = sent => {}
                _ = ticks.tick() => {}
            }
        }
    }

    /// Receives up to `max` messages; a failed poll returns none.
    async fn receive(&self, max: usize) -> Vec<Message> {
        let Ok(address) = self.cloud.queues.address(self.queue.name()) else { return Vec::new() };
        let Some(max) = i32::try_from(max).ok().filter(|max| *max > 0) else { return Vec::new() };
        let receive = self.cloud.sqs.receive_message().queue_url(&address.url).max_number_of_messages(max);
        let receive = receive
            .message_attribute_names(telemetry::CORRELATION_ATTRIBUTE)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        match receive.send().await {
            Ok(received) => received.messages.unwrap_or_default(),
            Err(error) => {
                tracing::error!(queue = self.queue.name(), %error, "A queue could not be polled.");
                Vec::new()
            }
        }
    }

    /// Does what Lambda's event source does: invokes, deletes what succeeded, and leaves the rest to its timeout.
    async fn work(&self, message: Message) {
        let (metadata, body) = (metadata(&message), message.body.unwrap_or_default());
        let delivery = Delivery { metadata, body };
        let process = |job: Job| self.functions.process(self.queue, job);
        let work = consume(&self.cloud.queues, &self.cloud.clock, self.queue, vec![delivery], process);
        // Calls that follow from the message's outcome are attributed to the function as well.
        let failed = calls::attributed_to(self.queue.name(), work).await;
        let (true, Some(receipt)) = (failed.is_empty(), message.receipt_handle) else { return };
        let Ok(address) = self.cloud.queues.address(self.queue.name()) else { return };
        let delete = self.cloud.sqs.delete_message().queue_url(&address.url).receipt_handle(receipt);
        if let Err(error) = delete.send().await {
            tracing::warn!(queue = self.queue.name(), %error, "A finished message will come again.");
        }
    }
}

/// Returns the metadata of a message for its unit of work.
fn metadata(message: &Message) -> MessageMetadata {
    let receives = MessageSystemAttributeName::ApproximateReceiveCount;
    let attributes = message.message_attributes.as_ref();
    let correlation =
        attributes.and_then(|known| known.get(telemetry::CORRELATION_ATTRIBUTE)?.string_value());
    MessageMetadata {
        message_id: message.message_id.clone().unwrap_or_default(),
        attempt: message.attributes.as_ref().and_then(|known| known.get(&receives)?.parse().ok()),
        correlation: correlation.and_then(|correlation| correlation.parse().ok()),
    }
}

/// Counts as work while it lives, also when the work panics.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn fire(cloud: Cloud) {
    let mut ticks = ticks(TIMER_POLL);
    loop {
        ticks.tick().await;
        for (name, timer) in cloud.timers.due() {
            // Sends before recording: a crash in between sends the message twice, and every job tolerates that.
            let url = timer.queue_arn.rsplit(':').next().and_then(|queue| cloud.queues.address(queue).ok());
            let Some(address) = url else {
                tracing::error!(name, arn = timer.queue_arn, "A schedule's target is unknown.");
                cloud.timers.mark_fired(&name, &timer).await;
                continue;
            };
            match cloud.sqs.send_message().queue_url(&address.url).message_body(&timer.input).send().await {
                Ok(_) => cloud.timers.mark_fired(&name, &timer).await,
                Err(error) => tracing::error!(name, %error, "A schedule could not send."),
            }
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
