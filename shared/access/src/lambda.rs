//! On AWS Lambda: what a function is built from, out of the environment.

use graph_api::{Graph, GraphConfig, Time};
use runtime::Host;
use runtime::lambda::{Error, MetaApp};
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
    let aws = runtime::lambda::start().await?;
    let MetaApp { id, secret, verify_token, version, graph_url, dialog_url } = aws.app;
    let (app_secret, timeout) = (secret.clone(), GraphConfig::TIMEOUT);
    let config = GraphConfig { graph_url, dialog_url, version, app_id: id, app_secret, timeout };
    let clock = aws.host.clock.clone();
    let access = Access {
        table: Table::new(aws.dynamodb, &aws.table),
        graph: Graph::new(config, Time::new(move || clock.now()))?,
        keyring: aws.host.keyring.clone(),
    };
    Ok(Parts { access, host: aws.host, app_secret: secret, verify_token })
}
