//! A sync under every fault that the simulated Meta can produce, and under random mixes of them: it ends complete and
//! equal to the undisturbed one, or stops with the expected error. `cargo xtask faults` runs these scenarios alone.
//!
//! The real functions work on the embedded table; their messages are delivered here one after the other, as a queue
//! would: again when a retry can help, later when Meta names a time. Time is simulated, so that a wait costs nothing
//! but is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use connector::{Connector, token_context};
use domain::Error;
use domain::dataset::Dataset;
use domain::date::{DateRange, Grain, IsoWeek};
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use facts::{BlockLevel, Columns, Grouping, Selection, Sums};
use futures_util::future::join_all;
use graph_api::{Graph, GraphConfig, Time};
use graph_sim::{
    App, Behaviour, Config, ExpectedOutcome, FaultPlan, Generator, GraphSim, Limits, PagingQuirks, Source,
    Tier,
};
use jiff::SignedDuration;
use journeys::{TODAY, test_event};
use local::calls::Recorders;
use local::cloud::Cloud;
use local::data::Data;
use local::issuer::Issuer;
use local::tenant::tenant;
use runtime::{Clock, Host, SessionVerifier};
use store::account::AdAccount;
use store::chunk::ChunkState;
use store::connection::{Connection, ConnectionState};
use store::fact_reader::FactSelection;
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;

const APP_ID: &str = "100000000000001";
const APP_SECRET: &str = "the app's secret";

/// More deliveries than a queue makes before it dead-letters a message, because rate-limit waits do not count there.
const MAX_DELIVERIES: usize = 60;

/// The simulated time that was waited, as opposed to the time that the test itself takes.
#[derive(Clone, Default)]
struct SimulatedWait(Arc<AtomicI64>);

impl SimulatedWait {
    fn advance(&self, clock: &Clock, length: SignedDuration) {
        clock.advance(length);
        self.0.fetch_add(length.as_secs(), Ordering::Relaxed);
    }
}

pub(super) struct Fixture {
    waited: SimulatedWait,
    pub(super) sim: GraphSim,
    pub(super) clock: Clock,
    pub(super) access: Connector,
    pub(super) host: Host,
    pub(super) cloud: Cloud,
    entities: SyncEntities,
    chunks: SyncMetricsChunk,
    pub(super) account: AdAccountId,
    /// Every day with numbers.
    pub(super) range: DateRange,
}

/// Days with numbers of the ad account.
const DAYS: u32 = 12;

