//! Tests of webhooks, as a callback receives them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use graph_sim::{
    Area, Behaviour, DeliveryStats, FaultKind, FaultPlan, Issue, ReportError, ReportOutcome, RequestMatcher,
    Trigger, WriteSettings,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::client::{APP_ID, Client, ManualClock, SECRET, config, generated};

const TOKEN: &str = "what we agreed on";

/// A callback server that accepts or rejects deliveries.
#[derive(Clone)]
struct Callback {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    response_status: Arc<Mutex<StatusCode>>,
    _served: Arc<Abort>,
}

struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Seen = (Arc<Mutex<Vec<(HeaderMap, String)>>>, Arc<Mutex<StatusCode>>);

impl Callback {
    async fn start() -> Self {
        let got = Arc::new(Mutex::new(Vec::new()));
        let response_status = Arc::new(Mutex::new(StatusCode::OK));
        let seen: Seen = (Arc::clone(&got), Arc::clone(&response_status));
        let routes = Router::new().route("/hook", get(challenge).post(take)).with_state(seen);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let served = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, got, response_status, _served: Arc::new(Abort(served)) }
    }

    fn respond_with(&self, status: StatusCode) {
        *self.response_status.lock().unwrap() = status;
    }

    /// Returns the deliveries received since the last call.
    fn take(&self) -> Vec<(HeaderMap, String)> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    fn bodies(&self) -> Vec<Value> {
        self.take().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }
}

async fn challenge(Query(query): Query<Vec<(String, String)>>) -> (StatusCode, String) {
    let value = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    assert_eq!(value("hub.mode").as_deref(), Some("subscribe"));
    match (value("hub.verify_token").as_deref(), value("hub.challenge")) {
        (Some(TOKEN), Some(challenge)) => (StatusCode::OK, challenge),
        _ => (StatusCode::FORBIDDEN, String::new()),
    }
}

async fn take(State((got, response_status)): State<Seen>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    got.lock().unwrap().push((parts.headers, String::from_utf8(body.to_vec()).unwrap()));
    *response_status.lock().unwrap()
}

/// Sends a call with the app's own token.
async fn app(client: &Client, method: Method, params: &[(&str, &str)]) -> Value {
    let url = format!("{}/v26.0/{APP_ID}/subscriptions", client.sim.base_url());
    let request = client.http.request(method.clone(), url).bearer_auth(format!("{APP_ID}|{SECRET}"));
    let request = if method == Method::POST { request.form(params) } else { request.query(params) };
    crate::client::json(request.send().await.unwrap()).await
}

async fn subscribe(client: &Client, callback: &Callback, object: &str, fields: &str) {
    let params =
        [("object", object), ("callback_url", &callback.url), ("fields", fields), ("verify_token", TOKEN)];
    assert_eq!(app(client, Method::POST, &params).await, json!({"success": true}));
}

/// Starts a client and a callback that is subscribed to the main account's issues and processing events.
async fn subscribed_client() -> (Client, Callback) {
    subscribed_client_with(Behaviour::default()).await
}

async fn subscribed_client_with(behaviour: Behaviour) -> (Client, Callback) {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour = behaviour;
    let (client, callback) = (Client::with_config(config, time).await.unwrap(), Callback::start().await);
    subscribe(&client, &callback, "ad_account", "with_issues_ad_objects,in_process_ad_objects").await;
    let listened = client.post(&client.act("subscribed_apps"), &[("app_id", APP_ID)]).await;
    assert_eq!(listened, json!({"success": "true"}));
    (client, callback)
}

fn issue(client: &Client, summary: &str) -> bool {
    let value = json!({"id": "23", "level": "AD", "error_code": 1, "error_summary": summary});
    client.sim.post_change("ad_account", "with_issues_ad_objects", value)
}

