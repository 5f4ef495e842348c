//! Processes changes: claims each once per workspace that holds its subject, then queues a sync.

use std::time::Duration;

use domain::Error;
use domain::job::{Job, SyncCause, WebhookChange, WebhookSubject};
use domain::platform::Platform;
use runtime::{Clock, Queues};
use store::Table;
use store::account::AccountRef;
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

    /// Accepts changes of one subject. Those that are new have one effect together.
    async fn accept(&self, changes: &[WebhookChange]) -> Result<(), Error> {
        for change in changes {
            let Some(reason) = &change.unreadable else { continue };
            tracing::warn!(
                object = change.object,
                reason,
                "A webhook change cannot be read and is set aside."
            );
            self.table.set_aside(change, self.clock.now()).await?;
        }
        let Some(first) = changes.first() else { return Ok(()) };
        let (object, field, count) = (&first.object, &first.field, changes.len());
        let Some(subject) = &first.subject else {
            tracing::info!(object, field, count, "Webhook changes name nothing that we mirror.");
            return Ok(());
        };
        let accounts = self.affected_accounts(subject).await?;
        tracing::info!(field, count, accounts = accounts.len(), "Processing webhook changes.");
        let mut in_progress = None;
        for account_ref in accounts {
            let now = self.clock.now();
            let mut acquired = Vec::new();
            for change in changes {
                match self.table.claim(&account_ref.workspace, change, now).await? {
                    Claim::Acquired => acquired.push(&change.digest),
                    Claim::InProgress { until } => in_progress = Some(until.duration_since(now)),
                    Claim::Processed => {}
                }
            }
            if acquired.is_empty() {
                continue;
            }
            // The effect first: a crash before the marks repeats it, and a repeated sync is harmless.
            self.queues.send(&[effect(subject, &account_ref)]).await?;
            for digest in acquired {
                self.table.mark_processed(&account_ref.workspace, digest).await?;
            }
        }
        // Retried, because the worker in progress may crash.
        let Some(left) = in_progress else { return Ok(()) };
        let why = "another delivery of this change is being processed".to_owned();
        Err(Error::RateLimited { retry_after: left.unsigned_abs().max(Duration::from_secs(1)), reason: why })
    }

    /// Returns the selected accounts that a change concerns. An object that is not stored yet is resolved to its
    /// account.
    async fn affected_accounts(&self, subject: &WebhookSubject) -> Result<Vec<AccountRef>, Error> {
        let mut accounts = match subject {
            WebhookSubject::Entity { id, .. } => self.table.account_refs(Platform::Meta, id).await?,
            WebhookSubject::Account(account) => {
                self.table.account_refs(Platform::Meta, &account.into()).await?
            }
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

/// Returns the job that a change causes for one account.
fn effect(subject: &WebhookSubject, account_ref: &AccountRef) -> Job {
    let (workspace, ad_account) = (account_ref.workspace.clone(), account_ref.ad_account.clone());
    match subject {
        WebhookSubject::Entity { id, level, .. } => {
            Job::SyncEntity { workspace, ad_account, level: *level, entity: id.clone() }
        }
        WebhookSubject::Account(_) => Job::SyncAccount { workspace, ad_account, cause: SyncCause::Request },
    }
}