/// The result of a sync.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyncResult {
    /// With a dump of its objects and facts.
    Complete(String),
    Stopped(ExpectedOutcome),
    Other(String),
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with(Self::small(), Self::odd_pages(), Limits::default()).await
    }

    fn small() -> Generator {
        Generator { campaigns: 3, adsets: 5, ads: 8, days: DAYS, ..Generator::new(TODAY) }
    }

    /// The most complicated paging, so that there are many calls to fail.
    fn odd_pages() -> PagingQuirks {
        PagingQuirks { short: true, empty_between: true, empty_last: true }
    }

    /// Starts a fixture with this ad account, paging and quotas at Meta.
    pub(super) async fn with(account: Generator, pages: PagingQuirks, limits: Limits) -> Self {
        let clock = Clock::system();
        let noon = TODAY.at(4, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        clock.advance(noon.duration_since(clock.now()));
        let range = DateRange::ending(TODAY, account.days.try_into().unwrap());
        let app =
            App { app_id: APP_ID.to_owned(), app_secret: APP_SECRET.to_owned(), redirect_uris: Vec::new() };
        let now = clock.clone();
        let config = Config::new(Source::Generated(account), app, Arc::new(move || now.now()));
        let behaviour = Behaviour { pages, strict: true, require_proof: true, ..Behaviour::default() };
        let sim = GraphSim::start(Config { behaviour, limits, ..config }).await.unwrap();

        let local = Data::Memory.secrets().unwrap();
        let cloud = Cloud::start(&Data::Memory, &local, &clock, 30, Recorders::default()).await.unwrap();
        let graph = GraphConfig {
            graph_url: sim.base_url(),
            dialog_url: sim.base_url(),
            version: "v26.0".to_owned(),
            app_id: APP_ID.to_owned(),
            app_secret: APP_SECRET.to_owned().into(),
            timeout: std::time::Duration::from_millis(1500),
        };
        let waited = SimulatedWait::default();
        let (now, pass) = (clock.clone(), (clock.clone(), waited.clone()));
        let pass = move |length| pass.1.advance(&pass.0, SignedDuration::try_from(length).unwrap());
        let graph = Graph::new(graph, Time::simulated(move || now.now(), pass));
        let access = Connector::new(cloud.table.clone(), graph, cloud.keyring.clone());
        let host = Host {
            clock: clock.clone(),
            queues: cloud.queues.clone(),
            schedules: cloud.schedules.clone(),
            sessions: SessionVerifier::new(Issuer::new(&local.issuer_seed, &local.url).unwrap().config())
                .unwrap(),
            requests_per_minute: 60_000,
            public_url: None,
        };
        Self {
            entities: SyncEntities::new(access.clone(), host.clone()),
            chunks: SyncMetricsChunk::new(access.clone(), host.clone()),
            host,
            cloud,
            account: sim.account().id.parse().unwrap(),
            range,
            sim,
            clock,
            access,
            waited,
        }
    }

    /// Syncs in a workspace of its own, and returns the result.
    pub(super) async fn sync(&self, workspace: &str, plan: FaultPlan) -> SyncResult {
        let workspace = tenant(workspace).unwrap();
        self.connect(&workspace).await;
        self.sim.set_plan(plan);
        let end = self.sync_connected(&workspace).await;
        self.sim.set_plan(FaultPlan::default());
        // Lets the waits of one sync expire before the next one.
        self.clock.advance(SignedDuration::from_mins(6));
        end
    }

    pub(super) async fn connect(&self, workspace: &Tenant) {
        let (table, now) = (&self.access.table, self.clock.now());
        let token = self.sim.issue_token("1", &["ads_read", "ads_management"]);
        let connection = "meta-1".parse().unwrap();
        let place = token_context(workspace, &connection);
        let sealed_token = self.access.keyring.seal(&token.into(), &place).await.unwrap();
        let info = self.sim.account();
        let account = AdAccount {
            connection: Some(connection.clone()),
            accessible: true,
            selected: true,
            ..AdAccount::new(self.account.clone(), info.currency.parse().unwrap(), info.timezone)
        };
        let connection = Connection {
            id: connection,
            platform_user: "1".parse().unwrap(),
            connected_by: "the test".to_owned(),
            sealed_token,
            scopes: Vec::new(),
            expires_at: None,
            data_access_expires_at: None,
            state: ConnectionState::Connected,
            reason: None,
            connected_at: now,
            kind: Default::default(),
            token_owner: None,
            declined: Vec::new(),
            granted_accounts: None,
            granted_account_count: None,
            discovery: None,
            gaps: domain::gap::Gaps::default(),
            checked_at: None,
        };
        table.upsert_connection(workspace, &connection, &test_event(now).unwrap()).await.unwrap();
        table.upsert_account(workspace, &account, None).await.unwrap();
    }

    /// The messages of a sync, in their order: of the account, and of each week.
    pub(super) fn jobs(&self, workspace: &Tenant) -> Vec<Job> {
        let of_account = || (workspace.clone(), self.account.clone());
        let (of, ad_account) = of_account();
        let mut jobs = vec![Job::SyncAccount { workspace: of, ad_account, cause: SyncCause::Selected }];
        jobs.extend(self.range.weeks().map(|week| {
            let (workspace, ad_account) = of_account();
            Job::SyncChunk { workspace, ad_account, dataset: Dataset::AD_DAY, week }
        }));
        jobs
    }

    /// Requests the last days, and returns the message of their week.
    pub(super) async fn plan_last_week(&self, workspace: &Tenant) -> Job {
        let (week, now) = (IsoWeek::of(TODAY), self.clock.now());
        let (chunk, days) = ((Dataset::AD_DAY, week), DateRange::ending(TODAY, 3));
        self.access.table.plan_chunk(workspace, &self.account, chunk, days, now).await.unwrap();
        let (workspace, ad_account) = (workspace.clone(), self.account.clone());
        Job::SyncChunk { workspace, ad_account, dataset: Dataset::AD_DAY, week }
    }

    /// Delivers a message, and returns what is in the table then.
    pub(super) async fn deliver_to_end(&self, workspace: &Tenant, job: Job) -> SyncResult {
        match self.deliver(job).await {
            Ok(()) => self.result_of(workspace).await,
            Err(failure) => stopped_by(&failure),
        }
    }

    pub(super) async fn sync_connected(&self, workspace: &Tenant) -> SyncResult {
        for job in self.jobs(workspace) {
            if let Err(failure) = self.deliver(job).await {
                return stopped_by(&failure);
            }
        }
        self.result_of(workspace).await
    }

    /// Delivers many messages at the same time, and those that must wait when all others are done.
    async fn deliver_at_once(&self, mut jobs: Vec<Job>) {
        for _ in 0..MAX_DELIVERIES {
            let once = jobs.drain(..).map(|job| async {
                let outcome = self.process(&job).await;
                (job, outcome)
            });
            let mut max_wait = SignedDuration::ZERO;
            for (job, outcome) in join_all(once).await {
                match outcome {
                    Ok(()) => {}
                    Err(Error::RateLimited { retry_after: after, .. }) => {
                        max_wait = max_wait.max(SignedDuration::try_from(after).unwrap());
                        jobs.push(job);
                    }
                    Err(failure) => panic!("{failure:?}"),
                }
            }
            if jobs.is_empty() {
                return;
            }
            self.clock.advance(max_wait);
        }
        panic!("{} messages are never done", jobs.len());
    }

    async fn process(&self, job: &Job) -> Result<(), Error> {
        match job {
            Job::SyncChunk { .. } => self.chunks.process(job.clone()).await,
            _ => self.entities.process(job.clone()).await,
        }
    }

    /// Delivers a message until it is done or fails permanently.
    pub(super) async fn deliver(&self, job: Job) -> Result<(), Error> {
        let mut last = Ok(());
        for _ in 0..MAX_DELIVERIES {
            last = self.process(&job).await;
            match &last {
                Err(Error::RateLimited { retry_after: after, .. }) => {
                    self.waited.advance(&self.clock, SignedDuration::try_from(*after).unwrap());
                }
                Err(failure) if failure.is_retryable() => {
                    self.waited.advance(&self.clock, SignedDuration::from_secs(30));
                }
                _ => return last,
            }
        }
        last
    }

    /// Returns the result that is in the table.
    async fn result_of(&self, workspace: &Tenant) -> SyncResult {
        let table = &self.access.table;
        for chunk in table.chunks(workspace, &self.account).await.unwrap() {
            if self.range.weeks().any(|week| week == chunk.week) && chunk.state != ChunkState::Done {
                let reason = chunk.failure.unwrap_or_else(|| format!("{:?}", chunk.state));
                let connections = table.connections(workspace).await.unwrap();
                if connections.iter().any(|connection| connection.state == ConnectionState::NeedsReconnect) {
                    return SyncResult::Stopped(ExpectedOutcome::Reconnect);
                }
                return match () {
                    () if reason.contains("permission") || reason.contains("must resolve this") => {
                        SyncResult::Stopped(ExpectedOutcome::Permission)
                    }
                    () if reason.contains("version") => SyncResult::Stopped(ExpectedOutcome::Version),
                    () => SyncResult::Other(reason),
                };
            }
        }
        let mut all = String::new();
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            let mut objects = table.entities(workspace, &self.account, level).await.unwrap();
            objects.sort_by(|a, b| a.entity.id.as_str().cmp(b.entity.id.as_str()));
            let objects: Vec<_> = objects.into_iter().map(|stored| (stored.entity, stored.hidden)).collect();
            all += &format!("{objects:?}\n");
        }
        let (dataset, range) = (Dataset::AD_DAY, self.range);
        for level in BlockLevel::ALL {
            let with_detail = level == BlockLevel::Ad;
            let selection = FactSelection {
                dataset,
                range,
                level,
                with_detail,
                weekdays: None,
                objects: &Selection::default(),
            };
            let chunks = table.chunks_of(workspace, &self.account, dataset, range).await.unwrap();
            let mut reader = table.read_facts(workspace, &self.account, &chunks, selection);
            while let Some(blocks) = reader.next().await.unwrap() {
                let mut sums = Sums::new(
                    Grouping { level: Level::Campaign, grain: Grain::Day, breakdowns: Vec::new() },
                    Columns::All,
                );
                for block in blocks.decode().map(Result::unwrap) {
                    if with_detail {
                        all += &format!("{:?}\n", block.to_rows(blocks.day).unwrap());
                    }
                    sums.add(blocks.day, &block, &Selection::default()).unwrap();
                }
                for (number, group) in sums.groups().iter().enumerate() {
                    all += &format!("{group:?} {:?}\n", sums.measures(number).unwrap());
                }
            }
        }
        SyncResult::Complete(all)
    }
}

