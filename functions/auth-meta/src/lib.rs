//! Sends an advertiser to Meta and keeps the token that comes back.
//!
//! `authorize` remembers a random state for the browser that asked, and answers where to go. The callback
//! takes the state away (so it works once), checks that the same browser came back, and trades the code for
//! a long-lived token, which is sealed before it is kept. On the page that follows the person chooses ad accounts;
//! selecting one starts its sync.

mod audit;
mod browser;
mod consent;
mod deauthorization;
mod defaults;
#[cfg(feature = "describe")]
mod describe;
mod erase;
mod health;
mod login;
mod members;
mod page;
pub mod rotation;
mod routes;
mod selection;
mod selection_page;
mod views;

use access::{Connector, MiddlewareStack};
use bytes::Bytes;
use domain::Error;
use domain::job::Job;
use http::Request;
use runtime::response::{self, List};
use runtime::route::RequestContext;
use runtime::{AppSecrets, Host, Response};

use crate::views::{AdAccountView, ConnectionView};

#[cfg(feature = "describe")]
pub use crate::describe::describe;
use crate::rotation::Rotation;
pub use crate::routes::{Endpoint, ROUTES};

/// The function.
#[derive(Debug, Clone)]
pub struct AuthMeta {
    connector: Connector,
    host: Host,
    settings: Settings,
    middleware: MiddlewareStack,
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
        let middleware = MiddlewareStack::new(&connector.table, &host);
        Self { connector, host, settings, middleware }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        let handles_own_idempotency = |endpoint| matches!(endpoint, Endpoint::Authorize);
        self.middleware
            .serve("auth-meta", ROUTES, request, handles_own_idempotency, |context| self.dispatch(context))
            .await
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

    async fn dispatch(&self, context: RequestContext<Endpoint>) -> Result<Response, Error> {
        // Meta may add to the addresses to which it sends a person, and a person's mistakes are answered with a page.
        let reads_query = matches!(
            context.endpoint,
            Endpoint::Callback | Endpoint::Choose | Endpoint::DeletionStatus | Endpoint::Audit
        );
        if !reads_query {
            context.takes_no_query()?;
        }
        match context.endpoint {
            Endpoint::Authorize => self.authorize(&context).await,
            Endpoint::ConnectSystemUser => self.connect_system_user(&context).await,
            Endpoint::Callback => Ok(self.callback(&context).await),
            Endpoint::Choose => Ok(self.choose(&context).await),
            Endpoint::Deauthorize => self.deauthorize(&context).await,
            Endpoint::DataDeletion => self.data_deletion(&context).await,
            Endpoint::DeletionStatus => self.deletion_status(&context).await,
            Endpoint::Connections => self.connections(&context).await,
            Endpoint::Connection => self.connection(&context).await,
            Endpoint::Disconnect => self.disconnect(&context).await,
            Endpoint::AdAccounts => self.ad_accounts(&context).await,
            Endpoint::Select => self.select(&context).await,
            Endpoint::Defaults => self.defaults(&context).await,
            Endpoint::SetDefaults => self.set_defaults(&context).await,
            Endpoint::Audit => self.audit(&context).await,
            Endpoint::CreateWorkspace => self.create_workspace(&context).await,
            Endpoint::Workspaces => self.workspaces(&context).await,
            Endpoint::Members => self.members(&context).await,
            Endpoint::ChangeMember => self.change_member(&context).await,
            Endpoint::RemoveMember => self.remove_member(&context).await,
            Endpoint::Invitations => self.invitations(&context).await,
            Endpoint::Invite => self.invite(&context).await,
            Endpoint::WithdrawInvitation => self.withdraw_invitation(&context).await,
            Endpoint::MyInvitations => self.my_invitations(&context).await,
            Endpoint::AcceptInvitation => self.accept_invitation(&context).await,
        }
    }

    async fn connections(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let connections = self.connector.table.connections(context.workspace()?).await?;
        let now = self.host.clock.now();
        response::ok(&List {
            data: connections.into_iter().map(|connection| ConnectionView::of(connection, now)).collect(),
            after: None,
        })
    }

    async fn connection(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let connection =
            self.connector.table.connection(context.workspace()?, &context.path("connection")?).await?;
        let connection = connection.ok_or_else(|| Error::NotFound("this connection".to_owned()))?;
        response::ok(&ConnectionView::of(connection, self.host.clock.now()))
    }

    /// Stops the syncs first, then forgets the token: a crash between leaves a connection that can be
    /// deleted again.
    async fn disconnect(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let (workspace, id) = (context.workspace()?, context.path("connection")?);
        let none = || Error::NotFound("this connection".to_owned());
        self.connector.table.connection(workspace, &id).await?.ok_or_else(none)?;
        let target = access::audit::connection_target(workspace, &id);
        let event = access::audit::user_event(context, "connection.removed", target)?;
        let event = self.connector.record_intent(workspace, event).await?;
        let removed = async {
            for account in self.connector.table.accounts(workspace).await? {
                if account.connection == id && account.selected {
                    self.connector.table.select_account(workspace, &account.id, false).await?;
                }
            }
            self.connector.table.delete_connection(workspace, &id).await?.map(drop).ok_or_else(none)
        };
        let removed = removed.await;
        event.complete(removed, None, self.host.clock.now()).await?;
        Ok(response::no_content())
    }

    async fn ad_accounts(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let accounts = self.connector.table.accounts(context.workspace()?).await?;
        response::ok(&List { data: accounts.into_iter().map(AdAccountView::from).collect(), after: None })
    }
}
