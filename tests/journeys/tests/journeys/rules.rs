//! Rules evaluate metrics and act.

use domain::decision::{Decision, DecisionOutcome};
use domain::job::{Job, Queue};
use domain::rule::RuleSpec;
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::{Scenario, TODAY};
use local::demo::WORKSPACE;
use local::tenant::tenant;
use serde_json::{Value, json};

pub(super) fn pause_spenders() -> Value {
    json!({
        "name": "Pause whatever spends",
        "level": "campaign",
        "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
        "guard": {"min_impressions": 1},
        "action": {"type": "pause"},
    })
}

pub(super) async fn add(scenario: &Scenario, rule: &Value) -> String {
    let added = scenario.api().unwrap().call(Method::POST, "rules", Some(rule)).await.unwrap();
    added["id"].as_str().unwrap().to_owned()
}

pub(super) async fn decisions(scenario: &Scenario, rule: &str) -> Vec<Value> {
    scenario.api().unwrap().all(&format!("rules/{rule}/decisions")).await.unwrap()
}

#[tokio::test]
async fn a_rule_pauses_a_campaign_at_meta_once_and_stores_why() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let rule = add(&scenario, &pause_spenders()).await;
    scenario.sync().await.unwrap();

    let sim = scenario.sim().unwrap();
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "PAUSED");
    let view =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    assert_eq!(view["status"], "PAUSED", "the table knows at once");
    let made = decisions(&scenario, &rule).await;
    let decision = made.iter().find(|decision| decision["entity"] == campaign.as_str()).unwrap();
    assert_eq!((decision["outcome"].as_str(), decision["before"].as_str()), (Some("done"), Some("ACTIVE")));
    assert_eq!(decision["value"], decision["spend"]);
    assert_eq!(decision["window"], json!({"since": "2026-11-13", "until": "2026-11-19"}));

    // A person reactivates it: the rule has already decided today and does not act again.
    sim.update_node(&campaign, json!({"status": "ACTIVE"}));
    scenario.sync().await.unwrap();
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "ACTIVE");
    assert_eq!(decisions(&scenario, &rule).await.len(), made.len());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_rule_that_meta_throttles_acts_after_the_wait() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    add(&scenario, &pause_spenders()).await;
    let usage = r#"{"1":[{"type":"ads_management","call_count":100,"estimated_time_to_regain_access":1}]}"#;
    scenario.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: campaign.clone(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error {
            status: 400,
            code: 80_004,
            subcode: Some(2_446_079),
            headers: vec![("x-business-use-case-usage".to_owned(), usage.to_owned())],
        },
    });
    let (workspace, ad_account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let rules = Job::EvaluateRules { workspace, ad_account };
    scenario.system.cloud.queues.send(&[rules]).await.unwrap();
    let runner = &scenario.system.runner;
    runner.settle().await.unwrap();
    let sim = scenario.sim().unwrap();
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "ACTIVE", "Meta said no");
    assert_eq!(runner.outstanding(Queue::EvaluateRules).await.unwrap(), 1, "the job waits in its queue");

    scenario.system.clock.advance(SignedDuration::from_mins(31));
    let acted = async {
        while sim.campaign(&campaign).unwrap()["status"] != "PAUSED" {
            runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), acted).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_guard_prevents_an_action_and_gives_the_reason() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let mut rule = pause_spenders();
    rule["guard"] = json!({"min_spend": "1000000", "min_impressions": 1});
    let rule = add(&scenario, &rule).await;
    scenario.sync().await.unwrap();
    assert_eq!(scenario.sim().unwrap().campaign(&campaign).unwrap()["status"], "ACTIVE");
    let made = decisions(&scenario, &rule).await;
    assert!(!made.is_empty());
    assert!(made.iter().all(|decision| decision["outcome"] == "insufficient_data"));
    assert!(made[0]["reason"].as_str().unwrap().contains("below the guard's 1000000"));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_change_whose_response_is_lost_is_completed_and_not_repeated() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let rule = add(&scenario, &pause_spenders()).await;
    scenario.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: campaign.clone(),
        times: 1,
        skip: 0,
        kind: FaultKind::LostResponse,
    });
    scenario.sync().await.unwrap();
    let made = decisions(&scenario, &rule).await;
    let ours: Vec<_> = made.iter().filter(|decision| decision["entity"] == campaign.as_str()).collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0]["outcome"], "done");
    assert_eq!(scenario.sim().unwrap().campaign(&campaign).unwrap()["status"], "PAUSED");
    scenario.finish().await.unwrap();
}

