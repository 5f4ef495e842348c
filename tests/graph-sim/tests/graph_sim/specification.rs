//! Tests of validation against Meta's specification.

use graph_sim::spec;
use reqwest::Method;

use crate::client::{Client, json};

#[tokio::test]
async fn a_value_of_the_wrong_form_is_refused_before_anything_happens() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    for (name, value) in [
        ("daily_budget", "12.5"),
        ("daily_budget", "-1"),
        ("status", "ON"),
        ("is_budget_schedule_enabled", "yes"),
    ] {
        let response = client.send(Method::POST, &campaign, &[(name, value), ("name", "x")]).await.unwrap();
        let error = json(response).await["error"].take();
        let message = error["message"].as_str().unwrap();
        assert!(
            error["code"] == 100 && message.starts_with(&format!("(#100) Param {name} must be")),
            "{message}"
        );
    }
    assert_eq!(client.get(&campaign, &[("fields", "name")]).await["name"], "Made by a test");
    let (ads, bad_level) = (client.act("ads"), [("level", "campaigns")]);
    assert_eq!(client.error(Method::GET, &client.act("insights"), &bad_level).await, (400, 100, None));
    assert_eq!(client.error(Method::GET, &ads, &[("date_preset", "lifetime")]).await, (400, 100, None));
}

#[tokio::test]
async fn what_was_really_asked_can_be_judged_afterwards() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    client.get(&client.act("campaigns"), &[("fields", "id,adsets.limit(2){id,name}"), ("limit", "3")]).await;
    client.post(&campaign, &[("name", "New"), ("nmae", "Old")]).await;
    let errors: Vec<String> = client
        .sim
        .requests()
        .iter()
        .flat_map(|call| spec::validate(&call.method, &call.class, &call.edge, &call.params))
        .collect();
    assert_eq!(errors, ["Graph would ignore the parameter nmae"]);
}

#[tokio::test]
async fn every_specified_field_can_be_asked_for_and_is_absent_without_a_value() {
    let client = Client::new().await;
    let fields = "id,name,topline_id,is_pca_unified,recommendations,source_campaign{id,name},ad_studies{id},copies{id}";
    let (campaigns, _) = client.all(&client.act("campaigns"), &[("fields", fields)]).await;
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(campaigns.iter().all(|campaign| keys(campaign) == ["id", "name"]), "{campaigns:?}");
    assert_eq!(client.get(&client.act("saved_audiences"), &[]).await, serde_json::json!({ "data": [] }));
}
