//! Chunks: one ad account's metrics for one ISO week, as a small state machine.
//!
//! `planned -> running -> done | failed`, and back to `planned` when the week is requested again. Acquiring the lease
//! raises the fence. Every later write of that run is conditional on the fence, so a run that was presumed dead and
//! resumes can change nothing.

use domain::date::{DateRange, IsoWeek};
use domain::gap::{Gap, Gaps};
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::account::SyncProblem;
use crate::audit::EventRecord;
use crate::key::{self, Key};
use crate::table::{StoreError, Table, millis, number, text};

/// The state of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkState {
    /// Waiting to be fetched.
    Planned,
    /// A worker holds the lease.
    Running,
    /// Stored up to the last page, for every request so far.
    Done,
    /// Given up until it is requested again; `failure` has the reason.
    Failed,
}

/// A chunk as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The week.
    pub week: IsoWeek,
    /// Current state.
    pub state: ChunkState,
    /// Number of times the week was requested.
    pub requested: u64,
    /// Fence, raised with every lease.
    #[serde(default)]
    pub fence: u64,
    /// End of the lease, in wall-clock time; it only decides when other workers may try.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    pub lease_until: Option<Timestamp>,
    /// Pages read by the current or last run.
    #[serde(default)]
    pub pages: u64,
    /// Rows (one ad, one day) in the week.
    #[serde(default)]
    pub rows: u64,
    /// Items written by the last run.
    #[serde(default)]
    pub written: u64,
    /// Items that the last run found unchanged.
    #[serde(default)]
    pub unchanged: u64,
    /// When the week was last stored completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Reason for the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What the last completed run could not read.
    #[serde(default, skip_serializing_if = "Gaps::is_empty")]
    pub gaps: Gaps,
    /// Which rows it could not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable_rows: Vec<RowRef>,
}

/// A row of metrics, as far as it could be read which one it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRef {
    /// The ad; any when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<EntityId>,
    /// The day; any of the week when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
}

/// Unreadable rows that a chunk lists; beyond them, one stands for any.
const MAX_UNREADABLE_ROWS: usize = 300;

/// The right to work on a chunk.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) key: Key,
    /// Fence of this run, which also orders the data that it fetches.
    pub fence: u64,
    /// The chunk's `requested` count that this run fulfils.
    pub requested: u64,
}

/// The result of trying to acquire a lease.
#[derive(Debug)]
pub enum LeaseAttempt {
    /// The caller holds the lease.
    Acquired(Lease),
    /// Another worker holds the lease.
    Held {
        /// End of that lease.
        until: Timestamp,
    },
    /// The chunk needs no work: it is done, failed or was never planned.
    NotNeeded,
}

/// The totals of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunTotals {
    /// Pages read.
    pub pages: u64,
    /// Rows (one ad, one day) read.
    pub rows: u64,
    /// Items written.
    pub written: u64,
    /// Items found unchanged.
    pub unchanged: u64,
    /// What could not be read.
    pub gaps: Gaps,
    /// Which rows could not be read.
    pub unreadable_rows: Vec<RowRef>,
}

impl RunTotals {
    /// Adds rows that could not be read. Too many to be listed are any row of the week.
    pub fn add_unreadable_rows(&mut self, rows: &[Gap]) {
        let row = |gap: &Gap| RowRef {
            ad: gap.id.as_deref().and_then(|id| id.parse().ok()),
            day: gap.day.as_deref().and_then(|day| day.parse().ok()),
        };
        self.gaps.extend(rows.iter().cloned());
        self.unreadable_rows.extend(rows.iter().map(row));
        if self.unreadable_rows.len() > MAX_UNREADABLE_ROWS {
            self.unreadable_rows = vec![RowRef::default()];
        }
    }
}

impl Table {
    /// Requests a week. A run that is in progress is left alone, and the week is fetched again after it.
    pub async fn plan_chunk(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        week: IsoWeek,
    ) -> Result<Chunk, StoreError> {
        let key = key::chunk(ws, account, week);
        let count = "requested = if_not_exists(requested, :zero) + :one, week = :week";
        let values = || vec![(":zero", number(0)), (":one", number(1)), (":week", text(week))];
        loop {
            let mut idle = values();
            idle.extend([(":planned", text("planned")), (":running", text("running"))]);
            let expression = format!("SET {count}, #state = :planned REMOVE failure");
            let planned =
                self.update(&key, &expression, Some("attribute_not_exists(pk) OR #state <> :running"), idle);
            match planned.await {
                Err(StoreError::Conflict) => {}
                answer => return answer,
            }
            let mut busy = values();
            busy.push((":running", text("running")));
            match self.update(&key, &format!("SET {count}"), Some("#state = :running"), busy).await {
                // The run ended between the two updates: plan the week again.
                Err(StoreError::Conflict) => {}
                answer => return answer,
            }
        }
    }

