//! Sends an advertiser to Meta and keeps the token that comes back.
//!
//! `authorize` remembers a random state for the browser that asked, and answers where to go. The callback
//! takes the state away (so it works once), checks that the same browser came back, and trades the code for
//! a long-lived token, which is sealed before it is kept. On the page that follows the person chooses ad accounts;
//! selecting one starts its sync.

mod audit;
mod browser;
mod choose;
mod consent;
mod defaults;
#[cfg(feature = "describe")]
mod describe;
mod erase;
mod health;
mod leaving;
mod login;
mod members;
mod page;
pub mod rotation;
mod routes;
mod selection;
mod shown;

use access::{Access, Entrance};
use ads::Failure;
use ads::job::Job;
use bytes::Bytes;
use http::Request;
use runtime::reply::{self, List};
use runtime::route::Visit;
use runtime::{AppSecrets, Host, Reply};

use crate::shown::{ShownAccount, ShownConnection};

#[cfg(feature = "describe")]
pub use crate::describe::describe;
use crate::rotation::Rotation;
pub use crate::routes::{Endpoint, ROUTES};

/// The function.
#[derive(Debug, Clone)]
pub struct AuthMeta {
    access: Access,
    host: Host,
    settings: Settings,
    entrance: Entrance,
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
    pub fn new(access: Access, host: Host, settings: Settings) -> Self {
        let entrance = Entrance::new(&access.table, &host);
        Self { access, host, settings, entrance }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        let own_way = |endpoint| matches!(endpoint, Endpoint::Authorize);
        self.entrance.serve("auth-meta", ROUTES, request, own_way, |visit| self.answer(visit)).await
    }

    /// Does a job of this function's queue.
    pub async fn process(&self, job: Job) -> Result<(), Failure> {
        match job {
            Job::RotateKeyring => self.rotation().begin().await,
            Job::CompleteRotation => self.rotation().go_on().await,
            Job::Reseal { workspace, connection, key } => {
                self.rotation().reseal(&workspace, &connection, &key).await
            }
            Job::CheckConnections => self.check_connections().await,
            Job::CheckConnection { workspace, connection } => {
                self.check_connection(&workspace, &connection).await
            }
            Job::ForgetPerson { user, until } => self.forget_person(&user, until).await,
            Job::ErasePerson { erasure } => self.erase_person(&erasure).await,
            other => Err(other.misdirected()),
        }
    }

    fn rotation(&self) -> Rotation {
        let Host { queues, clock, .. } = self.host.clone();
        Rotation::new(self.access.table.clone(), self.access.keyring.clone(), queues, clock)
    }

    async fn answer(&self, visit: Visit<Endpoint>) -> Result<Reply, Failure> {
        // Meta may add to the addresses to which it sends a person, and a person's mistakes are answered with a page.
        let reads_query = matches!(
            visit.endpoint,
            Endpoint::Callback | Endpoint::Choose | Endpoint::DeletionStatus | Endpoint::Audit
        );
        if !reads_query {
            visit.takes_no_query()?;
        }
        match visit.endpoint {
            Endpoint::Authorize => self.authorize(&visit).await,
            Endpoint::Paste => self.paste(&visit).await,
            Endpoint::Callback => Ok(self.callback(&visit).await),
            Endpoint::Choose => Ok(self.choose(&visit).await),
            Endpoint::Deauthorize => self.deauthorize(&visit).await,
            Endpoint::DataDeletion => self.data_deletion(&visit).await,
            Endpoint::DeletionStatus => self.deletion_status(&visit).await,
            Endpoint::Connections => self.connections(&visit).await,
            Endpoint::Connection => self.connection(&visit).await,
            Endpoint::Disconnect => self.disconnect(&visit).await,
            Endpoint::AdAccounts => self.ad_accounts(&visit).await,
            Endpoint::Select => self.select(&visit).await,
            Endpoint::Defaults => self.defaults(&visit).await,
            Endpoint::SetDefaults => self.set_defaults(&visit).await,
            Endpoint::Audit => self.audit(&visit).await,
            Endpoint::CreateWorkspace => self.create_workspace(&visit).await,
            Endpoint::Workspaces => self.workspaces(&visit).await,
            Endpoint::Members => self.members(&visit).await,
            Endpoint::ChangeMember => self.change_member(&visit).await,
            Endpoint::RemoveMember => self.remove_member(&visit).await,
            Endpoint::Invitations => self.invitations(&visit).await,
            Endpoint::Invite => self.invite(&visit).await,
            Endpoint::WithdrawInvitation => self.withdraw_invitation(&visit).await,
            Endpoint::MyInvitations => self.my_invitations(&visit).await,
            Endpoint::AcceptInvitation => self.accept_invitation(&visit).await,
        }
    }

    async fn connections(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let connections = self.access.table.connections(visit.workspace()?).await?;
        let now = self.host.clock.now();
        reply::ok(&List {
            data: connections.into_iter().map(|connection| ShownConnection::of(connection, now)).collect(),
            after: None,
        })
    }

    async fn connection(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let connection = self.access.table.connection(visit.workspace()?, &visit.path("connection")?).await?;
        let connection = connection.ok_or_else(|| Failure::NotFound("this connection".to_owned()))?;
        reply::ok(&ShownConnection::of(connection, self.host.clock.now()))
    }

    /// Stops the syncs first, then forgets the token: a crash between leaves a connection that can be
    /// deleted again.
    async fn disconnect(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (workspace, id) = (visit.workspace()?, visit.path("connection")?);
        let none = || Failure::NotFound("this connection".to_owned());
        self.access.table.connection(workspace, &id).await?.ok_or_else(none)?;
        let object = access::audit::connection(workspace, &id);
        let act = access::audit::by_person(visit, "connection.removed", object)?;
        let act = self.access.intend(workspace, act).await?;
        let removed = async {
            for account in self.access.table.accounts(workspace).await? {
                if account.connection == id && account.selected {
                    self.access.table.select_account(workspace, &account.id, false).await?;
                }
            }
            self.access.table.forget_connection(workspace, &id).await?.map(drop).ok_or_else(none)
        };
        let removed = removed.await;
        act.ended(removed, None, self.host.clock.now()).await?;
        Ok(reply::no_content())
    }

    async fn ad_accounts(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let accounts = self.access.table.accounts(visit.workspace()?).await?;
        reply::ok(&List { data: accounts.into_iter().map(ShownAccount::from).collect(), after: None })
    }
}