fn summaries(body: &Value) -> Vec<&str> {
    let entries = body["entry"].as_array().unwrap().iter();
    let changes = entries.flat_map(|entry| entry["changes"].as_array().unwrap());
    changes.map(|change| change["value"]["error_summary"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_subscription_is_made_only_when_its_callback_agrees() {
    let (client, callback) = (Client::new().await, Callback::start().await);
    let mut params = [
        ("object", "ad_account"),
        ("callback_url", &callback.url),
        ("fields", "with_issues_ad_objects"),
        ("verify_token", "guess"),
    ];
    assert_eq!(app(&client, Method::POST, &params).await["error"]["code"], 2200);
    params[3].1 = TOKEN;
    params[2].1 = "no_such_field";
    assert_eq!(app(&client, Method::POST, &params).await["error"]["code"], 100);
    assert_eq!(app(&client, Method::GET, &[]).await, json!({"data": []}));
    params[2].1 = "with_issues_ad_objects";
    assert_eq!(app(&client, Method::POST, &params).await, json!({"success": true}));
    assert_eq!(
        app(&client, Method::GET, &[]).await["data"],
        json!([{"object": "ad_account", "callback_url": callback.url, "active": true,
                "fields": [{"name": "with_issues_ad_objects", "version": "v26.0"}]}])
    );
    app(&client, Method::DELETE, &[("object", "ad_account")]).await;
    assert_eq!(app(&client, Method::GET, &[]).await, json!({"data": []}));
    let path = format!("{APP_ID}/subscriptions");
    assert_eq!(client.error(Method::GET, &path, &[]).await, (400, 15, None), "a person may not ask");
}

#[tokio::test]
async fn a_change_arrives_signed_over_its_escaped_body() {
    let (client, callback) = subscribed_client().await;
    assert!(issue(&client, "Größe"));
    let stats = client.sim.deliver_due().await;
    assert_eq!(stats, DeliveryStats { accepted: 1, ..DeliveryStats::default() });
    let (headers, body) = callback.take().remove(0);
    assert!(body.contains("Gr\\u00f6\\u00dfe"), "{body}");
    assert_eq!(headers["x-hub-signature-256"], client.sim.webhook_signature(&body));
    assert!(headers["x-hub-signature"].to_str().unwrap().starts_with("sha1="));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["object"], &body["entry"][0]["id"]), (&json!("ad_account"), &json!("0")));
}

#[tokio::test]
async fn an_account_that_was_not_subscribed_is_silent() {
    let (client, callback) = subscribed_client().await;
    let of = |account: &str| json!({"ad_account_id": account, "id": "23", "level": "AD"});
    assert!(!client.sim.post_change("ad_account", "with_issues_ad_objects", of("1000000000000072")));
    assert!(
        !client.sim.post_change("ad_account", "creative_fatigue", of("1")),
        "the field was not asked for"
    );
    let account = client.sim.account().id;
    assert!(client.sim.post_change("ad_account", "with_issues_ad_objects", of(&account)));
    client.send(Method::DELETE, &client.act("subscribed_apps"), &[]).await.unwrap();
    assert!(!client.sim.post_change("ad_account", "with_issues_ad_objects", of(&account)));
    client.sim.deliver_due().await;
    assert_eq!(callback.bodies().len(), 1);
}

#[tokio::test]
async fn what_is_not_taken_comes_again_ever_less_often_and_then_never() {
    let (client, callback) = subscribed_client().await;
    callback.respond_with(StatusCode::INTERNAL_SERVER_ERROR);
    issue(&client, "a");
    // The first attempt, and an immediate retry.
    let stats = client.sim.deliver_due().await;
    assert_eq!((stats.accepted, stats.failed, stats.pending), (0, 2, 1));
    assert_eq!(client.sim.deliver_due().await.failed, 0);
    client.time.advance_minutes(1);
    assert_eq!(client.sim.deliver_due().await.failed, 1);
    client.time.advance_minutes(4);
    assert_eq!(client.sim.deliver_due().await.failed, 0, "the next pause is longer");
    let (mut tries, mut dropped) = (3, 0);
    for _ in 0..48 {
        client.time.advance_minutes(60);
        let stats = client.sim.deliver_due().await;
        (tries, dropped) = (tries + stats.failed, dropped + stats.dropped);
    }
    assert!((8..14).contains(&tries) && dropped == 1, "{tries} tries, {dropped} dropped");
    assert_eq!(client.sim.deliver_due().await, DeliveryStats::default());
    callback.take();
    callback.respond_with(StatusCode::OK);
    issue(&client, "b");
    client.sim.deliver_due().await;
    assert_eq!(summaries(&callback.bodies()[0]), ["b"]);
}

#[tokio::test]
async fn a_thousand_changes_fill_a_delivery() {
    let (client, callback) = subscribed_client().await;
    for number in 0..1_001 {
        issue(&client, &number.to_string());
    }
    assert_eq!(client.sim.deliver_due().await.accepted, 2);
    let bodies = callback.bodies();
    assert_eq!((summaries(&bodies[0]).len(), summaries(&bodies[1])), (1_000, vec!["1000"]));
}

#[tokio::test]
async fn deliveries_double_get_lost_and_overtake_each_other_when_ordered_to() {
    let (client, callback) = subscribed_client().await;
    let order = |what| {
        let matcher = RequestMatcher { area: Some(Area::Webhook), ..RequestMatcher::default() };
        client.sim.set_plan(FaultPlan::single(Trigger::nth(1), matcher, what));
    };
    order(FaultKind::Duplicate);
    issue(&client, "twice");
    assert_eq!(client.sim.deliver_due().await.accepted, 2);
    let bodies = callback.bodies();
    assert_eq!(bodies[0], bodies[1]);

    order(FaultKind::LostRequest);
    issue(&client, "late");
    let stats = client.sim.deliver_due().await;
    assert_eq!((stats.failed, stats.accepted, callback.bodies().len()), (1, 1, 1));

    order(FaultKind::OutOfOrder);
    issue(&client, "first");
    assert_eq!(client.sim.deliver_due().await.pending, 1);
    issue(&client, "second");
    client.sim.deliver_due().await;
    client.time.advance_minutes(1);
    client.sim.deliver_due().await;
    let bodies = callback.bodies();
    assert_eq!((summaries(&bodies[0]), summaries(&bodies[1])), (vec!["second"], vec!["first"]));
}

#[tokio::test]
async fn without_values_only_the_names_of_fields_come() {
    let (client, callback) = (Client::new().await, Callback::start().await);
    let params = [
        ("object", "application"),
        ("callback_url", callback.url.as_str()),
        ("fields", r#"["async_requests"]"#),
        ("verify_token", TOKEN),
        ("include_values", "false"),
    ];
    app(&client, Method::POST, &params).await;
    assert!(client.sim.post_change("application", "async_requests", json!({"verb": "complete"})));
    client.sim.deliver_due().await;
    let body = callback.bodies().remove(0);
    assert_eq!(body["entry"][0]["changed_fields"], json!(["async_requests"]));
    assert!(body["entry"][0].get("changes").is_none() && body["entry"][0]["id"] == APP_ID);
}

#[tokio::test]
async fn a_lead_names_its_ids_as_numbers() {
    let (mut client, callback) = (Client::new().await, Callback::start().await);
    let page = client.sim.account().page_id;
    subscribe(&client, &callback, "page", "leadgen").await;
    client.token = client.sim.issue_token("7", &["pages_manage_metadata", "leads_retrieval"]);
    let path = format!("{page}/subscribed_apps");
    client.post(&path, &[("subscribed_fields", "leadgen")]).await;
    let listed = client.get(&path, &[]).await;
    assert_eq!(
        listed["data"][0],
        json!({"name": "Adflight", "id": APP_ID, "subscribed_fields": ["leadgen"]})
    );
    let lead = json!({"leadgen_id": "444", "page_id": page, "created_time": 7});
    assert!(client.sim.post_change("page", "leadgen", lead));
    client.sim.deliver_due().await;
    let entry = callback.bodies()[0]["entry"][0].take();
    let number: u64 = page.parse().unwrap();
    assert_eq!(
        (&entry["id"], &entry["changes"][0]["value"]),
        (&json!(page), &json!({"leadgen_id": 444, "page_id": number, "created_time": 7}))
    );
}

#[tokio::test]
async fn objects_tell_when_they_leave_processing_and_when_they_get_issues() {
    let writing = WriteSettings { in_process: Duration::from_secs(30), ..WriteSettings::default() };
    let (client, callback) = subscribed_client_with(Behaviour { writing, ..Behaviour::default() }).await;
    let campaign = client.new_campaign().await;
    assert_eq!(client.sim.deliver_due().await, DeliveryStats::default());
    client.time.advance_minutes(1);
    client.sim.deliver_due().await;
    let entry = callback.bodies()[0]["entry"][0].take();
    assert_eq!(
        entry["changes"][0],
        json!({"field": "in_process_ad_objects",
               "value": {"id": campaign, "level": "CAMPAIGN", "status_name": "PAUSED"}})
    );
    let issue = Issue { code: 1_815_869, summary: "Broken".into(), message: "Mend it.".into() };
    client.sim.set_issue(&campaign, Some(issue));
    client.sim.deliver_due().await;
    assert_eq!(
        callback.bodies()[0]["entry"][0]["changes"][0]["value"],
        json!({"id": campaign, "level": "CAMPAIGN", "error_code": 1_815_869, "error_summary": "Broken",
               "error_message": "Mend it."})
    );
}

#[tokio::test]
async fn a_report_tells_of_its_end_once() {
    let (client, callback) = (Client::new().await, Callback::start().await);
    subscribe(&client, &callback, "application", "async_requests").await;
    client.sim.queue_report_outcomes(vec![
        ReportOutcome::Completed,
        ReportOutcome::Failed(ReportError::too_large()),
    ]);
    let mut runs = Vec::new();
    for _ in 0..2 {
        let run = client.post(&client.act("insights"), &[]).await["report_run_id"].take();
        client.get(run.as_str().unwrap(), &[]).await;
        runs.push(run);
    }
    client.time.advance_minutes(60);
    client.sim.deliver_due().await;
    let body = callback.bodies().remove(0);
    let changes: Vec<Value> = body["entry"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|e| e["changes"].as_array().unwrap().clone())
        .collect();
    let ends: Vec<_> = changes.iter().map(|c| (&c["value"]["report_id"], &c["value"]["verb"])).collect();
    assert_eq!(ends, [(&runs[0], &json!("complete")), (&runs[1], &json!("fail"))]);
    assert_eq!(client.sim.deliver_due().await, DeliveryStats::default());
}
