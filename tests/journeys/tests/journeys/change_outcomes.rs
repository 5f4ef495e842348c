//! A change whose outcome is unknown is looked up until it is known.

use domain::job::Job;
use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use local::tenant::tenant;
use serde_json::{Value, json};

/// Processes the list of entities that are to be read.
pub(super) async fn look_up(scenario: &Scenario) {
    let workspace = tenant("demo").unwrap();
    let ad_account = scenario.account().unwrap().parse().unwrap();
    let job = Job::SyncChangedEntities { workspace, ad_account };
    scenario.system.cloud.queues.send(&[job]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
}

async fn shown(scenario: &Scenario, campaign: &str) -> Value {
    let path = format!("campaigns/{campaign}");
    scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()
}

/// The case W-12: Meta makes the change, and its responses are lost.
#[tokio::test]
async fn a_change_whose_responses_are_lost_says_so_and_shows_what_became_of_it() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let (sim, path) = (scenario.sim().unwrap(), format!("campaigns/{campaign}"));
    let fault = |method: &str, kind, times| Fault {
        method: Some(method.to_owned()),
        path_contains: campaign.clone(),
        times,
        skip: 0,
        kind,
    };
    sim.fail_next(fault("POST", FaultKind::LostResponse, 9));
    let body = json!({"status": "PAUSED"});
    let unknown = scenario.call_as_owner(Method::PATCH, &path, Some(body)).await.unwrap();
    assert_eq!(unknown.status, 502, "{}", unknown.text);
    assert_eq!(unknown.json()["type"], "urn:adflight:unknown-outcome");
    assert!(unknown.text.contains("may have been made"), "{}", unknown.text);
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "PAUSED", "Meta had made it");
    look_up(&scenario).await;
    assert_eq!(shown(&scenario, &campaign).await["status"], "PAUSED");
    let log = scenario.api().unwrap().all("audit").await.unwrap();
    let change = log.iter().find(|entry| entry["action"] == "campaign.changed").unwrap();
    assert_eq!(change["phase"], "unknown", "{change}");
    scenario.finish().await.unwrap();
}

/// The change is made, and cannot be read afterwards: the old values are no answer.
#[tokio::test]
async fn a_change_that_cannot_be_read_afterwards_is_not_answered_with_what_was_before() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let (sim, path) = (scenario.sim().unwrap(), format!("campaigns/{campaign}"));
    let path_contains = campaign.clone();
    let kind = FaultKind::HtmlUnavailable;
    sim.fail_next(Fault { method: Some("GET".to_owned()), path_contains, times: 9, skip: 0, kind });
    let body = json!({"name": "Renamed"});
    let made = scenario.call_as_owner(Method::PATCH, &path, Some(body)).await.unwrap();
    assert_eq!(made.status, 502, "{}", made.text);
    assert!(made.text.contains("the change was made"), "{}", made.text);
    sim.set_plan(graph_sim::FaultPlan::default());
    for _ in 0..3 {
        look_up(&scenario).await;
    }
    assert_eq!(shown(&scenario, &campaign).await["name"], "Renamed");
    scenario.finish().await.unwrap();
}
