//! Processes changes: claims each once per workspace that holds its subject, then queues a sync.

use std::time::Duration;

use domain::Error;
use domain::id::ConnectionId;
use domain::job::{Job, WebhookChange, WebhookSubject};
use domain::platform::Platform;
use domain::tenant::Tenant;
use runtime::{Clock, Queues};
use store::Table;
use store::account::AccountRef;
use store::changed_entities::whole_account;
use store::connection::ConnectionRef;
use store::inbox::Claim;

/// The function behind the webhook receiver.
#[derive(Debug, Clone)]
pub struct WebhookIngest {
    table: Table,
    queues: Queues,
    clock: Clock,
}

impl WebhookIngest {
    /// Creates the function.
    pub fn new(table: Table, queues: Queues, clock: Clock) -> Self {
        Self { table, queues, clock }
    }

    /// Processes a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::WebhookChanges { changes } => self.accept(&changes).await,
            other => Err(other.wrong_queue()),
        }
    }

    /// Accepts changes of one subject. Those that are new have one effect together in each place.
    async fn accept(&self, changes: &[WebhookChange]) -> Result<(), Error> {
        for change in changes {
            let Some(reason) = &change.unreadable else { continue };
            let object = &change.object;
            tracing::warn!(object, reason, "A webhook change cannot be read and is set aside.");
            self.table.set_aside(change, self.clock.now()).await?;
        }
        let Some(first) = changes.first() else { return Ok(()) };
        let (object, field, count) = (&first.object, &first.field, changes.len());
        let Some(subject) = &first.subject else {
            tracing::info!(object, field, count, "Webhook changes name nothing that we mirror.");
            return Ok(());
        };
        let places = self.places(subject).await?;
        tracing::info!(field, count, places = places.len(), "Processing webhook changes.");
        let mut in_progress = None;
        for place in places {
            let now = self.clock.now();
            let mut acquired = Vec::new();
            for change in changes {
                match self.table.claim(place.workspace(), change, now).await? {
                    Claim::Acquired => acquired.push(&change.digest),
                    Claim::InProgress { until } => in_progress = Some(until.duration_since(now)),
                    Claim::Processed => {}
                }
            }
            if acquired.is_empty() {
                continue;
            }
            // The effect first: a crash before the marks repeats it, and a repeated sync is harmless.
            self.cause(subject, &place).await?;
            for digest in acquired {
                self.table.mark_processed(place.workspace(), digest).await?;
            }
        }
        // Retried, because the worker in progress may crash.
        let Some(left) = in_progress else { return Ok(()) };
        let why = "another delivery of this change is being processed".to_owned();
        Err(Error::RateLimited { retry_after: left.unsigned_abs().max(Duration::from_secs(1)), reason: why })
    }

    /// Causes what a change of a subject has as its effect in one place.
    async fn cause(&self, subject: &WebhookSubject, place: &Place) -> Result<(), Error> {
        match place.clone() {
            Place::Connection(ConnectionRef { workspace, connection }) => {
                self.queues.send(&[Job::CheckConnection { workspace, connection }]).await
            }
            Place::Account(AccountRef { workspace, ad_account }) => {
                let changed = match subject {
                    WebhookSubject::Entity { id, level, .. } => (*level, id.clone()),
                    WebhookSubject::Account(_) | WebhookSubject::User(_) => whole_account(&ad_account),
                };
                let now = self.clock.now();
                let job = self.table.add_changed_entity(&workspace, &ad_account, &changed, now).await?;
                let Some(delay) = job else { return Ok(()) };
                self.queues.send_delayed(&Job::SyncChangedEntities { workspace, ad_account }, delay).await
            }
        }
    }

    /// Returns where a change of a subject has an effect: in selected accounts, or on connections.
    async fn places(&self, subject: &WebhookSubject) -> Result<Vec<Place>, Error> {
        if let WebhookSubject::User(user) = subject {
            let connections = self.table.connection_refs(&ConnectionId::of_meta_user(user)?).await?;
            return Ok(connections.into_iter().map(Place::Connection).collect());
        }
        Ok(self.affected_accounts(subject).await?.into_iter().map(Place::Account).collect())
    }

    /// Returns the selected accounts that a change concerns. An object that is not stored yet is resolved to its
    /// account.
    async fn affected_accounts(&self, subject: &WebhookSubject) -> Result<Vec<AccountRef>, Error> {
        let mut accounts = match subject {
            WebhookSubject::Entity { id, .. } => self.table.account_refs(Platform::Meta, id).await?,
            WebhookSubject::Account(account) => {
                self.table.account_refs(Platform::Meta, &account.into()).await?
            }
            WebhookSubject::User(_) => Vec::new(),
        };
        if let (true, WebhookSubject::Entity { ad_account: Some(account), .. }) =
            (accounts.is_empty(), subject)
        {
            accounts = self.table.account_refs(Platform::Meta, &account.into()).await?;
        }
        let mut selected = Vec::new();
        for account_ref in accounts {
            let account = self.table.account(&account_ref.workspace, &account_ref.ad_account).await?;
            if account.is_some_and(|account| account.selected) {
                selected.push(account_ref);
            }
        }
        Ok(selected)
    }
}

/// Where a change has an effect.
#[derive(Debug, Clone)]
enum Place {
    /// An ad account of a workspace.
    Account(AccountRef),
    /// A connection of a workspace.
    Connection(ConnectionRef),
}

impl Place {
    fn workspace(&self) -> &Tenant {
        match self {
            Self::Account(account) => &account.workspace,
            Self::Connection(connection) => &connection.workspace,
        }
    }
}
