//! An account is synced and measured, and its insights equal Meta's.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use domain::date::{DateRange, IsoWeek};
use domain::job::Queue;
use graph_sim::{AccountArgs, Fault, FaultKind, FaultPlan, RequestMatcher, ThrottleKind, Trigger};
use http::Method;
use jiff::civil::{Date, date};
use jiff::{SignedDuration, ToSpan};
use journeys::{Scenario, TODAY, options, totals};
use local::account::Account;
use local::data::Data;
use local::system::Options;
use local::tenant::tenant;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::watch::advance;

async fn assert_equal_to_meta(scenario: &Scenario, since: Date, until: Date) {
    let rows = scenario.sim().unwrap().insights_rows(since, until);
    let (api, account) = (scenario.api().unwrap(), scenario.account().unwrap());
    totals::assert_equal(&api, &account, &rows, since, until).await.unwrap();
}

#[tokio::test]
async fn every_level_equals_metas_ad_rows_to_the_cent_for_any_range() {
    let scenario = Scenario::synced().await.unwrap();
    // Ranges that begin and end inside weeks, single days, and more days than there are.
    for (back, days) in [(0, 1), (0, 7), (3, 5), (6, 13), (11, 30), (20, 2), (0, 85)] {
        let until = TODAY.saturating_sub(back.days());
        assert_equal_to_meta(&scenario, until.saturating_sub((days - 1).days()), until).await;
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn objects_without_delivery_are_listed_with_zeros() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    let campaigns = scenario.api().unwrap().all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    assert_eq!(campaigns.len(), 12);
    let idle = campaigns.iter().find(|campaign| campaign["measures"]["impressions"] == 0).unwrap();
    assert_eq!(idle["measures"]["spend"], "0");
    assert!(idle["measures"].get("roas").is_none(), "a ratio of nothing is unknown");
    let spend: Vec<Decimal> = campaigns
        .iter()
        .map(|campaign| campaign["measures"]["spend"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(spend.is_sorted_by(|a, b| a >= b), "sorted by spend: {spend:?}");

    let path = format!("ad-accounts/{account}/insights?level=account&since=2026-11-20&until=2026-11-20");
    let whole = scenario.api().unwrap().all(&path).await.unwrap();
    let by_id = scenario.api().unwrap().all(&format!("{path}&ids={account}")).await.unwrap();
    assert!(whole == by_id && by_id[0]["measures"]["impressions"].as_u64() > Some(0), "{by_id:?}");

    let path = format!("ad-accounts/{account}/insights?level=campaign&since=2026-11-01&until=2026-11-20");
    let rows = scenario.api().unwrap().all(&path).await.unwrap();
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().any(|row| row["measures"]["impressions"] == 0));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn pages_are_disjoint_and_complete_at_any_size() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    let whole = scenario.api().unwrap().all(&format!("ad-accounts/{account}/ads?sort=ctr")).await.unwrap();
    for limit in [1, 7, 47, 48] {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("ads?sort=ctr&limit={limit}{after}");
            let page = scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json();
            let data = page["data"].as_array().unwrap();
            assert!(data.len() <= limit);
            ids.extend(data.iter().map(|ad| ad["id"].clone()));
            match page["after"].as_str() {
                Some(cursor) => after = format!("&after={cursor}"),
                None => break,
            }
        }
        assert_eq!(ids, whole.iter().map(|ad| ad["id"].clone()).collect::<Vec<_>>(), "limit {limit}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_second_sync_of_the_same_numbers_writes_no_fact() {
    let scenario = Scenario::synced().await.unwrap();
    let before = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert!(before["facts"]["segments_written"].as_u64().unwrap() > 0);
    scenario.sync().await.unwrap();
    let workspace = tenant("demo").unwrap();
    let account = scenario.account().unwrap().parse().unwrap();
    let chunks = scenario.system.table.chunks(&workspace, &account).await.unwrap();
    let again: Vec<_> = chunks.iter().filter(|chunk| chunk.requested > 1).collect();
    assert_eq!(again.len(), 5, "the weeks that the last 28 days touch");
    assert!(again.iter().all(|chunk| chunk.written == 0));
    assert_eq!(again.iter().map(|chunk| chunk.unchanged).sum::<u64>(), 3 * 29, "three segments a day");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_day_that_was_never_measured_to_its_end_is_measured_however_old_it_is() {
    let scenario = Scenario::synced().await.unwrap();
    scenario.system.clock.advance(SignedDuration::from_hours(40 * 24));
    let path = format!("insights?level=account&since={TODAY}&until={TODAY}");
    let insights = async || scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json();
    assert_eq!(insights().await["incomplete_days"][0]["state"], "partial");
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(insights().await["incomplete_days"], json!([]), "the next sync by schedule has measured it");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn older_days_are_measured_when_a_person_asks_for_them() {
    let args = AccountArgs {
        days: 250,
        campaigns: 3,
        adsets: 3,
        ads: 3,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    let account = Account::Simulated(args);
    let scenario = Scenario::with_options(local::Options { account, ..options(Data::Memory) }).await.unwrap();
    scenario.connect_and_sync().await.unwrap();
    let (since, until) = (date(2026, 4, 10), date(2026, 5, 20));
    let insights = async || {
        let path = format!("insights?level=account&since={since}&until={until}");
        scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()
    };
    let before = insights().await;
    let missing = json!([{"since": since, "until": until, "state": "unavailable"}]);
    assert_eq!((&before["incomplete_days"], before.get("as_of")), (&missing, None), "{before}");

    let wanted = json!({"since": since, "until": until});
    let accepted = scenario.call_as_owner(Method::POST, "sync", Some(wanted)).await.unwrap();
    assert_eq!((accepted.status.as_u16(), &accepted.json()["weeks"]), (202, &json!(7)), "{}", accepted.text);
    scenario.system.runner.settle().await.unwrap();
    assert_equal_to_meta(&scenario, since, until).await;
    assert_eq!(insights().await["incomplete_days"], json!([]));
    let status = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert_eq!(status["chunks"]["done"], 20, "{status}");
    let progress = async |accepted: &Value| {
        let run = format!("sync/{}", accepted["run"].as_str().unwrap());
        scenario.call_as_owner(Method::GET, &run, None).await.unwrap().json()
    };
    let run = progress(&accepted.json()).await;
    assert_eq!(
        (&run["state"], &run["days_done"], &run["days_total"]),
        (&json!("done"), &json!(41), &json!(41))
    );
    assert_eq!(scenario.call_as_owner(Method::GET, "sync/nothing", None).await.unwrap().status, 404);

    // Once more, of two datasets, while Meta makes them wait: the request says so, and ends when they come.
    let throttle = FaultKind::Throttle { limit: ThrottleKind::Insights, minutes: 90 };
    let request = RequestMatcher { path_contains: "insights".to_owned(), ..RequestMatcher::default() };
    let once = Trigger { times: Some(1), ..Trigger::default() };
    scenario.sim().unwrap().set_plan(FaultPlan::single(once, request, throttle));
    let wanted = json!({"since": since, "until": since, "datasets": ["ad_day", "ad_day_country"]});
    let accepted = scenario.call_as_owner(Method::POST, "sync", Some(wanted)).await.unwrap().json();
    scenario.system.runner.settle().await.unwrap();
    let waiting = progress(&accepted).await;
    assert!(waiting["state"] == "running" && waiting["days_done"].as_u64() < Some(2), "{waiting}");
    assert!(waiting["waits_for"].is_string() && waiting["next_sync_at"].is_string(), "{waiting}");
    advance(&scenario, SignedDuration::from_mins(61)).await;
    advance(&scenario, SignedDuration::from_mins(61)).await;
    let run = progress(&accepted).await;
    assert_eq!((&run["state"], &run["days_done"]), (&json!("done"), &json!(2)), "{run}");

    for (wrong, field) in [
        (json!({"since": "2022-01-01", "until": "2022-02-01"}), "since"),
        (json!({"since": "2026-11-01", "until": "2026-11-21"}), "until"),
        (json!({"since": "2026-11-02", "until": "2026-11-01"}), "since"),
        (json!({"until": "2026-11-01"}), "since"),
    ] {
        let refused = scenario.call_as_owner(Method::POST, "sync", Some(wrong.clone())).await.unwrap();
        assert_eq!(refused.json()["errors"][0]["field"], field, "{wrong}: {}", refused.text);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn restated_numbers_replace_the_old_ones_and_vanished_rows_vanish() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let rows = sim.insights_rows(TODAY.saturating_sub(3.days()), TODAY);
    let (restated, other) = (&rows[0], rows.iter().find(|row| row["ad_id"] != rows[0]["ad_id"]).unwrap());
    let place = |row: &Value| {
        let day: Date = row["date_start"].as_str().unwrap().parse().unwrap();
        (row["ad_id"].as_str().unwrap().to_owned(), day)
    };
    let (ad, day) = place(restated);
    sim.restate(&ad, day, json!({"spend": "1234.56", "impressions": "99999"}));
    let (ad, day) = place(other);
    sim.restate(&ad, day, Value::Null);
    // The whole previous week of a third ad.
    let before: Vec<Value> = sim.insights_rows(date(2026, 11, 9), date(2026, 11, 15));
    let third = place(&before[0]).0;
    for (ad, day) in before.iter().map(place).filter(|(ad, _)| *ad == third) {
        sim.restate(&ad, day, Value::Null);
    }
    scenario.sync().await.unwrap();
    assert_equal_to_meta(&scenario, TODAY.saturating_sub(27.days()), TODAY).await;
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn transient_faults_at_meta_do_not_change_the_result() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    let fault = |path: &str, skip, kind| Fault {
        method: Some("GET".to_owned()),
        path_contains: path.to_owned(),
        times: 1,
        skip,
        kind,
    };
    sim.fail_next(fault("insights", 0, FaultKind::Html));
    sim.fail_next(fault("insights", 2, FaultKind::Truncated));
    sim.fail_next(fault("insights", 4, FaultKind::LostResponse));
    sim.fail_next(fault(
        "/ads",
        0,
        FaultKind::Error { status: 500, code: 2, subcode: None, headers: Vec::new() },
    ));
    scenario.connect_and_sync().await.unwrap();
    assert_equal_to_meta(&scenario, TODAY.saturating_sub(60.days()), TODAY).await;
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_throttled_chunk_waits_in_the_queue_for_as_long_as_meta_says() {
    let scenario = Scenario::start().await.unwrap();
    let usage = r#"{"1":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":2}]}"#;
    scenario.sim().unwrap().fail_next(Fault {
        method: None,
        path_contains: "insights".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error {
            status: 400,
            code: 80_000,
            subcode: Some(2_446_079),
            headers: vec![("x-business-use-case-usage".to_owned(), usage.to_owned())],
        },
    });
    scenario.connect_and_sync().await.unwrap();
    let progress = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    // The other chunks of the account wait as well, except those that were running.
    let planned = progress["chunks"]["planned"].as_u64().unwrap();
    assert!((1..=13).contains(&planned), "{progress}");
    assert_eq!(progress["chunks"]["done"].as_u64().unwrap() + planned, 13, "{progress}");
    assert_eq!(scenario.system.runner.outstanding(Queue::SyncMetricsChunk).await.unwrap(), planned);
    let path = "insights?level=account&since=2026-08-24&until=2026-11-20";
    let insights = scenario.call_as_owner(Method::GET, path, None).await.unwrap().json();
    let pending = insights["incomplete_days"].as_array().unwrap().iter();
    let pending = pending.filter(|days| days["state"] == "pending");
    let date = |day: &Value| day.as_str().unwrap().parse::<Date>().unwrap();
    let weeks: BTreeSet<IsoWeek> = pending
        .flat_map(|days| DateRange { since: date(&days["since"]), until: date(&days["until"]) }.weeks())
        .collect();
    assert_eq!(weeks.len() as u64, planned, "the response says what is missing: {insights}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn unfinished_work_of_a_process_is_resumed_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Folder(folder.path().to_owned());
    let scenario = Scenario::with_options(options(data.clone())).await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    scenario.select(true).await.unwrap();
    // Stopped in the middle: whatever is in the queues and in flight is lost.
    while scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json()["chunks"]["done"] == 0 {}
    scenario.finish().await.unwrap();

    let scenario = Scenario::with_options(options(data)).await.unwrap();
    let progress = || async { scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json() };
    let deadline = std::time::Duration::from_secs(60);
    tokio::time::timeout(deadline, async {
        while progress().await["chunks"]["done"] != 13 {
            scenario.system.runner.settle().await.unwrap();
        }
    })
    .await
    .unwrap();
    assert_equal_to_meta(&scenario, TODAY.saturating_sub(80.days()), TODAY).await;
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn csv_contains_the_complete_numbers() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    let token = scenario.system.token("demo", runtime::session::Role::Viewer).unwrap();
    let ask = |query: &str| {
        let path = format!("/v1/workspaces/demo/ad-accounts/{account}/insights.csv?{query}");
        let (scenario, token) = (&scenario, &token);
        async move { scenario.send(Method::GET, &path, Some(token), &[], None).await.unwrap() }
    };
    let query = "level=ad&increment=day&since=2026-10-01&until=2026-11-20";
    let csv = ask(query).await;
    assert!(csv.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(
        csv.text.starts_with("level,id,name,campaign_id,adset_id,date_start,date_stop,impressions,clicks")
    );
    let rows = scenario.sim().unwrap().insights_rows("2026-10-01".parse().unwrap(), TODAY);
    assert!(rows.len() > 1000, "more than a page of JSON: {}", rows.len());
    assert_eq!(csv.text.lines().count(), rows.len() + 1);
    let refused = ask(&format!("{query}&limit=5")).await;
    assert_eq!(refused.json()["errors"][0]["field"], "limit", "{}", refused.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn invalid_queries_name_the_field() {
    let scenario = Scenario::synced().await.unwrap();
    for (query, field) in [
        ("level=campaign&since=2026-11-10&until=2026-11-01", "since"),
        ("level=campaign&since=2026-13-10&until=2026-11-01", "since"),
        ("level=campaign&since=2020-01-01&until=2026-11-01", "since"),
        ("level=campaign&since=-000002-06-01&until=-000001-06-01", "since"),
        ("level=campaign&since=2026-06-01&until=9999-06-01", "until"),
        ("level=planet&since=2026-11-01&until=2026-11-02", "level"),
        ("since=2026-11-01&until=2026-11-02", "level"),
        ("level=ad&until=2026-11-02", "since"),
        ("level=ad&since=2026-11-01&until=2026-11-02&increment=week", "increment"),
        ("level=ad&since=2026-11-01&until=2026-11-02&limit=0", "limit"),
        ("level=ad&since=2026-11-01&until=2026-11-02&after=%21", "after"),
        ("level=ad&since=2026-11-01&until=2026-11-02&ids=1,%2F", "ids[1]"),
        ("level=ad&since=2026-11-01&until=2026-11-02&sinse=1", "sinse"),
        ("level=ad&level=ad&since=2026-11-01&until=2026-11-02", "level"),
        ("level=ad&since=20261101&until=2026-11-02", "since"),
        ("level=ad&since=2026-11-01&until=2026-11-02&limit=%2B5", "limit"),
    ] {
        let response = scenario.call_as_owner(Method::GET, &format!("insights?{query}"), None).await.unwrap();
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.headers["content-type"], "application/problem+json");
        assert_eq!(response.json()["errors"][0]["field"], field, "{query}: {}", response.text);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_recorded_account_is_synced_to_the_cent() {
    let folder = Path::new("../../../shared/recordings/keboola");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let args = AccountArgs { account: Some(folder.to_owned()), ..AccountArgs::default() };
    let account = Account::Simulated(args);
    let scenario = Scenario::with_options(local::Options { account, ..options(Data::Memory) }).await.unwrap();
    scenario.connect_and_sync().await.unwrap();
    let file = std::fs::read_to_string(folder.join("insights_ad_day.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let rows = file["data"].as_array().unwrap();
    let (since, until) = ("2026-05-03".parse().unwrap(), "2026-06-01".parse().unwrap());
    let (api, account) = (scenario.api().unwrap(), scenario.account().unwrap());
    for (level, field) in [("adset", "adset_id"), ("campaign", "campaign_id"), ("account", "account")] {
        let ours = totals::from_api(&api, &account, level, since, until).await.unwrap();
        assert_eq!(ours, totals::from_meta(rows, field).unwrap(), "{level}");
    }
    for (level, count) in [("campaigns", 64), ("adsets", 134), ("ads", 337)] {
        let path = format!("ad-accounts/{account}/{level}");
        assert_eq!(api.all(&path).await.unwrap().len(), count);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_was_deleted_before_the_first_sync_is_listed_by_the_names_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Value| {
        std::fs::write(folder.path().join(format!("{name}.json")), value.to_string()).unwrap();
    };
    let id = "act_900000000000001";
    write(
        "account",
        json!({"id": id, "account_id": id[4..], "name": "Test account", "currency": "EUR", "account_status": 1,
               "timezone_name": "Europe/Prague"}),
    );
    let is_active = |mut object: Value| {
        object["status"] = json!("ACTIVE");
        object["effective_status"] = json!("ACTIVE");
        json!({"data": [object]})
    };
    write("campaigns", is_active(json!({"id": "11", "name": "Camp A", "objective": "OUTCOME_SALES"})));
    write("adsets", is_active(json!({"id": "21", "campaign_id": "11", "name": "Set A"})));
    write("ads", is_active(json!({"id": "31", "adset_id": "21", "campaign_id": "11", "name": "Ad A"})));
    let row = |[campaign, adset, ad]: [&str; 3], name: &str, spend: &str| {
        json!({"campaign_id": campaign, "adset_id": adset, "ad_id": ad, "campaign_name": name, "adset_name": "Set",
               "ad_name": "Ad", "date_start": "2026-11-27", "date_stop": "2026-11-27", "impressions": "100",
               "clicks": "5", "spend": spend})
    };
    let rows = [row(["11", "21", "31"], "Camp A", "10.00"), row(["97", "98", "99"], "Old campaign", "90.00")];
    write("insights_ad_day", json!({"data": rows}));
    let args = AccountArgs { account: Some(folder.path().to_owned()), ..AccountArgs::default() };
    let account = Account::Simulated(args);
    let scenario = Scenario::with_options(local::Options { account, ..options(Data::Memory) }).await.unwrap();
    scenario.connect_and_sync().await.unwrap();

    let list = async |path: &str| {
        let path = format!("{path}?since=2026-11-27&until=2026-11-27&sort=spend");
        scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()
    };
    for (path, id) in [("campaigns", "97"), ("adsets", "98"), ("ads", "99")] {
        let all = list(path).await;
        let old = &all["data"][0];
        assert_eq!(
            (old["id"].as_str(), all["totals"]["measures"]["spend"].as_str()),
            (Some(id), Some("100")),
            "{all}"
        );
        assert!(old["name"].is_string(), "{old}");
    }
    assert_eq!(list("campaigns").await["data"][0]["name"], "Old campaign");
    // The next sync asks Meta, which shows it no more.
    scenario.sync().await.unwrap();
    let old = &list("campaigns").await["data"][0];
    assert_eq!((&old["name"], &old["effective_status"]), (&json!("Old campaign"), &json!("DELETED")));
    scenario.finish().await.unwrap();
}

/// Calls are what Meta's quotas leave least of.
#[tokio::test]
async fn a_hundred_ads_over_ninety_days_are_read_with_25_calls() {
    let account = AccountArgs {
        campaigns: 10,
        adsets: 30,
        ads: 100,
        days: 90,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    let account = Account::Simulated(account);
    let scenario = Scenario::with_options(Options { account, ..options(Data::Memory) }).await.unwrap();
    let calls = Arc::<Mutex<Vec<String>>>::default();
    let made = calls.clone();
    scenario.sim().unwrap().edit_answers(move |path, _, _| {
        let edge = path.split(['?', '/']).nth(3).unwrap_or_default().to_owned();
        made.lock().unwrap().push(edge);
    });
    scenario.connect_and_sync().await.unwrap();
    let calls = calls.lock().unwrap().clone();
    let count = |edges: &[&str]| calls.iter().filter(|edge| edges.contains(&edge.as_str())).count();
    let (entities, numbers) = (count(&["campaigns", "adsets", "ads"]), count(&["insights"]));
    println!(
        "100 ads over 90 days: {entities} calls for entities and {numbers} for numbers; {} in all, with login and webhooks.",
        calls.len()
    );
    assert!(entities == 3 && numbers >= 14 && entities + numbers <= 25, "{calls:?}");
    scenario.finish().await.unwrap();
}
