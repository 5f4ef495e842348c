//! What Meta pushes since July 2026: edits and statuses show without waiting for a sync; many changes cause few reads.

use domain::job::Job;
use domain::role::Role;
use graph_sim::{Issue, LOGIN_USER_ID, ReviewDecision};
use http::Method;
use journeys::Scenario;
use local::tenant::tenant;
use serde_json::{Value, json};

async fn view(scenario: &Scenario, path: &str) -> Value {
    scenario.call_as_owner(Method::GET, path, None).await.unwrap().json()
}

/// Has Meta deliver what has happened, and waits for what it causes.
async fn deliver(scenario: &Scenario) {
    let stats = scenario.sim().unwrap().deliver_due().await;
    assert_eq!((stats.failed, stats.dropped), (0, 0), "{stats:?}");
    scenario.system.runner.settle().await.unwrap();
    // What came while the first changes were read is read two seconds later.
    let (workspace, ad_account) = (tenant("demo").unwrap(), scenario.account().unwrap().parse().unwrap());
    let job = Job::SyncChangedEntities { workspace, ad_account };
    scenario.system.cloud.queues.send(&[job]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
}

/// Creates a campaign as somebody does in Ads Manager: not through us.
async fn create_campaign(scenario: &Scenario, name: &str) -> String {
    let sim = scenario.sim().unwrap();
    let token = sim.issue_token("1", &["ads_management"]);
    let url = format!("{}/v26.0/{}/campaigns", sim.base_url(), scenario.account().unwrap());
    let campaign = [
        ("access_token", token.as_str()),
        ("name", name),
        ("objective", "OUTCOME_TRAFFIC"),
        ("special_ad_categories", "[]"),
        ("status", "PAUSED"),
        ("is_adset_budget_sharing_enabled", "false"),
    ];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(campaign).finish();
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    let made: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

#[tokio::test]
async fn edits_in_ads_manager_show_when_meta_pushes_them() {
    // Connecting subscribes the app, and selecting an account subscribes to its edits.
    let scenario = Scenario::newly_synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let subscriptions = scenario.system.graph.subscriptions().await.unwrap();
    let fields: Vec<_> = subscriptions.iter().flat_map(|one| one.fields.iter().map(String::as_str)).collect();
    for field in ["effective_status", "subscriptions", "with_issues_ad_objects", "ads_management"] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
    deliver(&scenario).await;
    let id = scenario.running_campaign().await.unwrap();
    let campaign = format!("campaigns/{id}");
    let before = view(&scenario, &campaign).await;
    assert!(before["created_time"].as_str().unwrap().ends_with('Z'), "{before}");

    sim.update_node(&id, json!({"name": "Renamed there", "status": "PAUSED"}));
    let calls = sim.calls();
    deliver(&scenario).await;
    let after = view(&scenario, &campaign).await;
    assert_eq!((after["name"].as_str(), after["status"].as_str()), (Some("Renamed there"), Some("PAUSED")));
    let ads = view(&scenario, &format!("ads?campaign_id={id}")).await;
    let ads = ads["data"].as_array().unwrap();
    assert!(!ads.is_empty() && ads.iter().all(|ad| ad["effective_status"] != "ACTIVE"), "{ads:?}");
    // The campaign and everything below it, in two reads at most, with one call for each level.
    assert!(sim.calls() - calls <= 6, "{} calls", sim.calls() - calls);

    // Somebody makes a campaign in Ads Manager, and deletes another one.
    let made = create_campaign(&scenario, "Made there").await;
    let other = view(&scenario, "campaigns?limit=500").await["data"].as_array().unwrap().clone();
    let gone = other.iter().map(|one| one["id"].as_str().unwrap()).find(|one| *one != id).unwrap().to_owned();
    sim.update_node(&gone, json!({"status": "DELETED"}));
    deliver(&scenario).await;
    assert_eq!(view(&scenario, &format!("campaigns/{made}")).await["name"], "Made there");
    assert_eq!(view(&scenario, &format!("campaigns/{gone}")).await["effective_status"], "DELETED");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn issues_and_review_feedback_are_shown_with_the_ad() {
    let scenario = Scenario::newly_synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    deliver(&scenario).await;
    let ads = view(&scenario, "ads?effective_status=ACTIVE&limit=2").await;
    let id = |n: usize| ads["data"][n]["id"].as_str().unwrap().to_owned();
    let summary = "The Page was unpublished".to_owned();
    sim.set_issue(
        &id(0),
        Some(Issue { code: 1_815_869, summary: summary.clone(), message: "Publish it.".to_owned() }),
    );
    sim.review(&id(1), ReviewDecision::Disapproved("Shows a price that is not on the site.".to_owned()));
    deliver(&scenario).await;
    let broken = view(&scenario, &format!("ads/{}", id(0))).await;
    assert_eq!(broken["effective_status"], "WITH_ISSUES");
    assert_eq!(broken["issues"][0]["summary"], summary);
    assert_eq!(broken["issues"][0]["message"], "Publish it.");
    let refused = view(&scenario, "ads?effective_status=DISAPPROVED").await;
    let refused = refused["data"].as_array().unwrap().iter().find(|ad| ad["id"] == id(1)).unwrap();
    assert_eq!(refused["review_feedback"][0]["explanation"], "Shows a price that is not on the site.");
    sim.set_issue(&id(0), None);
    scenario.sync().await.unwrap();
    assert!(view(&scenario, &format!("ads/{}", id(0))).await.get("issues").is_none());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_withdrawn_permission_checks_the_connection_at_once() {
    let scenario = Scenario::newly_synced().await.unwrap();
    deliver(&scenario).await;
    scenario.sim().unwrap().withdraw_permission(LOGIN_USER_ID, "ads_management");
    deliver(&scenario).await;
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let path = "/v1/workspaces/demo/connections";
    let connections = scenario.send(Method::GET, path, Some(&token), &[], None).await.unwrap().json();
    let granted = connections["data"][0]["scopes"].as_array().unwrap();
    assert!(!granted.contains(&json!("ads_management")), "{granted:?}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_burst_in_separate_deliveries_causes_few_reads() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let campaigns = view(&scenario, "campaigns?limit=10").await["data"].as_array().unwrap().clone();
    assert_eq!(campaigns.len(), 10);
    let calls = sim.calls();
    for time in 0..100 {
        for campaign in &campaigns {
            let value = json!({"id": campaign["id"], "level": "CAMPAIGN"});
            let changes = json!([{"field": "with_issues_ad_objects", "value": value}]);
            let entry = json!([{"id": "0", "time": time, "changes": changes}]);
            let body = json!({"object": "ad_account", "entry": entry}).to_string();
            assert_eq!(scenario.deliver(&body).await.unwrap().status, 200);
        }
    }
    scenario.system.runner.settle().await.unwrap();
    let reads = sim.calls() - calls;
    println!("   1,000 deliveries about 10 campaigns: {reads} reads");
    // One every two seconds at most, for as long as the deliveries take.
    assert!(reads <= 60, "{reads}");
    scenario.finish().await.unwrap();
}
