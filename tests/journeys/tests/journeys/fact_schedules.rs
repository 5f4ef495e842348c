//! Random schedules of the publication of facts: writers that stall, die and repeat, requests that arrive late or twice
//! or lose their responses, and readers with old copies. The store is the real one, and so is the engine.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek};
use domain::id::AdAccountId;
use domain::metrics::{DayFacts, InsightsRow, Measures};
use domain::tenant::Tenant;
use facts::{BlockLevel, Rows};
use futures_util::future::join_all;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use journeys::TODAY;
use local::cloud::TABLE;
use local::data::Data;
use local::dynamo::Dynamo;
use local::tenant::tenant;
use runtime::env::Env;
use store::chunk::{ChunkState, DayGaps, Lease, LeaseAttempt, RunTotals};
use store::fact::MeasuredDay;
use store::fact_reader::FactSelection;
use store::{StoreError, Table};
use tokio::task::yield_now;
use winterbaume_core::{MockAws, MockRequest, MockResponse, MockService};

/// Segments so small that a dozen ads are several shards.
const DATASET: Dataset = Dataset { segment_bytes: 200, ..Dataset::AD_DAY };
const ADS: u64 = 12;
const WRITERS: usize = 3;
/// Calls after which a lease has expired: some are long enough to publish a day many times, others hardly once.
const LEASE_CALLS: [i64; 2] = [25, 400];

/// Pseudo-random numbers of a seed (xorshift64).
#[derive(Debug, Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)))
    }

    /// Returns a number below a bound.
    fn roll(&self, bound: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) % bound
    }
}

/// A table whose requests and responses go astray.
#[derive(Clone)]
struct Astray {
    dynamo: Dynamo,
    dice: Dice,
    /// Requests that arrive later: once more, or for the first time.
    late: Arc<Mutex<Vec<MockRequest>>>,
    /// What reads were last answered, for those that may lag behind.
    copies: Arc<Mutex<HashMap<Vec<u8>, MockResponse>>>,
    calls: Arc<AtomicI64>,
    /// Publications that reached the table.
    published: Arc<AtomicI64>,
    is_calm: Arc<AtomicUsize>,
}

impl Astray {
    /// Passes a request on to the engine.
    fn deliver(&self, request: &MockRequest) -> MockResponse {
        let is_publication = String::from_utf8_lossy(&request.body).contains("SET manifest");
        self.published.fetch_add(i64::from(is_publication), Ordering::SeqCst);
        self.dynamo.answer(request)
    }

    fn answer(&self, request: &MockRequest) -> MockResponse {
        let unavailable = || MockResponse::json(503, r#"{"__type":"ServiceUnavailable"}"#);
        if self.is_calm.load(Ordering::SeqCst) == 1 {
            return self.deliver(request);
        }
        if self.dice.roll(8) == 0 {
            let mut late = self.late.lock().unwrap();
            if !late.is_empty() {
                let next = self.dice.roll(late.len() as u64) as usize;
                self.deliver(&late.swap_remove(next));
            }
        }
        if matches!(Dynamo::operation(request), "PutItem" | "UpdateItem") {
            return match self.dice.roll(40) {
                0 => {
                    self.deliver(request);
                    unavailable()
                }
                1 => {
                    self.late.lock().unwrap().push(request.clone());
                    unavailable()
                }
                2..=9 => {
                    self.late.lock().unwrap().push(request.clone());
                    self.deliver(request)
                }
                _ => self.deliver(request),
            };
        }
        let answer = self.deliver(request);
        let body = String::from_utf8_lossy(&request.body);
        if body.contains(r#""ConsistentRead":true"#) {
            return answer;
        }
        let before = self.copies.lock().unwrap().insert(request.body.to_vec(), answer.clone());
        before.filter(|_| self.dice.roll(3) == 0).unwrap_or(answer)
    }
}

impl MockService for Astray {
    fn service_name(&self) -> &str {
        "dynamodb"
    }

    fn url_patterns(&self) -> Vec<&str> {
        vec![r"https?://dynamodb\..*\.amazonaws\.com"]
    }

