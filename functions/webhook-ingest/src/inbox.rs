//! What a change causes: kept once per workspace that holds its subject, then synced.

use std::time::Duration;

use ads::Failure;
use ads::job::{Job, SyncCause, WebhookChange, WebhookSubject};
use runtime::{Clock, Queues};
use store::Table;
use store::account::Holder;
use store::inbox::Taking;

/// The function behind the door.
#[derive(Debug, Clone)]
pub struct WebhookIngest {
    table: Table,
    queues: Queues,
    clock: Clock,
}

impl WebhookIngest {
    /// The function on this host.
    pub fn new(table: Table, queues: Queues, clock: Clock) -> Self {
        Self { table, queues, clock }
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Failure> {
        match job {
            Job::WebhookChange(change) => self.accept(&change).await,
            other => Err(other.misdirected()),
        }
    }

    async fn accept(&self, change: &WebhookChange) -> Result<(), Failure> {
        let Some(subject) = &change.subject else {
            tracing::info!(
                object = change.object,
                field = change.field,
                "A webhook change names nothing that we mirror."
            );
            return Ok(());
        };
        let holders = self.holders(subject).await?;
        tracing::info!(field = change.field, holders = holders.len(), "Taking in a webhook change.");
        let mut elsewhere = None;
        for holder in holders {
            let now = self.clock.now();
            match self.table.take_change(&holder.workspace, change, now).await? {
                Taking::Ours => {
                    // The effect first: a crash before the mark repeats it, and a repeated sync is harmless.
                    self.queues.send(&[effect(subject, &holder)]).await?;
                    self.table.change_is_done(&holder.workspace, &change.digest).await?;
                }
                Taking::Elsewhere { until } => elsewhere = Some(until.duration_since(now)),
                Taking::Done => {}
            }
        }
        // Not forgotten: whoever works on it may break off.
        let Some(left) = elsewhere else { return Ok(()) };
        let why = "another delivery of this change is being taken in".to_owned();
        Err(Failure::Wait { after: left.unsigned_abs().max(Duration::from_secs(1)), why })
    }

    /// Who holds what a change is about, among those who want it synced. An object that nobody has seen yet
    /// is its account's.
    async fn holders(&self, subject: &WebhookSubject) -> Result<Vec<Holder>, Failure> {
        let mut holders = match subject {
            WebhookSubject::Object { id, .. } => self.table.holders(id.as_str()).await?,
            WebhookSubject::Account(account) => self.table.holders(account.digits()).await?,
        };
        if let (true, WebhookSubject::Object { ad_account: Some(account), .. }) =
            (holders.is_empty(), subject)
        {
            holders = self.table.holders(account.digits()).await?;
        }
        let mut selected = Vec::new();
        for holder in holders {
            let account = self.table.account(&holder.workspace, &holder.ad_account).await?;
            if account.is_some_and(|account| account.selected) {
                selected.push(holder);
            }
        }
        Ok(selected)
    }
}

/// What a change causes for one holder of its subject.
fn effect(subject: &WebhookSubject, holder: &Holder) -> Job {
    let (workspace, ad_account) = (holder.workspace.clone(), holder.ad_account.clone());
    match subject {
        WebhookSubject::Object { id, level, .. } => {
            Job::SyncObject { workspace, ad_account, level: *level, object: id.clone() }
        }
        WebhookSubject::Account(_) => Job::SyncAccount { workspace, ad_account, cause: SyncCause::Request },
    }
}