/// Returns the decision of a process that crashed between deciding and confirming the change.
fn open_decision(
    scenario: &Scenario,
    rule: &str,
    campaign: &str,
    day: jiff::civil::Date,
    before: Option<&str>,
) -> Decision {
    let spec: RuleSpec = serde_json::from_value(pause_spenders()).unwrap();
    let window = spec.when.window.days(day);
    Decision {
        rule: rule.parse().unwrap(),
        rule_name: spec.name,
        ad_account: scenario.account().unwrap().parse().unwrap(),
        level: spec.level,
        entity: campaign.parse().unwrap(),
        entity_name: None,
        day,
        window,
        condition: spec.when,
        value: 1.into(),
        impressions: 1,
        spend: 1.into(),
        action: spec.action,
        outcome: DecisionOutcome::Pending,
        reason: None,
        before: before.map(str::to_owned),
        at: scenario.system.clock.now(),
    }
}

#[tokio::test]
async fn a_decision_that_a_crash_left_open_is_finished_on_its_day_and_expires_later() {
    let yesterday = TODAY.yesterday().unwrap();
    for (day, done_before, expected, status) in [
        // It crashed before the change, after the change, and on the day before.
        (TODAY, false, "done", "PAUSED"),
        (TODAY, true, "done", "PAUSED"),
        (yesterday, false, "expired", "ACTIVE"),
    ] {
        let scenario = Scenario::synced().await.unwrap();
        let campaign = scenario.running_campaign().await.unwrap();
        let sim = scenario.sim().unwrap();
        let mut never = pause_spenders();
        never["when"]["value"] = json!("99999999");
        let rule = add(&scenario, &never).await;
        let before = if done_before {
            sim.update_node(&campaign, json!({"status": "PAUSED"}));
            Some("ACTIVE")
        } else {
            None
        };
        let decision = open_decision(&scenario, &rule, &campaign, day, before);
        let long_ago = scenario.system.clock.now() - jiff::SignedDuration::from_mins(10);
        scenario.system.table.record_decision(&tenant("demo").unwrap(), &decision, long_ago).await.unwrap();
        scenario.sync().await.unwrap();
        let made = decisions(&scenario, &rule).await;
        assert_eq!(made.len(), 1);
        assert_eq!(made[0]["outcome"], expected, "{} {done_before}", made[0]);
        assert_eq!(sim.campaign(&campaign).unwrap()["status"], status);
        scenario.finish().await.unwrap();
    }
}

