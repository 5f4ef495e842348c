//! One ad account's numbers for one ISO week: the only writer of facts.
//!
//! It takes the week's lease, reads insights page by page (level ad, one row per day), compares with what is
//! kept, writes the difference for ads, ad sets, campaigns and the account, and completes. Everything it
//! writes is conditional on its lease, so running twice, late or twice at once changes nothing.

mod rollup;

use std::time::Duration;

use access::{Access, Reached, UseCase};
use ads::Failure;
use ads::date::{DateRange, IsoWeek};
use ads::id::AdAccountId;
use ads::job::Job;
use ads::object::Level;
use ads::tenant::Tenant;
use bytes::Bytes;
use graph_api::insights::AdDay;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use runtime::route::{self, Route, Visit};
use runtime::telemetry::{self, Metric};
use runtime::{Host, Reply, deadline, problem};
use store::StoreError;
use store::chunk::{ChunkState, Lease, LeaseAnswer, RunTotals};
use store::fact::{FactChange, WeekFacts};

/// How long a run may be silent before others take over. Extended with every page, but never beyond the end of
/// its invocation: a run that the host has ended holds nothing up.
const LEASE: SignedDuration = SignedDuration::from_mins(5);

/// This function answers no requests yet: it lives on its queue.
pub static ROUTES: &[Route<()>] = &[];

/// The function.
#[derive(Debug, Clone)]
pub struct SyncMetricsChunk {
    access: Access,
    host: Host,
}

/// How a run over one week ended.
enum Run {
    Complete(RunTotals),
    /// Another run holds the lease now; it will complete the week.
    Superseded,
}

