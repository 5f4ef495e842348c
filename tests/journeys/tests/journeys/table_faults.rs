//! A single call to the table fails and the work goes on: nothing happens without its record.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::job::Job;
use evaluate_rules::EvaluateRules;
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::cloud::TABLE;
use local::demo::WORKSPACE;
use local::tenant::tenant;
use manage_campaign::ManageCampaign;
use runtime::session::Role;
use serde_json::json;

use crate::audit::{audit_entries, pause_rule, summarize};
use crate::crash::{self, crashing_connector, restore_table, table_items};

#[tokio::test]
async fn a_launch_ends_with_its_outcome_in_the_log_whichever_write_fails() {
    let scenario = Scenario::synced().await.unwrap();
    let path = format!("/v1/workspaces/demo/ad-accounts/{}/campaigns", scenario.account().unwrap());
    let token = scenario.system.token(WORKSPACE, Role::Editor).unwrap();
    let request = |key: i64| {
        let request = http::Request::post(&path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", format!("table-{key}"));
        request.body(scenario.launch_document().unwrap().to_string().into()).unwrap()
    };
    let function = |crash_at| {
        let (connector, calls) = crashing_connector(&scenario, crash_at);
        (ManageCampaign::new(connector, scenario.system.host.clone()), calls)
    };
    let (whole, calls) = function(0..=0);
    assert_eq!(whole.handle(request(0)).await.status(), 201);
    let steps = calls.load(Ordering::SeqCst);
    let launched = "campaign.launched";
    for at in crash::points(steps) {
        let before = audit_entries(&scenario, launched).await.len();
        function(at..=at).0.handle(request(at)).await;
        // A worker that could not release its lease holds it for five minutes.
        scenario.system.clock.advance(SignedDuration::from_mins(6));
        assert_eq!(whole.handle(request(at)).await.status(), 201, "call {at} of {steps} failed");
        let logged = audit_entries(&scenario, launched).await.split_off(before);
        let expected = ["campaign.launched intended", "campaign.launched done"];
        assert_eq!(summarize(&logged), expected, "call {at} of {steps} failed");
    }
    assert!(steps > 15, "{steps} calls");
    scenario.finish().await.unwrap();
}

/// The calls of an evaluation that decide on the first campaigns; the calls before them read.
const CALLS: std::ops::RangeInclusive<i64> = 38..=48;

#[tokio::test]
async fn a_rule_changes_nothing_without_its_intent_whichever_write_fails() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    scenario.api().unwrap().call(Method::POST, "rules", Some(&pause_rule())).await.unwrap();
    let sim = scenario.sim().unwrap();
    let status = || sim.campaign(&campaign).unwrap()["status"].clone();
    let (workspace, ad_account) = (tenant(WORKSPACE).unwrap(), scenario.account().unwrap().parse().unwrap());
    let job = Job::EvaluateRules { workspace, ad_account };
    let before = table_items(&scenario).await;
    let function = |crash_at| {
        let (connector, calls) = crashing_connector(&scenario, crash_at);
        (EvaluateRules::new(connector, scenario.system.host.clone()), calls)
    };
    let (whole, calls) = function(0..=0);
    whole.process(job.clone()).await.unwrap();
    assert_eq!(status(), "PAUSED");
    let steps = calls.load(Ordering::SeqCst);
    let entries = async || {
        let entries = audit_entries(&scenario, "campaign.paused").await;
        entries
            .into_iter()
            .filter(|entry| entry["target"] == format!("campaign/{campaign}"))
            .collect::<Vec<_>>()
    };
    assert!(steps > *CALLS.end(), "{steps} calls");
    for at in CALLS {
        restore_table(&scenario, &before).await;
        sim.update_node(&campaign, json!({"status": "ACTIVE"}));
        let _failed = function(at..=at).0.process(job.clone()).await;
        let logged = entries().await;
        assert!(status() == "ACTIVE" || !logged.is_empty(), "call {at}: it acted without its intent");
        // Another evaluation takes over once the leases of the decisions have ended.
        for mut item in table_items(&scenario).await {
            if item["sk"].as_s().unwrap().starts_with("DECISION#") {
                item.insert("lease_until".to_owned(), AttributeValue::N("0".to_owned()));
                let put = scenario.system.cloud.dynamodb.put_item().table_name(TABLE).set_item(Some(item));
                put.send().await.unwrap();
            }
        }
        whole.process(job.clone()).await.unwrap();
        assert_eq!(status(), "PAUSED", "call {at} of {steps} failed");
        let expected = ["campaign.paused intended", "campaign.paused done"];
        assert_eq!(summarize(&entries().await), expected, "call {at} of {steps} failed");
    }
    scenario.finish().await.unwrap();
}
