//! Meta does not serve the version of its API that the installation asks for.

use graph_sim::{ErrorResponse, Fault, FaultKind};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use journeys::{Scenario, options};
use local::Options;
use local::data::Data;
use serde_json::{Value, json};

async fn start(graph_version: &str) -> Scenario {
    let graph_version = graph_version.to_owned();
    Scenario::with_options(Options { graph_version, ..options(Data::Memory) }).await.unwrap()
}

async fn health(scenario: &Scenario) -> Value {
    scenario.api().unwrap().call(Method::GET, "health", None).await.unwrap()
}

#[tokio::test]
async fn where_a_newer_version_serves_everything_works_but_a_launch() {
    let scenario = start("v24.0").await;
    scenario.connect_and_sync().await.unwrap();
    let health = health(&scenario).await;
    assert_eq!(health["healthy"], false);
    let version = &health["graph_version"];
    assert_eq!(*version, json!({"requested": "v24.0", "ends_on": "2026-11-10", "served": "v27.0"}));
    let problem = &health["problems"][0];
    assert_eq!(problem["subject"], "graph_version");
    assert!(problem["message"].as_str().unwrap().contains("MetaGraphVersion"), "{problem}");

    // What Meta sets by itself may differ, so nothing new is made.
    let writes = |scenario: &Scenario| {
        scenario.sim().unwrap().requests().iter().filter(|call| call.method == "POST").count()
    };
    let before = writes(&scenario);
    let document = scenario.launch_document().unwrap();
    let refused = scenario.launch("spring", &document).await.unwrap();
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert_eq!(refused.json()["type"], "urn:adflight:platform-version");
    assert!(refused.json()["detail"].as_str().unwrap().contains("v27.0"), "{}", refused.text);
    assert_eq!(writes(&scenario), before);
    // A person can stop what spends money.
    let campaign = scenario.running_campaign().await.unwrap();
    let paused = json!({"status": "PAUSED"});
    let path = format!("campaigns/{campaign}");
    let changed = scenario.call_as_owner(Method::PATCH, &path, Some(paused)).await.unwrap();
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_process_launches_nothing_after_its_first_answer_of_a_newer_version() {
    let scenario = start("v24.0").await;
    // Nothing has been synced yet: only the login has had answers, and no other process knows of them.
    scenario.api().unwrap().connect().await.unwrap();
    let document = scenario.launch_document().unwrap();
    let refused = scenario.launch("spring", &document).await.unwrap();
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert_eq!(refused.json()["type"], "urn:adflight:platform-version", "{}", refused.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_launch_that_notices_another_version_is_undone_even_after_its_last_step() {
    // The path of an ad set contains that of an ad.
    for (path, skip, created) in [("/campaigns", 0, 1), ("/ads", 1, 3)] {
        let scenario = Scenario::synced().await.unwrap();
        let sim = scenario.sim().unwrap();
        let kind = FaultKind::OtherVersion { version: "v27.0".to_owned() };
        let method = Some("POST".to_owned());
        sim.fail_next(Fault { method, path_contains: path.to_owned(), times: 1, skip, kind });
        let document = scenario.launch_document().unwrap();
        let undone = scenario.launch("spring", &document).await.unwrap();
        assert_eq!(undone.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", undone.text);
        let detail = undone.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("v27.0") && detail.contains("deleted again"), "{detail}");
        let deleted = sim.requests().iter().filter(|call| call.method == "DELETE").count();
        assert_eq!(deleted, created);
        let refused = scenario.launch("spring", &document).await.unwrap();
        assert_eq!(refused.json()["type"], "urn:adflight:platform-version", "{}", refused.text);
        // What was seen counts for three hours.
        scenario.system.clock.advance(SignedDuration::from_hours(3));
        let launched = scenario.launch("spring", &document).await.unwrap();
        assert_eq!(launched.status, StatusCode::CREATED, "{}", launched.text);
        scenario.finish().await.unwrap();
    }
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_said_at_the_login() {
    let scenario = start("v99.0").await;
    let refused = format!("{:#}", scenario.api().unwrap().connect().await.unwrap_err());
    assert!(refused.contains("platform-version") && refused.contains("MetaGraphVersion"), "{refused}");
    let health = health(&scenario).await;
    assert_eq!(health["problems"][0]["subject"], "graph_version", "{health}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_sync_that_meta_refuses_for_its_version_is_shown_and_not_tried_again() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let kind = FaultKind::ErrorResponse(ErrorResponse::new(2635, None));
    let refused = Fault { method: None, path_contains: "act_".to_owned(), times: 100, skip: 0, kind };
    sim.fail_next(refused);
    let calls = sim.calls();
    let _refused = scenario.sync().await;
    assert!(sim.calls() - calls < 10, "{} calls", sim.calls() - calls);
    let health = health(&scenario).await;
    assert_eq!(health["problems"][0]["subject"], "graph_version", "{health}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_workspace_in_which_nothing_is_wrong_is_healthy() {
    let scenario = Scenario::synced().await.unwrap();
    let expected = json!({"healthy": true, "problems": [], "graph_version": {"requested": "v26.0"}});
    assert_eq!(health(&scenario).await, expected);
    scenario.finish().await.unwrap();
}
