//! Numbers of other platforms, which a workspace sends itself.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::Ordering;

use domain::role::Role;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use http::{Method, Request};
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};
use journeys::{Response, Scenario, TODAY};
use local::demo::WORKSPACE;
use serde_json::{Value, json};
use sync_metrics_chunk::SyncMetricsChunk;

use crate::crash::{crashing_connector, restore_table, table_items};

const SHOP: &str = "ad-accounts/import_shop";

async fn call(scenario: &Scenario, method: Method, path: &str, body: Option<Value>) -> Response {
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/{path}");
    scenario.send(method, &path, Some(&token), &[], body.map(|body| body.to_string())).await.unwrap()
}

async fn with_shop() -> Scenario {
    let scenario = Scenario::start().await.unwrap();
    let shop =
        json!({"name": "The shop", "source": "taboola", "currency": "EUR", "timezone": "Europe/Berlin"});
    let made = call(&scenario, Method::PUT, SHOP, Some(shop)).await;
    assert_eq!(made.status, 200, "{}", made.text);
    scenario
}

async fn ingest(scenario: &Scenario, rows: &[Value]) -> Response {
    let body = json!({"rows": rows, "create_entities": true});
    call(scenario, Method::POST, &format!("{SHOP}/facts"), Some(body)).await
}

fn counts(answer: &Value) -> [u64; 3] {
    ["ingested", "unchanged", "rejected"].map(|state| answer[state].as_u64().unwrap())
}

fn day(ago: i32) -> Date {
    TODAY.saturating_sub(ago.days())
}

/// A row of an ad, of which two share an ad set and four a campaign.
fn row(ad: u64, day: Date, spend: &str) -> Value {
    json!({
        "day": day, "ad_id": format!("ad-{ad}"), "adset_id": format!("set-{}", ad / 2), "campaign_id": format!("c-{}", ad / 4),
        "impressions": 1000, "clicks": 10, "spend": spend,
    })
}

