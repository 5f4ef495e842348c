//! The embedded AWS: one SDK configuration whose HTTP client is served in this process.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::types::QueueAttributeName;
use domain::job::Queue;
use dynoxide::Database;
use runtime::queue::{QueueAddress, Queues, dead_letter_queue_name};
use runtime::schedule::{ScheduleConfig, Schedules};
use runtime::secrets::StoredSecret;
use runtime::{Clock, Keyring};
use secrecy::ExposeSecret;
use store::Table;
use tokio::sync::Notify;
use winterbaume_core::MockAws;

use crate::calls::{CallRecorder, Recorders};
use crate::data::{Data, LocalSecrets};
use crate::dynamo::Dynamo;
use crate::secrets::Secrets;
use crate::sqs::Sqs;
use crate::timers::Timers;

/// A message is dead-lettered after this many receives.
const MAX_RECEIVE_COUNT: u32 = 5;

const SCHEDULE_GROUP: &str = "adflight";
/// The keyring's name in Secrets Manager.
pub const KEYRING_SECRET: &str = "adflight/keyring";

/// The clients of the embedded AWS.
#[derive(Clone)]
pub struct Cloud {
    /// The system's clock.
    pub clock: Clock,
    /// The embedded engine's database.
    pub(crate) database: Database,
    /// The table, already created.
    pub table: Table,
    /// The DynamoDB client of the runner, which reads the table as an operator would.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The SQS client of the runner, which receives what functions send.
    pub sqs: aws_sdk_sqs::Client,
    /// The queues by name, already created.
    pub queues: Queues,
    /// The schedules as functions set them.
    pub schedules: Schedules,
    /// The schedules as the runner fires them.
    pub timers: Timers,
    /// Signals that a message was sent.
    pub sent: Arc<Notify>,
    /// Secrets Manager, which holds the keyring, for processes that have an older one in memory.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// The keyring from Secrets Manager.
    pub keyring: Keyring,
}

/// The table's name.
pub const TABLE: &str = "adflight";

impl Cloud {
    /// Starts the embedded AWS on this data. A message that is received and not deleted becomes visible again after
    /// `visibility_seconds`.
    pub async fn start(
        data: &Data,
        local: &LocalSecrets,
        clock: &Clock,
        visibility_seconds: u32,
        recorders: Recorders,
    ) -> anyhow::Result<Self> {
        let timers = Timers::new(clock.clone());
        let sent = Arc::new(Notify::new());
        let recorder = CallRecorder::new(recorders);
        let database = data.database()?;
        let aws = MockAws::builder()
            .with_service(recorder.recording(Dynamo::new(database.clone())))
            .with_service(recorder.recording(Sqs::new(sent.clone())))
            .with_service(recorder.recording(timers.clone()))
            .with_service(recorder.recording(Secrets::new(data.clone())))
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(aws.http_client())
            .credentials_provider(aws.credentials_provider())
            .region(Region::new("us-east-1"))
            .load()
            .await;
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let table = Table::new(dynamodb.clone(), TABLE);
        table.create().await.context("the table cannot be created")?;
        let sqs = aws_sdk_sqs::Client::new(&config);
        let queues = create_queues(&sqs, visibility_seconds).await?;
        let scheduler = aws_sdk_scheduler::Client::new(&config);
        scheduler.create_schedule_group().name(SCHEDULE_GROUP).send().await?;
        let schedule = ScheduleConfig {
            group: SCHEDULE_GROUP.to_owned(),
            role_arn: "arn:aws:iam::123456789012:role/adflight-schedules".to_owned(),
        };
        let schedules = Schedules::new(scheduler, schedule, queues.clone());
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        let keyring = store_keyring(&config, local, clock).await?;
        Ok(Self {
            clock: clock.clone(),
            database,
            table,
            dynamodb,
            sqs,
            queues,
            schedules,
            timers,
            sent,
            secrets,
            keyring,
        })
    }
}

/// Creates every queue with its dead-letter queue.
async fn create_queues(sqs: &aws_sdk_sqs::Client, visibility_seconds: u32) -> anyhow::Result<Queues> {
    let mut addresses = HashMap::new();
    for queue in Queue::ALL {
        let dead = create_queue(sqs, &dead_letter_queue_name(queue), &[]).await?;
        let redrive =
            serde_json::json!({"deadLetterTargetArn": dead.arn, "maxReceiveCount": MAX_RECEIVE_COUNT});
        let attributes = [
            (QueueAttributeName::VisibilityTimeout, visibility_seconds.to_string()),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ];
        let address = create_queue(sqs, queue.name(), &attributes).await?;
        addresses.insert(dead_letter_queue_name(queue), dead);
        addresses.insert(queue.name().to_owned(), address);
    }
    Ok(Queues::new(sqs.clone(), addresses))
}

async fn create_queue(
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    attributes: &[(QueueAttributeName, String)],
) -> anyhow::Result<QueueAddress> {
    let mut create = sqs.create_queue().queue_name(name);
    for (attribute, value) in attributes {
        create = create.attributes(attribute.clone(), value);
    }
    let url = create.send().await?.queue_url.context("a queue without a URL")?;
    let request = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
    let attributes = request.send().await?.attributes.unwrap_or_default();
    let arn = attributes.get(&QueueAttributeName::QueueArn).context("a queue without an ARN")?.clone();
    Ok(QueueAddress { url, arn })
}

/// Stores the keyring as an operator would, and reads it back as a function does.
async fn store_keyring(config: &SdkConfig, local: &LocalSecrets, clock: &Clock) -> anyhow::Result<Keyring> {
    let client = aws_sdk_secretsmanager::Client::new(config);
    let document = local.keyring.to_json()?;
    client.create_secret().name(KEYRING_SECRET).secret_string(document.expose_secret()).send().await?;
    Ok(Keyring::fetch(StoredSecret::new(client, KEYRING_SECRET), clock.clone()).await?)
}
