//! Processes changes: claims each once per workspace that holds its subject, then queues a sync.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Error;
use domain::id::ConnectionId;
use domain::job::{Job, SyncCause, WebhookChange, WebhookSubject};
use domain::platform::Platform;
use domain::tenant::Tenant;
use runtime::{Clock, Queues};
use store::Table;
use store::account::AccountRef;
use store::changed_entities::{Added, ChangedEntity};
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

    /// Accepts changes. Those that are new have one effect together in each workspace.
    async fn accept(&self, changes: &[WebhookChange]) -> Result<(), Error> {
        let mut effects: BTreeMap<String, Effects> = BTreeMap::new();
        let mut in_progress = None;
        for change in changes {
            if let Some(reason) = &change.unreadable {
                let object = &change.object;
                tracing::warn!(object, reason, "A webhook change cannot be read and is set aside.");
                self.table.set_aside(change, self.clock.now()).await?;
            }
            for place in self.places(change).await? {
                let now = self.clock.now();
                match self.table.claim(place.workspace(), change, now).await? {
                    Claim::Acquired => {
                        let of_place = effects.entry(place.key()).or_insert_with(|| Effects::new(place));
                        of_place.add(change);
                    }
                    Claim::InProgress { until } => in_progress = Some(until.duration_since(now)),
                    Claim::Processed => {}
                }
            }
        }
        let (count, places) = (changes.len(), effects.len());
        tracing::info!(count, places, "Processing webhook changes.");
        for Effects { place, entities, whole, digests } in effects.into_values() {
            // The effect first: a crash before the marks repeats it, and a repeated sync is harmless.
            self.cause(&place, &entities, whole).await?;
            for digest in digests {
                self.table.mark_processed(place.workspace(), &digest).await?;
            }
        }
        // Retried, because the worker in progress may crash.
        let Some(left) = in_progress else { return Ok(()) };
        let why = "another delivery of this change is being processed".to_owned();
        Err(Error::RateLimited { retry_after: left.unsigned_abs().max(Duration::from_secs(1)), reason: why })
    }

    /// Queues what changes cause in one place.
    async fn cause(&self, place: &Place, entities: &[ChangedEntity], whole: bool) -> Result<(), Error> {
        let (workspace, account) = match place {
            Place::Connection(ConnectionRef { workspace, connection }) => {
                let (workspace, connection) = (workspace.clone(), connection.clone());
                return self.queues.send(&[Job::CheckConnection { workspace, connection }]).await;
            }
            Place::Account(AccountRef { workspace, ad_account }) => (workspace, ad_account),
        };
        let (mut whole, mut job_needed) = (whole, false);
        if !entities.is_empty() {
            let now = self.clock.now();
            match self.table.add_changed_entities(workspace, account, entities, now).await? {
                Added::JobNeeded => job_needed = true,
                Added::JobExpected => {}
                Added::Full => whole = true,
            }
        }
        let (workspace, ad_account) = (workspace.clone(), account.clone());
        let changed =
            Job::SyncChangedEntities { workspace: workspace.clone(), ad_account: ad_account.clone() };
        let sync = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Request };
        let jobs: Vec<_> = job_needed.then_some(changed).into_iter().chain(whole.then_some(sync)).collect();
        self.queues.send(&jobs).await
    }

    /// Returns where a change has an effect: in selected accounts, or on connections.
    async fn places(&self, change: &WebhookChange) -> Result<Vec<Place>, Error> {
        match &change.subject {
            None => Ok(Vec::new()),
            Some(WebhookSubject::User(user)) => {
                let connections = self.table.connection_refs(&ConnectionId::of_meta_user(user)?).await?;
                Ok(connections.into_iter().map(Place::Connection).collect())
            }
            Some(subject) => {
                let accounts = self.affected_accounts(subject).await?;
                Ok(accounts.into_iter().map(Place::Account).collect())
            }
        }
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
#[derive(Debug)]
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

    /// Tells places apart. No id holds a space.
    fn key(&self) -> String {
        match self {
            Self::Account(AccountRef { workspace, ad_account }) => format!("{workspace} {ad_account}"),
            Self::Connection(ConnectionRef { workspace, connection }) => format!("{workspace} {connection}"),
        }
    }
}

/// What the changes of a job cause in one place.
#[derive(Debug)]
struct Effects {
    place: Place,
    entities: Vec<ChangedEntity>,
    /// Whether the whole account has changed.
    whole: bool,
    digests: Vec<String>,
}

impl Effects {
    fn new(place: Place) -> Self {
        Self { place, entities: Vec::new(), whole: false, digests: Vec::new() }
    }

    fn add(&mut self, change: &WebhookChange) {
        self.digests.push(change.digest.clone());
        match &change.subject {
            Some(WebhookSubject::Entity { id, level, .. }) => {
                let entity = (*level, id.clone());
                if !self.entities.contains(&entity) {
                    self.entities.push(entity);
                }
            }
            Some(WebhookSubject::Account(_)) => self.whole = true,
            Some(WebhookSubject::User(_)) | None => {}
        }
    }
}
