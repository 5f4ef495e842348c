//! A person is forgotten while work is under way that had begun before.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use access::Access;
use ads::Failure;
use ads::date::IsoWeek;
use ads::job::{Job, SyncCause};
use graph_sim::AccountArgs;
use journeys::{Story, TODAY};
use local::Options;
use local::account::Account;
use local::cloud::TABLE;
use local::main_job::WORKSPACE;
use local::system::tenant;
use store::Table;
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;

use crate::leaving::{all_traces, look_again, traces, wish};
use crate::mortal::{Breaks, Item, items, mortal, restore};

type Work = Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

/// A process of the story: its work, and how often it has asked the table by now.
fn at_work(story: &Story, job: &Job) -> (Work, Arc<AtomicI64>) {
    let calls = Arc::new(AtomicI64::new(0));
    let counts = Breaks { calls: calls.clone(), lost: 0..=0 };
    let config = story.system.cloud.dynamodb.config().to_builder().interceptor(counts).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE);
    let access = Access::new(table, story.system.graph.clone(), story.system.cloud.keyring.clone());
    let (host, job) = (story.system.host.clone(), job.clone());
    let work: Work = match job {
        Job::SyncChunk { .. } => {
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

/// Polls work until it is about to make its n-th call to the table, or has ended.
async fn until(work: &mut Work, calls: &AtomicI64, call: i64) -> Option<Result<(), Failure>> {
    poll_fn(|context| {
        if calls.load(Ordering::SeqCst) >= call {
            return Poll::Ready(None);
        }
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // Asked for at this very moment: the call is under way, and nobody has heard it yet.
            Poll::Pending if calls.load(Ordering::SeqCst) >= call => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Stops a job before each of its calls to the table, has the person forgotten, and lets it go on.
async fn nothing_comes_back(is_new: fn(&Item) -> bool, job: fn(&str) -> Job) {
    let args = AccountArgs {
        campaigns: 2,
        adsets: 2,
        ads: 2,
        days: 8,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    let story =
        Story::on(Options { account: Account::Simulated(args), ..Options::in_memory() }).await.unwrap();
    story.connect_and_sync().await.unwrap();
    let all = all_traces(&story).await;
    let erasure = wish(&story).await;
    let (workspace, account) = (tenant(WORKSPACE).unwrap(), story.account().unwrap().parse().unwrap());
    let job = job(&story.account().unwrap());
    story.system.table.plan_chunk(&workspace, &account, IsoWeek::of(TODAY)).await.unwrap();
    // As it was before the job had ever written something.
    let mut before = items(&story).await;
    before.retain(|item| !is_new(item));
    let begun = story.system.clock.now();
    let (mut at, mut came_back, mut over) = (0, 0, false);
    while !over {
        at += 1;
        restore(&story, &before).await;
        let (mut work, calls) = at_work(&story, &job);
        over = until(&mut work, &calls, at).await.is_some();
        mortal(&story, 0..=0).0.process(Job::ErasePerson { erasure: erasure.clone() }).await.unwrap();
        if !over {
            // However that ends.
            let _gone_on = work.await;
        }
        story.system.runner.settle().await.unwrap();
        came_back += usize::from(traces(&story, &all).await.len() > 1);
        look_again(&story).await;
        let left = traces(&story, &all).await;
        assert!(left.is_empty(), "stopped before call {at}: {left:?}");
        let back = begun.duration_since(story.system.clock.now());
        story.system.clock.advance(back);
    }
    assert!(at > 10, "{at} calls");
    assert!(came_back > 0, "nothing ever came back: this story shows nothing");
    story.end().await.unwrap();
}

fn kind(item: &Item, begins: &str) -> bool {
    item["sk"].as_s().is_ok_and(|sk| sk.starts_with(begins))
}

#[tokio::test]
async fn a_sync_that_goes_on_after_its_person_was_forgotten_leaves_nothing_behind() {
    let job = |account: &str| Job::SyncAccount {
        workspace: tenant(WORKSPACE).unwrap(),
        ad_account: account.parse().unwrap(),
        cause: SyncCause::Schedule,
    };
    let is_new = |item: &Item| {
        let is_of_an_object = item["pk"].as_s().is_ok_and(|pk| pk.starts_with("META#"));
        kind(item, "OBJECT#") || kind(item, "CHUNK#") || is_of_an_object
    };
    nothing_comes_back(is_new, job).await;
}

#[tokio::test]
async fn a_week_that_is_measured_on_after_its_person_was_forgotten_leaves_nothing_behind() {
    let job = |account: &str| Job::SyncChunk {
        workspace: tenant(WORKSPACE).unwrap(),
        ad_account: account.parse().unwrap(),
        week: IsoWeek::of(TODAY),
    };
    let is_new = |item: &Item| item["pk"].as_s().is_ok_and(|pk| pk.contains("#FACT#"));
    nothing_comes_back(is_new, job).await;
}