    fn handle(&self, request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        Box::pin(async move {
            for _ in 0..self.dice.roll(4) {
                yield_now().await;
            }
            self.calls.fetch_add(1, Ordering::SeqCst);
            let answer = self.answer(&request);
            for _ in 0..self.dice.roll(4) {
                yield_now().await;
            }
            answer
        })
    }
}

/// One schedule: an account of its own, whose numbers at the platform grow with every measurement.
struct Schedule {
    table: Table,
    astray: Astray,
    dice: Dice,
    workspace: Tenant,
    account: AdAccountId,
    days: [Date; 2],
    /// The last measurement.
    measured: AtomicI64,
    /// Per day the last measurement whose publication was acknowledged.
    acknowledged: Mutex<BTreeMap<Date, i64>>,
    writers_left: AtomicUsize,
}

/// The rows of a day when the platform's numbers were these: every ad has the same.
fn rows(number: i64) -> Rows {
    let mut rows = Rows::new(BlockLevel::Ad);
    for ad in 0..ADS {
        let id = |n: u64| n.to_string().parse().unwrap();
        let measures = Measures {
            impressions: number.unsigned_abs(),
            actions: [("lead".to_owned(), number.into())].into(),
            ..Measures::default()
        };
        let facts =
            DayFacts { day: TODAY, measures, reach: None, frequency: None, attribution_setting: None };
        rows.push(&InsightsRow {
            names: Default::default(),
            breakdowns: Default::default(),
            ad: id(10 + ad),
            adset: id(100 + ad / 3),
            campaign: id(200 + ad / 6),
            facts,
        });
    }
    rows
}

impl Schedule {
    async fn new(dynamo: &Dynamo, seed: u64) -> Self {
        let dice = Dice::new(seed);
        let astray = Astray {
            dynamo: dynamo.clone(),
            dice: dice.clone(),
            late: Arc::default(),
            copies: Arc::default(),
            calls: Arc::default(),
            published: Arc::default(),
            is_calm: Arc::new(AtomicUsize::new(1)),
        };
        let aws = MockAws::builder().with_service(astray.clone()).build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(aws.http_client())
            .credentials_provider(aws.credentials_provider())
            .region(Region::new("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .load()
            .await;
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), TABLE);
        table.create().await.unwrap();
        let schedule = Self {
            table,
            astray,
            dice,
            workspace: tenant("demo").unwrap(),
            account: format!("act_{seed}").parse().unwrap(),
            days: [TODAY.yesterday().unwrap(), TODAY],
            measured: AtomicI64::new(0),
            acknowledged: Mutex::default(),
            writers_left: AtomicUsize::new(WRITERS),
        };
        schedule.plan().await.unwrap();
        schedule
    }

    /// Time passes by calls.
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-11-20T04:00:00Z".parse().unwrap();
        start + SignedDuration::from_millis(self.astray.calls.load(Ordering::SeqCst))
    }

    fn chunk() -> (Dataset, IsoWeek) {
        (DATASET, IsoWeek::of(TODAY))
    }

    async fn plan(&self) -> Result<(), StoreError> {
        let days = DateRange { since: self.days[0], until: self.days[1] };
        let planned = self.table.plan_chunk(&self.workspace, &self.account, Self::chunk(), days, self.now());
        planned.await.map(drop)
    }

    async fn lease(&self) -> Option<Lease> {
        let calls = LEASE_CALLS[self.dice.roll(2) as usize];
        let (now, until) = (self.now(), self.now() + SignedDuration::from_millis(calls));
        let lease = self.table.lease_chunk(&self.workspace, &self.account, Self::chunk(), now, until).await;
        match lease {
            Ok(LeaseAttempt::Acquired(lease)) => Some(*lease),
            _ => None,
        }
    }

    /// Measures a day and publishes it. A failed publication may be tried again with the same numbers.
    async fn publish(&self, lease: &mut Lease, day: Date) -> Result<(), StoreError> {
        let number = self.measured.fetch_add(1, Ordering::SeqCst) + 1;
        for _ in 0..self.dice.roll(if self.dice.roll(10) == 0 { 200 } else { 4 }) {
            yield_now().await;
        }
        let rows = rows(number);
        let mut tries = self.dice.roll(3);
        loop {
            let day = MeasuredDay { day, measured_at: self.now(), rows: &rows, gaps: DayGaps::default() };
            let done = self.table.publish_day(&self.workspace, &self.account, lease, day).await;
            match done {
                Err(StoreError::Unavailable(_)) if tries > 0 => tries -= 1,
                done => {
                    done?;
                    break;
                }
            }
        }
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let before = acknowledged.insert(day, number).unwrap_or_default();
        assert!(before < number, "{day}: {number} was published after {before}");
        Ok(())
    }

    async fn write(&self) {
        for _ in 0..12 {
            if self.dice.roll(3) == 0 {
                let _unavailable = self.plan().await;
            }
            let Some(mut lease) = self.lease().await else {
                yield_now().await;
                continue;
            };
            let mut result = Ok(());
            let due: Vec<Date> = self.days.into_iter().filter(|day| lease.chunk.is_due(*day)).collect();
            for day in due.into_iter().cycle().take(self.dice.roll(12) as usize) {
                result = self.publish(&mut lease, day).await;
                if result.is_err() {
                    break;
                }
            }
            match result {
                Ok(()) => {
                    let now = self.now();
                    let _refused = self.table.complete_chunk(&lease, &RunTotals::default(), now).await;
                }
                // It dies, or goes on after it was believed dead.
                Err(_) if self.dice.roll(2) == 0 => {}
                Err(_) => drop(self.table.release_chunk(&lease).await),
            }
        }
        self.writers_left.fetch_sub(1, Ordering::SeqCst);
    }

