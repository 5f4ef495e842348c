//! A person's data is deleted while jobs are running that started before.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use connector::Connector;
use domain::Error;
use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek};
use domain::entity::Level;
use domain::job::{Job, SyncCause};
use journeys::{Scenario, TODAY};
use local::cloud::TABLE;
use local::demo::WORKSPACE;
use local::tenant::tenant;
use store::Table;
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;

use crate::crash::{CrashInterceptor, Item, crashing_auth_meta, restore_table, table_items};
use crate::deauthorization::{all_traces, create_deletion_request, run_second_pass, traces};

type Work = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// A running job, and how many calls it has made to the table so far.
fn start_job(scenario: &Scenario, job: &Job) -> (Work, Arc<AtomicI64>) {
    let calls = Arc::new(AtomicI64::new(0));
    let counts = CrashInterceptor { calls: calls.clone(), crash_at: 0..=0, with_effect: false };
    let config = scenario.system.cloud.dynamodb.config().to_builder().interceptor(counts).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE);
    let access = Connector::new(table, scenario.system.graph.clone(), scenario.system.cloud.keyring.clone());
    let (host, job) = (scenario.system.host.clone(), job.clone());
    let work: Work = match job {
        Job::SyncChunk { .. } | Job::MeasureReach { .. } => {
            let function = SyncMetricsChunk::new(access, host);
            Box::pin(async move { function.process(job).await })
        }
        _ => {
            let function = SyncEntities::new(access, host);
            Box::pin(async move { function.process(job).await })
        }
    };
    (work, calls)
}

/// Polls work until it is about to make the given call to the table, or has ended.
async fn poll_until_call(work: &mut Work, calls: &AtomicI64, call: i64) -> Option<Result<(), Error>> {
    poll_fn(|context| {
        if calls.load(Ordering::SeqCst) >= call {
            return Poll::Ready(None);
        }
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // Stopped at this call: the request is sent, and the table has not handled it yet.
            Poll::Pending if calls.load(Ordering::SeqCst) >= call => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Stops a job before each of its calls to the table, deletes the person's data, and lets the job continue.
async fn assert_nothing_remains(is_new: fn(&Item) -> bool, job: fn(&str) -> Job) {
    let scenario = Scenario::smallest().await.unwrap();
    let all = all_traces(&scenario).await;
    let code = create_deletion_request(&scenario).await;
    let (workspace, account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let job = job(&scenario.account().unwrap());
    // The table before the job ever wrote to it.
    let mut before = table_items(&scenario).await;
    before.retain(|item| !is_new(item));
    restore_table(&scenario, &before).await;
    let (chunk, today) = ((Dataset::AD_DAY, IsoWeek::of(TODAY)), DateRange { since: TODAY, until: TODAY });
    let now = scenario.system.clock.now();
    scenario.system.table.plan_chunk(&workspace, &account, chunk, today, now).await.unwrap();
    let before = table_items(&scenario).await;
    let begun = scenario.system.clock.now();
    let (mut at, mut came_back, mut over) = (0, 0, false);
    while !over {
        at += 1;
        restore_table(&scenario, &before).await;
        let (mut work, calls) = start_job(&scenario, &job);
        over = poll_until_call(&mut work, &calls, at).await.is_some();
        crashing_auth_meta(&scenario, 0..=0)
            .0
            .process(Job::DeleteUserData { code: code.clone() })
            .await
            .unwrap();
        if !over {
            // Any result is accepted.
            let _outcome = work.await;
        }
        scenario.system.runner.settle().await.unwrap();
        came_back += usize::from(traces(&scenario, &all).await.len() > 1);
        run_second_pass(&scenario).await;
        let left = traces(&scenario, &all).await;
        assert!(left.is_empty(), "stopped before call {at}: {left:?}");
        let back = begun.duration_since(scenario.system.clock.now());
        scenario.system.clock.advance(back);
    }
    assert!(at > 10, "{at} calls");
    assert!(came_back > 0, "nothing ever came back: this test shows nothing");
    scenario.finish().await.unwrap();
}

fn kind(item: &Item, prefix: &str) -> bool {
    item["sk"].as_s().is_ok_and(|sk| sk.starts_with(prefix))
}

fn is_of_an_entity(item: &Item) -> bool {
    let is_of_an_object = item["pk"].as_s().is_ok_and(|pk| pk.starts_with("PLATFORM#"));
    kind(item, "ENTITY#") || kind(item, "INDEX#") || is_of_an_object
}

fn is_of_a_chunk(item: &Item) -> bool {
    kind(item, "CHUNK#") || item["pk"].as_s().is_ok_and(|pk| pk.contains("#FACTS#"))
}

#[tokio::test]
async fn a_sync_that_continues_after_the_deletion_of_its_user_leaves_no_data() {
    let job = |account: &str| Job::SyncAccount {
        workspace: tenant(WORKSPACE).unwrap(),
        ad_account: account.parse().unwrap(),
        cause: SyncCause::Resume,
    };
    assert_nothing_remains(|item| is_of_an_entity(item) || is_of_a_chunk(item), job).await;
}

#[tokio::test]
async fn a_chunk_that_is_measured_after_the_deletion_of_its_user_leaves_no_data() {
    let job = |account: &str| Job::SyncChunk {
        dataset: Dataset::AD_DAY,
        workspace: tenant(WORKSPACE).unwrap(),
        ad_account: account.parse().unwrap(),
        week: IsoWeek::of(TODAY),
    };
    // It finds the entities in its rows, because no sync has stored them.
    assert_nothing_remains(|item| is_of_an_entity(item) || is_of_a_chunk(item), job).await;
}

#[tokio::test]
async fn reach_that_is_counted_after_the_deletion_of_its_user_leaves_no_data() {
    let job = |account: &str| Job::MeasureReach {
        workspace: tenant(WORKSPACE).unwrap(),
        ad_account: account.parse().unwrap(),
        level: Level::Ad,
        periods: vec![DateRange { since: TODAY, until: TODAY }],
    };
    assert_nothing_remains(|item| kind(item, "REACH"), job).await;
}
