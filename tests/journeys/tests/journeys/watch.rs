//! The hourly check that selected accounts are still synced.

use domain::job::{Job, SyncCause};
use graph_sim::{FaultKind, FaultPlan, RequestMatcher, Trigger};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use local::tenant::tenant;
use serde_json::Value;
use store::due::{DUE_SHARDS, DueAccount};

async fn synced_at(scenario: &Scenario) -> Value {
    scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json()["entities_synced_at"].clone()
}

/// Returns the action of every event about the sync, oldest first.
async fn sync_events(scenario: &Scenario) -> Vec<String> {
    let mut entries = scenario.api().unwrap().all("audit").await.unwrap();
    entries.reverse();
    let actions = entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned());
    actions.filter(|action| action.starts_with("sync.")).collect()
}

/// Returns why the account is not up to date, as its list shows it.
async fn sync_problem(scenario: &Scenario) -> Value {
    let account = scenario.account().unwrap();
    let list = scenario.api().unwrap().call(Method::GET, "ad-accounts", None).await.unwrap();
    let accounts = list["data"].as_array().unwrap();
    accounts.iter().find(|entry| entry["id"] == account).unwrap()["sync_problem"].clone()
}

/// Returns the due index.
pub(super) async fn due(scenario: &Scenario) -> Vec<DueAccount> {
    let mut all = Vec::new();
    for shard in 0..DUE_SHARDS {
        all.extend(scenario.system.table.due_accounts(shard).await.unwrap());
    }
    all
}

/// Runs the hourly job.
async fn watch_accounts(scenario: &Scenario) {
    scenario.system.cloud.queues.send(&[Job::WatchAccounts { shard: None }]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
}

/// Advances the clock, and lets every due schedule fire.
pub(super) async fn advance(scenario: &Scenario, time: SignedDuration) {
    scenario.system.clock.advance(time);
    while !scenario.system.cloud.timers.due().is_empty() {
        tokio::task::yield_now().await;
    }
    scenario.system.runner.settle().await.unwrap();
}

#[tokio::test]
async fn an_account_whose_syncs_do_not_come_through_is_found_and_synced() {
    let scenario = Scenario::newly_synced().await.unwrap();
    let first = synced_at(&scenario).await;
    watch_accounts(&scenario).await;
    assert_eq!(synced_at(&scenario).await, first, "a fresh account is left alone");

    let (workspace, ad_account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let tomorrow = scenario.system.clock.now() + SignedDuration::from_hours(24);
    let table = &scenario.system.table;
    table.defer_sync(&workspace, &ad_account, SyncCause::Recurring, (tomorrow, "a mistake")).await.unwrap();
    advance(&scenario, SignedDuration::from_mins(61)).await;
    assert_eq!(synced_at(&scenario).await, first, "it is not due");

    advance(&scenario, SignedDuration::from_mins(150)).await;
    let second = synced_at(&scenario).await;
    assert_ne!(second, first, "it was found");
    assert_eq!(sync_events(&scenario).await, ["sync.stale", "sync.recovered"]);
    advance(&scenario, SignedDuration::from_mins(61)).await;
    assert_ne!(synced_at(&scenario).await, second, "it is due again");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_no_longer_selected_is_not_watched() {
    let scenario = Scenario::synced().await.unwrap();
    assert_eq!(due(&scenario).await.len(), 1);
    scenario.select(false).await.unwrap();
    assert!(due(&scenario).await.is_empty());

    scenario.select(true).await.unwrap();
    assert_eq!(due(&scenario).await.len(), 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_without_a_valid_connection_is_neither_stale_nor_synced() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    // Past the token's expiry, which Meta reports to jobs that still run.
    advance(&scenario, SignedDuration::from_hours(24 * 100)).await;
    let calls = sim.calls();
    watch_accounts(&scenario).await;
    assert_eq!(sim.calls(), calls);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_is_an_event_once_until_everything_is_measured_again() {
    let scenario = Scenario::synced().await.unwrap();
    assert_eq!(sync_problem(&scenario).await, Value::Null);
    let sim = scenario.sim().unwrap();
    let kind = FaultKind::Error { status: 400, code: 100, subcode: None, headers: Vec::new() };
    let request = RequestMatcher { path_contains: "insights".to_owned(), ..RequestMatcher::default() };
    sim.set_plan(FaultPlan::single(Trigger::default(), request, kind));
    for _ in 0..2 {
        scenario.sync().await.unwrap();
    }
    let problem = sync_problem(&scenario).await;
    let reason = problem["reason"].as_str().unwrap();
    assert!(reason.starts_with("week 2026-W") && reason.ends_with("every sync tries it again"), "{problem}");
    assert_eq!(sync_events(&scenario).await, ["sync.failed"], "several weeks failed, twice");

    sim.set_plan(FaultPlan::default());
    scenario.sync().await.unwrap();
    assert_eq!(sync_problem(&scenario).await, Value::Null);
    assert_eq!(sync_events(&scenario).await, ["sync.failed", "sync.recovered"]);
    scenario.finish().await.unwrap();
}
