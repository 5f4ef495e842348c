//! The change log of an ad account: what was changed, by whom, from what to what, for everybody who may read its numbers.

use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use local::demo::{ApiClient, WORKSPACE};
use runtime::session::Role;
use serde_json::{Value, json};

struct Log {
    scenario: Scenario,
    viewer: ApiClient,
    path: String,
}

impl Log {
    async fn start() -> Self {
        let scenario = Scenario::synced().await.unwrap();
        let viewer = ApiClient::new(&scenario.system, WORKSPACE, Role::Viewer).unwrap();
        let path = format!("ad-accounts/{}", scenario.account().unwrap());
        Self { scenario, viewer, path }
    }

    async fn list(&self, query: &str) -> Value {
        self.viewer.call(Method::GET, &format!("{}/changes?{query}", self.path), None).await.unwrap()
    }

    /// Returns the changes of a query as soon as there are this many.
    async fn until(&self, query: &str, count: usize) -> Vec<Value> {
        loop {
            let found = self.list(query).await["data"].as_array().unwrap().clone();
            if found.len() >= count {
                return found;
            }
            // Each change that is logged is a live event.
            let latest = self.viewer.call(Method::GET, "events", None).await.unwrap()["latest"].clone();
            let next = format!("events?after={latest}&wait=1");
            self.viewer.call(Method::GET, &next, None).await.unwrap();
        }
    }

    async fn first(&self, list: &str) -> Value {
        let list = format!("{}/{list}", self.path);
        self.viewer.call(Method::GET, &list, None).await.unwrap()["data"][0].clone()
    }

    async fn change(&self, level: &str, id: &Value, change: Value) -> u16 {
        let path = format!("{level}/{}", id.as_str().unwrap());
        self.scenario.call_as_owner(Method::PATCH, &path, Some(change)).await.unwrap().status.as_u16()
    }
}

