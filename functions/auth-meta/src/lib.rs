//! Sends an advertiser to Meta and keeps the token that comes back.
//!
//! `authorize` remembers a random state for the browser that asked, and answers where to go. The callback
//! takes the state away (so it works once), checks that the same browser came back, and trades the code for
//! a long-lived token, which is sealed before it is kept. On the page that follows the person chooses ad accounts;
//! selecting one starts its sync.

mod browser;
mod connections;
mod consent;
mod deauthorization;
mod defaults;
mod erase;
mod health;
mod login;
mod page;
pub mod rotation;
mod selection;
mod selection_page;
mod views;

use std::sync::LazyLock;

use bytes::Bytes;
use connector::Connector;
use domain::Error;
use domain::job::Job;
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::session::Role;
use runtime::{AppSecrets, Host, Response};

use crate::rotation::Rotation;

/// What it takes to connect, when a login begins and when it has come back.
pub(crate) const CONNECT_ROLE: Role = Role::Owner;

/// Every endpoint of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<AuthMeta>>> = LazyLock::new(|| {
    vec![
        login::authorize(),
        login::connect_system_user(),
        login::finish_login(),
        selection_page::choose_ad_accounts(),
        deauthorization::deauthorize(),
        deauthorization::delete_data(),
        deauthorization::show_deletion(),
        connections::list_connections(),
        connections::show_connection(),
        connections::disconnect(),
        connections::list_ad_accounts(),
        selection::select_ad_account(),
        defaults::show_defaults(),
        defaults::set_defaults(),
    ]
});

/// The function.
#[derive(Debug, Clone)]
pub struct AuthMeta {
    connector: Connector,
    host: Host,
    settings: Settings,
    middleware: Middleware,
}

/// What this function knows of the app at Meta beside how to call it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// With which Meta signs what it says of people.
    pub secrets: AppSecrets,
    /// How people may log in for their business, where that is set up.
    pub login: Option<LoginConfiguration>,
}

/// A configuration of Facebook Login for Business.
#[derive(Debug, Clone)]
pub struct LoginConfiguration {
    /// Its id.
    pub id: String,
    /// Whether it issues tokens of system users.
    pub system_user: bool,
}

impl AuthMeta {
    /// The function on this host.
    pub fn new(connector: Connector, host: Host, settings: Settings) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, settings, middleware }
    }

    /// Responds to a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("auth-meta", &ENDPOINTS, self, request).await
    }

    /// Does a job of this function's queue.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::RotateKeyring => self.rotation().begin().await,
            Job::CompleteRotation => self.rotation().resume().await,
            Job::Reseal { workspace, connection, key } => {
                self.rotation().reseal(&workspace, &connection, &key).await
            }
            Job::CheckConnections => self.check_connections().await,
            Job::CheckConnection { workspace, connection } => {
                self.check_connection(&workspace, &connection).await
            }
            Job::DeauthorizeUser { user, until } => self.forget_person(&user, until).await,
            Job::DeleteUserData { code: erasure } => self.erase_person(&erasure).await,
            other => Err(other.wrong_queue()),
        }
    }

    fn rotation(&self) -> Rotation {
        let Host { queues, clock, .. } = self.host.clone();
        Rotation::new(self.connector.table.clone(), self.connector.keyring.clone(), queues, clock)
    }
}
