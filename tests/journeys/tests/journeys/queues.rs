//! Queues and schedules behave as on AWS.

use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::job::{Job, Queue, SyncCause};
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use journeys::{Scenario, TODAY, options};
use local::Options;
use local::data::Data;
use local::demo::{ApiClient, WORKSPACE};
use local::tenant::tenant;
use runtime::queue::dead_letter_queue_name;
use runtime::session::Role;
use serde_json::json;

use crate::watch::advance;

async fn send_raw(scenario: &Scenario, queue: Queue, body: &str) {
    let cloud = &scenario.system.cloud;
    let url = &cloud.queues.address(queue.name()).unwrap().url;
    cloud.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

#[tokio::test]
async fn an_unreadable_message_is_dead_lettered_with_its_reason_and_the_next_one_is_processed() {
    let scenario = Scenario::synced().await.unwrap();
    let calls = scenario.sim().unwrap().calls();
    for queue in Queue::ALL {
        send_raw(&scenario, queue, "{\"job\":\"dance\"}").await;
        send_raw(&scenario, queue, "not json").await;
    }
    scenario.sync().await.unwrap();
    assert!(scenario.sim().unwrap().calls() > calls, "the sync behind them was done");
    let cloud = &scenario.system.cloud;
    for queue in Queue::ALL {
        let url = &cloud.queues.address(&dead_letter_queue_name(queue)).unwrap().url;
        let dead = cloud.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let dead = dead.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
        assert_eq!(dead.len(), 2, "{}", queue.name());
        for message in dead {
            let reason = message.message_attributes.unwrap()["reason"].string_value.clone().unwrap();
            assert!(reason.starts_with("not a job"), "{reason}");
        }
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_job_that_keeps_failing_is_dead_lettered_and_the_next_scheduled_run_repeats_it() {
    let scenario =
        Scenario::with_options(Options { visibility_seconds: 1, ..options(Data::Memory) }).await.unwrap();
    let sim = scenario.sim().unwrap();
    // An outage for five deliveries of four attempts each, on the first call of every sync.
    sim.fail_next(Fault {
        method: Some("GET".to_owned()),
        path_contains: "/campaigns".to_owned(),
        times: 20,
        skip: 0,
        kind: FaultKind::Html,
    });
    scenario.connect_and_sync().await.unwrap();
    let runner = &scenario.system.runner;
    let given_up = async {
        while runner.dead_letter_count(Queue::SyncEntities).await.unwrap() == 0 {
            runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), given_up).await.unwrap();
    let progress = || async { scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json() };
    assert!(progress().await["entities_synced_at"].is_null());

    scenario.system.clock.advance(SignedDuration::from_mins(61));
    let back = async {
        while progress().await["chunks"]["done"] != 13 {
            runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), back).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_is_synced_every_hour_until_it_is_deselected() {
    let scenario = Scenario::synced().await.unwrap();
    let synced_at = || async {
        scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json()["entities_synced_at"].clone()
    };
    let run_schedule = || advance(&scenario, SignedDuration::from_mins(61));
    let first = synced_at().await;
    run_schedule().await;
    let second = synced_at().await;
    assert_ne!(first, second);

    scenario.select(false).await.unwrap();
    run_schedule().await;
    assert_eq!(synced_at().await, second);
    let calls = scenario.sim().unwrap().calls();
    run_schedule().await;
    assert_eq!(scenario.sim().unwrap().calls(), calls, "nothing is scheduled any more");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn jobs_of_deleted_accounts_end_without_an_error() {
    let scenario = Scenario::synced().await.unwrap();
    let (workspace, ad_account) = (tenant("nobody").unwrap(), "act_404".parse().unwrap());
    let job = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Request };
    scenario.system.cloud.queues.send(&[job]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(scenario.system.runner.dead_letter_count(Queue::SyncEntities).await.unwrap(), 0);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_workspace_that_asks_for_two_years_does_not_delay_one_that_asks_for_a_week() {
    let scenario = Scenario::smallest().await.unwrap();
    let account = scenario.account().unwrap();
    scenario.system.create_workspace("small", "Small").await.unwrap();
    let small = ApiClient::new(&scenario.system, "small", Role::Owner).unwrap();
    small.connect().await.unwrap();
    let path = format!("ad-accounts/{account}/selection");
    small.call(Method::PUT, &path, Some(&json!({"selected": true}))).await.unwrap();
    scenario.system.runner.settle().await.unwrap();

    let path = format!("ad-accounts/{account}/sync");
    let (two_years, week) = (DateRange::ending(TODAY, 104 * 7), DateRange::ending(TODAY, 5));
    let ask = async |api: &ApiClient, days: DateRange| {
        let body = json!({"since": days.since, "until": days.until});
        api.call(Method::POST, &path, Some(&body)).await.unwrap();
    };
    ask(&scenario.api().unwrap(), two_years).await;
    ask(&small, week).await;
    scenario.system.runner.settle().await.unwrap();

    let completed = async |workspace: &str, days: DateRange| -> Vec<Timestamp> {
        let (workspace, ad_account) = (tenant(workspace).unwrap(), account.parse().unwrap());
        let chunks = scenario.system.table.chunks_of(&workspace, &ad_account, Dataset::AD_DAY, days).await;
        chunks.unwrap().into_iter().filter_map(|chunk| chunk.completed_at).collect()
    };
    let (large, small) = (completed(WORKSPACE, two_years).await, completed("small", week).await[0]);
    assert!(large.len() >= 104, "{}", large.len());
    let before = large.iter().filter(|at| **at < small).count();
    assert!(before < 52, "{before} of {} weeks were measured before the one", large.len());
    scenario.finish().await.unwrap();
}