#[tokio::test]
async fn a_budget_is_set_on_the_level_that_has_it() {
    let scenario = Scenario::synced().await.unwrap();
    let mut rule = pause_spenders();
    rule["action"] = json!({"type": "set_budget", "daily_budget": {"amount": 4321, "currency": "SGD"}});
    let rule = add(&scenario, &rule).await;
    scenario.sync().await.unwrap();
    let sim = scenario.sim().unwrap();
    let made = decisions(&scenario, &rule).await;
    let done: Vec<_> = made.iter().filter(|decision| decision["outcome"] == "done").collect();
    assert!(!done.is_empty(), "{made:?}");
    for decision in &made {
        assert_ne!(decision["outcome"], "pending");
        let budget = sim.campaign(decision["entity"].as_str().unwrap()).unwrap()["daily_budget"].clone();
        match decision["outcome"].as_str() {
            Some("done") => assert_eq!(budget, "4321"),
            _ => assert!(decision["reason"].as_str().unwrap().contains("its ad sets do"), "{decision}"),
        }
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn rules_can_be_listed_replaced_disabled_and_removed() {
    let scenario = Scenario::synced().await.unwrap();
    let api = scenario.api().unwrap();
    let rule = add(&scenario, &pause_spenders()).await;
    let mut disabled = pause_spenders();
    disabled["state"] = json!("disabled");
    api.call(Method::PUT, &format!("rules/{rule}"), Some(&disabled)).await.unwrap();
    scenario.sync().await.unwrap();
    assert!(decisions(&scenario, &rule).await.is_empty());
    let listed = api.call(Method::GET, "rules", None).await.unwrap();
    assert_eq!(listed["data"][0]["state"], "disabled");
    api.call(Method::DELETE, &format!("rules/{rule}"), None).await.unwrap();
    let gone = api.call(Method::DELETE, &format!("rules/{rule}"), None).await.unwrap_err().to_string();
    assert!(gone.contains("404"), "{gone}");

    // The same key creates the same rule, once.
    let key = [("idempotency-key", "k")];
    let first = api.call_with(Method::POST, "rules", Some(&pause_spenders()), &key).await.unwrap();
    let again = api.call_with(Method::POST, "rules", Some(&pause_spenders()), &key).await.unwrap();
    assert_eq!(first, again);
    let other = api.call_with(Method::POST, "rules", Some(&disabled), &key).await.unwrap_err().to_string();
    assert!(other.contains("422"), "{other}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn malformed_rules_name_the_field_and_are_not_stored() {
    let scenario = Scenario::synced().await.unwrap();
    let token = scenario.system.token("demo", runtime::session::Role::Owner).unwrap();
    let with_value = |at: &str, value: Value| {
        let mut rule = pause_spenders();
        *rule.pointer_mut(at).unwrap() = value;
        rule.to_string()
    };
    for (body, field, status) in [
        (with_value("/when/measure", json!("happiness")), "when.measure", 400),
        (with_value("/when/window", json!("last_8_days")), "when.window", 400),
        (with_value("/when/value", json!(true)), "when.value", 400),
        (with_value("/name", json!("")), "name", 400),
        (with_value("/level", json!("account")), "level", 400),
        ("{\"name\":".to_owned(), "body", 400),
        ("[]".to_owned(), "body", 400),
        (String::new(), "body", 400),
    ] {
        let refused = scenario
            .send(Method::POST, "/v1/workspaces/demo/rules", Some(&token), &[], Some(body.clone()))
            .await
            .unwrap();
        assert_eq!(refused.status.as_u16(), status, "{body}: {}", refused.text);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}: {}", refused.text);
    }
    let mut foreign = pause_spenders();
    foreign["ad_account"] = json!("act_999");
    let path = "/v1/workspaces/demo/rules";
    let refused =
        scenario.send(Method::POST, path, Some(&token), &[], Some(foreign.to_string())).await.unwrap();
    assert_eq!(refused.status, 404);
    let listed = scenario.api().unwrap().call(Method::GET, "rules", None).await.unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 0);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_rule_does_not_act_on_numbers_that_lack_a_row_until_it_can_be_read() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let sim = scenario.sim().unwrap();
    let odd = campaign.clone();
    sim.edit_answers(move |path, _, body| {
        let Ok(mut answer) = serde_json::from_str::<Value>(body) else { return };
        let rows = answer["data"].as_array_mut().filter(|_| path.contains("/insights"));
        let Some(rows) = rows else { return };
        // And more rows than a sync lists, of a day in the same week as the window's first.
        let is_odd = |row: &&mut Value| {
            (row["campaign_id"] == odd.as_str() && row["date_start"] == "2026-11-18")
                || row["date_start"] == "2026-11-12"
        };
        rows.iter_mut().filter(is_odd).for_each(|row| row["spend"] = json!({}));
        *body = answer.to_string();
    });
    let rule = add(&scenario, &pause_spenders()).await;
    scenario.sync().await.unwrap();
    let decision_of = async |entity: &str| {
        let made = decisions(&scenario, &rule).await;
        made.into_iter().find(|decision| decision["entity"] == entity).unwrap()
    };
    let decision = decision_of(&campaign).await;
    assert_eq!(decision["outcome"], "insufficient_data", "{decision}");
    assert!(decision["reason"].as_str().unwrap().contains("2026-11-18 could not be read"), "{decision}");
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "ACTIVE");
    let sync = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert!(sync["gaps"][0]["count"].as_u64() > Some(20), "{sync}");
    let others = decisions(&scenario, &rule).await;
    assert!(others.iter().any(|decision| decision["outcome"] == "done"), "the others are not held up");

    sim.edit_answers(|_, _, _| {});
    scenario.sync().await.unwrap();
    assert_eq!(decision_of(&campaign).await["outcome"], "done");
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "PAUSED");
    scenario.finish().await.unwrap();
}
