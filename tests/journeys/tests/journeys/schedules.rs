//! A campaign is paused and ended at a local time, whatever Meta does meanwhile.

use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

use crate::launch::advance;

async fn put(scenario: &Scenario, campaign: &str, action: &str, body: Value) -> (u16, Value) {
    let path = format!("campaigns/{campaign}/schedules/{action}");
    let answer = scenario.call_as_owner(Method::PUT, &path, Some(body)).await.unwrap();
    (answer.status.as_u16(), answer.json())
}

async fn list(scenario: &Scenario, query: &str) -> Value {
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/schedules?{query}");
    scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap()
}

fn states(list: &Value) -> Vec<(&str, &str)> {
    let data = list["data"].as_array().unwrap().iter();
    data.map(|one| (one["action"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_campaign_is_paused_on_friday_evening_started_on_monday_and_archived_for_good() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let status = || scenario.sim().unwrap().campaign(&campaign).unwrap()["status"].clone();
    // It is noon on Friday, 20 November, in Singapore.
    for (action, at) in [
        ("pause", "2026-11-20T18:00:00"),
        ("activate", "2026-11-23T08:00:00"),
        ("archive", "2026-11-27T00:00:00"),
    ] {
        let (code, schedule) = put(&scenario, &campaign, action, json!({"at": at})).await;
        assert_eq!((code, &schedule["state"], &schedule["at"]), (200, &json!("scheduled"), &json!(at)));
    }
    advance(&scenario, 5).await;
    assert_eq!(status(), "ACTIVE", "an hour too early");
    advance(&scenario, 2).await;
    assert_eq!(status(), "PAUSED");
    let of_campaign = format!("campaign={campaign}");
    let listed = list(&scenario, &of_campaign).await;
    assert_eq!(states(&listed), [("activate", "scheduled"), ("archive", "scheduled"), ("pause", "done")]);
    let page = list(&scenario, &format!("{of_campaign}&limit=2")).await;
    let rest =
        list(&scenario, &format!("{of_campaign}&limit=2&after={}", page["after"].as_str().unwrap())).await;
    assert_eq!((page["data"].as_array().unwrap().len(), states(&rest)), (2, vec![("pause", "done")]));
    assert_eq!(list(&scenario, "").await, listed, "no other campaign has one");
    assert_eq!(states(&list(&scenario, "campaign=1").await), []);
    advance(&scenario, 62).await;
    assert_eq!(status(), "ACTIVE");
    advance(&scenario, 100).await;
    assert_eq!(status(), "ARCHIVED");
    let events = scenario.api().unwrap().all("audit").await.unwrap();
    let done = events.iter().filter(|event| event["actor"]["kind"] == "schedule" && event["phase"] == "done");
    let actions: Vec<_> = done.map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["campaign.archived", "campaign.activated", "campaign.paused"]);
    // What is over has no more times, and only activations have a scope.
    let (code, problem) = put(&scenario, &campaign, "pause", json!({"at": "now"})).await;
    assert_eq!(code, 409, "{problem}");
    let wrong = json!({"at": "now", "scope": "everything"});
    let (code, problem) = put(&scenario, &campaign, "pause", wrong).await;
    assert_eq!((code, &problem["errors"][0]["field"]), (400, &json!("scope")));
    let (code, _) = put(&scenario, &campaign, "explode", json!({"at": "now"})).await;
    assert_eq!(code, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_pause_is_tried_until_meta_takes_it_and_a_deleted_campaign_has_none() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let sim = scenario.sim().unwrap();
    let (path_contains, kind) = (campaign.clone(), FaultKind::HtmlUnavailable);
    sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 30, skip: 0, kind });
    put(&scenario, &campaign, "pause", json!({"at": "now"})).await;
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(states(&list(&scenario, "").await), [("pause", "running")]);
    for _ in 0..20 {
        advance(&scenario, 1).await;
    }
    assert_eq!(states(&list(&scenario, "").await), [("pause", "done")]);
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "PAUSED");

    put(&scenario, &campaign, "activate", json!({"at": "2026-12-01T09:00:00"})).await;
    let path = format!("campaigns/{campaign}");
    assert_eq!(scenario.call_as_owner(Method::DELETE, &path, None).await.unwrap().status, 204);
    assert_eq!(states(&list(&scenario, "").await), [("activate", "cancelled"), ("pause", "done")]);
    scenario.finish().await.unwrap();
}
