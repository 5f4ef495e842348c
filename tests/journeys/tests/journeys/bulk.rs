//! Bulk changes: previewed, done object by object, undone, and never over what somebody else has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::bulk::{BulkChange, BulkObject, BulkObjectState, BulkState};
use domain::entity::{Changes, Level};
use domain::id::{AdAccountId, BulkChangeId};
use domain::job::Job;
use graph_sim::{AccountArgs, Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use manage_campaign::ManageCampaign;
use serde_json::{Value, json};
use store::audit::AuditEvent;
use store::bulk::StoredBulkChange;

use crate::crash::{CrashInterceptor, dying_connector};

fn args() -> AccountArgs {
    AccountArgs { campaigns: 12, adsets: 24, ads: 24, days: 2, ..AccountArgs::default() }
}

/// Campaigns that hold a daily budget and are not archived, each with it.
async fn budgets(scenario: &Scenario) -> Vec<(String, i64)> {
    let account = scenario.account().unwrap();
    let campaigns = scenario.api().unwrap().all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    let budget = |campaign: &Value| {
        let is_archived = campaign["status"] == "ARCHIVED";
        (!is_archived).then_some(())?;
        Some((campaign["id"].as_str()?.to_owned(), campaign["daily_budget"]["amount"].as_i64()?))
    };
    campaigns.iter().filter_map(budget).collect()
}

fn at_meta(scenario: &Scenario, id: &str, field: &str) -> Value {
    scenario.sim().unwrap().node(id).unwrap()[field].clone()
}

fn by_percent(ids: &[&str], percent: i64) -> Value {
    json!({"changes": [{"level": "campaign", "ids": ids, "set": {"daily_budget": {"by_percent": percent}}}]})
}

async fn post(scenario: &Scenario, path: &str, body: Option<&Value>) -> Value {
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/bulk-changes{path}");
    scenario.api().unwrap().call(Method::POST, &path, body).await.unwrap()
}

/// Delivers jobs until a bulk change is done, and returns it.
async fn done(scenario: &Scenario, begun: &Value) -> Value {
    let (account, id) = (scenario.account().unwrap(), begun["id"].as_str().unwrap());
    let path = format!("ad-accounts/{account}/bulk-changes/{id}");
    for _ in 0..20 {
        scenario.system.runner.settle().await.unwrap();
        let shown = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
        if shown["state"] == "done" {
            return shown;
        }
        scenario.system.clock.advance(SignedDuration::from_secs(40));
    }
    panic!("the bulk change never ends");
}

fn states(bulk: &Value) -> Vec<&str> {
    bulk["objects"].as_array().unwrap().iter().map(|object| object["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn budgets_of_many_are_previewed_changed_and_restored() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let before = budgets(&scenario).await;
    assert!(before.len() >= 5, "{before:?}");
    let ids: Vec<&str> = before.iter().map(|(id, _)| id.as_str()).collect();
    let calls = scenario.sim().unwrap().calls();
    let preview = post(&scenario, "?dry_run=true", Some(&by_percent(&ids, 20))).await;
    assert_eq!((&preview["changing"], scenario.sim().unwrap().calls()), (&json!(ids.len()), calls));
    for (object, (id, budget)) in preview["objects"].as_array().unwrap().iter().zip(&before) {
        assert_eq!(
            (&object["id"], &object["before"]["daily_budget"]["amount"]),
            (&json!(id), &json!(budget))
        );
        assert_eq!(object["after"]["daily_budget"]["amount"], (budget * 120 + 50) / 100);
    }
    let begun = post(&scenario, "", Some(&by_percent(&ids, 20))).await;
    assert_eq!((&begun["state"], &begun["counts"]["open"]), (&json!("running"), &json!(ids.len())));
    let changed = done(&scenario, &begun).await;
    assert_eq!(changed["counts"]["done"], ids.len(), "{changed}");
    for (id, budget) in &before {
        assert_eq!(at_meta(&scenario, id, "daily_budget"), ((budget * 120 + 50) / 100).to_string());
    }
    assert_eq!(
        budgets(&scenario).await.iter().map(|(_, budget)| *budget).collect::<Vec<_>>(),
        before.iter().map(|(_, budget)| (budget * 120 + 50) / 100).collect::<Vec<_>>()
    );

    // Somebody changes one in Ads Manager: the undo leaves it alone.
    scenario.sim().unwrap().update_node(ids[0], json!({"daily_budget": "4200"}));
    let undo = post(&scenario, &format!("/{}/undo", changed["id"].as_str().unwrap()), None).await;
    assert_eq!(undo["undo_of"], changed["id"]);
    let undone = done(&scenario, &undo).await;
    assert_eq!(undone["counts"]["done"], ids.len() - 1);
    let left = undone["objects"].as_array().unwrap().iter().find(|object| object["id"] == ids[0]).unwrap();
    assert_eq!(left["state"], "changed_meanwhile");
    assert!(left["reason"].as_str().unwrap().contains("daily budget 4200"), "{left}");
    assert_eq!(at_meta(&scenario, ids[0], "daily_budget"), "4200");
    for (id, budget) in &before[1..] {
        assert_eq!(at_meta(&scenario, id, "daily_budget"), budget.to_string());
    }
    // A second undo is the same one.
    let again = post(&scenario, &format!("/{}/undo", changed["id"].as_str().unwrap()), None).await;
    assert_eq!(again["id"], undone["id"]);
    let account = scenario.account().unwrap();
    let list = scenario.api().unwrap().all(&format!("ad-accounts/{account}/bulk-changes")).await;
    assert!(list.is_err(), "a page has fifty at most");
    let path = format!("ad-accounts/{account}/bulk-changes?limit=1");
    let page = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
    assert_eq!((&page["data"][0]["id"], page["data"][0]["objects"].is_null()), (&undone["id"], true));
    let path = format!("{path}&after={}", page["after"].as_str().unwrap());
    let page = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
    assert_eq!((&page["data"][0]["id"], page["after"].is_null()), (&changed["id"], true));
    // Each object's change is in the audit log, with its values.
    let events = scenario.api().unwrap().all("audit").await.unwrap();
    let ended =
        events.iter().filter(|event| event["action"] == "campaign.changed" && event["phase"] == "done");
    assert_eq!(ended.count(), 2 * ids.len() - 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn every_mistake_of_a_document_is_named_and_nothing_is_changed() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let account = scenario.account().unwrap();
    let before = budgets(&scenario).await;
    let id = &before[0].0;
    let document = json!({"changes": [
        {"level": "campaign", "ids": [id, "42", id], "set": {"daily_budget": {"by_percent": 0}}},
        {"level": "campaign", "ids": [before[1].0], "set": {}},
        {"level": "campaign", "ids": [before[2].0], "set": {"lifetime_budget": {"by_percent": 5}}},
        {"level": "ad", "ids": ["43"], "set": {"name": {"replace": {"find": "", "with": "x"}}}},
    ]});
    let path = format!("ad-accounts/{account}/bulk-changes");
    let calls = scenario.sim().unwrap().calls();
    let (status, text) =
        scenario.api().unwrap().send(Method::POST, &path, Some(&document), &[]).await.unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap();
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(status, 400);
    assert_eq!(
        fields,
        [
            "changes[0].ids[2]",
            "changes[0].set.daily_budget.by_percent",
            "changes[1].set",
            "changes[3].set.name.replace.find",
            "changes[0].ids[1]",
            "changes[2].ids[0]",
            "changes[3].ids[0]",
        ]
    );
    assert_eq!(scenario.sim().unwrap().calls(), calls);
    let many: Vec<String> = (0..501).map(|number| format!("9{number}")).collect();
    let document = json!({"changes": [{"level": "ad", "ids": many, "set": {"status": "PAUSED"}}]});
    let (status, text) =
        scenario.api().unwrap().send(Method::POST, &path, Some(&document), &[]).await.unwrap();
    assert!(status == 400 && text.contains("500"), "{text}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn each_object_has_its_own_result() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let before = budgets(&scenario).await;
    let ids: Vec<&str> = before.iter().take(4).map(|(id, _)| id.as_str()).collect();
    let [gone, meanwhile, same, renamed] = ids[..] else { panic!() };
    let document = json!({"changes": [
        {"level": "campaign", "ids": ids, "set": {"name": {"suffix": " (winter)"}}},
        {"level": "ad", "ids": [], "set": {"status": "PAUSED"}},
    ]});
    let name = at_meta(&scenario, renamed, "name").as_str().unwrap().to_owned();
    let begun = post(&scenario, "", Some(&document)).await;
    // Between the request and the job.
    let sim = scenario.sim().unwrap();
    sim.update_node(gone, json!({"status": "DELETED", "effective_status": "DELETED"}));
    sim.update_node(meanwhile, json!({"name": "Renamed by hand"}));
    sim.update_node(
        same,
        json!({"name": format!("{} (winter)", at_meta(&scenario, same, "name").as_str().unwrap())}),
    );
    let ended = done(&scenario, &begun).await;
    let states = states(&ended);
    assert_eq!(states, ["gone", "changed_meanwhile", "unchanged", "done"], "{ended}");
    assert_eq!(at_meta(&scenario, renamed, "name"), format!("{name} (winter)"));
    assert_eq!(at_meta(&scenario, meanwhile, "name"), "Renamed by hand");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn lost_answers_are_looked_up_until_they_are_known() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let before = budgets(&scenario).await;
    let ids: Vec<&str> = before.iter().map(|(id, _)| id.as_str()).collect();
    let begun = post(&scenario, "", Some(&by_percent(&ids, -10))).await;
    // The answers to the batch that changes them, and to the attempts after it.
    for kind in [FaultKind::LostResponse, FaultKind::LostRequest] {
        scenario.sim().unwrap().fail_next(Fault {
            method: Some("POST".to_owned()),
            path_contains: ids[0].to_owned(),
            times: 2,
            skip: 0,
            kind,
        });
    }
    let ended = done(&scenario, &begun).await;
    assert_eq!(ended["counts"]["done"], ids.len(), "{ended}");
    for (id, budget) in &before {
        assert_eq!(at_meta(&scenario, id, "daily_budget"), ((budget * 90 + 50).div_euclid(100)).to_string());
    }
    scenario.finish().await.unwrap();
}

fn dying(scenario: &Scenario, crash_at: i64, with_effect: bool) -> (ManageCampaign, Arc<AtomicI64>) {
    let calls = Arc::new(AtomicI64::new(0));
    let dying = CrashInterceptor { calls: calls.clone(), crash_at: crash_at..=i64::MAX, with_effect };
    (ManageCampaign::new(dying_connector(scenario, dying), scenario.system.host.clone()), calls)
}

#[tokio::test]
async fn a_bulk_change_that_dies_at_any_call_to_the_table_changes_each_object_once() {
    let scenario = Scenario::smallest().await.unwrap();
    let account = scenario.account().unwrap();
    let campaigns = scenario.api().unwrap().all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    let ids: Vec<&str> = campaigns.iter().map(|campaign| campaign["id"].as_str().unwrap()).collect();
    let workspace = local::tenant::tenant(WORKSPACE).unwrap();
    let ad_account: AdAccountId = account.parse().unwrap();
    // Stored without a message, which the system would deliver itself.
    let job = async |number: i64, name: &str| {
        let object = |campaign: &Value| BulkObject {
            level: Level::Campaign,
            id: campaign["id"].as_str().unwrap().parse().unwrap(),
            name: None,
            before: Changes {
                name: at_meta(&scenario, campaign["id"].as_str().unwrap(), "name")
                    .as_str()
                    .map(str::to_owned),
                ..Changes::default()
            },
            after: Changes { name: Some(name.to_owned()), ..Changes::default() },
            state: BulkObjectState::Pending,
            reason: None,
        };
        let now = scenario.system.clock.now();
        let id: BulkChangeId = format!("bulk-{number}").parse().unwrap();
        let change = BulkChange {
            id: id.clone(),
            ad_account: ad_account.clone(),
            state: BulkState::Running,
            objects: campaigns.iter().map(object).collect(),
        };
        let bulk = StoredBulkChange {
            change,
            requested_by: "ann".to_owned(),
            requested_at: now,
            undo_of: None,
            undone_by: None,
            version: 0,
            lease_until: now - SignedDuration::from_secs(1),
        };
        let event =
            AuditEvent::sync(format!("event-{number}"), "bulk_change.requested", &ad_account).done_at(now);
        scenario.system.table.create_bulk_change(&workspace, &bulk, None, &event).await.unwrap();
        Job::ApplyBulkChange { workspace: workspace.clone(), ad_account: ad_account.clone(), bulk_change: id }
    };
    let (whole, calls) = dying(&scenario, i64::MAX, false);
    whole.process(job(0, "Whole").await).await.unwrap();
    let points = calls.load(Ordering::SeqCst);
    assert!(points > 10, "{points}");
    for at in 1..=points {
        for with_effect in [false, true] {
            let name = format!("Point {at} {with_effect}");
            let number = 2 * at + i64::from(with_effect);
            let job = job(number, &name).await;
            let sent = scenario.sim().unwrap().requests().len();
            let _ = dying(&scenario, at, with_effect).0.process(job.clone()).await;
            scenario.system.clock.advance(SignedDuration::from_mins(6));
            whole.process(job).await.unwrap();
            let path = format!("ad-accounts/{account}/bulk-changes/bulk-{number}");
            let ended = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
            assert_eq!(ended["counts"]["done"], ids.len(), "{name}: {ended}");
            for id in &ids {
                assert_eq!(at_meta(&scenario, id, "name"), name);
            }
            // What was confirmed is not sent again: nobody's change in between is lost.
            let requests = scenario.sim().unwrap().requests().split_off(sent);
            let renamed = requests.iter().filter(|call| call.params.get("name") == Some(&name)).count();
            assert!((ids.len()..=ids.len() * 2).contains(&renamed), "{name}: {renamed}");
        }
    }
    scenario.finish().await.unwrap();
}
