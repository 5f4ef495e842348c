//! Chunks: one ad account's numbers for one ISO week, as a small state machine.
//!
//! `planned -> running -> done | failed`, and back to `planned` when the week is wanted again. Taking the
//! lease raises the fence; every later write of that run is conditional on it, so a run that was thought
//! dead and comes back can change nothing.

use domain::date::{DateRange, IsoWeek};
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{self, Key};
use crate::table::{StoreError, Table, number, text};

/// Where a chunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkState {
    /// To be fetched.
    Planned,
    /// Somebody holds the lease.
    Running,
    /// Stored to the last page, for every request so far.
    Done,
    /// Given up until it is wanted again; the reason stands beside it.
    Failed,
}

/// A chunk as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The week.
    pub week: IsoWeek,
    /// Where it stands.
    pub state: ChunkState,
    /// How often the week was asked for.
    pub requested: u64,
    /// Raised with every lease.
    #[serde(default)]
    pub fence: u64,
    /// Until when the lease holds; a wall clock, so it only decides when others may try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// Pages stored by the current or last run.
    #[serde(default)]
    pub pages: u64,
    /// Ad-days in the week.
    #[serde(default)]
    pub rows: u64,
    /// Items that the last run wrote.
    #[serde(default)]
    pub written: u64,
    /// Items that the last run found unchanged.
    #[serde(default)]
    pub unchanged: u64,
    /// When it was last complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The right to work on a chunk.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) key: Key,
    /// The fence of this run; also the order of what it fetches.
    pub fence: u64,
    /// The request that this run answers.
    pub requested: u64,
}

/// What came of asking for a lease.
#[derive(Debug)]
pub enum LeaseAttempt {
    /// It is ours.
    Acquired(Lease),
    /// Somebody works on it until then.
    Held {
        /// The end of the other lease.
        until: Timestamp,
    },
    /// Done already, or never planned: there is nothing to do.
    NotNeeded,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTotals {
    /// Pages read.
    pub pages: u64,
    /// Ad-days read.
    pub rows: u64,
    /// Items written.
    pub written: u64,
    /// Items found unchanged.
    pub unchanged: u64,
}

impl Table {
    /// Asks for a week. A run that is under way is left alone and the week is fetched again after it.
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
                // It ended between the two: plan it after all.
                Err(StoreError::Conflict) => {}
                answer => return answer,
            }
        }
    }

    /// Takes the lease of a chunk that waits for work, or whose worker is overdue.
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
                (":until", text(until)),
                (":now", text(now)),
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

    /// Records a page and extends the lease. [`StoreError::Conflict`] when the lease was lost.
    pub async fn record_chunk_progress(
        &self,
        lease: &Lease,
        pages: u64,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let values =
            vec![(":fence", number(lease.fence)), (":pages", number(pages)), (":until", text(until))];
        let expression = "SET pages = :pages, lease_until = :until";
        self.update::<Chunk>(&lease.key, expression, Some("fence = :fence"), values).await.map(drop)
    }

    /// Ends a run after its last page. When the week was asked for again meanwhile, it is planned anew
    /// and the answer says so.
    pub async fn complete_chunk(
        &self,
        lease: &Lease,
        totals: RunTotals,
        at: Timestamp,
    ) -> Result<ChunkState, StoreError> {
        let count =
            "pages = :pages, #rows = :rows, written = :written, unchanged = :unchanged, completed_at = :at";
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

    /// Gives the chunk back without a result: to be tried again, or failed with a reason.
    pub async fn release_chunk(&self, lease: &Lease, failure: Option<&str>) -> Result<(), StoreError> {
        let word = if failure.is_some() { "failed" } else { "planned" };
        let mut values = vec![(":fence", number(lease.fence)), (":state", text(word))];
        let expression = match failure {
            Some(reason) => {
                values.push((":failure", text(reason)));
                "SET #state = :state, failure = :failure REMOVE lease_until"
            }
            None => "SET #state = :state REMOVE lease_until",
        };
        match self.update::<Chunk>(&lease.key, expression, Some("fence = :fence"), values).await {
            // Whoever took it over decides now.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes back the leases of an account whose workers are known to be gone, without waiting for their end.
    /// The fence keeps this safe even when one of them is not: it can write nothing once the lease is taken.
    pub async fn reclaim_chunks(&self, ws: &Tenant, account: &AdAccountId) -> Result<(), StoreError> {
        let running = |chunk: &Chunk| chunk.state == ChunkState::Running;
        for chunk in self.chunks(ws, account).await?.into_iter().filter(running) {
            let key = key::chunk(ws, account, chunk.week);
            self.release_chunk(&Lease { key, fence: chunk.fence, requested: chunk.requested }, None).await?;
        }
        Ok(())
    }

    /// The weeks of a range that are not stored completely: their numbers are missing or partial.
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

    /// Every chunk of an account, oldest week first.
    pub async fn chunks(&self, ws: &Tenant, account: &AdAccountId) -> Result<Vec<Chunk>, StoreError> {
        self.query_prefix(&key::account_partition(ws, account), "CHUNK#").await
    }
}
