//! Mirrors campaigns, ad sets and ads, and splits what must be measured into chunks.
//!
//! A full sync draws its place in the order of fetches, reads every page of the three levels, keeps what is
//! new or changed, asks by id for what is no longer listed, and plans the weeks to measure. It runs when an
//! account is selected, every hour, on request, and takes up whatever an earlier run left undone. Once an hour
//! somebody looks whether all of that still happens.

mod entities;
mod status;
mod watch;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use connector::{Connector, UseCase};
use domain::Error;
use domain::date::IsoWeek;
use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::{Host, Response};
use store::account::AdAccount;
use store::chunk::ChunkState;

/// How often an account's rules are evaluated when nothing else causes it.
const RULE_EVALUATION_INTERVAL_MINUTES: u32 = 30;

/// Every endpoint of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<SyncEntities>>> =
    LazyLock::new(|| vec![status::request_sync(), status::show_sync()]);

/// The function.
#[derive(Debug, Clone)]
pub struct SyncEntities {
    connector: Connector,
    host: Host,
    middleware: Middleware,
}

impl SyncEntities {
    /// The function on this host.
    pub fn new(connector: Connector, host: Host) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, middleware }
    }

    /// Responds to a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("sync-entities", &ENDPOINTS, self, request).await
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::SyncAccount { workspace, ad_account, cause } => {
                self.sync_account(&workspace, &ad_account, cause).await
            }
            Job::WatchAccounts => self.watch().await,
            Job::SyncObject { workspace, ad_account, level, object } => {
                let client = self.connector.open(&workspace, &ad_account, UseCase::AdsManagement).await?;
                let refreshed = client.refresh(level, &object).await;
                let refreshed = client.close(refreshed).await?;
                tracing::info!(%workspace, %ad_account, object_level = %level, %object, found = refreshed.is_some(), "Refreshed one object.");
                Ok(())
            }
            other => Err(other.wrong_queue()),
        }
    }

    async fn sync_account(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        cause: SyncCause,
    ) -> Result<(), Error> {
        let recurring = Job::SyncAccount {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            cause: SyncCause::Recurring,
        };
        if !self.connector.table.account(workspace, ad_account).await?.is_some_and(|account| account.selected)
        {
            return self.host.schedules.stop_recurring(&recurring).await;
        }
        // The recurring schedules first: they bring this account back whatever becomes of this run. The rules have one of
        // their own, for they must be looked at even when no week can be measured.
        let rules = Job::EvaluateRules { workspace: workspace.clone(), ad_account: ad_account.clone() };
        self.host.schedules.ensure_recurring(&recurring, SyncCause::SYNC_INTERVAL_MINUTES).await?;
        self.host.schedules.ensure_recurring(&rules, RULE_EVALUATION_INTERVAL_MINUTES).await?;
        let client = self.connector.open(workspace, ad_account, UseCase::AdsManagement).await?;
        let account = client.account.clone();
        let stats = entities::sync(&self.connector.table, &client).await;
        let stats = client.close(stats).await?;
        // Planned before it is said to be synced: whoever sees the one can count on the other.
        let weeks = self.plan(workspace, &account).await?;
        self.connector.table.record_entities_synced(workspace, ad_account, self.host.clock.now()).await?;
        let entities::EntitySyncStats { listed, written, vanished } = stats;
        tracing::info!(?cause, listed, written, vanished, weeks = weeks.len(), "Synced the entities.");
        self.request_chunks(workspace, ad_account, &weeks).await
    }

    /// The weeks to measure now: those never asked for, those that Meta may restate, those left undone.
    async fn plan(&self, workspace: &Tenant, account: &AdAccount) -> Result<BTreeSet<IsoWeek>, Error> {
        let table = &self.connector.table;
        let today = account.today(self.host.clock.now())?;
        let known = table.chunks(workspace, &account.id).await?;
        let never = IsoWeek::backfill(today).filter(|week| known.iter().all(|chunk| chunk.week != *week));
        let failed = known.iter().filter(|chunk| chunk.state == ChunkState::Failed).map(|chunk| chunk.week);
        let fresh: BTreeSet<IsoWeek> = never.chain(IsoWeek::restated(today)).chain(failed).collect();
        for week in &fresh {
            table.plan_chunk(workspace, &account.id, *week).await?;
        }
        let unfinished = known.iter().filter(|chunk| chunk.state != ChunkState::Done).map(|chunk| chunk.week);
        Ok(fresh.iter().copied().chain(unfinished).collect())
    }

    /// Newest first: a person who has just connected looks at this week.
    async fn request_chunks(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        weeks: &BTreeSet<IsoWeek>,
    ) -> Result<(), Error> {
        let jobs: Vec<_> = weeks
            .iter()
            .rev()
            .map(|week| Job::SyncChunk {
                workspace: workspace.clone(),
                ad_account: ad_account.clone(),
                week: *week,
            })
            .collect();
        self.host.queues.send(&jobs).await
    }
}
