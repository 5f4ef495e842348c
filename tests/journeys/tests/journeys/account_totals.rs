//! The sum of each day's rows is held against what Meta reports for the whole account.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::job::Job;
use http::Method;
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};
use journeys::{Scenario, TODAY};
use serde_json::{Value, json};
use sync_metrics_chunk::SyncMetricsChunk;

use crate::crash::{crashing_connector, restore_table, table_items};
use crate::rules;
use crate::watch::{advance, due};

fn yesterday() -> Date {
    TODAY.saturating_sub(1.day())
}

/// Leaves the first row of a day out of the next answers with rows of ads. Returns how many of them had the day.
fn lose_a_row(scenario: &Scenario, day: Date, answers: usize) -> Arc<AtomicUsize> {
    let found = Arc::<AtomicUsize>::default();
    let count = found.clone();
    scenario.sim().unwrap().edit_answers(move |path, _, body| {
        if !path.contains("insights") || !path.contains("level=ad&") {
            return;
        }
        let mut answer: Value = serde_json::from_str(body).unwrap();
        let Some(rows) = answer["data"].as_array_mut() else { return };
        let day = day.to_string();
        let Some(first) = rows.iter().position(|row| row["date_start"] == *day) else { return };
        if count.fetch_add(1, Ordering::Relaxed) < answers {
            rows.remove(first);
            *body = answer.to_string();
        }
    });
    found
}

async fn totals(scenario: &Scenario) -> Value {
    scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json()["totals"].clone()
}

/// What the account's insights say of yesterday: its spend, and how complete it is.
async fn spend(scenario: &Scenario) -> (Value, Value) {
    let day = yesterday();
    let path = format!("insights?level=account&since={day}&until={day}");
    let insights = scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json();
    (insights["data"][0]["measures"]["spend"].clone(), insights["incomplete_days"].clone())
}

#[tokio::test]
async fn a_day_that_lacks_a_row_is_found_and_measured_again() {
    let scenario = Scenario::smallest().await.unwrap();
    let before = totals(&scenario).await;
    assert!(before["checked_days"].as_u64().unwrap() > 85 && before["unchecked_days"] == 0, "{before}");
    assert_eq!(before["differing_days"], Value::Null);
    let (whole, _) = spend(&scenario).await;

    let answers = lose_a_row(&scenario, yesterday(), 1);
    advance(&scenario, SignedDuration::from_hours(7)).await;
    // The watch may have found the account stale, and have had it synced besides.
    let answers = answers.load(Ordering::Relaxed);
    assert!((2..=3).contains(&answers), "it was measured, and once more: {answers}");
    let after = totals(&scenario).await;
    assert_eq!((&after["differing_days"], spend(&scenario).await.0), (&Value::Null, whole));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_check_that_dies_anywhere_is_made_again() {
    let scenario = Scenario::smallest().await.unwrap();
    let answers = lose_a_row(&scenario, yesterday(), usize::MAX);
    scenario.sync().await.unwrap();
    // Measured with the row missing, and not checked since.
    let mut before = table_items(&scenario).await;
    before.iter_mut().for_each(|item| drop(item.remove("checks")));
    let entry = due(&scenario).await.remove(0);
    let job = Job::CheckTotals { workspace: entry.workspace, ad_account: entry.ad_account };
    let function = |crash_at| {
        let (connector, calls) = crashing_connector(&scenario, crash_at);
        (SyncMetricsChunk::new(connector, scenario.system.host.clone()), calls)
    };
    let (mut at, mut steps) = (0, 1);
    while at < steps {
        restore_table(&scenario, &before).await;
        assert_eq!(totals(&scenario).await["checked_days"], 0);
        let measured = answers.load(Ordering::Relaxed);
        let (dying, calls) = function(at..=at);
        // Some calls may fail: they only save others.
        let _failed = dying.process(job.clone()).await;
        if at == 0 {
            steps = calls.load(Ordering::SeqCst);
        }
        scenario.system.cloud.queues.send(std::slice::from_ref(&job)).await.unwrap();
        scenario.system.runner.settle().await.unwrap();
        let found = totals(&scenario).await;
        assert!(found["checked_days"].as_u64() > Some(80), "call {at}: {found}");
        let [day] = found["differing_days"].as_array().unwrap().as_slice() else {
            panic!("call {at}: {found}")
        };
        assert_eq!(day["day"], yesterday().to_string());
        let again = answers.load(Ordering::Relaxed) - measured;
        assert!((1..=4).contains(&again), "call {at}: measured {again} times more");
        at += 1;
    }
    assert!(steps > 8, "{steps} calls");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_day_that_keeps_differing_is_shown_with_both_numbers_until_it_agrees() {
    let scenario = Scenario::smallest().await.unwrap();
    let (whole, _) = spend(&scenario).await;
    let hours = async |count| {
        for _ in 0..count {
            advance(&scenario, SignedDuration::from_hours(1)).await;
        }
    };
    // Hour by hour, because the watch has a stale account synced besides. The check is due with the last of these syncs.
    hours(5).await;
    let answers = lose_a_row(&scenario, yesterday(), usize::MAX);
    hours(2).await;
    let answers = answers.load(Ordering::Relaxed);
    assert!((3..=4).contains(&answers), "it was measured twice more, and then no more: {answers}");
    let found = totals(&scenario).await;
    let [day] = found["differing_days"].as_array().unwrap().as_slice() else { panic!("{found}") };
    let (fewer, incomplete) = spend(&scenario).await;
    assert_eq!(day["day"], yesterday().to_string());
    assert_eq!((&day["account"]["spend"], &day["rows"]["spend"]), (&whole, &fewer));
    assert_ne!(whole, fewer);
    let day = yesterday().to_string();
    assert_eq!(incomplete, json!([{"since": day, "until": day, "state": "differs"}]));

    let rule = rules::add(&scenario, &rules::pause_spenders()).await;
    advance(&scenario, SignedDuration::from_mins(31)).await;
    let made = rules::decisions(&scenario, &rule).await;
    assert!(!made.is_empty());
    for decision in made {
        assert_eq!(decision["outcome"], "insufficient_data", "{decision}");
        assert!(decision["reason"].as_str().unwrap().contains("not the account's own total"), "{decision}");
    }

    // The next syncs measure the day again: it stays as it is known until a check agrees.
    advance(&scenario, SignedDuration::from_mins(61)).await;
    assert_eq!(spend(&scenario).await.1, incomplete);
    assert_eq!(totals(&scenario).await["differing_days"][0]["day"], day);

    scenario.sim().unwrap().edit_answers(|_, _, _| {});
    advance(&scenario, SignedDuration::from_hours(7)).await;
    assert_eq!(totals(&scenario).await["differing_days"], Value::Null);
    assert_eq!(spend(&scenario).await, (whole, json!([])));
    scenario.finish().await.unwrap();
}
