//! Meta's quotas, shared by tasks that coordinate only through one `AccountLimits`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::date::DateRange;
use domain::entity::{Changes, Level};
use domain::id::EntityId;
use graph_api::insights::QueryShape;
use graph_api::limit::{AccountLimits, DEFAULT_LEASE_POINTS, QuotaShare, WRITE_POINTS};
use graph_api::quota_lease::Renewal;
use graph_api::usage::UseCase;
use graph_api::{GraphError, QuotaLease, UserClient};
use graph_sim::{Fault, FaultKind, Limits, ThrottleKind, Tier};
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::Meta;
use crate::task_clock::TaskClock;

/// The limits that all tasks share.
type Shared = Arc<Mutex<AccountLimits>>;

/// A task that calls under leases, as a function does.
struct Worker {
    caller: UserClient,
    quota_lease: Arc<QuotaLease>,
    limits: Shared,
    case: UseCase,
    task_clock: TaskClock,
    /// Whether it holds its lease while it waits, so that the lease expires for others.
    settles_late: bool,
}

impl Worker {
    fn new(meta: &Meta, limits: &Shared, case: UseCase, task_clock: &TaskClock) -> Self {
        let quota_lease = Arc::new(QuotaLease::default());
        let caller = meta.caller().with_quota_lease(Arc::clone(&quota_lease));
        let (limits, task_clock) = (Arc::clone(limits), task_clock.clone());
        Self { caller, quota_lease, limits, case, task_clock, settles_late: false }
    }

    fn now(&self) -> Timestamp {
        self.caller.graph().now()
    }

    /// Settles the lease and takes a new one, unless it covers another call.
    fn refill(&self) {
        if self.quota_lease.covers_call(self.now()) {
            return;
        }
        let mut limits = self.limits.lock().unwrap();
        if let Some((lease, spent)) = self.quota_lease.take() {
            limits.settle(&lease, &spent, self.now());
        }
        self.quota_lease.put(limits.lease(
            self.case,
            QuotaShare::Whole,
            WRITE_POINTS,
            DEFAULT_LEASE_POINTS,
            self.now(),
        ));
    }

