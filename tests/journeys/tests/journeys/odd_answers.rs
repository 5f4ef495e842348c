//! Meta answers oddly: one field, row or account of an unexpected shape is left out and shown, and everything else goes
//! on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use jiff::civil::date;
use journeys::Scenario;
use serde_json::{Value, json};

/// Changes the answers to calls whose path contains this text, row by row where they have rows.
fn edit(scenario: &Scenario, path: &'static str, change: impl Fn(&mut Value) + Send + 'static) {
    scenario.sim().unwrap().edit_answers(move |path_of_call, _, body| {
        let is_wanted =
            path_of_call.split('?').next().is_some_and(|path_of_call| path_of_call.ends_with(path));
        let Ok(mut answer) = serde_json::from_str::<Value>(body) else { return };
        if !is_wanted {
            return;
        }
        match answer["data"].as_array_mut() {
            Some(rows) => rows.iter_mut().for_each(&change),
            None => change(&mut answer),
        }
        *body = answer.to_string().replace("@cut@", "cut \\ud83d");
    });
}

async fn sync_status(scenario: &Scenario) -> Value {
    scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json()
}

/// Returns the account's whole spend of a day, as the API answers it.
async fn spend(scenario: &Scenario, day: &str) -> Value {
    let path = format!("insights?level=account&since={day}&until={day}");
    scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()["data"][0]["measures"]["spend"]
        .clone()
}

