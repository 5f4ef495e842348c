//! Rate limits and idempotency keys.

use futures_util::future::join_all;
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::{Response, Scenario, options};
use local::Options;
use local::data::Data;
use local::tenant::tenant;
use middleware::Middleware;
use query_insights::QueryInsights;
use runtime::session::Role;
use serde_json::{Value, json};
use store::idempotency::IdempotencyRecord;
use store::rate_limit::AcquireRequest;
use store::rate_limit_key::RateLimitKey;

pub(crate) async fn with_rate_limit(requests_per_minute: u32) -> Scenario {
    Scenario::with_options(Options { requests_per_minute, ..options(Data::Memory) }).await.unwrap()
}

async fn get(scenario: &Scenario, workspace: &str, path: &str) -> Response {
    let token = scenario.system.token(workspace, Role::Viewer).unwrap();
    let path = format!("/v1/workspaces/{workspace}/{path}");
    scenario.send(Method::GET, &path, Some(&token), &[], None).await.unwrap()
}

/// Sends a write as the demonstration workspace's owner, with an idempotency key.
async fn write_with_key(
    scenario: &Scenario,
    method: Method,
    path: &str,
    key: &str,
    body: &Value,
) -> Response {
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let path = format!("/v1/workspaces/demo/{path}");
    let body = (!body.is_null()).then(|| body.to_string());
    scenario.send(method, &path, Some(&token), &[("idempotency-key", key)], body).await.unwrap()
}

fn rule(name: &str) -> Value {
    json!({
        "name": name, "level": "campaign", "action": {"type": "notify"},
        "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
        "guard": {"min_impressions": 1},
    })
}

/// Returns the rate limit key of the demonstration workspace.
fn demo_key() -> RateLimitKey {
    tenant("demo").unwrap().into()
}

