//! Queues and schedules behave as on AWS.

use ads::job::{Job, Queue, SyncCause};
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::{Story, options};
use local::Options;
use local::data::Data;
use local::system::tenant;
use runtime::queue::dead_letters;

async fn send_raw(story: &Story, queue: Queue, body: &str) {
    let cloud = &story.system.cloud;
    let url = &cloud.queues.address(queue.name()).unwrap().url;
    cloud.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

#[tokio::test]
async fn a_message_that_nobody_can_read_goes_aside_with_its_reason_and_the_next_one_is_done() {
    let story = Story::synced().await.unwrap();
    let calls = story.sim().unwrap().calls();
    for queue in Queue::ALL {
        send_raw(&story, queue, "{\"job\":\"dance\"}").await;
        send_raw(&story, queue, "not json").await;
    }
    story.sync().await.unwrap();
    assert!(story.sim().unwrap().calls() > calls, "the sync behind them was done");
    let cloud = &story.system.cloud;
    for queue in Queue::ALL {
        let url = &cloud.queues.address(&dead_letters(queue)).unwrap().url;
        let dead = cloud.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let dead = dead.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
        assert_eq!(dead.len(), 2, "{}", queue.name());
        for message in dead {
            let reason = message.message_attributes.unwrap()["reason"].string_value.clone().unwrap();
            assert!(reason.starts_with("not a job"), "{reason}");
        }
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_job_that_keeps_failing_is_given_up_and_the_next_beat_brings_it_back() {
    let story = Story::on(Options { visibility_seconds: 1, ..options(Data::Memory) }).await.unwrap();
    let sim = story.sim().unwrap();
    // An outage for five deliveries of four tries each, on the one call that every sync begins with.
    sim.fail_next(Fault {
        method: Some("GET".to_owned()),
        path_contains: "/campaigns".to_owned(),
        times: 20,
        skip: 0,
        kind: FaultKind::Html,
    });
    story.connect_and_sync().await.unwrap();
    let runner = &story.system.runner;
    let given_up = async {
        while runner.dead(Queue::SyncEntities).await.unwrap() == 0 {
            runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), given_up).await.unwrap();
    let progress = || async { story.owner(Method::GET, "sync", None).await.unwrap().json() };
    assert!(progress().await["structure_synced_at"].is_null());

    story.system.clock.advance(SignedDuration::from_mins(61));
    let back = async {
        while progress().await["chunks"]["done"] != 13 {
            runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), back).await.unwrap();
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_account_is_synced_every_hour_until_it_is_deselected() {
    let story = Story::synced().await.unwrap();
    let synced_at = || async {
        story.owner(Method::GET, "sync", None).await.unwrap().json()["structure_synced_at"].clone()
    };
    let beat = || async {
        story.system.clock.advance(SignedDuration::from_mins(61));
        while !story.system.cloud.timers.due().is_empty() {
            tokio::task::yield_now().await;
        }
        story.system.runner.settle().await.unwrap();
    };
    let first = synced_at().await;
    beat().await;
    let second = synced_at().await;
    assert_ne!(first, second);

    story.select(false).await.unwrap();
    beat().await;
    assert_eq!(synced_at().await, second);
    let calls = story.sim().unwrap().calls();
    beat().await;
    assert_eq!(story.sim().unwrap().calls(), calls, "nothing beats any more");
    story.end().await.unwrap();
}

#[tokio::test]
async fn jobs_of_accounts_that_are_gone_end_quietly() {
    let story = Story::synced().await.unwrap();
    let (workspace, ad_account) = (tenant("nobody").unwrap(), "act_404".parse().unwrap());
    let job = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Request };
    story.system.cloud.queues.send(&[job]).await.unwrap();
    story.system.runner.settle().await.unwrap();
    assert_eq!(story.system.runner.dead(Queue::SyncEntities).await.unwrap(), 0);
    story.end().await.unwrap();
}