impl SyncMetricsChunk {
    /// The function on this host.
    pub fn new(access: Access, host: Host) -> Self {
        Self { access, host }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        let none = |_: Visit<()>| async { Err(Failure::NotFound("this path".to_owned())) };
        route::serve_public("sync-metrics-chunk", ROUTES, &self.host.clock, request, none).await
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Failure> {
        match job {
            Job::SyncChunk { workspace, ad_account, week } => self.sync(&workspace, &ad_account, week).await,
            other => Err(other.misdirected()),
        }
    }

    async fn sync(&self, workspace: &Tenant, ad_account: &AdAccountId, week: IsoWeek) -> Result<(), Failure> {
        let table = &self.access.table;
        let account = table.account(workspace, ad_account).await?.filter(|account| account.selected);
        if account.is_none() {
            return Ok(());
        }
        let reached = match self.access.reach(workspace, ad_account, UseCase::AdsInsights).await {
            // The account is throttled: asking now would only make it longer.
            Err(failure @ Failure::Wait { .. }) => return Err(failure),
            reached => reached,
        };
        let now = self.host.clock.now();
        let lease = match table.lease_chunk(workspace, ad_account, week, now, lease_end(now)).await? {
            LeaseAnswer::Taken(lease) => lease,
            other => {
                if let Ok(reached) = reached {
                    reached.done(Ok(())).await?;
                }
                return match other {
                    LeaseAnswer::Held { until } => Err(Failure::Wait {
                        after: wait(now, until),
                        why: "another run holds this week".to_owned(),
                    }),
                    // Measured already. Whoever did it may have gone away before saying so.
                    _ => self.after_week(workspace, ad_account).await,
                };
            }
        };
        let run = match reached {
            Ok(reached) => {
                let run = self.run(&reached, week, &lease).await;
                reached.done(run).await
            }
            Err(failure) => Err(failure),
        };
        match run {
            Ok(Run::Superseded) => Ok(()),
            Ok(Run::Complete(totals)) => self.complete(workspace, ad_account, week, &lease, totals).await,
            // Another try can help: the week stays planned and its message comes again.
            Err(failure) if failure.may_pass() => {
                table.release_chunk(&lease, None).await?;
                Err(failure)
            }
            // It cannot: the reason is kept with the week, where a person sees it, and the next sync asks again.
            Err(failure) => {
                tracing::warn!(%workspace, %ad_account, %week, %failure, "A week cannot be measured.");
                table.release_chunk(&lease, Some(&problem::detail(&failure))).await?;
                self.after_week(workspace, ad_account).await
            }
        }
    }

    async fn run(&self, reached: &Reached, week: IsoWeek, lease: &Lease) -> Result<Run, Failure> {
        let table = &self.access.table;
        let Some(range) = measurable(week, reached, self.host.clock.now()) else {
            return Ok(Run::Complete(RunTotals::default()));
        };
        let mut days: Vec<AdDay> = Vec::new();
        let mut totals = RunTotals::default();
        let mut pages = reached.ad_days(range).await?;
        while let Some(page) = reached.next_days(&mut pages, range).await? {
            days.extend(page);
            totals.pages += 1;
            let until = lease_end(self.host.clock.now());
            match table.chunk_progress(lease, totals.pages, until).await {
                Ok(()) => {}
                Err(StoreError::Conflict) => return Ok(Run::Superseded),
                Err(error) => return Err(error.into()),
            }
        }
        let fresh = rollup::weeks(&reached.account.id, week, days)?;
        totals.rows =
            fresh.iter().filter(|facts| facts.level == Level::Ad).map(|facts| facts.days.len() as u64).sum();
        let changes = self.differences(reached, week, fresh, &mut totals).await?;
        match table.write_facts(&reached.workspace, &reached.account.id, week, lease, &changes).await {
            Ok(()) => {
                telemetry::count(Metric::FactsWritten, totals.written);
                Ok(Run::Complete(totals))
            }
            Err(StoreError::Conflict) => Ok(Run::Superseded),
            Err(error) => Err(error.into()),
        }
    }

    /// What must be written so that the kept week equals the fresh one. Rows can vanish at Meta.
    async fn differences(
        &self,
        reached: &Reached,
        week: IsoWeek,
        fresh: Vec<WeekFacts>,
        totals: &mut RunTotals,
    ) -> Result<Vec<FactChange>, Failure> {
        let mut kept = std::collections::HashMap::new();
        for level in [Level::Ad, Level::AdSet, Level::Campaign, Level::Account] {
            let table = &self.access.table;
            for facts in table.facts(&reached.workspace, &reached.account.id, level, week.range()).await? {
                kept.insert((level, facts.id.clone()), facts);
            }
        }
        let mut changes = Vec::new();
        for facts in fresh {
            if kept.remove(&(facts.level, facts.id.clone())).as_ref() == Some(&facts) {
                totals.unchanged += 1;
            } else {
                changes.push(FactChange::Put(facts));
            }
        }
        changes.extend(kept.into_keys().map(|(level, id)| FactChange::Vanished(level, id)));
        totals.written = changes.len() as u64;
        Ok(changes)
    }

    /// Ends the run, and asks for another when the week was wanted again meanwhile.
    async fn complete(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        week: IsoWeek,
        lease: &Lease,
        totals: RunTotals,
    ) -> Result<(), Failure> {
        let table = &self.access.table;
        let state = match table.complete_chunk(lease, totals, self.host.clock.now()).await {
            Ok(state) => state,
            Err(StoreError::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        tracing::info!(
            %week,
            pages = totals.pages,
            rows = totals.rows,
            facts_written = totals.written,
            facts_unchanged = totals.unchanged,
            ?state,
            "Measured a week."
        );
        if state == ChunkState::Planned {
            let job = Job::SyncChunk { workspace: workspace.clone(), ad_account: ad_account.clone(), week };
            return self.host.queues.send(&[job]).await;
        }
        self.after_week(workspace, ad_account).await
    }

    /// Has the rules look at the account when no week is open any more.
    async fn after_week(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Failure> {
        let chunks = self.access.table.chunks(workspace, ad_account).await?;
        let open = |state| matches!(state, ChunkState::Planned | ChunkState::Running);
        if chunks.iter().any(|chunk| open(chunk.state)) {
            return Ok(());
        }
        let job = Job::EvaluateRules { workspace: workspace.clone(), ad_account: ad_account.clone() };
        self.host.queues.send(&[job]).await
    }
}

/// The days of a week that have begun in the account's time zone.
fn measurable(week: IsoWeek, reached: &Reached, now: Timestamp) -> Option<DateRange> {
    let range = week.range();
    DateRange::new(range.since, range.until.min(reached.account.today(now))).ok()
}

/// Until when a run that is alive now may hold its week.
fn lease_end(now: Timestamp) -> Timestamp {
    let longest = now + LEASE;
    deadline::end_of_this_invocation().map_or(longest, |end| end.min(longest))
}

/// Until a moment, at least a second.
fn wait(now: Timestamp, until: Timestamp) -> Duration {
    let seconds = until.duration_since(now).as_secs().max(1);
    Duration::from_secs(seconds.unsigned_abs())
}
