//! Tests of the processing and review of written objects.

use std::time::Duration;

use graph_sim::{Issue, ReviewDecision};
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, ManualClock, config, generated};

/// Starts a client of an account whose objects take a minute to be processed and its ads ten more to be reviewed.
async fn with_processing() -> Client {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.writing.in_process = Duration::from_secs(60);
    config.behaviour.writing.review = Duration::from_secs(600);
    config.behaviour.writing.refuse_in_process = true;
    config.behaviour.writing.disapproved_name_marker = Some("[no]".into());
    Client::with_config(config, time).await.unwrap()
}

async fn effective(client: &Client, id: &str) -> String {
    let read = client.get(id, &[("fields", "effective_status")]).await;
    read["effective_status"].as_str().unwrap().to_owned()
}

/// Creates an active ad of this name in the account's first running ad set.
async fn new_ad(client: &Client, name: &str) -> String {
    let running = r#"[{"field":"adset.effective_status","operator":"IN","value":["ACTIVE"]}]"#;
    let sets = client.get(&client.act("adsets"), &[("filtering", running), ("limit", "1")]).await;
    let story = json!({"object_story_id": format!("{}_5", client.sim.account().page_id)}).to_string();
    let params =
        [("name", name), ("adset_id", sets["data"][0]["id"].as_str().unwrap()), ("creative", &story)];
    client.post(&client.act("ads"), &params).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_new_campaign_is_in_process_and_meanwhile_cannot_be_edited() {
    let client = with_processing().await;
    let id = client.new_campaign().await;
    assert_eq!(effective(&client, &id).await, "IN_PROCESS");
    let edit = [("name", "Too soon")];
    assert_eq!(client.error(Method::POST, &id, &edit).await, (500, 1, Some(99)));
    assert_eq!(client.error(Method::POST, &format!("{id}/copies"), &[]).await, (500, 1, Some(99)));
    client.time.advance_minutes(1);
    assert_eq!(effective(&client, &id).await, "PAUSED");
    client.post(&id, &edit).await;
    assert_eq!(effective(&client, &id).await, "IN_PROCESS", "an edit is processed too");
    client.send(Method::DELETE, &id, &[]).await.unwrap();
    assert_eq!(effective(&client, &id).await, "DELETED");
}

#[tokio::test]
async fn an_ad_is_reviewed_and_again_when_its_creative_or_audience_changes() {
    let client = with_processing().await;
    let ad = new_ad(&client, "Good").await;
    let seen = async || effective(&client, &ad).await;
    assert_eq!(seen().await, "IN_PROCESS");
    client.time.advance_minutes(1);
    assert_eq!(seen().await, "PENDING_REVIEW");
    client.time.advance_minutes(10);
    assert_eq!(seen().await, "ACTIVE");

    client.post(&ad, &[("name", "Renamed")]).await;
    client.time.advance_minutes(1);
    assert_eq!(seen().await, "ACTIVE", "a name is not reviewed");
    let story = json!({"object_story_id": format!("{}_6", client.sim.account().page_id)}).to_string();
    client.post(&ad, &[("creative", &story)]).await;
    client.time.advance_minutes(1);
    assert_eq!(seen().await, "PENDING_REVIEW");
    client.sim.review(&ad, ReviewDecision::Approved);
    assert_eq!(seen().await, "ACTIVE", "the reviewer was early");

    let set = client.sim.node(&ad).unwrap()["adset_id"].as_str().unwrap().to_owned();
    let campaign = client.sim.node(&ad).unwrap()["campaign_id"].as_str().unwrap().to_owned();
    client.post(&campaign, &[("daily_budget", "50500")]).await;
    assert_eq!(seen().await, "ACTIVE", "nor is money");
    let targeting = r#"{"geo_locations":{"countries":["MY"]}}"#;
    client.post(&set, &[("targeting", targeting)]).await;
    client.time.advance_minutes(1);
    assert_eq!(seen().await, "PENDING_REVIEW");
    let whole = client.sim.node(&set).unwrap()["targeting"].clone();
    assert_eq!(whole, json!({"geo_locations": {"countries": ["MY"]}}), "a targeting is replaced as a whole");
}

#[tokio::test]
async fn an_ad_can_fail_its_review_by_its_name_or_by_order() {
    let client = with_processing().await;
    let (marked, ordered) = (new_ad(&client, "Bad [no]").await, new_ad(&client, "Fine").await);
    client.time.advance_minutes(11);
    assert_eq!(
        (effective(&client, &marked).await, effective(&client, &ordered).await),
        ("DISAPPROVED".into(), "ACTIVE".into())
    );
    client.sim.review(&ordered, ReviewDecision::Disapproved("Shouting".into()));
    let read = client.get(&ordered, &[("fields", "effective_status,status,ad_review_feedback")]).await;
    assert_eq!((&read["effective_status"], &read["status"]), (&json!("DISAPPROVED"), &json!("ACTIVE")));
    assert_eq!(read["ad_review_feedback"]["global"], json!({"POLICY": "Shouting"}));
    let listed = client.get(&client.act("ads"), &[("effective_status", "[\"DISAPPROVED\"]")]).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_object_with_issues_explains_itself() {
    let client = Client::new().await;
    let ad = new_ad(&client, "Ad").await;
    assert_eq!(effective(&client, &ad).await, "ACTIVE", "without durations everything happens at once");
    let issue = Issue { code: 1_815_869, summary: "Link broken".into(), message: "Mend the link.".into() };
    client.sim.set_issue(&ad, Some(issue));
    let read = client.get(&ad, &[("fields", "effective_status,issues_info")]).await;
    assert_eq!(read["effective_status"], "WITH_ISSUES");
    let issue = &read["issues_info"][0];
    assert_eq!((&issue["level"], &issue["error_code"]), (&json!("AD"), &json!(1_815_869)));
    client.sim.set_issue(&ad, None);
    assert_eq!(effective(&client, &ad).await, "ACTIVE");
}

#[tokio::test]
async fn a_creative_is_processed_too() {
    let client = with_processing().await;
    let story = format!("{}_5", client.sim.account().page_id);
    let made = client.post(&client.act("adcreatives"), &[("object_story_id", &story)]).await;
    let id = made["id"].as_str().unwrap();
    let status = async || client.get(id, &[("fields", "status")]).await["status"].take();
    assert_eq!(status().await, "IN_PROCESS");
    client.time.advance_minutes(1);
    assert_eq!(status().await, "ACTIVE");
}
