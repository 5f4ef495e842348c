//! The due index: when accounts are synced, and what makes them wait.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::job::{Job, Queue};
use graph_sim::{FaultKind, FaultPlan, RequestMatcher, ThrottleKind, Trigger};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use journeys::Scenario;
use serde_json::{Value, json};
use sync_entities::SyncEntities;

use crate::crash::{crashing_connector, restore_table, table_items};
use crate::watch::{advance, due};

async fn status(scenario: &Scenario) -> Value {
    scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

#[tokio::test]
async fn an_account_is_synced_every_hour_at_its_own_minute() {
    let scenario = Scenario::smallest().await.unwrap();
    let selected_at = scenario.system.clock.now();
    let mut at = due(&scenario).await[0].sync_at;
    assert!(at > selected_at + minutes(29) && at <= selected_at + minutes(60), "{at}");
    for _ in 0..3 {
        let before = status(&scenario).await;
        assert_eq!(time(&before["next_sync_at"]), at);
        advance(&scenario, at.duration_since(scenario.system.clock.now()) - minutes(2)).await;
        assert_eq!(status(&scenario).await["entities_synced_at"], before["entities_synced_at"], "too early");
        advance(&scenario, minutes(3)).await;
        assert_ne!(status(&scenario).await["entities_synced_at"], before["entities_synced_at"]);
        at += minutes(60);
        assert_eq!(due(&scenario).await[0].sync_at, at);
    }
    // Nothing ran for a while: it is synced once, and keeps its minute.
    advance(&scenario, minutes(60 * 5 + 10)).await;
    assert_eq!(due(&scenario).await[0].sync_at, at + minutes(60 * 5));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_is_sent_twice_reads_the_account_once() {
    let scenario = Scenario::smallest().await.unwrap();
    advance(&scenario, minutes(61)).await;
    let (sim, entry) = (scenario.sim().unwrap(), due(&scenario).await.remove(0));
    let calls = sim.calls();
    scenario.system.cloud.queues.send(&[entry.job(store::due::DueJob::Sync)]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(sim.calls(), calls);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn numbers_that_meta_makes_wait_for_long_are_in_no_queue_and_say_until_when() {
    let scenario = Scenario::smallest().await.unwrap();
    let sim = scenario.sim().unwrap();
    let throttle = FaultKind::Throttle { limit: ThrottleKind::Insights, minutes: 90 };
    let request = RequestMatcher { path_contains: "insights".to_owned(), ..RequestMatcher::default() };
    let first = Trigger { times: Some(1), ..Trigger::default() };
    sim.set_plan(FaultPlan::single(first, request, throttle));
    let before = status(&scenario).await;
    assert_eq!((before["chunks"]["planned"].as_u64(), &before["waits_for"]), (Some(0), &Value::Null));

    scenario.sync().await.unwrap();
    let waiting = status(&scenario).await;
    assert!(waiting["chunks"]["planned"].as_u64().unwrap() > 0, "{waiting}");
    assert!(
        waiting["waits_for"].as_str().unwrap().contains("used up for now, until 2026-11-20T05:"),
        "{waiting}"
    );
    assert_eq!(scenario.system.runner.outstanding(Queue::SyncMetricsChunk).await.unwrap(), 0);

    let reads = || sim.requests().iter().filter(|call| call.edge == "insights").count();
    let before = reads();
    advance(&scenario, minutes(61)).await;
    assert_eq!(reads(), before, "numbers wait, and entities do not");
    assert_ne!(status(&scenario).await["entities_synced_at"], waiting["entities_synced_at"]);
    advance(&scenario, minutes(61)).await;
    let after = status(&scenario).await;
    assert_eq!(
        (after["chunks"]["planned"].as_u64(), &after["waits_for"]),
        (Some(0), &Value::Null),
        "{after}"
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_in_which_nothing_runs_is_synced_seldom_until_something_does() {
    let scenario = Scenario::smallest().await.unwrap();
    let sim = scenario.sim().unwrap();
    let campaigns = scenario.api().unwrap();
    let account = scenario.account().unwrap();
    let campaigns = campaigns.all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    let ids: Vec<_> = campaigns.iter().map(|campaign| campaign["id"].as_str().unwrap().to_owned()).collect();
    for id in &ids {
        sim.update_node(id, json!({"status": "PAUSED", "effective_status": "PAUSED"}));
    }
    // Until the last days have no delivery.
    sim.edit_answers(|path, _, body| {
        if path.contains("insights") {
            let mut answer: Value = serde_json::from_str(body).unwrap();
            let later = |row: &Value| row["date_start"].as_str().is_some_and(|day| day > "2026-11-20");
            answer["data"].as_array_mut().unwrap().retain(|row| !later(row));
            *body = answer.to_string();
        }
    });
    for _ in 0..5 {
        advance(&scenario, minutes(24 * 60)).await;
    }
    assert_eq!(due(&scenario).await[0].sync_minutes, 360, "{}", status(&scenario).await);
    let calls = sim.calls();
    advance(&scenario, minutes(300)).await;
    assert_eq!(sim.calls(), calls);

    let resumed = json!({"status": "ACTIVE"});
    let path = format!("campaigns/{}", ids[0]);
    let answer = scenario.call_as_owner(Method::PATCH, &path, Some(resumed)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    let synced_at = status(&scenario).await["entities_synced_at"].clone();
    advance(&scenario, minutes(2)).await;
    assert_ne!(status(&scenario).await["entities_synced_at"], synced_at, "with the next tick");
    let entry = due(&scenario).await.remove(0);
    assert_eq!(entry.sync_minutes, 60);
    // A sync that listed the campaigns before that, and ends after it.
    let (table, earlier) = (&scenario.system.table, entry.woken_by.unwrap() - 1);
    let (workspace, account, now) = (&entry.workspace, &entry.ad_account, scenario.system.clock.now());
    table.set_sync_interval(workspace, account, (360, earlier), now).await.unwrap();
    assert_eq!(due(&scenario).await[0].sync_minutes, 60);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_tick_that_dies_anywhere_loses_nothing() {
    let scenario = Scenario::smallest().await.unwrap();
    let now = scenario.system.clock.now();
    let past = AttributeValue::N((now - minutes(2)).as_millisecond().to_string());
    let mut before = table_items(&scenario).await;
    for item in &mut before {
        if item["pk"].as_s().unwrap().starts_with("DUE#") {
            item.extend(["sync_at", "rules_at"].map(|name| (name.to_owned(), past.clone())));
        }
        if item.contains_key("entities_synced_at") {
            let long_ago = AttributeValue::S((now - minutes(60)).to_string());
            item.insert("entities_synced_at".to_owned(), long_ago);
        }
    }
    let function = |crash_at| {
        let (connector, calls) = crashing_connector(&scenario, crash_at);
        (SyncEntities::new(connector, scenario.system.host.clone()), calls)
    };
    let (mut at, mut steps) = (0, 1);
    while at < steps {
        restore_table(&scenario, &before).await;
        let synced_at = status(&scenario).await["entities_synced_at"].clone();
        let (dying, calls) = function(at..=at);
        assert_eq!(dying.process(Job::TakeDue).await.is_err(), at > 0, "call {at}");
        if at == 0 {
            steps = calls.load(Ordering::SeqCst);
        }
        function(0..=0).0.process(Job::TakeDue).await.unwrap();
        scenario.system.runner.settle().await.unwrap();
        let entry = due(&scenario).await.remove(0);
        assert!(entry.sync_at > now && entry.rules_at > now, "call {at}: {entry:?}");
        assert_ne!(status(&scenario).await["entities_synced_at"], synced_at, "call {at}");
        at += 1;
    }
    assert!(steps >= 6, "{steps} calls");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_tick_for_an_account_that_is_not_selected_any_more_ends_it() {
    let scenario = Scenario::synced().await.unwrap();
    let entry = due(&scenario).await.remove(0);
    scenario.select(false).await.unwrap();
    // An entry that should not be there.
    let (workspace, account, now) = (&entry.workspace, &entry.ad_account, scenario.system.clock.now());
    scenario.system.table.set_sync_interval(workspace, account, (60, 1), now).await.unwrap();
    assert_eq!(due(&scenario).await.len(), 1);
    advance(&scenario, minutes(62)).await;
    assert_eq!(due(&scenario).await, []);
    scenario.system.cloud.queues.send(&[Job::TakeDue]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    scenario.finish().await.unwrap();
}
