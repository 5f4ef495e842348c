//! Somebody looks whether the syncs still happen.

use ads::job::{Job, SyncCause};
use jiff::SignedDuration;
use journeys::Story;
use local::main_job::WORKSPACE;
use local::system::tenant;
use serde_json::Value;

async fn synced_at(story: &Story) -> Value {
    story.owner(http::Method::GET, "sync", None).await.unwrap().json()["structure_synced_at"].clone()
}

/// What the system's own schedule asks for once an hour.
async fn look(story: &Story) {
    story.system.cloud.queues.send(&[Job::WatchAccounts]).await.unwrap();
    story.system.runner.settle().await.unwrap();
}

/// Lets time pass, and every schedule fire that comes due.
async fn pass(story: &Story, time: SignedDuration) {
    story.system.clock.advance(time);
    while !story.system.cloud.timers.due().is_empty() {
        tokio::task::yield_now().await;
    }
    story.system.runner.settle().await.unwrap();
}

#[tokio::test]
async fn an_account_that_lost_its_rhythm_is_found_and_gets_it_back() {
    let story = Story::synced().await.unwrap();
    let first = synced_at(&story).await;
    look(&story).await;
    assert_eq!(synced_at(&story).await, first, "a fresh account is left alone");

    let (workspace, ad_account) = (tenant(WORKSPACE).unwrap(), story.account().unwrap().parse().unwrap());
    let beat = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Schedule };
    story.system.cloud.schedules.stop_beat(&beat).await.unwrap();
    pass(&story, SignedDuration::from_mins(61)).await;
    assert_eq!(synced_at(&story).await, first, "nothing beats for it");

    pass(&story, SignedDuration::from_mins(150)).await;
    let second = synced_at(&story).await;
    assert_ne!(second, first, "it was found");
    pass(&story, SignedDuration::from_mins(61)).await;
    assert_ne!(synced_at(&story).await, second, "it beats again");
    story.end().await.unwrap();
}

#[tokio::test]
async fn who_is_not_selected_any_more_is_not_looked_at() {
    let story = Story::synced().await.unwrap();
    let table = &story.system.table;
    assert_eq!(table.selected_accounts().await.unwrap().len(), 1);
    story.select(false).await.unwrap();
    look(&story).await;
    assert!(table.selected_accounts().await.unwrap().is_empty());

    story.select(true).await.unwrap();
    let holders = table.selected_accounts().await.unwrap();
    // A look that began before the selection ends after it.
    table.unlist_account(&holders[0]).await.unwrap();
    assert_eq!(table.selected_accounts().await.unwrap(), holders);
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_account_without_a_living_connection_is_not_called_stale_and_not_woken() {
    let story = Story::synced().await.unwrap();
    let sim = story.sim().unwrap();
    // Beyond the life of the token, which Meta says once more to whoever still beats.
    pass(&story, SignedDuration::from_hours(24 * 100)).await;
    let calls = sim.calls();
    look(&story).await;
    assert_eq!(sim.calls(), calls);
    story.end().await.unwrap();
}
