//! Tests of quotas and queued faults.

use graph_sim::{Fault, FaultKind, Limits};
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, ManualClock, config, generated, json};

fn fault(path_contains: &str, kind: FaultKind) -> Fault {
    Fault { method: None, path_contains: path_contains.to_owned(), times: 1, skip: 0, kind }
}

#[tokio::test]
async fn an_account_over_its_quota_waits() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.limits = Limits { ads_management: 2, ads_insights: 1, ..Limits::default() };
    let client = Client::with_config(config, time).await.unwrap();
    let (account, insights) = (client.sim.account().id, client.act("insights"));
    for _ in 0..2 {
        client.get(&account, &[]).await;
    }
    assert_eq!(client.error(Method::GET, &account, &[]).await, (400, 80004, Some(2446079)));
    let response = client.send(Method::GET, &insights, &[]).await.unwrap();
    assert!(response.status() == 200 && response.headers().contains_key("x-fb-ads-insights-throttle"));
    let usage: Value =
        serde_json::from_str(response.headers()["x-business-use-case-usage"].to_str().unwrap()).unwrap();
    let usage = &usage[account.trim_start_matches("act_")];
    assert_eq!((&usage[0]["type"], &usage[0]["call_count"]), (&"ads_management".into(), &100.into()));
    assert_eq!(usage[0]["estimated_time_to_regain_access"], 60);
    assert_eq!(client.error(Method::GET, &insights, &[]).await, (400, 80000, Some(2446079)));
    client.get("act_1000000000000072", &[]).await;
    client.time.advance_minutes(60);
    client.get(&account, &[]).await;
}

#[tokio::test]
async fn an_ordered_error_has_its_headers_and_no_effect() {
    let client = Client::new().await;
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    let kind = FaultKind::Error { status: 500, code: 2, subcode: Some(99), headers };
    client.sim.fail_next(Fault { method: Some("POST".into()), ..fault("/campaigns", kind) });
    client.get(&client.act("campaigns"), &[]).await;
    let response = client.send(Method::POST, &client.act("campaigns"), &[]).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (500, &"7".parse().unwrap())
    );
    let error = json(response).await["error"].take();
    assert_eq!(
        (&error["code"], &error["error_subcode"], &error["is_transient"]),
        (&2.into(), &99.into(), &true.into())
    );
}

#[tokio::test]
async fn a_lost_answer_has_its_effect() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    client.sim.fail_next(fault(&campaign, FaultKind::LostResponse));
    let lost = client.send(Method::POST, &campaign, &[("name", "Changed all the same")]).await;
    assert!(lost.is_err());
    let read = client.get(&campaign, &[("fields", "name")]).await;
    assert_eq!(read["name"], "Changed all the same");
}

#[tokio::test]
async fn broken_bodies_are_broken() {
    let client = Client::new().await;
    client.sim.fail_next(Fault { skip: 1, ..fault("/campaigns", FaultKind::Html) });
    client.get(&client.act("campaigns"), &[]).await;
    let html = client.send(Method::GET, &client.act("campaigns"), &[]).await.unwrap();
    assert_eq!(html.status(), 502);
    assert!(html.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    client.sim.fail_next(fault("/campaigns", FaultKind::Truncated));
    let half = client.send(Method::GET, &client.act("campaigns"), &[]).await.unwrap();
    assert_eq!(half.status(), 200);
    assert!(serde_json::from_str::<Value>(&half.text().await.unwrap()).is_err());
    client.get(&client.act("campaigns"), &[]).await;
}

#[tokio::test]
async fn all_tokens_can_die_at_once() {
    let mut client = Client::new().await;
    client.sim.revoke_token(460);
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 190, Some(460)));
    client.token = client.sim.issue_token("7", &["ads_read"]);
    client.get("me", &[]).await;
}