async fn query(scenario: &Scenario, query: Value) -> Value {
    let answer = call(scenario, Method::POST, "query", Some(query)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn spend_by(scenario: &Scenario, level: &str) -> BTreeMap<String, String> {
    let asked = json!({
        "level": level, "range": {"since": day(30), "until": day(0)}, "measures": ["spend"], "limit": 500,
        "ad_accounts": ["import_shop"], "dimensions": ["day"],
    });
    let answer = query(scenario, asked).await;
    let spend = |row: &Value| {
        let spend = row["measures"]["spend"].as_str()?;
        let key = format!("{} {}", row["id"].as_str().unwrap_or("all"), row["dimensions"]["day"].as_str()?);
        (spend != "0").then(|| (key, spend.to_owned()))
    };
    answer["data"].as_array().unwrap().iter().filter_map(spend).collect()
}

#[tokio::test]
async fn numbers_of_another_platform_are_sent_and_then_asked_for_like_all_others() {
    let scenario = with_shop().await;
    let mut first = row(1, day(1), "12.50");
    first["ad_name"] = json!("Winter video");
    first["ad_id"] = json!("Spring sale / video 3");
    first["campaign_name"] = json!("Winter");
    first["purchases"] = json!(1.5);
    first["purchase_value"] = json!("99.90");
    first["actions"] = json!({"newsletter": 7});
    let rows = [first.clone(), row(2, day(1), "7.25"), row(2, day(0), "0.5")];

    let unknown = json!({"rows": rows});
    let unknown = call(&scenario, Method::POST, &format!("{SHOP}/facts"), Some(unknown)).await.json();
    assert_eq!(counts(&unknown), [0, 0, 3]);
    assert_eq!(unknown["rows"][0]["errors"][0]["field"], "ad_id", "{unknown}");
    assert_eq!(counts(&ingest(&scenario, &rows).await.json()), [3, 0, 0]);
    assert_eq!(counts(&ingest(&scenario, &rows).await.json()), [0, 3, 0], "sent again, nothing changes");

    // A row replaces what was stored of its ad and day, and the ad alone says which one.
    let corrected = json!({"day": day(1), "ad_id": "ad-2", "impressions": 900, "clicks": 9, "spend": "8"});
    let answer =
        call(&scenario, Method::POST, &format!("{SHOP}/facts"), Some(json!({"rows": [corrected]}))).await;
    assert_eq!(counts(&answer.json()), [1, 0, 0], "{}", answer.text);
    let by_day = spend_by(&scenario, "account").await;
    assert_eq!(by_day.values().collect::<Vec<_>>(), ["20.5", "0.5"]);

    let ads =
        call(&scenario, Method::GET, &format!("{SHOP}/ads?q=winter&since={}", day(1)), None).await.json();
    let [ad] = ads["data"].as_array().unwrap().as_slice() else { panic!("{ads}") };
    assert_eq!((&ad["name"], &ad["measures"]["roas"]), (&json!("Winter video"), &json!("7.992")));
    let campaigns = call(&scenario, Method::GET, &format!("{SHOP}/campaigns"), None).await.json();
    assert_eq!(campaigns["data"][0]["name"], "Winter", "{campaigns}");

    // Of Meta's account and this one together, one currency at a time; today is not over yet.
    scenario.connect_and_sync().await.unwrap();
    let connected = format!("ad-accounts/{}", scenario.account().unwrap());
    let refused =
        call(&scenario, Method::POST, &format!("{connected}/facts"), Some(json!({"rows": rows}))).await;
    assert_eq!(refused.status, 409, "its numbers are measured: {}", refused.text);
    assert_eq!(call(&scenario, Method::DELETE, &connected, None).await.status, 409);
    let both = json!({"level": "account", "range": {"since": day(1), "until": day(0)}, "measures": ["spend"],
        "convert": {"to": "EUR", "rates": {"SGD": "0.65"}}});
    let both = query(&scenario, both).await;
    assert_eq!(both["data"].as_array().unwrap().len(), 2, "{both}");
    let shop = both["ad_accounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["ad_account"] == "import_shop")
        .unwrap();
    let today = json!([{"since": day(0), "until": day(0), "state": "partial"}]);
    assert_eq!(shop["incomplete_days"], today, "{shop}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_row_refuses_it_alone_and_names_the_field() {
    let scenario = with_shop().await;
    let with = |change: Value| {
        let mut row = row(1, day(2), "1");
        row.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        row
    };
    let good = row(8, day(2), "3.10");
    let tomorrow = TODAY.saturating_add(1.day());
    let cases = [
        (json!({"day": "20.11.2026"}), "day", "must be a day such as"),
        (json!({"day": tomorrow}), "day", "must be a day from"),
        (json!({"day": "2019-01-01"}), "day", "must be a day from"),
        (json!({"spend": "-1"}), "spend", "must be a number from 0"),
        (json!({"spend": "1,50"}), "spend", "must be a number from 0"),
        (json!({"spend": null}), "spend", "must be a number from 0"),
        (json!({"impressions": 1.5}), "impressions", "must be a whole number"),
        (json!({"clicks": "10"}), "clicks", "must be a whole number"),
        (json!({"ad_id": ""}), "ad_id", "must be a line of 1 to 400 characters"),
        (json!({"spent": 1}), "spent", "is not known here"),
        (json!({"actions": {"": 1}}), "actions", "must have 100 action types at most"),
        (json!({"adset_id": null}), "adset_id", "is needed"),
        (json!({"ad_id": "ad-8", "adset_id": "set-9"}), "adset_id", "must be set-4"),
        (json!({"ad_id": "ad-9", "adset_id": "set-4", "campaign_id": "c-9"}), "campaign_id", "must be c-2"),
        (json!({"ad_id": "ad-8"}), "adset_id", "must be set-4"),
        (
            json!({"ad_id": "ad-8", "adset_id": "set-4", "campaign_id": "c-2"}),
            "ad_id",
            "has a row of this day already: rows[0]",
        ),
    ];
    let rows: Vec<Value> =
        std::iter::once(good).chain(cases.iter().map(|(change, ..)| with(change.clone()))).collect();
    let answer = ingest(&scenario, &rows).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(counts(&answer), [1, 0, cases.len() as u64], "{answer}");
    assert_eq!(answer["rows"][0], json!({"state": "ingested"}));
    for ((change, field, message), result) in cases.iter().zip(&answer["rows"].as_array().unwrap()[1..]) {
        let says = |error: &Value| {
            error["field"] == *field && error["message"].as_str().unwrap().starts_with(message)
        };
        assert!(result["errors"].as_array().unwrap().iter().any(says), "{change}: {result}");
    }
    assert_eq!(spend_by(&scenario, "ad").await, [(format!("ad-8 {}", day(2)), "3.1".to_owned())].into());

    for (body, field) in [
        (json!({"rows": []}), "rows"),
        (json!({"rows": vec![row(1, day(1), "1"); 1001]}), "rows"),
        (json!({"row": []}), "row"),
        (json!({}), "rows"),
    ] {
        let answer = call(&scenario, Method::POST, &format!("{SHOP}/facts"), Some(body)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["field"]), (400, &json!(field)));
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_request_that_dies_anywhere_can_be_sent_again() {
    let scenario = with_shop().await;
    // Two weeks, with stored numbers that stay, change, and are new.
    assert_eq!(ingest(&scenario, &[row(1, day(9), "1"), row(2, day(1), "2")]).await.status, 200);
    let rows = [row(1, day(9), "1"), row(2, day(1), "3"), row(3, day(1), "4"), row(9, day(2), "5")];
    let body = json!({"rows": rows, "create_entities": true}).to_string();
    let before = table_items(&scenario).await;
    let request = || {
        let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
        Request::post(format!("/v1/workspaces/{WORKSPACE}/{SHOP}/facts"))
            .header("authorization", format!("Bearer {token}"))
            .body(body.clone().into())
            .unwrap()
    };
    let (mut at, mut steps) = (0, 1);
    while at < steps {
        restore_table(&scenario, &before).await;
        let (connector, calls) = crashing_connector(&scenario, at..=at);
        let dying = SyncMetricsChunk::new(connector, scenario.system.host.clone());
        let died = dying.handle(request()).await.status();
        if at == 0 {
            (steps, at) = (calls.load(Ordering::SeqCst) + 1, at + 1);
            assert_eq!(died, 200);
            continue;
        }
        // A week whose writer has died is free again after a minute.
        scenario.system.clock.advance(SignedDuration::from_secs(61));
        let again = ingest(&scenario, &rows).await;
        assert_eq!(again.status, 200, "call {at}: {}", again.text);
        let answer = again.json();
        assert!(answer["rejected"] == 0 && answer["unchanged"].as_u64() >= Some(1), "call {at}: {answer}");
        let ads = spend_by(&scenario, "ad").await;
        assert_eq!(ads.values().collect::<Vec<_>>(), ["1", "3", "4", "5"], "call {at}: {ads:?}");
        let listed = call(&scenario, Method::GET, &format!("{SHOP}/ads"), None).await.json();
        let names = listed["data"].as_array().unwrap().iter().filter(|ad| ad["name"].is_string());
        assert_eq!(names.count(), 4, "call {at}: {listed}");
        let sets = spend_by(&scenario, "adset").await;
        assert_eq!(sets.values().collect::<Vec<_>>(), ["1", "7", "5"], "call {at}: {sets:?}");
        at += 1;
    }
    assert!(steps > 25, "{steps} calls");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn requests_at_the_same_time_lose_nothing() {
    let scenario = with_shop().await;
    // Four writers, of which each has its own ads and all have the same days.
    let write = async |writer: u64| {
        for round in 0..2u64 {
            let rows: Vec<Value> = (0..10)
                .map(|n| row(writer * 10 + n, day((n % 9) as i32), &format!("{}", writer + round)))
                .collect();
            let mut attempts = 0;
            loop {
                let answer = ingest(&scenario, &rows).await;
                attempts += 1;
                if answer.status == 200 {
                    assert_eq!(answer.json()["rejected"], 0, "{}", answer.text);
                    break;
                }
                assert_eq!(
                    (answer.status.as_u16(), answer.headers["retry-after"].as_bytes()),
                    (429, &b"1"[..])
                );
                assert!(attempts < 500, "{}", answer.text);
            }
        }
    };
    join_all((0..4).map(write)).await;
    let found = spend_by(&scenario, "ad").await;
    let wanted: BTreeMap<String, String> = (0..40u64)
        .map(|ad| (format!("ad-{ad} {}", day((ad % 10 % 9) as i32)), (ad / 10 + 1).to_string()))
        .collect();
    assert_eq!(found, wanted);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_imported_account_has_no_platform_and_can_be_deleted() {
    let scenario = with_shop().await;
    assert_eq!(ingest(&scenario, &[row(1, day(1), "1")]).await.status, 200);
    let rule = json!({"name": "Stop", "level": "campaign", "action": {"type": "pause"}, "ad_account": "import_shop",
        "when": {"measure": "spend", "window": "today", "operator": "above", "value": "1"}});
    let other =
        json!({"name": "The shop", "source": "taboola", "currency": "USD", "timezone": "Europe/Berlin"});
    for (method, path, body, status) in [
        (Method::POST, format!("{SHOP}/sync"), None, 409),
        (Method::POST, format!("{SHOP}/reach"), Some(json!({"level": "campaign", "since": day(3)})), 409),
        (Method::PATCH, format!("{SHOP}/campaigns/c-0"), Some(json!({"status": "PAUSED"})), 409),
        (
            Method::PUT,
            format!("{SHOP}/campaigns/c-0/schedules/activate"),
            Some(json!({"at": "2026-12-24T09:00:00"})),
            409,
        ),
        (Method::POST, "rules".to_owned(), Some(rule), 400),
        // Its amounts would be those of another currency.
        (Method::PUT, SHOP.to_owned(), Some(other), 409),
    ] {
        let answer = call(&scenario, method, &path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
    }
    let status = call(&scenario, Method::GET, &format!("{SHOP}/sync"), None).await.json();
    assert_eq!(
        (&status["chunks"]["done"], &status["totals"]["unchecked_days"]),
        (&json!(1), &json!(0)),
        "{status}"
    );

    // A source without ad sets and campaigns: one id at all levels.
    let mut flat = row(7, day(1), "1");
    flat.as_object_mut()
        .unwrap()
        .extend(json!({"ad_id": "7", "adset_id": "7", "campaign_id": "7"}).as_object().unwrap().clone());
    assert_eq!(counts(&ingest(&scenario, &[flat]).await.json()), [1, 0, 0]);

    // Left out of what is read by default, and closed, until it is selected again.
    let select = async |selected| {
        call(&scenario, Method::PUT, &format!("{SHOP}/selection"), Some(json!({"selected": selected}))).await
    };
    assert_eq!(select(false).await.status, 200);
    let closed = ingest(&scenario, &[row(1, day(1), "2")]).await;
    assert_eq!((closed.status.as_u16(), &closed.json()["type"]), (409, &json!("urn:adflight:not-selected")));
    assert_eq!(select(true).await.status, 200);
    assert_eq!(counts(&ingest(&scenario, &[row(1, day(1), "2")]).await.json()), [1, 0, 0]);
    assert_eq!(scenario.system.runner.settle().await.ok(), Some(()), "there is nothing to sync");

    assert_eq!(call(&scenario, Method::DELETE, SHOP, None).await.status, 204);
    for item in table_items(&scenario).await {
        let pk = item["pk"].as_s().unwrap();
        assert!(!pk.contains("import_shop"), "{pk} {:?}", item["sk"]);
    }
    assert_eq!(call(&scenario, Method::DELETE, SHOP, None).await.status, 404);
    assert_eq!(ingest(&scenario, &[row(1, day(1), "2")]).await.status, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_body_may_be_compressed() {
    let scenario = with_shop().await;
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let url = format!("{}/v1/workspaces/{WORKSPACE}/{SHOP}/facts", scenario.system.url());
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = http.post(&url).bearer_auth(&token).header("content-encoding", encoding);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    let gzip = |body: &[u8]| {
        let mut writer = GzEncoder::new(Vec::new(), Compression::best());
        writer.write_all(body).unwrap();
        writer.finish().unwrap()
    };
    let rows: Vec<Value> = (0..500).map(|ad| row(ad, day(1), "1.25")).collect();
    let body = json!({"rows": rows, "create_entities": true}).to_string();
    assert_eq!(send("gzip", gzip(body.as_bytes())).await, 200);
    assert_eq!(spend_by(&scenario, "account").await.values().collect::<Vec<_>>(), ["625"]);
    assert_eq!(send("identity", body.clone().into_bytes()).await, 200);
    assert_eq!(send("gzip", body.clone().into_bytes()).await, 400, "it is not compressed");
    assert_eq!(send("br", body.into_bytes()).await, 400);
    assert_eq!(send("gzip", gzip(&vec![b' '; 50 << 20])).await, 413, "fifty megabytes in fifty kilobytes");
    scenario.finish().await.unwrap();
}
