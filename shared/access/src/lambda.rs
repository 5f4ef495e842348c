//! On AWS Lambda: what a function is built from, out of the environment.

use std::future::Future;

use ads::Failure;
use ads::job::{Job, Queue};
use graph_api::{Graph, GraphConfig};
use runtime::lambda::{Error, MetaApp};
use runtime::{Host, Reply};
use secrecy::SecretString;
use store::Table;

use crate::Access;

/// Everything that a function may need on AWS.
pub struct Parts {
    /// The table, Graph and the keyring.
    pub access: Access,
    /// Time, queues, schedules, sessions.
    pub host: Host,
    /// The app's secret, with which Meta signs webhooks.
    pub app_secret: SecretString,
    /// What webhook subscriptions must repeat.
    pub verify_token: SecretString,
}

/// Reads the configuration and fetches the secrets; every missing variable is named at once.
pub async fn start() -> Result<Parts, Error> {
    let aws = runtime::lambda::start(&Queue::ALL.map(|queue| queue.name())).await?;
    let MetaApp { id, secret, verify_token, version, graph_url, dialog_url } = aws.app;
    let config = GraphConfig { graph_url, dialog_url, version, app_id: id, app_secret: secret.clone() };
    let access = Access {
        table: Table::new(aws.dynamodb, &aws.table),
        graph: Graph::new(config)?,
        keyring: aws.host.keyring.clone(),
    };
    Ok(Parts { access, host: aws.host, app_secret: secret, verify_token })
}

/// Serves a function's requests and its queue.
pub async fn run<H, HF, P, PF>(host: &Host, name: &str, handle: H, process: P) -> Result<(), Error>
where
    H: Fn(http::Request<bytes::Bytes>) -> HF,
    HF: Future<Output = Reply>,
    P: Fn(Job) -> PF,
    PF: Future<Output = Result<(), Failure>>,
{
    runtime::lambda::run(&host.queues, name, handle, process).await
}

/// For a function without a queue: no job is one of its own.
pub async fn no_jobs(job: Job) -> Result<(), Failure> {
    Err(Failure::Refused(format!("a job of {} came to a function without jobs", job.queue().name())))
}
