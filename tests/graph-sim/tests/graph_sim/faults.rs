//! Tests of fault plans.

use std::collections::BTreeSet;
use std::time::Duration;

use graph_sim::{
    Area, ErrorData, ErrorResponse, ExpectedOutcome, FaultKind, FaultPlan, FaultRule, RequestMatcher,
    ThrottleKind, Trigger,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, json as body_of};

async fn send_with_fault(client: &Client, what: FaultKind) -> Result<reqwest::Response, reqwest::Error> {
    client.sim.set_plan(FaultPlan::single(Trigger::nth(1), RequestMatcher::default(), what));
    client.send(Method::GET, &client.act("campaigns"), &[]).await
}

#[tokio::test]
async fn an_error_may_carry_its_data_either_way_and_hide_in_a_success() {
    let client = Client::new().await;
    let data = json!({ "blame_field_specs": [["daily_budget"]] });
    let error_response =
        |data| ErrorResponse { error_data: Some(data), ..ErrorResponse::new(2, None).transient(true) };

    let kind = FaultKind::ErrorResponse(error_response(ErrorData::Object(data.clone())).status(200));
    let response = send_with_fault(&client, kind).await.unwrap();
    assert!(response.headers().contains_key("x-business-use-case-usage"));
    assert_eq!(response.status(), 200);
    let error = body_of(response).await["error"].take();
    assert_eq!((&error["error_data"], &error["is_transient"]), (&data, &true.into()));

    let text = body_of(
        send_with_fault(&client, FaultKind::ErrorResponse(error_response(ErrorData::Text(data.clone()))))
            .await
            .unwrap(),
    );
    let text = text.await["error"]["error_data"].take();
    assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), data);
    assert_eq!(client.sim.faults_injected(), 2);
}

#[tokio::test]
async fn answers_that_are_not_json_have_their_statuses() {
    let client = Client::new().await;
    for (kind, status, text) in [
        (FaultKind::PlainUnavailable, 200, "Service Unavailable"),
        (FaultKind::TooLarge, 413, ""),
        (FaultKind::HtmlUnavailable, 503, "<!DOCTYPE html>"),
    ] {
        let response = send_with_fault(&client, kind).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.text().await.unwrap().starts_with(text));
    }
}

#[tokio::test]
async fn a_throttle_says_how_long_in_the_unit_of_its_header() {
    let client = Client::new().await;
    let throttle = |limit| FaultKind::Throttle { limit, minutes: 3 };
    let response = send_with_fault(&client, throttle(ThrottleKind::Management)).await.unwrap();
    let usage: Value =
        serde_json::from_str(response.headers()["x-business-use-case-usage"].to_str().unwrap()).unwrap();
    let account = client.sim.account().id;
    let usage = &usage[account.trim_start_matches("act_")][0];
    assert_eq!((&usage["call_count"], &usage["estimated_time_to_regain_access"]), (&100.into(), &3.into()));
    assert_eq!(body_of(response).await["error"]["code"], 80_004);

    let response = send_with_fault(&client, throttle(ThrottleKind::Account)).await.unwrap();
    let score: Value =
        serde_json::from_str(response.headers()["x-ad-account-usage"].to_str().unwrap()).unwrap();
    assert_eq!((&score["acc_id_util_pct"], &score["reset_time_duration"]), (&100.into(), &180.into()));
}

#[tokio::test]
async fn a_lost_call_has_no_effect() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    client.sim.set_plan(FaultPlan::single(
        Trigger::nth(1),
        RequestMatcher::default(),
        FaultKind::LostRequest,
    ));
    assert!(client.send(Method::POST, &campaign, &[("name", "Never arrives")]).await.is_err());
    assert_eq!(client.get(&campaign, &[("fields", "name")]).await["name"], "Made by a test");
}

#[tokio::test]
async fn a_call_that_hangs_holds_up_neither_others_nor_the_end() {
    let client = Client::new().await;
    let matcher = RequestMatcher { path_contains: "campaigns".into(), ..RequestMatcher::default() };
    client.sim.set_plan(FaultPlan::single(Trigger::nth(1), matcher, FaultKind::Hang));
    let url = format!("{}/v26.0/{}", client.sim.base_url(), client.act("campaigns"));
    let hanging = tokio::spawn(client.http.get(url).bearer_auth(&client.token).send());
    while client.sim.faults_injected() == 0 {
        tokio::task::yield_now().await;
    }
    client.get("me", &[]).await;
    assert!(!hanging.is_finished());
    client.sim.stop().await;
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_late_answer_comes_after_a_client_has_given_up_and_has_its_effect() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let matcher = RequestMatcher { method: Some("POST".into()), ..RequestMatcher::default() };
    client.sim.set_plan(FaultPlan::single(Trigger::nth(1), matcher, FaultKind::Delay { millis: 60_000 }));
    let url = format!("{}/v26.0/{campaign}", client.sim.base_url());
    let request = client.http.post(url).bearer_auth(&client.token).form(&[("name", "Renamed")]);
    assert!(request.timeout(Duration::from_millis(100)).send().await.unwrap_err().is_timeout());
    assert_eq!(client.get(&campaign, &[("fields", "name")]).await["name"], "Renamed");
}

