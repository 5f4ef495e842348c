//! The table's stream, embedded: the engine's own stream is read and delivered as Lambda's event source does.

use std::time::Duration;

use anyhow::{Context, anyhow};
use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use runtime::stream::{StreamBatch, WrittenItem};
use tokio::time::{MissedTickBehavior, interval};

use crate::cloud::{Cloud, TABLE};
use crate::functions::{Functions, StreamConsumer};

/// How often the stream is read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The number of records that are delivered at once.
const BATCH_RECORDS: usize = 1000;

/// Where a stream is read on.
struct Reader {
    database: Database,
    iterator: String,
}

impl Reader {
    /// Reads from the beginning: what a process that died did not deliver is delivered, and the rest again.
    fn new(database: &Database) -> anyhow::Result<Self> {
        let failed = |error| anyhow!("the table's stream cannot be read: {error}");
        let streams =
            ListStreamsRequest { table_name: Some(TABLE.to_owned()), ..ListStreamsRequest::default() };
        let streams = database.list_streams(streams).map_err(failed)?.streams;
        let stream_arn = streams.into_iter().next().context("the table has no stream")?.stream_arn;
        let describe =
            DescribeStreamRequest { stream_arn: stream_arn.clone(), ..DescribeStreamRequest::default() };
        let shards = database.describe_stream(describe).map_err(failed)?.stream_description.shards;
        let shard_id = shards.into_iter().next().context("the table's stream has no shard")?.shard_id;
        let begin = GetShardIteratorRequest {
            stream_arn,
            shard_id,
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            sequence_number: None,
        };
        let iterator = database.get_shard_iterator(begin).map_err(failed)?.shard_iterator;
        Ok(Self { database: database.clone(), iterator: iterator.context("no iterator")? })
    }

    /// The next created items, and where to go on after them.
    fn next(&self) -> anyhow::Result<(Vec<WrittenItem>, Option<String>)> {
        let read = GetRecordsRequest { shard_iterator: self.iterator.clone(), limit: Some(BATCH_RECORDS) };
        let read = self.database.get_records(read);
        let read = read.map_err(|error| anyhow!("the table's stream cannot be read: {error}"))?;
        let batch = serde_json::json!({"Records": read.records});
        let batch: StreamBatch = serde_json::from_value(batch).context("a record of the stream")?;
        Ok((batch.written(), read.next_shard_iterator))
    }
}

/// Delivers the stream to a consumer until dropped. What could not be published is delivered again.
pub(crate) async fn deliver(cloud: Cloud, functions: Functions, consumer: StreamConsumer) {
    let mut reader = match Reader::new(&cloud.database) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(%error, "Events are not published.");
            return;
        }
    };
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match reader.next() {
            Ok((items, next)) => {
                let is_published = items.is_empty() || functions.publish(consumer, &cloud.clock, items).await;
                if let Some(next) = next.filter(|_| is_published) {
                    reader.iterator = next;
                }
            }
            Err(error) => tracing::error!(%error, "A batch of the stream was not read."),
        }
    }
}
