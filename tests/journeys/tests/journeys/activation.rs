//! A campaign is activated with what it holds at that time, and it is seen whether it can deliver.

use graph_sim::{Fault, FaultKind, LOGIN_USER_ID};
use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

use crate::launch::advance;

/// Launches a campaign of one ad set with two ads, and returns the launch.
async fn launched(scenario: &Scenario, key: &str) -> Value {
    let mut document = scenario.launch_document().unwrap();
    let ad = document.as_object_mut().unwrap().remove("ad").unwrap();
    let mut other = ad.clone();
    other["name"] = json!("The other ad");
    document["ad_set"]["ads"] = json!([ad, other]);
    let launched = scenario.launch(key, &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    launched.json()
}

fn id<'a>(launch: &'a Value, path: &str) -> &'a str {
    let steps = launch["steps"].as_array().unwrap();
    steps.iter().find(|step| step["path"] == path).unwrap()["id"].as_str().unwrap()
}

/// Activates a campaign now, and returns how that ended.
async fn activate(scenario: &Scenario, campaign: &str, scope: Option<&str>) -> Value {
    let path = format!("campaigns/{campaign}/schedules/activate");
    let body = json!({"at": "now", "scope": scope});
    let scheduled = scenario.call_as_owner(Method::PUT, &path, Some(body)).await.unwrap();
    assert_eq!(scheduled.status, 200, "{}", scheduled.text);
    scenario.system.runner.settle().await.unwrap();
    scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()
}

/// Does what a person does in Ads Manager.
async fn at_meta(scenario: &Scenario, method: Method, path: &str, form: Value) -> Value {
    let sim = scenario.sim().unwrap();
    let token = sim.issue_token(LOGIN_USER_ID, &["ads_read", "ads_management"]);
    let form: Vec<_> = form
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let url = format!("{}/v26.0/{path}", sim.base_url());
    let response = scenario.http.request(method, url).bearer_auth(token).form(&form).send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(!text.contains("error"), "{text}");
    serde_json::from_str(&text).unwrap()
}

fn status(scenario: &Scenario, id: &str) -> Value {
    scenario.sim().unwrap().node(id).unwrap()["status"].clone()
}

/// The case W-18: a person replaces an ad in Ads Manager between launch and start.
#[tokio::test]
async fn an_ad_that_was_replaced_by_hand_starts_with_the_campaign() {
    let scenario = Scenario::synced().await.unwrap();
    let launch = launched(&scenario, "replaced").await;
    let (campaign, ad_set) = (id(&launch, "campaign"), id(&launch, "ad_sets[0]"));
    let (replaced, kept) = (id(&launch, "ad_sets[0].ads[0]"), id(&launch, "ad_sets[0].ads[1]"));
    let sim = scenario.sim().unwrap();
    let creative = sim.node(replaced).unwrap()["creative"]["id"].clone();
    let form = json!({
        "name": "By hand", "adset_id": ad_set, "status": "PAUSED", "creative": {"creative_id": creative},
    });
    let ads = format!("{}/ads", scenario.account().unwrap());
    let replacement = at_meta(&scenario, Method::POST, &ads, form).await;
    let replacement = replacement["id"].as_str().unwrap();
    at_meta(&scenario, Method::DELETE, replaced, json!({})).await;

    let activation = activate(&scenario, campaign, None).await;
    assert_eq!((&activation["state"], &activation["scope"]), (&json!("done"), &json!("everything")));
    assert_eq!(activation["problems"], Value::Null, "{activation}");
    for id in [campaign, ad_set, kept, replacement] {
        assert_eq!(status(&scenario, id), "ACTIVE", "{id}");
    }
    // Once it runs, what a person pauses stays paused.
    at_meta(&scenario, Method::POST, kept, json!({"status": "PAUSED"})).await;
    at_meta(&scenario, Method::POST, campaign, json!({"status": "PAUSED"})).await;
    let activation = activate(&scenario, campaign, None).await;
    assert_eq!((&activation["state"], &activation["scope"]), (&json!("done"), &json!("campaign")));
    assert_eq!((status(&scenario, campaign), status(&scenario, kept)), (json!("ACTIVE"), json!("PAUSED")));
    let activation = activate(&scenario, campaign, Some("everything")).await;
    assert_eq!((&activation["state"], status(&scenario, kept)), (&json!("done"), json!("ACTIVE")));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_cannot_deliver_is_named_and_a_campaign_without_any_ad_that_can_has_failed() {
    let scenario = Scenario::synced().await.unwrap();
    let launch = launched(&scenario, "refused").await;
    let (campaign, ad_set) = (id(&launch, "campaign"), id(&launch, "ad_sets[0]"));
    let (first, second) = (id(&launch, "ad_sets[0].ads[0]"), id(&launch, "ad_sets[0].ads[1]"));
    let sim = scenario.sim().unwrap();
    // Meta refuses one of the ads.
    let kind = FaultKind::Error { status: 400, code: 100, subcode: Some(1_487_566), headers: Vec::new() };
    let path_contains = first.to_owned();
    sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 1, skip: 0, kind });
    let activation = activate(&scenario, campaign, None).await;
    assert_eq!(activation["state"], "done", "the other ad can deliver: {activation}");
    let problems = activation["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{activation}");
    assert_eq!((&problems[0]["id"], &problems[0]["level"]), (&json!(first), &json!("ad")));
    assert!(problems[0]["reason"].as_str().unwrap().contains("100/1487566"), "{activation}");
    assert_eq!((status(&scenario, ad_set), status(&scenario, second)), (json!("ACTIVE"), json!("ACTIVE")));

    let empty = launched(&scenario, "empty").await;
    for path in ["ad_sets[0].ads[0]", "ad_sets[0].ads[1]"] {
        at_meta(&scenario, Method::DELETE, id(&empty, path), json!({})).await;
    }
    let activation = activate(&scenario, id(&empty, "campaign"), None).await;
    assert_eq!(activation["state"], "failed", "{activation}");
    assert!(activation["failure"].as_str().unwrap().contains("nothing in it can deliver"), "{activation}");
    let log = scenario.api().unwrap().all("audit").await.unwrap();
    let event = log.iter().find(|entry| entry["action"] == "campaign.activated").unwrap();
    assert_eq!(event["phase"], "failed", "{event}");
    scenario.finish().await.unwrap();
}

