//! How far an account's sync is, and asking for one.

use access::audit;
use ads::Failure;
use ads::date::IsoWeek;
use ads::id::AdAccountId;
use ads::job::{Job, SyncCause};
use http::StatusCode;
use jiff::Timestamp;
use runtime::route::Visit;
use runtime::{Reply, reply};
use serde::Serialize;
use store::chunk::{Chunk, ChunkState};

use crate::{Endpoint, SyncEntities};

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Progress {
    selected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    structure_synced_at: Option<Timestamp>,
    chunks: ChunkCounts,
    facts: FactCounts,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<ChunkFailure>,
}

/// A sync was asked for.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Accepted {
    accepted: bool,
}

/// Counted from the chunks themselves: a counter would drift with every repeated message.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct ChunkCounts {
    planned: usize,
    running: usize,
    done: usize,
    failed: usize,
}

/// Of the last completed run of each week.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct FactCounts {
    ad_days: u64,
    items_written: u64,
    items_unchanged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_completion: Option<Timestamp>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct ChunkFailure {
    week: IsoWeek,
    reason: String,
}

impl SyncEntities {
    pub(crate) async fn request_sync(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        visit.takes_no_query()?;
        let workspace = visit.workspace()?;
        let ad_account: AdAccountId = visit.path("ad_account")?;
        if !self.access.table.known_account(workspace, &ad_account).await?.selected {
            let why = format!("{ad_account} is not selected; PUT ad-accounts/{ad_account}/selection first");
            return Err(Failure::Conflict(why));
        }
        let act = audit::by_person(visit, "ad_account.sync_requested", format!("ad_account/{ad_account}"))?;
        let act = self.access.intend(workspace, act.in_account(&ad_account)).await?;
        let job = Job::SyncAccount { workspace: workspace.clone(), ad_account, cause: SyncCause::Request };
        let sent = self.host.queues.send(&[job]).await;
        act.ended(sent, None, self.host.clock.now()).await?;
        reply::json(StatusCode::ACCEPTED, &Accepted { accepted: true })
    }

    pub(crate) async fn progress(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        visit.takes_no_query()?;
        let workspace = visit.workspace()?;
        let account = self.access.table.known_account(workspace, &visit.path("ad_account")?).await?;
        let chunks = self.access.table.chunks(workspace, &account.id).await?;
        let count = |state| chunks.iter().filter(|chunk| chunk.state == state).count();
        let sum = |of: fn(&Chunk) -> u64| chunks.iter().map(of).sum();
        let progress = Progress {
            selected: account.selected,
            structure_synced_at: account.structure_synced_at,
            chunks: ChunkCounts {
                planned: count(ChunkState::Planned),
                running: count(ChunkState::Running),
                done: count(ChunkState::Done),
                failed: count(ChunkState::Failed),
            },
            facts: FactCounts {
                ad_days: sum(|chunk| chunk.rows),
                items_written: sum(|chunk| chunk.written),
                items_unchanged: sum(|chunk| chunk.unchanged),
                oldest_completion: chunks.iter().filter_map(|chunk| chunk.completed_at).min(),
            },
            failures: chunks
                .into_iter()
                .filter_map(|chunk| Some(ChunkFailure { week: chunk.week, reason: chunk.failure? }))
                .collect(),
        };
        reply::ok(&progress)
    }
}