    /// Makes one call, waiting as long as the quotas require.
    async fn call(&self, call: Call<'_>) {
        loop {
            // After a wait points may be available again.
            self.refill();
            let outcome = match call {
                Call::Read(campaign) => self.caller.entity(Level::Campaign, campaign).await.map(drop),
                Call::Write(campaign) => {
                    let name = Changes { name: Some("Renamed".to_owned()), ..Changes::default() };
                    self.caller.change(campaign, &name).await
                }
                Call::Insights(campaign) => {
                    let params = [("fields", "spend")];
                    let path = format!("{campaign}/insights");
                    self.caller.get::<serde_json::Value>(&path, &params).await.map(drop)
                }
            };
            if !self.settles_late {
                self.refill();
            }
            match outcome {
                Ok(()) => return,
                Err(GraphError::RateLimited { after, .. }) => {
                    let until = self.now() + SignedDuration::try_from(after).unwrap();
                    self.task_clock.wait_until(until).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Settles the lease and ends the task.
    fn end(&self) {
        if let Some((lease, spent)) = self.quota_lease.take() {
            self.limits.lock().unwrap().settle(&lease, &spent, self.now());
        }
        self.task_clock.finish_task();
    }
}

#[derive(Debug, Clone, Copy)]
enum Call<'a> {
    Read(&'a EntityId),
    Write(&'a EntityId),
    Insights(&'a EntityId),
}

/// The calls of one task.
#[derive(Debug, Clone)]
struct Task {
    /// The kinds of the calls, each with the pause after it in seconds.
    calls: Vec<(Kind, u8)>,
    settles_late: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    Write,
    Insights,
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let kind = prop::sample::select(vec![Kind::Read, Kind::Write, Kind::Insights]);
    let pause = prop_oneof![6 => Just(0u8), 1 => 1u8..120];
    let calls = prop::collection::vec((kind, pause), 1..40);
    let task = (calls, any::<bool>()).prop_map(|(calls, settles_late)| Task { calls, settles_late });
    prop::collection::vec(task, 1..6)
}

/// Runs all tasks concurrently.
async fn work(meta: &Meta, campaign: &EntityId, tasks: &[Task]) {
    let (limits, task_clock) = (Shared::default(), TaskClock::new(&meta.clock, tasks.len()));
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| {
            let (calls, campaign, task_clock) = (task.calls.clone(), campaign.clone(), task_clock.clone());
            // A function makes calls of one use case at a time, here that of its first call.
            let insights = matches!(calls[0].0, Kind::Insights);
            let case = if insights { UseCase::AdsInsights } else { UseCase::AdsManagement };
            let settles_late = task.settles_late;
            let worker = Worker { settles_late, ..Worker::new(meta, &limits, case, &task_clock) };
            tokio::spawn(async move {
                for (kind, pause) in calls {
                    let call = match kind {
                        _ if insights => Call::Insights(&campaign),
                        Kind::Write => Call::Write(&campaign),
                        Kind::Read | Kind::Insights => Call::Read(&campaign),
                    };
                    worker.call(call).await;
                    if pause > 0 {
                        task_clock.wait_until(worker.now() + SignedDuration::from_secs(pause.into())).await;
                    }
                }
                worker.end();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn first_campaign(meta: &Meta) -> EntityId {
    let campaigns = meta.caller().entities(&meta.account(), Level::Campaign).next().await.unwrap().unwrap();
    campaigns.into_iter().next().unwrap().into_entity(Level::Campaign).id
}

#[test]
fn tasks_that_share_a_quota_never_overrun_it_and_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = |config: &mut graph_sim::Config| config.limits = Limits::of(Tier::Limited);
    let meta = runtime.block_on(Meta::with(limited));
    let campaign = runtime.block_on(first_campaign(&meta));
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&tasks(), |tasks| {
        // Meta no longer counts the calls of earlier cases.
        meta.clock.pass(Duration::from_secs(2 * 3600));
        let before = meta.sim.throttled();
        runtime.block_on(work(&meta, &campaign, &tasks));
        prop_assert_eq!(meta.sim.throttled() - before, 0);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Returns how long a read of a campaign takes that Meta throttles once.
async fn waited(limit: ThrottleKind, minutes: u32) -> Duration {
    let meta = Meta::start().await;
    let campaign = first_campaign(&meta).await;
    let kind = FaultKind::Throttle { limit, minutes };
    meta.sim.fail_next(Fault { method: None, path_contains: String::new(), times: 1, skip: 0, kind });
    let (limits, task_clock) = (Shared::default(), TaskClock::new(&meta.clock, 1));
    let worker = Worker::new(&meta, &limits, UseCase::AdsManagement, &task_clock);
    worker.call(Call::Read(&campaign)).await;
    assert_eq!(meta.sim.faults_injected(), 1);
    meta.clock.passed()
}

#[tokio::test]
async fn a_throttle_of_a_minute_costs_a_minute() {
    for limit in [ThrottleKind::Account, ThrottleKind::Burst, ThrottleKind::Management] {
        for minutes in [1, 7] {
            assert_eq!(
                waited(limit, minutes).await,
                Duration::from_secs(60 * u64::from(minutes)),
                "{limit:?}"
            );
        }
    }
    // The app's own header states no time.
    assert_eq!(waited(ThrottleKind::App, 1).await, Duration::from_secs(300));
}

/// A query that is read in halves is one call of the reader, whatever its pages.
#[tokio::test]
async fn a_query_of_more_calls_than_a_lease_has_points_is_read_in_one_go() {
    let meta = Meta::start().await;
    let limits: Shared = Arc::default();
    let (leases, graph) = (Arc::clone(&limits), meta.graph.clone());
    let renewal: Renewal = Box::new(move |spent| {
        let (mut limits, now) = (leases.lock().unwrap(), graph.now());
        if let Some((lease, spent)) = spent {
            limits.settle(&lease, &spent, now);
        }
        let (case, share) = (UseCase::AdsInsights, QuotaShare::Background);
        Box::pin(std::future::ready(limits.lease(case, share, WRITE_POINTS, DEFAULT_LEASE_POINTS, now)))
    });
    let first = renewal(None).await.unwrap();
    let quota_lease = Arc::new(QuotaLease::renewed_by(first, renewal));
    let caller = meta.caller().with_quota_lease(Arc::clone(&quota_lease));
    let shape = QueryShape { split_fields: true, rows: 5, ..QueryShape::default() };
    let range = DateRange { since: date(2026, 11, 8), until: date(2026, 11, 19) };
    let before = meta.sim.calls();
    let rows = caller.insights(&meta.account(), range, shape).next().await.unwrap().unwrap();
    let calls = meta.sim.calls() - before;
    assert!(calls > u64::from(DEFAULT_LEASE_POINTS), "{calls} calls");
    assert_eq!(rows.len(), meta.sim.insights_rows(range.since, range.until).len());
}
