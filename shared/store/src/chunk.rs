//! Chunks: one ad account's facts of a dataset for one ISO week, as a small state machine.
//!
//! `planned -> running -> done | failed`, and back to `planned` when days are requested again. Acquiring the lease
//! raises the fence. Every later write of that run is conditional on the fence, so a run that was presumed dead and
//! resumes can change nothing. A run publishes day by day; what is left of a chunk is measured by the next run.

use std::collections::BTreeMap;

use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek};
use domain::gap::{Gap, Gaps};
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::account::SyncProblem;
use crate::audit::EventRecord;
use crate::key::{self, Key};
use crate::manifest::{DayEntry, Manifest, weekday};
use crate::table::{StoreError, Table, millis, number, text};
use crate::totals::TotalsCheck;

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
    /// The dataset.
    pub dataset: Dataset,
    /// The week.
    pub week: IsoWeek,
    /// Current state.
    pub state: ChunkState,
    /// Number of times that days of it were requested.
    pub requested: u64,
    /// The request that each day must answer, from Monday on.
    #[serde(default, flatten)]
    pub(crate) requests: DayRequests,
    /// What is measured.
    #[serde(default)]
    pub manifest: Manifest,
    /// Number of times that a day was published.
    #[serde(default)]
    pub(crate) published: u64,
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
    /// Segments of blocks that the last run wrote.
    #[serde(default)]
    pub written: u64,
    /// Segments that the last run found unchanged.
    #[serde(default)]
    pub unchanged: u64,
    /// When a run last answered every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Reason for the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What could not be read of each day.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) day_gaps: BTreeMap<Date, DayGaps>,
    /// How the sums of days compare with the account's own totals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checks: BTreeMap<Date, TotalsCheck>,
}

/// What could not be read of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayGaps {
    /// All of it, for people.
    pub gaps: Gaps,
    /// The ads whose rows could not be read; any ad where `None`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable_rows: Vec<Option<EntityId>>,
}

/// Unreadable rows that are listed for a day; beyond them, one stands for any.
const MAX_UNREADABLE_ROWS: usize = 100;

impl DayGaps {
    /// Adds a row that could not be read.
    pub fn add_unreadable_row(&mut self, row: &Gap) {
        self.gaps.push(row.clone());
        self.unreadable_rows.push(row.id.as_deref().and_then(|id| id.parse().ok()));
        if self.unreadable_rows.len() > MAX_UNREADABLE_ROWS {
            self.unreadable_rows = vec![None];
        }
    }
}

/// For each day of the week the last request that names it; 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DayRequests {
    request_1: u64,
    request_2: u64,
    request_3: u64,
    request_4: u64,
    request_5: u64,
    request_6: u64,
    request_7: u64,
}

impl DayRequests {
    fn of(self, day: Date) -> u64 {
        let Self { request_1, request_2, request_3, request_4, request_5, request_6, request_7 } = self;
        let all = [request_1, request_2, request_3, request_4, request_5, request_6, request_7];
        usize::try_from(weekday(day) - 1).ok().and_then(|day| all.get(day).copied()).unwrap_or_default()
    }
}

impl Chunk {
    /// Returns whether a day was requested and not measured since.
    pub fn is_due(&self, day: Date) -> bool {
        self.manifest.day(day).map_or(0, |entry| entry.answers) < self.requests.of(day)
    }

    /// Returns what could not be read, of all days together.
    pub fn gaps(&self) -> Gaps {
        let mut all = Gaps::default();
        for Gaps { count, first } in self.day_gaps.values().map(|day| &day.gaps) {
            all.extend(first.iter().cloned());
            all.count += count - first.len() as u64;
        }
        all
    }

    /// Returns the ads whose rows of a day could not be read; any ad where `None`.
    pub fn unreadable_rows(&self, day: Date) -> &[Option<EntityId>] {
        self.day_gaps.get(&day).map_or(&[], |gaps| &gaps.unreadable_rows)
    }

    /// Returns when a day was last measured.
    pub fn measured_at(&self, day: Date) -> Option<Timestamp> {
        self.manifest.day(day).map(DayEntry::measured_at)
    }
}

/// The right to work on a chunk.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) key: Key,
    /// The dataset, as the run has it.
    pub(crate) dataset: Dataset,
    /// The chunk, with what this run has published.
    pub chunk: Chunk,
}

impl Lease {
    /// Returns the fence of this run, which also orders the data that it fetches.
    pub fn fence(&self) -> u64 {
        self.chunk.fence
    }
}

/// The result of trying to acquire a lease.
#[derive(Debug)]
pub enum LeaseAttempt {
    /// The caller holds the lease.
    Acquired(Box<Lease>),
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
    /// Segments written.
    pub written: u64,
    /// Segments found unchanged.
    pub unchanged: u64,
}