    /// Reads every day, and returns the number that its rows have: all the same.
    async fn read(&self, table: &Table, level: BlockLevel) -> BTreeMap<Date, i64> {
        let range = DateRange { since: self.days[0], until: self.days[1] };
        let with_detail = level == BlockLevel::Ad;
        let selection = FactSelection {
            dataset: DATASET,
            range,
            level,
            with_detail,
            weekdays: None,
            objects: &facts::Selection::default(),
        };
        let mut numbers = BTreeMap::new();
        let published = self.astray.published.load(Ordering::SeqCst);
        let Ok(chunks) = table.chunks_of(&self.workspace, &self.account, DATASET, range).await else {
            return numbers;
        };
        let mut reader = table.read_facts(&self.workspace, &self.account, &chunks, selection);
        while let Some(blocks) = match reader.next().await {
            Err(StoreError::Unavailable(why)) => {
                // It may change faster than it can be read, but not be damaged.
                assert_ne!(published, self.astray.published.load(Ordering::SeqCst), "{why}");
                return numbers;
            }
            day => day.unwrap(),
        } {
            let mut found = Vec::new();
            for block in blocks.decode().map(Result::unwrap) {
                if with_detail {
                    for row in block.to_rows(blocks.day).unwrap() {
                        let Measures { impressions, actions, .. } = row.facts.measures;
                        assert_eq!(actions["lead"], impressions.into(), "segments of two generations");
                        found.push(impressions);
                    }
                } else {
                    let grouping = facts::Grouping {
                        level: domain::entity::Level::Campaign,
                        grain: domain::date::Grain::All,
                        breakdowns: Vec::new(),
                    };
                    let mut sums = facts::Sums::new(grouping, facts::Columns::All);
                    sums.add(blocks.day, &block, &facts::Selection::default()).unwrap();
                    found.extend((0..sums.groups().len()).map(|group| {
                        let impressions = sums.measures(group).unwrap().impressions;
                        impressions / (ADS / 2)
                    }));
                }
            }
            let expected = if with_detail { ADS } else { 2 };
            assert_eq!(found.len() as u64, expected, "{}: rows are missing", blocks.day);
            assert!(found.iter().all(|number| *number == found[0]), "two generations: {found:?}");
            numbers.insert(blocks.day, found[0] as i64);
        }
        numbers
    }

    /// Reads until the writers are done. A consistent reader never sees an older number after a newer one.
    async fn watch(&self, table: &Table, is_consistent: bool) {
        let mut newest = BTreeMap::<Date, i64>::new();
        while self.writers_left.load(Ordering::SeqCst) > 0 {
            let level = BlockLevel::ALL[self.dice.roll(2) as usize];
            for (day, number) in self.read(table, level).await {
                let before = newest.insert(day, number).unwrap_or_default();
                assert!(!is_consistent || before <= number, "{day} went back from {before} to {number}");
            }
            yield_now().await;
        }
    }

    /// Lets the writers and readers loose, then looks at what they leave.
    async fn run(&self) {
        self.astray.is_calm.store(0, Ordering::SeqCst);
        let lagging = self.table.eventually_consistent();
        let writers = join_all((0..WRITERS).map(|_| self.write()));
        tokio::join!(writers, self.watch(&self.table, true), self.watch(&lagging, false));
        // What was under way arrives, and nothing else goes astray.
        self.astray.is_calm.store(1, Ordering::SeqCst);
        for request in std::mem::take(&mut *self.astray.late.lock().unwrap()) {
            self.astray.answer(&request);
        }
        let stored = self.read(&self.table, BlockLevel::Ad).await;
        for (day, acknowledged) in &*self.acknowledged.lock().unwrap() {
            assert!(stored[day] >= *acknowledged, "{day}: {acknowledged} is lost, {} is stored", stored[day]);
        }
        // A new run completes the week, whatever the others left.
        self.plan().await.unwrap();
        self.astray.calls.fetch_add(LEASE_CALLS[1] + 1, Ordering::SeqCst);
        let mut lease = self.lease().await.unwrap();
        for day in self.days {
            assert!(lease.chunk.is_due(day));
            self.publish(&mut lease, day).await.unwrap();
        }
        let completed = self.table.complete_chunk(&lease, &RunTotals::default(), self.now()).await.unwrap();
        assert_eq!(completed, ChunkState::Done);
        let last = self.measured.load(Ordering::SeqCst);
        for level in BlockLevel::ALL {
            let stored = self.read(&self.table, level).await;
            assert_eq!(stored.into_values().collect::<Vec<_>>(), [last - 1, last]);
        }
    }
}

#[tokio::test]
async fn no_schedule_of_writers_mixes_loses_or_takes_back_what_was_published() {
    let count = Env::optional("FACT_SCHEDULES").map_or(60, |count| count.parse::<u64>().unwrap());
    let dynamo = Dynamo::new(Data::Memory.database().unwrap());
    let (mut published, mut calls) = (0, 0);
    for seed in 1..=count {
        let schedule = Schedule::new(&dynamo, seed).await;
        println!("seed {seed}");
        schedule.run().await;
        published += schedule.measured.load(Ordering::SeqCst);
        calls += schedule.astray.calls.load(Ordering::SeqCst);
    }
    println!("{count} schedules, {calls} calls, {published} measurements");
    assert!(published > 6 * count as i64, "{published} measurements: this test shows little");
}
