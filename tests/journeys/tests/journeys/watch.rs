//! The hourly check that selected accounts are still synced.

use domain::job::{Job, SyncCause};
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use local::system::tenant;
use serde_json::Value;

async fn synced_at(scenario: &Scenario) -> Value {
    scenario.call_as_owner(http::Method::GET, "sync", None).await.unwrap().json()["entities_synced_at"]
        .clone()
}

/// Runs the hourly job.
async fn watch_accounts(scenario: &Scenario) {
    scenario.system.cloud.queues.send(&[Job::WatchAccounts]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
}

/// Advances the clock, and lets every due schedule fire.
async fn advance(scenario: &Scenario, time: SignedDuration) {
    scenario.system.clock.advance(time);
    while !scenario.system.cloud.timers.due().is_empty() {
        tokio::task::yield_now().await;
    }
    scenario.system.runner.settle().await.unwrap();
}

#[tokio::test]
async fn an_account_that_lost_its_schedule_is_found_and_gets_it_back() {
    let scenario = Scenario::newly_synced().await.unwrap();
    let first = synced_at(&scenario).await;
    watch_accounts(&scenario).await;
    assert_eq!(synced_at(&scenario).await, first, "a fresh account is left alone");

    let (workspace, ad_account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let job = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Recurring };
    scenario.system.cloud.schedules.stop_recurring(&job).await.unwrap();
    advance(&scenario, SignedDuration::from_mins(61)).await;
    assert_eq!(synced_at(&scenario).await, first, "nothing is scheduled for it");

    advance(&scenario, SignedDuration::from_mins(150)).await;
    let second = synced_at(&scenario).await;
    assert_ne!(second, first, "it was found");
    advance(&scenario, SignedDuration::from_mins(61)).await;
    assert_ne!(synced_at(&scenario).await, second, "it is scheduled again");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_no_longer_selected_is_not_watched() {
    let scenario = Scenario::synced().await.unwrap();
    let table = &scenario.system.table;
    assert_eq!(table.selected_accounts().await.unwrap().len(), 1);
    scenario.select(false).await.unwrap();
    watch_accounts(&scenario).await;
    assert!(table.selected_accounts().await.unwrap().is_empty());

    scenario.select(true).await.unwrap();
    let selected = table.selected_accounts().await.unwrap();
    // A check that began before the selection ends after it.
    table.remove_selected_listing(&selected[0]).await.unwrap();
    assert_eq!(table.selected_accounts().await.unwrap(), selected);
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