fn stopped_by(failure: &Error) -> SyncResult {
    match failure {
        Error::Reconnect(_) => SyncResult::Stopped(ExpectedOutcome::Reconnect),
        Error::NeedPermission(_) => SyncResult::Stopped(ExpectedOutcome::Permission),
        Error::PlatformVersion(_) => SyncResult::Stopped(ExpectedOutcome::Version),
        failure => SyncResult::Other(format!("{failure:?}")),
    }
}

#[tokio::test]
async fn a_sync_under_each_fault_ends_with_the_expected_result() {
    let fixture = Fixture::new().await;
    let undisturbed = fixture.sync("undisturbed", FaultPlan::default()).await;
    assert!(matches!(&undisturbed, SyncResult::Complete(all) if all.contains("spend")), "{undisturbed:?}");
    for (number, case) in FaultPlan::all_cases().into_iter().enumerate() {
        let struck = fixture.sim.faults_injected();
        let end = fixture.sync(&format!("fault-{number}"), case.plan).await;
        match case.expected {
            ExpectedOutcome::Complete => assert_eq!(end, undisturbed, "{}", case.name),
            reason => assert_eq!(end, SyncResult::Stopped(reason), "{}", case.name),
        }
        println!("{}: {:?}, as it should.", case.name, case.expected);
        let elsewhere = case.name.starts_with("batch item") || case.name.starts_with("webhook");
        assert!(elsewhere || fixture.sim.faults_injected() > struck, "{} did not strike", case.name);
    }
}