#[tokio::test]
async fn a_null_list_and_ids_as_numbers_change_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let expected = sync_status(&scenario).await["facts"]["rows"].clone();
    edit(&scenario, "/insights", |row| {
        for id in ["ad_id", "adset_id", "campaign_id"] {
            let number: u64 = row[id].as_str().unwrap().parse().unwrap();
            row[id] = json!(number);
        }
        if row["actions"].is_null() {
            row["actions"] = Value::Null;
        }
    });
    scenario.sync().await.unwrap();
    let status = sync_status(&scenario).await;
    assert_eq!((&status["facts"]["rows"], &status["chunks"]["failed"]), (&expected, &json!(0)));
    assert!(status["gaps"].is_null(), "{}", status["gaps"]);
    let workspace = local::tenant::tenant("demo").unwrap();
    let account = scenario.account().unwrap().parse().unwrap();
    let chunks = scenario.system.table.chunks(&workspace, &account).await.unwrap();
    assert!(
        chunks.iter().filter(|chunk| chunk.requested > 1).all(|chunk| chunk.written == 0),
        "nothing differs"
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_its_numbers_and_the_gap_is_shown() {
    let scenario = Scenario::synced().await.unwrap();
    let day = date(2026, 11, 18);
    let row = scenario.sim().unwrap().insights_rows(day, day).swap_remove(0);
    let (ad, before) = (row["ad_id"].as_str().unwrap().to_owned(), spend(&scenario, "2026-11-18").await);
    let odd = ad.clone();
    edit(&scenario, "/insights", move |row| {
        if row["ad_id"] == odd.as_str() && row["date_start"] == "2026-11-18" {
            row["spend"] = json!({"Ada": "unknown"});
        }
    });
    scenario.sync().await.unwrap();
    let status = sync_status(&scenario).await;
    assert_eq!(status["chunks"]["failed"], 0, "{status}");
    assert_eq!(spend(&scenario, "2026-11-18").await, before, "the numbers that were read before stay");
    let gaps = status["gaps"].as_array().unwrap();
    assert_eq!((gaps.len(), &gaps[0]["week"], &gaps[0]["count"]), (1, &json!("2026-W47"), &json!(1)));
    let gap = &gaps[0]["first"][0];
    assert_eq!((gap["id"].as_str(), gap["day"].as_str()), (Some(&*ad), Some("2026-11-18")));
    let reason = gap["reason"].as_str().unwrap();
    assert!(reason.starts_with("spend: ") && !reason.contains("Ada"), "{reason}");

    // Meta answers as usual again.
    edit(&scenario, "/nothing", |_| {});
    scenario.sync().await.unwrap();
    assert!(sync_status(&scenario).await["gaps"].is_null());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_field_that_meta_removes_leaves_its_measure_unknown_and_the_rest_complete() {
    let scenario = Scenario::synced().await.unwrap();
    let before = spend(&scenario, "2026-11-18").await;
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = refused.clone();
    scenario.sim().unwrap().edit_answers(move |path, status, body| {
        if path.contains("/insights") && path.contains("inline_link_clicks") {
            counter.fetch_add(1, Ordering::Relaxed);
            *status = 400;
            let message =
                "(#100) Tried accessing nonexisting field (inline_link_clicks) on node type (AdsInsights)";
            *body = json!({"error": {"message": message, "type": "OAuthException", "code": 100}}).to_string();
        }
    });
    scenario.sync().await.unwrap();
    let refused_once = refused.load(Ordering::Relaxed);
    assert!(refused_once > 0);
    let status = sync_status(&scenario).await;
    assert_eq!(status["chunks"]["failed"], 0, "{status}");
    for gaps in status["gaps"].as_array().unwrap() {
        assert_eq!((&gaps["count"], &gaps["first"][0]["field"]), (&json!(1), &json!("inline_link_clicks")));
    }
    assert_eq!(spend(&scenario, "2026-11-18").await, before);
    let path = "insights?level=account&since=2026-11-18&until=2026-11-18";
    let metrics =
        scenario.call_as_owner(Method::GET, path, None).await.unwrap().json()["data"][0]["measures"].clone();
    assert!(metrics.get("link_clicks").is_none(), "unknown, not zero: {metrics}");
    scenario.sync().await.unwrap();
    // Another ad account of the same app and version.
    let api = scenario.api().unwrap();
    let other = api.all("ad-accounts").await.unwrap();
    let own = scenario.account().unwrap();
    let other = other.iter().find(|other| other["id"] != own.as_str() && other["can_run"] == true).unwrap();
    let path = format!("ad-accounts/{}/selection", other["id"].as_str().unwrap());
    api.call(Method::PUT, &path, Some(&json!({"selected": true}))).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(refused.load(Ordering::Relaxed), refused_once, "the field is not asked for again");
    let health = api.call(Method::GET, "health", None).await.unwrap();
    let problem = health["problems"][0]["message"].as_str().unwrap();
    assert!(problem.contains("no longer has inline_link_clicks in v26.0"), "{health}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn odd_entities_and_names_that_were_cut_stop_no_sync() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let odd = campaign.clone();
    edit(&scenario, "/campaigns", move |row| {
        row["name"] = json!("@cut@");
        if row["id"] == odd.as_str() {
            row["daily_budget"] = json!(["much"]);
        }
    });
    scenario.sync().await.unwrap();
    let view =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    assert_eq!(view["name"], "cut \u{FFFD}");
    let status = sync_status(&scenario).await;
    let gaps = &status["gaps"][0];
    assert_eq!((&gaps["count"], &gaps["first"][0]["id"]), (&json!(1), &json!(campaign)));
    assert_eq!((&gaps["first"][0]["field"], gaps.get("week")), (&json!("daily_budget"), None));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_token_without_business_management_connects_and_an_odd_account_is_no_lost_one() {
    let scenario = Scenario::start().await.unwrap();
    let account = scenario.account().unwrap();
    let refuse = |path: &str, status: &mut u16, body: &mut String| {
        if path.contains("/adaccounts") && path.contains("business") {
            *status = 403;
            let message = "(#200) Requires business_management permission to manage the object";
            *body = json!({"error": {"message": message, "type": "OAuthException", "code": 200}}).to_string();
        }
    };
    scenario.sim().unwrap().edit_answers(refuse);
    let api = scenario.api().unwrap();
    let connected = api.connect().await.unwrap();
    assert_eq!(connected["ad_accounts"].as_array().unwrap().len(), 3);
    let connection = api.call(Method::GET, "connections", None).await.unwrap()["data"][0].clone();
    assert_eq!(connection["gaps"]["first"][0]["field"], "business{id,name}", "{connection}");
    assert!(connection["gaps"]["first"][0]["reason"].as_str().unwrap().contains("business_management"));

    // Its currency is none that anybody knows: the others connect again, and it stays as it was.
    let odd = account.clone();
    edit(&scenario, "accounts", move |row| {
        if row["id"] == odd.as_str() {
            row["currency"] = json!({"code": "EUR"});
        }
    });
    let path = format!("ad-accounts/{account}/selection");
    api.call(Method::PUT, &path, Some(&json!({"selected": true}))).await.unwrap();
    api.connect().await.unwrap();
    let accounts = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    let ours =
        accounts["data"].as_array().unwrap().iter().find(|known| known["id"] == account.as_str()).unwrap();
    assert_eq!((&ours["selected"], &ours["currency"]), (&json!(true), &json!("SGD")), "{ours}");
    let connection = api.call(Method::GET, "connections", None).await.unwrap()["data"][0].clone();
    assert_eq!(connection["gaps"]["first"][0]["id"], account.as_str(), "{connection}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn entities_that_cannot_be_read_are_said_and_numbers_are_measured_all_the_same() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.edit_answers(|path, status, body| {
        if path.contains("/adsets") {
            *status = 400;
            let message = "(#100) Tried accessing nonexisting field (configured_status) on node type (AdSet)";
            *body = json!({"error": {"message": message, "type": "OAuthException", "code": 100}}).to_string();
        }
    });
    scenario.connect_and_sync().await.unwrap();
    let status = sync_status(&scenario).await;
    assert_eq!(
        (&status["chunks"]["done"], &status["chunks"]["planned"]),
        (&json!(13), &json!(0)),
        "{status}"
    );
    let problem = &status["problem"];
    assert_eq!(problem["kind"], "entities", "{status}");
    let reason = problem["reason"].as_str().unwrap();
    assert!(reason.contains("configured_status") && reason.contains("measured all the same"), "{reason}");
    let day = date(2026, 11, 18);
    let rows = sim.insights_rows(day, day);
    let cents = |spend: &str| (spend.parse::<f64>().unwrap() * 100.0).round() as i64;
    let expected: i64 = rows.iter().map(|row| cents(row["spend"].as_str().unwrap())).sum();
    let stored = spend(&scenario, "2026-11-18").await;
    assert_eq!(cents(stored.as_str().unwrap()), expected);

    edit(&scenario, "/nothing", |_| {});
    scenario.sync().await.unwrap();
    let status = sync_status(&scenario).await;
    assert!(status["problem"].is_null() && status["entities_synced_at"].is_string(), "{status}");
    scenario.finish().await.unwrap();
}