pub(crate) fn status_of(response: &Response) -> (u16, String) {
    (response.status.as_u16(), response.json()["type"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_workspace_over_the_rate_limit_gets_429_and_other_workspaces_do_not() {
    let scenario = with_rate_limit(6).await;
    // Two functions, like two processes, share the limit.
    for n in 0..6 {
        let path = ["connections", "rules"][n % 2];
        assert_eq!(get(&scenario, "demo", path).await.status, 200, "{n}");
    }
    for path in ["connections", "rules", "ad-accounts"] {
        let refused = get(&scenario, "demo", path).await;
        assert_eq!(status_of(&refused), (429, "urn:adflight:too-many-requests".to_owned()), "{path}");
        let wait: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    // Unauthorized requests are not counted, and other workspaces have their own limits.
    let stranger = scenario.system.token("stranger", Role::Owner).unwrap();
    for _ in 0..20 {
        let foreign = "/v1/workspaces/other/rules";
        assert_eq!(
            scenario.send(Method::GET, foreign, Some(&stranger), &[], None).await.unwrap().status,
            404
        );
        let other = "/v1/workspaces/other/rules";
        assert_eq!(scenario.send(Method::GET, other, None, &[], None).await.unwrap().status, 401);
    }
    for _ in 0..6 {
        assert_eq!(get(&scenario, "other", "rules").await.status, 200);
    }
    assert_eq!(get(&scenario, "other", "rules").await.status, 429);

    scenario.system.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(get(&scenario, "demo", "rules").await.status, 200, "after as long as was said");
    assert_eq!(get(&scenario, "demo", "rules").await.status, 429, "and one only");
    scenario.system.clock.advance(SignedDuration::from_mins(1));
    for n in 0..6 {
        assert_eq!(get(&scenario, "demo", "rules").await.status, 200, "{n} of a whole minute's");
    }
    assert_eq!(get(&scenario, "demo", "rules").await.status, 429);
    // Webhooks and logins from Meta are not rate limited.
    assert_eq!(scenario.deliver(r#"{"object":"ad_account","entry":[]}"#).await.unwrap().status, 200);
    // After a clock was ahead, nobody is refused for as long as it was.
    scenario.system.clock.advance(SignedDuration::from_hours(-3));
    assert_eq!(get(&scenario, "demo", "rules").await.status, 200);
    scenario.system.stop().await;
}

#[tokio::test]
async fn concurrent_processes_acquire_no_more_than_the_limit() {
    let scenario = Scenario::start().await.unwrap();
    let (table, demo, mut now) = (&scenario.system.table, demo_key(), scenario.system.clock.now());
    for round in 0..5_u32 {
        let demo = &demo;
        let taken = join_all((0..40_u32).map(|n| {
            let wanted = AcquireRequest { count: 1 + n % 7, per_minute: 60, busy: n % 2 == 0 };
            async move { (wanted.count, table.acquire(demo, wanted, now).await.unwrap()) }
        }));
        let taken = taken.await;
        let sum: u32 = taken.iter().filter(|(_, taken)| taken.is_ok()).map(|(count, _)| count).sum();
        let fits = if round == 0 { 54..=60 } else { 24..=36 };
        assert!(fits.contains(&sum), "round {round}: {sum}");
        // The retry time of a refused request is the time at which the bucket will hold enough.
        for (_, refused) in taken {
            let wait = refused.err().map_or(SignedDuration::ZERO, |until| until.duration_since(now));
            assert!(wait <= SignedDuration::from_secs(7), "{wait}");
        }
        now += SignedDuration::from_secs(30);
    }
    scenario.system.stop().await;
}

#[tokio::test]
async fn a_burst_over_many_processes_is_admitted_to_the_last_request() {
    let scenario = with_rate_limit(1200).await;
    let (table, host) = (&scenario.system.table, &scenario.system.host);
    // Each has a middleware of its own, as another process has.
    let process = |_| QueryInsights::new(table.clone(), Middleware::new(table, host));
    let processes: Vec<_> = (0..60).map(process).collect();
    let token = scenario.system.token("demo", Role::Viewer).unwrap();
    let path = "/v1/workspaces/demo/ad-accounts/act_1/insights?level=ad&since=2026-11-01&until=2026-11-02";
    let ask = async |number: usize| {
        let request = http::Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Default::default()).unwrap();
        processes[number % processes.len()].handle(request).await
    };
    for number in 0..1200 {
        assert_eq!(
            ask(number).await.status(),
            404,
            "{number} of 1,200 is admitted: there is no such account"
        );
    }
    // Twenty more are admitted each second.
    let mut refused = None;
    for number in 0..600 {
        let response = ask(number).await;
        if response.status() == 429 {
            refused = Some(response);
            break;
        }
    }
    assert_eq!(refused.unwrap().headers()["retry-after"], "1");
    scenario.system.stop().await;
}

#[tokio::test]
async fn a_write_with_a_key_is_done_once_and_its_response_is_repeated() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    let campaign = format!("ad-accounts/{account}/campaigns/{}", scenario.running_campaign().await.unwrap());
    let pause = json!({"status": "PAUSED"});
    let first = write_with_key(&scenario, Method::PATCH, &campaign, "pause-1", &pause).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let calls = scenario.sim().unwrap().calls();
    // Somebody reactivates it meanwhile; the repetition does not undo that.
    write_with_key(&scenario, Method::PATCH, &campaign, "start-1", &json!({"status": "ACTIVE"})).await;
    assert!(scenario.sim().unwrap().calls() > calls);
    let calls = scenario.sim().unwrap().calls();
    for _ in 0..3 {
        let again = write_with_key(&scenario, Method::PATCH, &campaign, "pause-1", &pause).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    }
    assert_eq!(scenario.sim().unwrap().calls(), calls, "Meta was not asked again");
    let view = scenario.api().unwrap().call(Method::GET, &campaign, None).await.unwrap();
    assert_eq!(view["status"], "ACTIVE");

    // The same key with a request that differs in any part is refused.
    let other = campaign.replace("/campaigns/", "/adsets/");
    for (method, path, body) in [
        (Method::PATCH, &campaign, json!({"status": "ACTIVE"})),
        (Method::PATCH, &campaign, json!({"status":"PAUSED","name":"x"})),
        (Method::PATCH, &other, pause.clone()),
        (Method::DELETE, &campaign, pause.clone()),
        (Method::POST, &"rules".to_owned(), rule("x")),
    ] {
        let mismatched = write_with_key(&scenario, method.clone(), path, "pause-1", &body).await;
        let reused = (422, "urn:adflight:idempotency-key-reused".to_owned());
        assert_eq!(status_of(&mismatched), reused, "{method} {path}");
        assert!(mismatched.text.contains("Idempotency-Key"), "{}", mismatched.text);
    }
    // A read ignores a key, and another workspace has its own keys.
    assert_eq!(write_with_key(&scenario, Method::GET, &campaign, "pause-1", &Value::Null).await.status, 200);
    let stranger = scenario.system.token("stranger", Role::Owner).unwrap();
    let theirs = "/v1/workspaces/stranger/rules";
    let key = [("idempotency-key", "pause-1")];
    let added =
        scenario.send(Method::POST, theirs, Some(&stranger), &key, Some(rule("theirs").to_string())).await;
    assert_eq!(added.unwrap().status, 201);
    assert_eq!(scenario.sim().unwrap().calls(), calls);
    scenario.system.stop().await;
}

#[tokio::test]
async fn every_write_accepts_a_key() {
    let scenario = Scenario::synced().await.unwrap();
    let account = format!("ad-accounts/{}", scenario.account().unwrap());
    let campaign = format!("{account}/campaigns/{}", scenario.running_campaign().await.unwrap());
    let added = write_with_key(&scenario, Method::POST, "rules", "rule-1", &rule("Tell me")).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let rules = format!("rules/{}", added.json()["id"].as_str().unwrap());
    let connections = scenario.api().unwrap().call(Method::GET, "connections", None).await.unwrap();
    let connection = format!("connections/{}", connections["data"][0]["id"].as_str().unwrap());
    let at = json!({"at": "2099-12-01T09:00:00", "timezone": "UTC"});
    let selected = json!({"selected": true});
    // A second request without the key would get another response or have another effect.
    for (method, path, body) in [
        (Method::POST, "rules", rule("Tell me twice")),
        (Method::PUT, &rules, rule("Tell me more")),
        (Method::POST, &format!("{account}/sync"), Value::Null),
        (Method::PUT, &format!("{account}/selection"), selected),
        (Method::PUT, &format!("{campaign}/schedules/activate"), at),
        (Method::DELETE, &format!("{campaign}/schedules/activate"), Value::Null),
        (Method::PATCH, &campaign, json!({"name": "Another name"})),
        (Method::DELETE, &campaign, Value::Null),
        (Method::DELETE, &rules, Value::Null),
        (Method::DELETE, &connection, Value::Null),
    ] {
        let key = format!("{method}-{path}");
        let first = write_with_key(&scenario, method.clone(), path, &key, &body).await;
        assert!(first.status.is_success(), "{method} {path}: {}", first.text);
        let again = write_with_key(&scenario, method.clone(), path, &key, &body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{method} {path}");
    }
    let gone = write_with_key(&scenario, Method::DELETE, &rules, "another", &Value::Null).await;
    assert_eq!(gone.status, 404, "without its key it is another request");
    scenario.system.stop().await;
}

#[tokio::test]
async fn an_invalid_key_is_rejected_by_name() {
    let scenario = Scenario::start().await.unwrap();
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let path = "/v1/workspaces/demo/rules";
    let long = "k".repeat(256);
    for keys in [vec![""], vec!["a b"], vec!["\u{e9}"], vec![long.as_str()], vec!["a", "a"], vec!["a", "b"]] {
        let headers: Vec<_> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
        let body = Some(rule("x").to_string());
        let refused = scenario.send(Method::POST, path, Some(&token), &headers, body).await.unwrap();
        assert_eq!(status_of(&refused), (400, "urn:adflight:invalid-input".to_owned()), "{keys:?}");
        assert_eq!(refused.json()["errors"][0]["field"], "Idempotency-Key");
    }
    let key = "k".repeat(255);
    assert_eq!(write_with_key(&scenario, Method::POST, "rules", &key, &rule("x")).await.status, 201);
    scenario.system.stop().await;
}

#[tokio::test]
async fn one_of_several_concurrent_requests_with_the_same_key_is_executed() {
    let scenario = Scenario::start().await.unwrap();
    let mut added = Vec::new();
    for round in 0..5 {
        let key = format!("round-{round}");
        let body = rule(&key);
        let responses =
            join_all((0..8).map(|_| write_with_key(&scenario, Method::POST, "rules", &key, &body))).await;
        for response in responses {
            match response.status.as_u16() {
                201 => added.push(response.json()["id"].as_str().unwrap().to_owned()),
                409 => assert!(response.text.contains("under way"), "{}", response.text),
                _ => panic!("{} {}", response.status, response.text),
            }
        }
    }
    added.dedup();
    assert_eq!(added.len(), 5);
    let rules = scenario.api().unwrap().call(Method::GET, "rules", None).await.unwrap();
    assert_eq!(rules["data"].as_array().unwrap().len(), 5);
    scenario.system.stop().await;
}

#[tokio::test]
async fn an_invalid_request_releases_its_key_and_a_retryable_error_reserves_it() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    let campaign = format!("ad-accounts/{account}/campaigns/{}", scenario.running_campaign().await.unwrap());
    let mismatched =
        write_with_key(&scenario, Method::PATCH, &campaign, "k1", &json!({"status": "SLEEPING"})).await;
    assert_eq!(mismatched.status, 400);
    let mended =
        write_with_key(&scenario, Method::PATCH, &campaign, "k1", &json!({"status": "PAUSED"})).await;
    assert_eq!(mended.status, 200, "{}", mended.text);

    // After a retryable error the same request may be sent again, and only that.
    let throttled = Fault {
        method: Some("POST".to_owned()),
        path_contains: campaign.rsplit('/').next().unwrap().to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error { status: 400, code: 80_004, subcode: Some(2_446_079), headers: Vec::new() },
    };
    scenario.sim().unwrap().fail_next(throttled);
    let wanted = json!({"name": "Spring"});
    let delayed = write_with_key(&scenario, Method::PATCH, &campaign, "k2", &wanted).await;
    assert_eq!(status_of(&delayed), (429, "urn:adflight:throttled".to_owned()), "{}", delayed.text);
    scenario.system.clock.advance(SignedDuration::from_secs(300));
    let other = write_with_key(&scenario, Method::PATCH, &campaign, "k2", &json!({"name": "Summer"})).await;
    assert_eq!(other.status, 422, "{}", other.text);
    let again = write_with_key(&scenario, Method::PATCH, &campaign, "k2", &wanted).await;
    assert_eq!((again.status.as_u16(), again.json()["name"].as_str()), (200, Some("Spring")));
    scenario.system.stop().await;
}

#[tokio::test]
async fn a_request_whose_worker_died_is_repeated_after_its_lease() {
    let scenario = Scenario::start().await.unwrap();
    let (table, demo) = (&scenario.system.table, demo_key());
    let first = write_with_key(&scenario, Method::POST, "rules", "k1", &rule("Tell me")).await;
    assert_eq!(first.status, 201);
    // The row as it was after the rule was written and before the response was stored.
    let key = idempotency_key_hashes(&scenario).await.remove(0);
    let stored = table.idempotency_record(&demo, &key).await.unwrap().unwrap();
    assert!(stored.response.is_some());
    let now = scenario.system.clock.now();
    let worker = stored.worker.clone();
    let in_progress =
        IdempotencyRecord { response: None, lease_until: now + SignedDuration::from_mins(5), ..stored };
    table.upsert_idempotency_record(&demo, &key, &in_progress, Some(&worker), now).await.unwrap();

    for _ in 0..3 {
        let waits = write_with_key(&scenario, Method::POST, "rules", "k1", &rule("Tell me")).await;
        assert_eq!(waits.status, 409, "{}", waits.text);
        assert!(waits.text.contains("under way"), "{}", waits.text);
        scenario.system.clock.advance(SignedDuration::from_secs(99));
    }
    let mismatched = write_with_key(&scenario, Method::POST, "rules", "k1", &rule("Tell others")).await;
    assert!(mismatched.text.contains("another method, path or body"), "{}", mismatched.text);
    scenario.system.clock.advance(SignedDuration::from_secs(5));
    let followed = write_with_key(&scenario, Method::POST, "rules", "k1", &rule("Tell me")).await;
    assert_eq!(
        (followed.status, followed.json()),
        (first.status, first.json()),
        "the rule is the one that was made"
    );
    let rules = scenario.api().unwrap().call(Method::GET, "rules", None).await.unwrap();
    assert_eq!(rules["data"].as_array().unwrap().len(), 1);

    // A late write of the dead worker is refused.
    let late = table.upsert_idempotency_record(&demo, &key, &in_progress, Some(&worker), now).await;
    assert!(matches!(late, Err(store::StoreError::Conflict)), "{late:?}");
    // A deletion leaves no record.
    table.delete_idempotency_records(&tenant("demo").unwrap()).await.unwrap();
    assert_eq!(idempotency_key_hashes(&scenario).await, Vec::<String>::new());
    scenario.system.stop().await;
}

/// Returns the hashes of the keys that have a record.
async fn idempotency_key_hashes(scenario: &Scenario) -> Vec<String> {
    let scan = scenario.system.cloud.dynamodb.scan().table_name(local::cloud::TABLE).send().await.unwrap();
    let items = scan.items.unwrap_or_default();
    let keys = items.iter().filter_map(|item| item["sk"].as_s().ok()?.strip_prefix("IDEMPOTENCY#"));
    keys.map(str::to_owned).collect()
}
