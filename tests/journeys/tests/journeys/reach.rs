//! Reach cannot be summed: each period is counted by Meta when somebody asks for it, and kept.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::date::DateRange;
use domain::entity::Level;
use domain::job::{Job, SyncCause};
use http::Method;
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use journeys::{Response, Scenario, TODAY};
use local::demo::WORKSPACE;
use local::tenant::tenant;
use serde_json::{Value, json};
use store::reach::ReachPeriod;

use crate::crash::{restore_table, table_items};
use crate::queries::ask;
use crate::watch::advance;

async fn count(scenario: &Scenario, body: Value) -> Response {
    let response = scenario.call_as_owner(Method::POST, "reach", Some(body)).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    response
}

async fn query(scenario: &Scenario, more: Value) -> Value {
    let mut document = json!({
        "level": "campaign", "measures": ["reach", "frequency", "impressions"],
        "range": {"since": "2026-11-02", "until": "2026-11-15"},
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = ask(scenario, &document).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Keeps the rows with which Meta answers from now on.
fn keep_answers(scenario: &Scenario) -> Arc<Mutex<Vec<Value>>> {
    let rows = Arc::<Mutex<Vec<Value>>>::default();
    let kept = rows.clone();
    scenario.sim().unwrap().edit_answers(move |path, _, body| {
        if path.contains("time_ranges") {
            let answer: Value = serde_json::from_str(body).unwrap();
            kept.lock().unwrap().extend(answer["data"].as_array().unwrap().clone());
        }
    });
    rows
}

#[tokio::test]
async fn reach_is_counted_by_meta_for_the_period_that_is_asked_for() {
    let scenario = Scenario::synced().await.unwrap();
    let before = query(&scenario, json!({})).await;
    assert!(before["data"].as_array().unwrap().iter().all(|row| row["measures"].get("reach").is_none()));
    assert_eq!(before["ad_accounts"][0]["reach"]["missing"][0]["state"], "not_requested");

    let of_meta = keep_answers(&scenario);
    let body = json!({"level": "campaign", "since": "2026-11-02", "until": "2026-11-15"});
    let accepted = count(&scenario, body.clone()).await;
    assert_eq!(
        (accepted.status.as_u16(), &accepted.json()["periods"]),
        (202, &json!(1)),
        "{}",
        accepted.text
    );
    let counted = query(&scenario, json!({"order": [{"by": "reach", "direction": "desc"}]})).await;
    let scope = &counted["ad_accounts"][0]["reach"];
    assert_eq!((scope["as_of"].is_string(), &scope["missing"]), (true, &json!([])));
    let rows = of_meta.lock().unwrap().clone();
    assert!(rows.len() > 5, "{rows:?}");
    let found = |id: &Value| counted["data"].as_array().unwrap().iter().find(|row| row["id"] == *id).unwrap();
    for row in &rows {
        let measures = &found(&row["campaign_id"])["measures"];
        assert_eq!(measures["reach"].to_string(), row["reach"].as_str().unwrap());
        let decimal = |value: &Value| value.as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        assert_eq!(decimal(&measures["frequency"]), decimal(&row["frequency"]));
    }
    let people =
        counted["data"].as_array().unwrap().iter().map(|row| row["measures"]["reach"].as_u64().unwrap());
    let people: Vec<_> = people.collect();
    assert!(
        people.is_sorted_by(|a, b| a >= b) && people.last() == Some(&0),
        "no delivery reaches nobody: {people:?}"
    );
    assert!(counted["totals"]["measures"].get("reach").is_none(), "people are never summed");

    // A list has it too; another range has not.
    let list = "campaigns?since=2026-11-02&until=2026-11-15&sort=reach&fields=reach&limit=1";
    let list = scenario.call_as_owner(Method::GET, list, None).await.unwrap().json();
    assert_eq!(list["data"][0]["measures"]["reach"], json!(people[0]));
    let other = query(&scenario, json!({"range": {"since": "2026-11-03", "until": "2026-11-15"}})).await;
    assert!(other["data"][0]["measures"].get("reach").is_none());

    // The whole account by week, and against the weeks before.
    for since in ["2026-11-02", "2026-10-19"] {
        let until = if since == "2026-11-02" { "2026-11-15" } else { "2026-11-01" };
        let body = json!({"level": "account", "since": since, "until": until, "by": "week"});
        assert_eq!(count(&scenario, body).await.json()["periods"], 2);
    }
    let by_week = json!({"level": "account", "dimensions": ["week"], "compare": "previous_period"});
    let by_week = query(&scenario, by_week).await;
    for row in by_week["data"].as_array().unwrap() {
        assert!(
            row["measures"]["reach"].as_u64() > Some(0) && row["previous"]["reach"].as_u64() > Some(0),
            "{row}"
        );
        assert!(row["change"]["reach"]["absolute"].is_string(), "{row}");
    }

    // What cannot be counted says so: the people of some campaigns together are not known.
    let some = json!({"level": "account", "filters": [{"field": "name", "op": "contains", "value": "a"}]});
    let some = query(&scenario, some).await;
    assert_eq!(some["ad_accounts"][0]["reach"]["missing"][0]["state"], "not_countable");

    // Neither are those of its Mondays, although the weeks around them were counted.
    let mondays = json!({"filters": [{"field": "weekday", "op": "in", "value": ["monday"]}]});
    let mondays = query(&scenario, mondays).await;
    assert_eq!(mondays["ad_accounts"][0]["reach"]["missing"][0]["state"], "not_countable");
    assert!(mondays["data"][0]["measures"].get("reach").is_none(), "{mondays}");

    for (body, field) in [
        (json!({"level": "campaign", "since": "2026-11-02", "until": "2026-12-31"}), "until"),
        (json!({"level": "campaign", "since": "2026-01-02", "by": "day"}), "by"),
        (json!({"level": "people", "since": "2026-11-02"}), "level"),
    ] {
        let refused = count(&scenario, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["errors"][0]["field"].as_str()),
            (400, Some(field))
        );
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_count_that_meta_refuses_says_why_and_keeps_what_was_counted() {
    let scenario = Scenario::synced().await.unwrap();
    let body = json!({"level": "campaign", "since": "2026-11-02", "until": "2026-11-15"});
    count(&scenario, body.clone()).await;
    let before = query(&scenario, json!({})).await;
    scenario.sim().unwrap().edit_answers(|path, status, body| {
        if path.contains("time_ranges") {
            *status = 400;
            *body =
                json!({"error": {"message": "(#100) no", "type": "OAuthException", "code": 100}}).to_string();
        }
    });
    count(&scenario, body).await;
    let again = query(&scenario, json!({})).await;
    assert_eq!(again["data"], before["data"]);
    let scope = |answer: &Value| answer["ad_accounts"][0]["reach"].clone();
    let (now, then) = (scope(&again), scope(&before));
    assert_eq!((&now["as_of"], &now["missing"][0]["state"]), (&then["as_of"], &json!("failed")), "{now}");
    count(&scenario, json!({"level": "adset", "since": "2026-11-02", "until": "2026-11-15"})).await;
    let refused = query(&scenario, json!({"level": "adset"})).await;
    let missing = &refused["ad_accounts"][0]["reach"]["missing"][0];
    assert_eq!(missing["state"], "failed");
    assert!(missing["reason"].as_str().unwrap().contains("no"), "{missing}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_last_days_are_counted_each_day_without_being_asked_for() {
    let scenario = Scenario::synced().await.unwrap();
    let (workspace, account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let calls = Arc::<Mutex<BTreeSet<String>>>::default();
    let made = calls.clone();
    scenario.sim().unwrap().edit_answers(move |path, _, _| {
        if let Some((query, _)) = path.split_once("&appsecret_proof").filter(|_| path.contains("time_ranges"))
        {
            made.lock().unwrap().insert(query.to_owned());
        }
    });
    let known = async || scenario.system.table.reach_periods(&workspace, &account).await.unwrap();
    assert_eq!(known().await.len(), 0, "the first sync has other work");
    let month = |until: &str| json!({"range": {"since": "2026-10-21", "until": until}});

    // It is 10 in the morning of 20 November there: yesterday is over for long.
    advance(&scenario, SignedDuration::from_mins(61)).await;
    let answer = query(&scenario, month("2026-11-19")).await;
    assert_eq!(answer["ad_accounts"][0]["reach"]["missing"], json!([]));
    assert!(answer["data"][0]["measures"]["reach"].as_u64() > Some(0), "{answer}");
    let of_adsets = json!({"level": "adset", "range": {"since": "2026-10-23", "until": "2026-11-19"}});
    assert_eq!(query(&scenario, of_adsets).await["ad_accounts"][0]["reach"]["missing"], json!([]));
    // One call for each level, once a day.
    let later = async |hours| {
        for _ in 0..hours {
            advance(&scenario, SignedDuration::from_hours(1)).await;
        }
        calls.lock().unwrap().len()
    };
    assert_eq!(later(0).await, 3);
    // Half a day is counted for somebody, and the whole day once it has settled.
    let today = DateRange { since: TODAY, until: TODAY };
    count(&scenario, json!({"level": "campaign", "since": TODAY, "until": TODAY})).await;
    assert_eq!((later(12).await, later(12).await), (4, 7));
    let periods = known().await;
    assert_eq!((periods.len(), periods.iter().filter(|one| one.is_automatic).count()), (24, 23));
    assert!(periods.iter().all(|one| !one.is_pending()));
    let of_today = |one: &&ReachPeriod| one.level == Level::Campaign && one.period == today;
    let counted_at = periods.iter().find(of_today).unwrap().counted_at.unwrap();
    assert!(counted_at > "2026-11-21T04:00:00+08:00".parse().unwrap(), "{counted_at}");

    // What somebody asks for stays as long as Meta's own numbers.
    let long_lived = async || {
        let long = scenario.system.clock.now().as_second() + 1000 * 86_400;
        let items = table_items(&scenario).await.into_iter();
        let kept = items.filter(|item| item["sk"].as_s().unwrap().starts_with("REACH"));
        kept.filter(|item| item["expires"].as_n().unwrap().parse::<i64>().unwrap() > long).count()
    };
    assert_eq!(long_lived().await, 2, "the period, and its rows");
    count(&scenario, json!({"level": "campaign", "since": "2026-10-21", "until": "2026-11-19"})).await;
    assert_eq!(long_lived().await, 4);

    // Where rows have expired before the item that names them, nothing was counted.
    let items = table_items(&scenario).await;
    let left: Vec<_> =
        items.into_iter().filter(|item| !item["sk"].as_s().unwrap().starts_with("REACH_ROWS")).collect();
    restore_table(&scenario, &left).await;
    let answer = query(&scenario, month("2026-11-19")).await;
    assert_eq!(answer["ad_accounts"][0]["reach"]["missing"][0]["state"], "not_requested");
    assert!(answer["data"][0]["measures"].get("reach").is_none());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_request_whose_jobs_were_lost_is_counted_by_a_later_sync() {
    let scenario = Scenario::synced().await.unwrap();
    let (workspace, account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let period = |since: &str| DateRange { since: since.parse().unwrap(), until: date(2026, 11, 15) };
    let (first, second) = (period("2026-11-02"), period("2026-11-03"));
    let request = async |period| {
        let (table, now) = (&scenario.system.table, scenario.system.clock.now());
        table.request_reach(&workspace, &account, Level::Campaign, &[period], now).await.unwrap();
    };
    let sync = async |cause| {
        let (workspace, ad_account) = (workspace.clone(), account.clone());
        let job = Job::SyncAccount { workspace, ad_account, cause };
        scenario.system.host.queues.send(&[job]).await.unwrap();
        scenario.system.runner.settle().await.unwrap();
    };
    let state = async |period: DateRange| {
        let range = json!({"since": period.since, "until": period.until});
        let answer = query(&scenario, json!({"range": range})).await;
        answer["ad_accounts"][0]["reach"]["missing"][0]["state"].as_str().map(str::to_owned)
    };

    // The function stopped after it had recorded the request. A sync a minute later leaves it to its job.
    request(first).await;
    scenario.system.clock.advance(SignedDuration::from_mins(1));
    sync(SyncCause::Recurring).await;
    assert_eq!(state(first).await.as_deref(), Some("pending"));
    scenario.system.clock.advance(SignedDuration::from_hours(1));
    sync(SyncCause::Recurring).await;
    assert_eq!(state(first).await, None);

    // The laptop was switched off.
    request(second).await;
    sync(SyncCause::Resume).await;
    assert_eq!(state(second).await, None);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn of_two_counts_of_a_period_the_later_one_stays_whole_wherever_either_stops() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (workspace, account) = (tenant(WORKSPACE).unwrap(), "act_9".parse().unwrap());
    let period = DateRange { since: date(2026, 11, 2), until: date(2026, 11, 15) };
    let count = async |at: Timestamp, objects: u64, reach: u64| {
        let id = |n: u64| Some(n.to_string().parse().unwrap());
        let rows: Vec<_> = (1..=objects).map(|n| (id(n), (reach, None))).collect();
        table.store_reach(&workspace, &account, (Level::Ad, period), at, &rows).await.unwrap();
    };
    let stored = async || {
        let periods = table.reach_periods_of(&workspace, &account, Level::Ad, &[period]).await.unwrap();
        let rows = table.reach_rows(&workspace, &account, &periods).await.unwrap().remove(0).unwrap();
        let values: BTreeSet<u64> = rows.values().map(|(reach, _)| *reach).collect();
        (rows.len(), values.into_iter().collect::<Vec<_>>())
    };
    let items = async || {
        let items = table_items(&scenario).await.into_iter();
        items.filter(|item| item["sk"].as_s().unwrap().starts_with("REACH_ROWS#")).collect::<Vec<_>>()
    };
    let at = |minute: i64| scenario.system.clock.now() + SignedDuration::from_mins(minute);

    count(at(1), 12_000, 1).await;
    assert_eq!((stored().await, items().await.len()), ((12_000, vec![1]), 3));
    // A later count stopped after some of its rows: the reader has the earlier one.
    let before = table_items(&scenario).await;
    count(at(2), 9_000, 2).await;
    assert_eq!((stored().await, items().await.len()), ((9_000, vec![2]), 2));
    let mut stopped = before.clone();
    stopped.push(items().await.remove(0));
    restore_table(&scenario, &stopped).await;
    assert_eq!((stored().await, items().await.len()), ((12_000, vec![1]), 4));
    // A reader that knew the earlier count is told to read anew.
    let known = table.reach_periods(&workspace, &account).await.unwrap();
    count(at(3), 7_000, 3).await;
    assert_eq!(table.reach_rows(&workspace, &account, &known).await.unwrap(), [None]);
    // One that is late leaves nothing behind.
    count(at(2), 11_000, 2).await;
    assert_eq!((stored().await, items().await.len()), ((7_000, vec![3]), 2));
    scenario.finish().await.unwrap();
}
