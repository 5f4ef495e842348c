//! Connects advertisers to Meta and stores their tokens.
//!
//! `authorize` stores a random state for the requesting browser and returns the URL of Meta's dialog. The callback
//! consumes the state, so that it works once, verifies that the same browser returned, and exchanges the code for a
//! long-lived token, which is sealed before it is stored. On the next page the person chooses ad accounts; selecting
//! one starts its sync.

mod app_webhooks;
mod browser;
mod connections;
mod consent;
mod deauthorization;
mod defaults;
mod deletion;
mod discovery;
mod health;
mod imported;
mod login;
mod page;
mod return_url;
pub mod rotation;
mod selection;
mod selection_page;
mod system_user;
mod views;
mod workspace_deletion;
mod workspace_health;

use std::sync::LazyLock;

use bytes::Bytes;
use connector::Connector;
use domain::Error;
use domain::job::Job;
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::origins::AllowedOrigins;
use runtime::session::Role;
use runtime::{AppSecrets, Host, Response};

use crate::rotation::Rotation;

/// Role required to connect, both when a login begins and when it completes.
pub(crate) const CONNECT_ROLE: Role = Role::Owner;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<AuthMeta>>> = LazyLock::new(|| {
    vec![
        login::authorize(),
        login::start_login(),
        system_user::connect_system_user(),
        login::login_callback(),
        selection_page::submit_account_selection(),
        deauthorization::deauthorize(),
        deauthorization::delete_data(),
        deauthorization::get_deletion(),
        connections::list_connections(),
        connections::get_connection(),
        connections::disconnect(),
        connections::list_ad_accounts(),
        imported::import_ad_account(),
        imported::delete_ad_account(),
        selection::select_ad_account(),
        defaults::get_defaults(),
        defaults::set_defaults(),
        workspace_deletion::delete_workspace(),
        workspace_health::get_health(),
    ]
});

/// The `auth-meta` function.
#[derive(Debug, Clone)]
pub struct AuthMeta {
    connector: Connector,
    host: Host,
    settings: Settings,
    middleware: Middleware,
}

/// Settings of the app at Meta beyond those needed to call the Graph API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Secrets with which Meta signs deauthorization and deletion requests.
    pub secrets: AppSecrets,
    /// Login for Business, where it is configured.
    pub login: Option<LoginConfiguration>,
    /// Front ends to which a login may lead back.
    pub allowed_origins: AllowedOrigins,
}

/// A configuration of Facebook Login for Business.
#[derive(Debug, Clone)]
pub struct LoginConfiguration {
    /// Configuration id.
    pub id: String,
    /// Whether it issues system-user tokens.
    pub system_user: bool,
}

impl AuthMeta {
    /// Creates the function.
    pub fn new(connector: Connector, host: Host, settings: Settings) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, settings, middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("auth-meta", &ENDPOINTS, self, request).await
    }

    /// Processes a job of this function's queue.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        let result = match job {
            Job::RotateKeyring => self.rotation().begin().await,
            Job::CompleteRotation { pass } => self.rotation().resume(pass).await,
            Job::Reseal { workspace, connection, key } => {
                self.rotation().reseal(&workspace, &connection, &key).await
            }
            Job::CheckConnections { after } => self.check_connections(after.as_deref()).await,
            Job::CheckConnection { workspace, connection } => {
                self.check_connection(&workspace, &connection).await
            }
            Job::DiscoverAccounts { workspace, connection } => {
                self.discover_accounts(&workspace, &connection).await
            }
            Job::DeauthorizeUser { user, until } => self.deauthorize_user(&user, until).await,
            Job::DeleteUserData { code } => self.delete_user_data(&code).await,
            Job::DeleteWorkspace { workspace } => self.delete_workspace_data(&workspace).await,
            other => Err(other.wrong_queue()),
        };
        self.connector.report_version().await;
        result
    }

    fn rotation(&self) -> Rotation {
        let Host { queues, clock, .. } = self.host.clone();
        Rotation::new(self.connector.table.clone(), self.connector.keyring.clone(), queues, clock)
    }
}
