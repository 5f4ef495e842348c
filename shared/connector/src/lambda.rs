//! Builds the connector and host of a function on AWS Lambda from the environment.

use graph_api::{Graph, GraphConfig, Time};
use runtime::aws::{self, Aws, MetaApp};
use runtime::lambda::BoxError;
use runtime::{AppSecrets, Clock, Host, Keyring, SessionVerifier};
use store::Table;

use crate::Connector;

/// Reads the configuration and fetches the secrets. Reports every missing variable at once.
pub async fn start() -> Result<(Connector, Host), BoxError> {
    let (access, host, ..) = start_with(|_| ()).await?;
    Ok((access, host))
}

/// [`start`] for a function that also needs the app's secrets and further configuration.
pub async fn start_with<T>(
    more: impl FnOnce(&mut Aws) -> T,
) -> Result<(Connector, Host, AppSecrets, T), BoxError> {
    let read = |aws: &mut Aws| {
        let queues = aws.queues();
        let (schedules, public_url) = (aws.schedules(&queues), aws.public_url().map(Into::into));
        let secrets = (aws.app_secrets(), aws.keyring(), aws.meta_app());
        let requests = (aws.sessions(), aws.requests_per_minute());
        (aws.table(), secrets, requests, (queues, schedules, public_url), more(aws))
    };
    let (table, secrets, requests, (queues, schedules, public_url), more) = aws::start(read).await?;
    let ((client, name), (app_secrets, keyring, app)) = (table, secrets);
    let (sessions, requests_per_minute) = (SessionVerifier::new(requests.0)?, requests.1?);

    // In parallel, because both are needed before any request.
    let clock = Clock::system();
    let keyring = Keyring::fetch(keyring, clock.clone());
    let (app_secrets, keyring) = tokio::try_join!(app_secrets.fetch(), keyring)?;
    let MetaApp { id, version, graph_url, dialog_url } = app;
    let app_secrets = AppSecrets::parse(&app_secrets)?;
    let app_secret = app_secrets.app_secret.clone();
    let config = GraphConfig {
        graph_url,
        dialog_url,
        version,
        app_id: id,
        app_secret,
        timeout: GraphConfig::DEFAULT_TIMEOUT,
    };
    let time = clock.clone();
    let graph = Graph::new(config, Time::new(move || time.now()));
    let access = Connector::new(Table::new(client, &name), graph, keyring);
    let host = Host { clock, queues, schedules, sessions, requests_per_minute, public_url };
    Ok((access, host, app_secrets, more))
}