#[tokio::test]
async fn changes_are_listed_with_names_and_values_for_whoever_reads_the_numbers() {
    let log = Log::start().await;
    let since = "since=2026-11-01";
    assert_eq!(log.list(since).await, json!({"data": []}));
    let campaign = log.first("campaigns?limit=1").await;
    let id = campaign["id"].as_str().unwrap();
    assert_eq!(log.change("campaigns", &campaign["id"], json!({"name": "Renamed"})).await, 200);
    let adset = log.first(&format!("adsets?campaign_id={id}&limit=1")).await;
    assert_eq!(log.change("adsets", &adset["id"], json!({"status": "PAUSED"})).await, 200);
    // What somebody reads, asks for, or only tells is no change.
    log.scenario.sync().await.unwrap();

    let found = log.until(since, 2).await;
    let [paused, renamed] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (&renamed["action"], &renamed["level"], &renamed["entity"], &renamed["phase"]),
        (&json!("campaign.changed"), &json!("campaign"), &campaign["id"], &json!("done"))
    );
    assert_eq!(renamed["before"], json!({"name": campaign["name"]}));
    assert_eq!(renamed["after"], json!({"name": "Renamed"}));
    assert_eq!(renamed["actor"], json!({"kind": "person", "subject": format!("developer-of-{WORKSPACE}")}));
    assert_eq!((&paused["name"], &paused["campaign_id"]), (&adset["name"], &campaign["id"]));

    // Of a campaign with what is below it, of an ad set alone, by the ad account's days, and page by page.
    let of = async |query: String| log.list(&query).await["data"].as_array().unwrap().len();
    assert_eq!(of(format!("{since}&entity={id}")).await, 2);
    assert_eq!(of(format!("{since}&entity={}", adset["id"].as_str().unwrap())).await, 1);
    assert_eq!(of(format!("{since}&entity=1")).await, 0);
    assert_eq!(of(format!("{since}&until=2026-11-19")).await, 0);
    assert_eq!(of("since=2026-11-20&until=2026-11-20".to_owned()).await, 2);
    let first = log.list(&format!("{since}&limit=1")).await;
    assert_eq!(first["data"], json!([paused]));
    let second = log.list(&format!("{since}&limit=1&after={}", first["after"].as_str().unwrap())).await;
    assert_eq!(second["data"], json!([renamed]));

    let wrong = format!("/v1/workspaces/{WORKSPACE}/{}/changes?since=2026-11-20&until=2026-11-01", log.path);
    let token = log.scenario.system.token(WORKSPACE, Role::Viewer).unwrap();
    let refused = log.scenario.send(Method::GET, &wrong, Some(&token), &[], None).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (400, &json!("since")));
    log.scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_a_rule_did_is_listed_as_the_rules() {
    let log = Log::start().await;
    let rule = json!({
        "name": "Pause", "level": "campaign", "action": {"type": "pause"}, "guard": {"min_impressions": 1},
        "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
    });
    let api = log.scenario.api().unwrap();
    let rule = api.call(Method::POST, "rules", Some(&rule)).await.unwrap()["id"].clone();
    log.scenario.sync().await.unwrap();
    let found = log.until("since=2026-11-20", 1).await;
    let paused = found.iter().find(|one| one["action"] == "campaign.paused").unwrap();
    assert_eq!(paused["actor"], json!({"kind": "rule", "rule": rule}));
    assert_eq!(
        (&paused["before"], &paused["after"]),
        (&json!({"status": "ACTIVE"}), &json!({"status": "PAUSED"}))
    );
    assert!(paused["name"].is_string(), "{paused}");
    log.scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_somebody_changes_in_ads_manager_is_listed_once_and_what_we_change_is_not_told_twice() {
    let log = Log::start().await;
    let campaign = log.first("campaigns?limit=1").await;
    let id = campaign["id"].as_str().unwrap();
    assert_eq!(log.change("campaigns", &campaign["id"], json!({"name": "Ours"})).await, 200);
    let sim = log.scenario.sim().unwrap();
    sim.update_node(id, json!({"status": "PAUSED"}));
    sim.update_node(id, json!({"daily_budget": "7700"}));
    for _ in 0..3 {
        log.scenario.sync().await.unwrap();
    }
    let found = log.until("since=2026-11-20", 3).await;
    assert_eq!(found.len(), 3, "{found:?}");
    let of = |field: &str| found.iter().find(|one| one["after"].get(field).is_some()).unwrap();
    let (name, status, budget) = (of("name"), of("status"), of("daily_budget"));
    assert_eq!((&name["actor"]["kind"], name.get("by")), (&json!("person"), None));
    for (change, after) in [(status, json!({"status": "PAUSED"})), (budget, json!({"daily_budget": 7700}))] {
        assert_eq!((&change["actor"]["kind"], &change["by"]), (&json!("platform"), &json!("Ann Manager")));
        assert_eq!((&change["entity"], &change["after"]), (&campaign["id"], &after), "{change}");
        assert_eq!(change["name"], "Ours");
    }
    log.scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_read_delays_nothing_and_is_read_the_next_time() {
    let log = Log::start().await;
    let campaign = log.first("campaigns?limit=1").await;
    let sim = log.scenario.sim().unwrap();
    sim.update_node(campaign["id"].as_str().unwrap(), json!({"status": "PAUSED"}));
    sim.fail_next(Fault {
        method: None,
        path_contains: "/activities".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error { status: 403, code: 200, subcode: None, headers: Vec::new() },
    });
    log.scenario.sync().await.unwrap();
    assert_eq!(log.first("campaigns?limit=1").await["status"], "PAUSED", "the entities are read");
    assert_eq!(log.list("since=2026-11-01").await["data"], json!([]));
    log.scenario.sync().await.unwrap();
    assert_eq!(log.until("since=2026-11-01", 1).await.len(), 1);
    log.scenario.finish().await.unwrap();
}