impl Table {
    /// Requests days of a week. A run that is in progress is left alone, and the days are measured again after it.
    pub async fn plan_chunk(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        (dataset, week): (Dataset, IsoWeek),
        days: DateRange,
        now: Timestamp,
    ) -> Result<Chunk, StoreError> {
        let key = key::chunk(ws, account, dataset, week);
        let mut set = "requested = if_not_exists(requested, :zero) + :one, week = :week, dataset = :dataset, \
                       published = if_not_exists(published, :zero), fence = if_not_exists(fence, :first_fence), \
                       expires = :expires"
            .to_owned();
        for day in week.range().days_within(days) {
            set += &format!(", request_{} = if_not_exists(requested, :zero) + :one", weekday(day));
        }
        let values = || {
            vec![
                (":zero", number(0)),
                (":one", number(1)),
                (":week", text(week)),
                (":dataset", text(dataset.name)),
                // Higher than every fence of a chunk of this week that was deleted: what a run for it may have left
                // behind is then replaced.
                (":first_fence", millis(now)),
                (":expires", number(expiry(dataset, week.range().until))),
            ]
        };
        loop {
            let mut idle = values();
            idle.extend([(":planned", text("planned")), (":running", text("running"))]);
            let expression = format!("SET {set}, #state = :planned REMOVE failure");
            let planned =
                self.update(&key, &expression, Some("attribute_not_exists(pk) OR #state <> :running"), idle);
            match planned.await {
                Err(StoreError::Conflict) => {}
                answer => return answer,
            }
            let mut busy = values();
            busy.push((":running", text("running")));
            match self.update(&key, &format!("SET {set}"), Some("#state = :running"), busy).await {
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
        (dataset, week): (Dataset, IsoWeek),
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeaseAttempt, StoreError> {
        let key = key::chunk(ws, account, dataset, week);
        let taken = self.update::<Chunk>(
            &key,
            "SET #state = :running, fence = fence + :one, lease_until = :until, pages = :zero",
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
            Ok(chunk) => Ok(LeaseAttempt::Acquired(Box::new(Lease { key, dataset, chunk }))),
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
            vec![(":fence", number(lease.fence())), (":pages", number(pages)), (":until", millis(until))];
        let expression = "SET pages = :pages, lease_until = :until";
        self.update::<Chunk>(&lease.key, expression, Some("fence = :fence"), values).await.map(drop)
    }

    /// Completes a run that has published every day that was due. When days were requested again in the meantime, plans it again and
    /// returns [`ChunkState::Planned`]. [`StoreError::Conflict`] when the lease was lost.
    pub async fn complete_chunk(
        &self,
        lease: &Lease,
        totals: &RunTotals,
        at: Timestamp,
    ) -> Result<ChunkState, StoreError> {
        let count = "pages = :pages, written = :written, unchanged = :unchanged, completed_at = :at";
        for (state, condition) in [
            (ChunkState::Done, "fence = :fence AND requested = :requested"),
            (ChunkState::Planned, "fence = :fence AND requested > :requested"),
        ] {
            let word = if state == ChunkState::Done { "done" } else { "planned" };
            let values = vec![
                (":fence", number(lease.fence())),
                (":requested", number(lease.chunk.requested)),
                (":state", text(word)),
                (":pages", number(totals.pages)),
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

    /// Releases the lease without a result, and plans the chunk again.
    pub async fn release_chunk(&self, lease: &Lease) -> Result<(), StoreError> {
        let values = vec![(":fence", number(lease.fence())), (":state", text("planned"))];
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
            let values = vec![
                (":fence", number(lease.fence())),
                (":state", text("failed")),
                (":failure", text(reason)),
            ];
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
            let key = key::chunk(ws, account, chunk.dataset, chunk.week);
            self.release_chunk(&Lease { key, dataset: chunk.dataset, chunk }).await?;
        }
        Ok(())
    }

    /// Lists the chunks of an account: by dataset, the oldest week first.
    pub async fn chunks(&self, ws: &Tenant, account: &AdAccountId) -> Result<Vec<Chunk>, StoreError> {
        // Names of datasets begin with a letter. Before there were datasets, a week stood in their place.
        let (first, last) = (format!("{}a", key::CHUNK_PREFIX), format!("{}\u{7f}", key::CHUNK_PREFIX));
        self.query_between(&key::account_partition(ws, account), &first, &last).await
    }

    /// Lists the chunks of a dataset for the weeks that a range touches, the oldest first.
    pub async fn chunks_of(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        dataset: Dataset,
        range: DateRange,
    ) -> Result<Vec<Chunk>, StoreError> {
        let key = |day| key::chunk(ws, account, dataset, IsoWeek::of(day));
        let (first, last) = (key(range.since), key(range.until));
        self.query_between(&first.pk, &first.sk, &last.sk).await
    }
}

/// Returns when the facts of a day may be deleted, in Unix seconds. It depends on nothing but the day, so that an item is
/// never written for its sake.
pub(crate) fn expiry(dataset: Dataset, day: Date) -> i64 {
    let last = day.saturating_add(i64::from(dataset.kept_days).days());
    last.to_zoned(TimeZone::UTC).map_or(i64::MAX, |end| end.timestamp().as_second())
}