/// Returns the number of seeds: `FAULT_SEEDS`, which `cargo xtask faults` sets to a thousand; a few by default.
#[expect(clippy::disallowed_methods, reason = "a person who looks for rare faults says how long")]
fn seed_count() -> u64 {
    std::env::var("FAULT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40)
}

/// Runs every second seed from `first`. A failing seed names itself, and fails again when run alone.
#[expect(clippy::print_stdout, reason = "the chore shows what it tried")]
async fn random_plans(first: u64) {
    let seeds: Vec<u64> = (first..seed_count()).step_by(2).collect();
    let mut struck = 0;
    // A new fixture now and then: the clock advances with every sync, and after midnight the account would have another
    // day.
    for seeds in seeds.chunks(50) {
        let fixture = Fixture::new().await;
        let undisturbed = fixture.sync("undisturbed", FaultPlan::default()).await;
        for seed in seeds {
            let before = fixture.sim.faults_injected();
            let end = fixture.sync(&format!("seed-{seed}"), FaultPlan::from_seed(*seed)).await;
            struck += usize::from(fixture.sim.faults_injected() > before);
            assert!(end == undisturbed, "seed {seed}: {}", first_difference(&end, &undisturbed));
        }
    }
    println!("{} random plans: {struck} struck, all ended complete and equal.", seeds.len());
    assert!(struck * 3 > seeds.len(), "a third of the plans at least must strike, only {struck} did");
}

/// Returns the text around the first difference, because the dumps are long.
pub(super) fn first_difference(end: &SyncResult, undisturbed: &SyncResult) -> String {
    let (end, undisturbed) = (format!("{end:?}"), format!("{undisturbed:?}"));
    let at = end.chars().zip(undisturbed.chars()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(at.saturating_sub(200)).take(400).collect::<String>();
    format!("{}\ninstead of\n{}", around(&end), around(&undisturbed))
}

#[tokio::test]
async fn even_seeds_of_random_plans_end_complete_and_equal() {
    random_plans(0).await;
}

#[tokio::test]
async fn odd_seeds_of_random_plans_end_complete_and_equal() {
    random_plans(1).await;
}

#[tokio::test]
async fn a_throttle_of_a_minute_costs_one_simulated_minute() {
    let fixture = Fixture::new().await;
    let undisturbed = fixture.sync("undisturbed", FaultPlan::default()).await;
    for (number, name) in
        ["account throttled", "insights throttled", "management throttled"].iter().enumerate()
    {
        let case = FaultPlan::all_cases().into_iter().find(|case| case.name == *name).unwrap();
        let before = fixture.waited.0.load(Ordering::Relaxed);
        assert_eq!(fixture.sync(&format!("throttle-{number}"), case.plan).await, undisturbed, "{name}");
        let cost = fixture.waited.0.load(Ordering::Relaxed) - before;
        println!("{name} for a minute: cost {cost} s of simulated time.");
        assert_eq!(cost, 60, "{name}");
    }
}

/// An app that Meta has not reviewed may make sixty calls in five minutes. Here many jobs compete for them: eight
/// workspaces with the same ad account, and every message delivered twice.
#[tokio::test]
async fn workers_share_the_small_quotas_of_a_new_app_and_never_overrun_them() {
    let fixture = Fixture::with(Fixture::small(), Fixture::odd_pages(), Limits::of(Tier::Limited)).await;
    let workspaces: Vec<_> = (1..=8).map(|number| tenant(&format!("w{number}")).unwrap()).collect();
    let mut jobs = Vec::new();
    for workspace in workspaces.clone() {
        fixture.connect(&workspace).await;
        let ad_account = fixture.account.clone();
        let sync_job = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Selected };
        jobs.extend([sync_job.clone(), sync_job]);
    }
    fixture.deliver_at_once(jobs).await;
    let mut jobs = Vec::new();
    for workspace in &workspaces {
        for week in fixture.range.weeks() {
            let (workspace, ad_account) = (workspace.clone(), fixture.account.clone());
            let chunk = Job::SyncChunk { workspace, ad_account, dataset: Dataset::AD_DAY, week };
            jobs.extend([chunk.clone(), chunk]);
        }
    }
    fixture.deliver_at_once(jobs).await;
    assert_eq!(fixture.sim.throttled(), 0);
    assert!(
        fixture.sim.calls() > 100,
        "{} calls are more than the quota holds at a time",
        fixture.sim.calls()
    );
    for workspace in &workspaces {
        let end = fixture.result_of(workspace).await;
        assert!(matches!(end, SyncResult::Complete(_)), "{end:?}");
    }
}