/// An activation that ends in the middle goes on with the ads that are left, although some are active by then.
#[tokio::test]
async fn an_activation_that_is_interrupted_goes_on_with_what_is_left() {
    let scenario = Scenario::synced().await.unwrap();
    let launch = launched(&scenario, "interrupted").await;
    let campaign = id(&launch, "campaign");
    let sim = scenario.sim().unwrap();
    // After ads and ad set, before the campaign.
    let kind = FaultKind::HtmlUnavailable;
    let path_contains = campaign.to_owned();
    sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 9, skip: 0, kind });
    let second = id(&launch, "ad_sets[0].ads[1]");
    let activation = activate(&scenario, campaign, None).await;
    assert_eq!((&activation["state"], &activation["scope"]), (&json!("running"), &json!("everything")));
    at_meta(&scenario, Method::POST, second, json!({"status": "PAUSED"})).await;
    for _ in 0..4 {
        advance(&scenario, 1).await;
    }
    let path = format!("campaigns/{campaign}/schedules/activate");
    let activation = scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json();
    assert_eq!(activation["state"], "done", "{activation}");
    for step in launch["steps"].as_array().unwrap() {
        assert_eq!(status(&scenario, step["id"].as_str().unwrap()), "ACTIVE", "{step}");
    }
    scenario.finish().await.unwrap();
}

/// What a launch has created so far is not to start before the launch is committed.
#[tokio::test]
async fn a_campaign_that_is_still_being_launched_cannot_start() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let (path_contains, kind) = ("/ads".to_owned(), FaultKind::LostRequest);
    sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 1, skip: 1, kind });
    let document = scenario.launch_document().unwrap();
    let waits = scenario.launch("waits", &document).await.unwrap();
    assert_eq!(waits.status, 502, "{}", waits.text);
    let launches = scenario.api().unwrap().call(Method::GET, "launches", None).await.unwrap();
    let campaign = launches["data"][0]["campaign_id"].as_str().unwrap();
    scenario.sync().await.unwrap();
    let path = format!("campaigns/{campaign}/schedules/activate");
    let body = json!({"at": "now"});
    let refused = scenario.call_as_owner(Method::PUT, &path, Some(body.clone())).await.unwrap();
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("still being launched"), "{}", refused.text);
    assert_eq!(status(&scenario, campaign), "PAUSED");
    scenario.system.clock.advance(jiff::SignedDuration::from_mins(10));
    let launched = scenario.launch("waits", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(activate(&scenario, campaign, None).await["state"], "done");
    scenario.finish().await.unwrap();
}