    /// Acquires the lease of a chunk that is planned or whose lease has expired.
    pub async fn lease_chunk(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        week: IsoWeek,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeaseAttempt, StoreError> {
        let key = key::chunk(ws, account, week);
        let taken = self.update::<Chunk>(
            &key,
            "SET #state = :running, fence = if_not_exists(fence, :zero) + :one, lease_until = :until, pages = :zero",
            Some("#state = :planned OR (#state = :running AND lease_until < :now)"),
            vec![
                (":running", text("running")),
                (":planned", text("planned")),
                (":zero", number(0)),
                (":one", number(1)),
                (":until", millis(until)),
                (":now", millis(now)),
            ],
        );
        match taken.await {
            Ok(chunk) => {
                Ok(LeaseAttempt::Acquired(Lease { key, fence: chunk.fence, requested: chunk.requested }))
            }
            Err(StoreError::Conflict) => Ok(match self.get::<Chunk>(&key).await? {
                Some(Chunk { state: ChunkState::Running, lease_until: Some(until), .. }) => {
                    LeaseAttempt::Held { until }
                }
                _ => LeaseAttempt::NotNeeded,
            }),
            Err(error) => Err(error),
        }
    }

    /// Records the number of pages read and extends the lease. [`StoreError::Conflict`] when the lease was lost.
    pub async fn record_chunk_progress(
        &self,
        lease: &Lease,
        pages: u64,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let values =
            vec![(":fence", number(lease.fence)), (":pages", number(pages)), (":until", millis(until))];
        let expression = "SET pages = :pages, lease_until = :until";
        self.update::<Chunk>(&lease.key, expression, Some("fence = :fence"), values).await.map(drop)
    }

    /// Completes a run after its last page. When the week was requested again in the meantime, plans it again and
    /// returns [`ChunkState::Planned`]. [`StoreError::Conflict`] when the lease was lost.
    pub async fn complete_chunk(
        &self,
        lease: &Lease,
        totals: &RunTotals,
        at: Timestamp,
    ) -> Result<ChunkState, StoreError> {
        let count = "pages = :pages, #rows = :rows, written = :written, unchanged = :unchanged, completed_at = :at, gaps = :gaps, unreadable_rows = :unreadable";
        for (state, condition) in [
            (ChunkState::Done, "fence = :fence AND requested = :requested"),
            (ChunkState::Planned, "fence = :fence AND requested > :requested"),
        ] {
            let word = if state == ChunkState::Done { "done" } else { "planned" };
            let values = vec![
                (":fence", number(lease.fence)),
                (":requested", number(lease.requested)),
                (":state", text(word)),
                (":pages", number(totals.pages)),
                (":rows", number(totals.rows)),
                (":written", number(totals.written)),
                (":unchanged", number(totals.unchanged)),
                (":at", text(at)),
                (":gaps", to_attribute_value(&totals.gaps)?),
                (":unreadable", to_attribute_value(&totals.unreadable_rows)?),
            ];
            let expression = format!("SET {count}, #state = :state REMOVE lease_until, failure");
            match self.update::<Chunk>(&lease.key, &expression, Some(condition), values).await {
                Ok(_) => return Ok(state),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Releases the lease without a result, and plans the chunk again.
    pub async fn release_chunk(&self, lease: &Lease) -> Result<(), StoreError> {
        let values = vec![(":fence", number(lease.fence)), (":state", text("planned"))];
        let expression = "SET #state = :state REMOVE lease_until";
        match self.update::<Chunk>(&lease.key, expression, Some("fence = :fence"), values).await {
            // The worker that has taken the lease over decides.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends a run without a result: the chunk failed. A problem of its account is stored in the same transaction, with
    /// its event, unless the account has a problem already.
    pub async fn fail_chunk(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        lease: &Lease,
        reason: &str,
        problem: Option<(&SyncProblem, &EventRecord)>,
    ) -> Result<(), StoreError> {
        let failed = || {
            let values =
                vec![(":fence", number(lease.fence)), (":state", text("failed")), (":failure", text(reason))];
            let expression = "SET #state = :state, failure = :failure REMOVE lease_until";
            self.update_action(&lease.key, expression, Some("fence = :fence"), values)
        };
        if let Some((problem, event)) = problem {
            let row = self.sync_problem_action(ws, account, problem)?;
            match self.transact_recorded(ws, vec![failed()?, row], [event]).await {
                // The account has a problem already, or other chunks write its row at this moment.
                Err(StoreError::Conflict | StoreError::Unavailable(_)) => {}
                done => return done,
            }
        }
        match self.transact(vec![failed()?]).await {
            // The worker that has taken the lease over decides.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Releases the leases of an account whose workers are known to be gone, without waiting for their expiry. The
    /// fence keeps this safe even when a worker is still alive: it can write nothing once the lease is acquired again.
    pub async fn reclaim_chunks(&self, ws: &Tenant, account: &AdAccountId) -> Result<(), StoreError> {
        let running = |chunk: &Chunk| chunk.state == ChunkState::Running;
        for chunk in self.chunks(ws, account).await?.into_iter().filter(running) {
            let key = key::chunk(ws, account, chunk.week);
            self.release_chunk(&Lease { key, fence: chunk.fence, requested: chunk.requested }).await?;
        }
        Ok(())
    }

    /// Lists the weeks of a range that are not stored completely: their metrics are missing or partial.
    pub async fn incomplete_weeks(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        range: DateRange,
    ) -> Result<Vec<IsoWeek>, StoreError> {
        let chunks = self.chunks(ws, account).await?;
        let done = |week: &IsoWeek| chunks.iter().any(|c| c.week == *week && c.state == ChunkState::Done);
        Ok(range.weeks().filter(|week| !done(week)).collect())
    }

    /// Lists the chunks of an account, oldest week first.
    pub async fn chunks(&self, ws: &Tenant, account: &AdAccountId) -> Result<Vec<Chunk>, StoreError> {
        self.query_prefix(&key::account_partition(ws, account), "CHUNK#").await
    }
}