#[tokio::test]
async fn a_page_may_come_twice_and_nothing_is_lost() {
    let client = Client::new().await;
    client.sim.set_plan(FaultPlan::single(
        Trigger::nth(2),
        RequestMatcher::default(),
        FaultKind::RepeatedPage,
    ));
    let (rows, pages) = client.all(&client.act("ads"), &[("limit", "50")]).await;
    assert_eq!((rows.len(), pages, client.sim.faults_injected()), (230, 5, 1));
    assert_eq!(rows[50..100], rows[100..150]);
    let unlike: BTreeSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(unlike.len(), 180);
}

#[tokio::test]
async fn every_case_strikes_a_client_that_reads_pages() {
    for case in FaultPlan::all_cases() {
        let client = Client::new().await;
        let elsewhere = ["batch", "webhook"].iter().any(|word| case.name.starts_with(word));
        client.sim.set_plan(case.plan);
        if matches!(case.expected, ExpectedOutcome::Complete) && case.name == "no response" {
            continue;
        }
        let url = format!("{}/v26.0/{}", client.sim.base_url(), client.act("ads"));
        let mut next = Some(format!("{url}?limit=100&access_token={}", client.token));
        for _ in 0..3 {
            let Some(url) = next.clone() else { break };
            let Ok(response) = client.http.get(&url).send().await else { continue };
            let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
            if let Some(data) = body.get("data") {
                assert!(data.is_array(), "{}: {body}", case.name);
                next = body["paging"]["next"].as_str().map(str::to_owned);
            }
        }
        assert_eq!(client.sim.faults_injected() == 0, elsewhere, "{}", case.name);
    }
}

#[tokio::test]
async fn a_new_plan_takes_the_place_of_the_old_one() {
    let client = Client::new().await;
    let always = FaultRule {
        when: Trigger::default(),
        matcher: RequestMatcher::reads(Area::Structure),
        what: FaultKind::Html,
    };
    client.sim.set_plan(FaultPlan { seed: 0, rules: vec![always] });
    assert_eq!(client.send(Method::GET, &client.act("ads"), &[]).await.unwrap().status(), 502);
    client.get(&client.act("insights"), &[]).await;
    client.sim.set_plan(FaultPlan::default());
    client.get(&client.act("ads"), &[]).await;
}

/// Reads all rows of a listing with a client that retries failed reads and keeps no row twice.
async fn read_with_retries(client: &Client, edge: &str, params: &str) -> BTreeSet<String> {
    let url = format!("{}/v26.0/{}", client.sim.base_url(), client.act(edge));
    let mut next = Some(format!("{url}?access_token={}&{params}", client.token));
    let (mut rows, mut tries) = (BTreeSet::new(), 0);
    while let Some(url) = next.clone() {
        tries += 1;
        assert!(tries < 100, "{url}");
        let Ok(response) = client.http.get(&url).send().await else { continue };
        let throttled = response.status() == 400;
        let Ok(text) = response.text().await else { continue };
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if throttled {
            client.time.advance_minutes(1);
        }
        let Some(data) = body["data"].as_array() else { continue };
        rows.extend(data.iter().map(Value::to_string));
        next = body["paging"]["next"].as_str().map(str::to_owned);
    }
    rows
}

#[tokio::test]
async fn a_patient_client_ends_complete_whatever_the_seed() {
    let client = Client::new().await;
    let insights = "level=ad&time_increment=1&date_preset=last_7d&limit=100";
    let (ads, numbers) = (
        read_with_retries(&client, "ads", "limit=20").await,
        read_with_retries(&client, "insights", insights).await,
    );
    for seed in 0..12 {
        client.sim.set_plan(FaultPlan::from_seed(seed));
        assert_eq!(read_with_retries(&client, "ads", "limit=20").await, ads, "{seed}");
        assert_eq!(read_with_retries(&client, "insights", insights).await, numbers, "{seed}");
    }
    assert!(client.sim.faults_injected() > 24, "{}", client.sim.faults_injected());
}
