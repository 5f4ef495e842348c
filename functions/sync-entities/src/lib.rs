//! Mirrors campaigns, ad sets and ads, and splits what must be measured into chunks.
//!
//! A full sync draws its place in the order of fetches, reads every page of the three levels, keeps what is
//! new or changed, asks by id for what is no longer listed, and plans the weeks to measure. It runs when an
//! account is selected, every hour, on request, and takes up whatever an earlier run left undone. Once an hour
//! somebody looks whether all of that still happens.

#[cfg(feature = "describe")]
mod describe;
mod progress;
mod structure;
mod watch;

use std::collections::BTreeSet;

use access::{Access, Entrance, UseCase};
use ads::Failure;
use ads::date::IsoWeek;
use ads::id::AdAccountId;
use ads::job::{Job, SyncCause};
use ads::tenant::Tenant;
use bytes::Bytes;
use http::{Method, Request};
use runtime::route::{Access::Role as Needs, Route, Visit};
use runtime::session::Role;
use runtime::{Host, Reply};
use store::account::AdAccount;
use store::chunk::ChunkState;

/// How often an account's rules are evaluated when nothing else causes it.
const RULES_MINUTES: u32 = 30;

#[cfg(feature = "describe")]
pub use crate::describe::describe;

/// What can be asked of this function.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// Sync now.
    Sync,
    /// How far the sync is.
    Progress,
}

/// Every route of this function.
pub static ROUTES: &[Route<Endpoint>] = &[
    Route {
        method: Method::POST,
        path: "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync",
        access: Needs(Role::Editor),
        endpoint: Endpoint::Sync,
    },
    Route {
        method: Method::GET,
        path: "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync",
        access: Needs(Role::Viewer),
        endpoint: Endpoint::Progress,
    },
];

/// The function.
#[derive(Debug, Clone)]
pub struct SyncEntities {
    access: Access,
    host: Host,
    entrance: Entrance,
}

impl SyncEntities {
    /// The function on this host.
    pub fn new(access: Access, host: Host) -> Self {
        let entrance = Entrance::new(&access.table, &host);
        Self { access, host, entrance }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        let own_way = |_| false;
        self.entrance.serve("sync-entities", ROUTES, request, own_way, |visit| self.answer(visit)).await
    }

    async fn answer(&self, visit: Visit<Endpoint>) -> Result<Reply, Failure> {
        match visit.endpoint {
            Endpoint::Sync => self.request_sync(&visit).await,
            Endpoint::Progress => self.progress(&visit).await,
        }
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Failure> {
        match job {
            Job::SyncAccount { workspace, ad_account, cause } => {
                self.sync_account(&workspace, &ad_account, cause).await
            }
            Job::WatchAccounts => self.watch().await,
            Job::SyncObject { workspace, ad_account, level, object } => {
                let reached = self.access.reach(&workspace, &ad_account, UseCase::AdsManagement).await?;
                let shown = reached.refresh(level, &object).await;
                let shown = reached.done(shown).await?;
                tracing::info!(%workspace, %ad_account, object_level = %level, %object, found = shown.is_some(), "Refreshed one object.");
                Ok(())
            }
            other => Err(other.misdirected()),
        }
    }

    async fn sync_account(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        cause: SyncCause,
    ) -> Result<(), Failure> {
        let beat = Job::SyncAccount {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            cause: SyncCause::Schedule,
        };
        if !self.access.table.account(workspace, ad_account).await?.is_some_and(|account| account.selected) {
            return self.host.schedules.stop_beat(&beat).await;
        }
        // The rhythms first: they bring this account back whatever becomes of this run. The rules have one of
        // their own, for they must be looked at even when no week can be measured.
        let rules = Job::EvaluateRules { workspace: workspace.clone(), ad_account: ad_account.clone() };
        self.host.schedules.ensure_beat(&beat, SyncCause::BEAT_MINUTES).await?;
        self.host.schedules.ensure_beat(&rules, RULES_MINUTES).await?;
        let reached = self.access.reach(workspace, ad_account, UseCase::AdsManagement).await?;
        let account = reached.account.clone();
        let mirrored = structure::mirror(&self.access.table, &reached).await;
        let mirrored = reached.done(mirrored).await?;
        // Planned before it is said to be synced: whoever sees the one can count on the other.
        let weeks = self.plan(workspace, &account).await?;
        self.access.table.structure_synced(workspace, ad_account, self.host.clock.now()).await?;
        let structure::Mirrored { listed, written, vanished } = mirrored;
        tracing::info!(?cause, listed, written, vanished, weeks = weeks.len(), "Mirrored the structure.");
        self.request_chunks(workspace, ad_account, &weeks).await
    }

    /// The weeks to measure now: those never asked for, those that Meta may restate, those left undone.
    async fn plan(&self, workspace: &Tenant, account: &AdAccount) -> Result<BTreeSet<IsoWeek>, Failure> {
        let table = &self.access.table;
        let today = account.today(self.host.clock.now());
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
    ) -> Result<(), Failure> {
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
