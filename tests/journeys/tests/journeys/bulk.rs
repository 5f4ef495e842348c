//! Bulk changes: previewed, done object by object, undone, and never over what somebody else has changed.

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
use serde_json::{Value, json};
use store::audit::AuditEvent;
use store::bulk::{BulkCause, StoredBulkChange};

use crate::crash::{self, NEVER, dying_manage_campaign};

pub(crate) fn args() -> AccountArgs {
    AccountArgs { campaigns: 12, adsets: 24, ads: 24, days: 2, ..AccountArgs::default() }
}

/// Campaigns that hold a daily budget and are not archived, each with it.
pub(crate) async fn budgets(scenario: &Scenario) -> Vec<(String, i64)> {
    let account = scenario.account().unwrap();
    let campaigns = scenario.api().unwrap().all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    let budget = |campaign: &Value| {
        let is_archived = campaign["status"] == "ARCHIVED";
        (!is_archived).then_some(())?;
        Some((campaign["id"].as_str()?.to_owned(), campaign["daily_budget"]["amount"].as_i64()?))
    };
    campaigns.iter().filter_map(budget).collect()
}

pub(crate) fn at_meta(scenario: &Scenario, id: &str, field: &str) -> Value {
    scenario.sim().unwrap().node(id).unwrap()[field].clone()
}

pub(crate) fn by_percent(ids: &[&str], percent: i64) -> Value {
    json!({"changes": [{"level": "campaign", "ids": ids, "set": {"daily_budget": {"by_percent": percent}}}]})
}

static KEYS: AtomicI64 = AtomicI64::new(0);

pub(crate) async fn post(scenario: &Scenario, path: &str, body: Option<&Value>) -> Value {
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/bulk-changes{path}");
    let key = format!("key-{}", KEYS.fetch_add(1, Ordering::SeqCst));
    let key = [("idempotency-key", key.as_str())];
    scenario.api().unwrap().call_with(Method::POST, &path, body, &key).await.unwrap()
}

/// Delivers jobs until a bulk change is done, and returns it.
pub(crate) async fn done(scenario: &Scenario, begun: &Value) -> Value {
    let (account, id) = (scenario.account().unwrap(), begun["id"].as_str().unwrap());
    let path = format!("ad-accounts/{account}/bulk-changes/{id}");
    let mut counts = Value::Null;
    for _ in 0..20 {
        scenario.system.runner.settle().await.unwrap();
        let mut shown = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
        if shown["state"] == "done" {
            return shown;
        }
        counts = shown["counts"].take();
        scenario.system.clock.advance(SignedDuration::from_secs(40));
    }
    panic!("the bulk change never ends: {counts}");
}

pub(crate) fn states(bulk: &Value) -> Vec<&str> {
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
    let (status, text) = scenario
        .api()
        .unwrap()
        .send(Method::POST, &path, Some(&document), &[("idempotency-key", "wrong")])
        .await
        .unwrap();
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
    let (status, text) = scenario
        .api()
        .unwrap()
        .send(Method::POST, &path, Some(&document), &[("idempotency-key", "wrong")])
        .await
        .unwrap();
    assert!(status == 400 && text.contains("500"), "{text}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_request_changes_once_for_its_key_and_only_what_its_preview_has_shown() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let (account, api) = (scenario.account().unwrap(), scenario.api().unwrap());
    let (id, budget) = budgets(&scenario).await.remove(0);
    let (raise, path) = (by_percent(&[&id], 20), format!("ad-accounts/{account}/bulk-changes"));
    let send = async |path: &str, key: &str, body: &Value| {
        let (status, text) =
            api.send(Method::POST, path, Some(body), &[("idempotency-key", key)]).await.unwrap();
        (status.as_u16(), serde_json::from_str::<Value>(&text).unwrap())
    };
    let preview = post(&scenario, "?dry_run=true", Some(&raise)).await;
    let path_of = |preview: &Value| format!("{path}?preview={}", preview["preview"].as_str().unwrap());
    let (status, begun) = send(&path_of(&preview), "raise", &raise).await;
    assert_eq!(status, 202, "{begun}");
    done(&scenario, &begun).await;
    // The same request again, whose answer may have been lost, is the same bulk change.
    let (status, again) = send(&path_of(&preview), "raise", &raise).await;
    assert_eq!((status, &again["id"]), (202, &begun["id"]));
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(at_meta(&scenario, &id, "daily_budget"), ((budget * 120 + 50) / 100).to_string());
    let (status, problem) = send(&path, "raise", &by_percent(&[&id], 30)).await;
    assert_eq!((status, &problem["type"]), (422, &json!("urn:adflight:idempotency-key-reused")));
    // Another request with the preview of before would raise it once more.
    let (status, problem) = send(&path_of(&preview), "once-more", &raise).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:adflight:conflict")), "{problem}");
    let (status, _) = api.send(Method::POST, &path, Some(&raise), &[]).await.unwrap();
    assert_eq!(status, 400, "a key is needed");

    // An undo that could do nothing is tried again.
    scenario.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: id.clone(),
        times: 1,
        skip: 0,
        kind: FaultKind::ErrorResponse(graph_sim::ErrorResponse::new(100, None)),
    });
    let undo = format!("/{}/undo", begun["id"].as_str().unwrap());
    let refused = done(&scenario, &post(&scenario, &undo, None).await).await;
    assert_eq!(states(&refused), ["rejected"], "{refused}");
    let undone = done(&scenario, &post(&scenario, &undo, None).await).await;
    assert_ne!(undone["id"], refused["id"]);
    assert_eq!(states(&undone), ["done"], "{undone}");
    assert_eq!(at_meta(&scenario, &id, "daily_budget"), budget.to_string());
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
            held_up: false,
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
        let key_hash = number.to_string();
        let cause = BulkCause::Request { key_hash: &key_hash, request_hash: "" };
        scenario.system.table.create_bulk_change(&workspace, &bulk, cause, &event).await.unwrap();
        Job::ApplyBulkChange { workspace: workspace.clone(), ad_account: ad_account.clone(), bulk_change: id }
    };
    let (whole, calls) = dying_manage_campaign(&scenario, NEVER, false);
    whole.process(job(0, "Whole").await).await.unwrap();
    let points = calls.load(Ordering::SeqCst);
    assert!(points > 10, "{points}");
    let mut number = 0;
    for at in crash::points(points) {
        // The process dies there, or the call alone fails and the process goes on.
        for (until, with_effect) in [(i64::MAX, false), (i64::MAX, true), (at, false), (at, true)] {
            number += 1;
            let name = format!("Point {at} to {until} {with_effect}");
            let job = job(number, &name).await;
            let sent = scenario.sim().unwrap().requests().len();
            let _ = dying_manage_campaign(&scenario, at..=until, with_effect).0.process(job.clone()).await;
            scenario.system.clock.advance(SignedDuration::from_mins(6));
            whole.process(job).await.unwrap();
            // One whose call failed has left a message: the system may be at work on it.
            scenario.system.runner.settle().await.unwrap();
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
    // The audit log has the intent and the outcome of each object's change, once.
    let events = scenario.api().unwrap().all("audit").await.unwrap();
    for phase in ["intended", "done"] {
        let of_phase = |event: &&Value| event["action"] == "campaign.changed" && event["phase"] == phase;
        assert_eq!(events.iter().filter(of_phase).count(), (number as usize + 1) * ids.len(), "{phase}");
    }
    // Somebody stops it after the process died: nothing more is sent, and what is said of each object is so at Meta.
    for (at, with_effect) in crash::points(points).flat_map(|at| [(at, false), (at, true)]) {
        number += 1;
        let name = format!("Stopped at {at} {with_effect}");
        let job = job(number, &name).await;
        let _ = dying_manage_campaign(&scenario, at..=i64::MAX, with_effect).0.process(job.clone()).await;
        scenario.system.clock.advance(SignedDuration::from_mins(6));
        let id: BulkChangeId = format!("bulk-{number}").parse().unwrap();
        let stored = scenario.system.table.bulk_change(&workspace, &ad_account, &id).await.unwrap().unwrap();
        let now = scenario.system.clock.now();
        let event =
            AuditEvent::sync(format!("stop-{number}"), "bulk_change.stopped", &ad_account).done_at(now);
        scenario.system.table.stop_bulk_change(&workspace, &stored, &event).await.unwrap();
        let sent = scenario.sim().unwrap().requests().len();
        for _ in 0..2 {
            whole.process(job.clone()).await.unwrap();
            scenario.system.runner.settle().await.unwrap();
            scenario.system.clock.advance(SignedDuration::from_mins(6));
        }
        let path = format!("ad-accounts/{account}/bulk-changes/bulk-{number}");
        let ended = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
        assert_eq!(ended["state"], "done", "{name}: {ended}");
        let requests = scenario.sim().unwrap().requests().split_off(sent);
        assert!(requests.iter().all(|call| call.params.get("name") != Some(&name)), "{name}");
        for object in ended["objects"].as_array().unwrap() {
            let is_changed = at_meta(&scenario, object["id"].as_str().unwrap(), "name") == name;
            assert_eq!(object["state"] == "done", is_changed, "{name}: {object}");
        }
    }
    let events = scenario.api().unwrap().all("audit").await.unwrap();
    let changes = events.iter().filter(|event| event["action"] == "campaign.changed");
    let (intended, over): (Vec<_>, Vec<_>) = changes.partition(|event| event["phase"] == "intended");
    assert_eq!(intended.len(), over.len(), "every change that was begun has an end");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_ad_set_whose_budget_may_not_be_changed_now_does_not_hold_up_the_others() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let (account, api) = (scenario.account().unwrap(), scenario.api().unwrap());
    let ad_sets = api.all(&format!("ad-accounts/{account}/adsets")).await.unwrap();
    let is_alive =
        |ad_set: &&Value| ad_set["effective_status"] != "ARCHIVED" && ad_set["daily_budget"].is_object();
    let ids: Vec<&str> =
        ad_sets.iter().filter(is_alive).map(|ad_set| ad_set["id"].as_str().unwrap()).collect();
    assert!(ids.len() > 2, "{ids:?}");
    for amount in [5_001, 5_002, 5_003, 5_004] {
        let budget = json!({"daily_budget": {"amount": amount, "currency": "SGD"}});
        api.call(Method::PATCH, &format!("ad-accounts/{account}/adsets/{}", ids[0]), Some(&budget))
            .await
            .unwrap();
    }
    let to = json!({"amount": 7_000, "currency": "SGD"});
    let set = json!({"changes": [{"level": "adset", "ids": ids, "set": {"daily_budget": to}}]});
    let begun = post(&scenario, "", Some(&set)).await;
    scenario.system.runner.settle().await.unwrap();
    let path = format!("ad-accounts/{account}/bulk-changes/{}", begun["id"].as_str().unwrap());
    let now = api.call(Method::GET, &path, None).await.unwrap();
    assert_eq!((&now["counts"]["done"], &now["counts"]["open"]), (&json!(ids.len() - 1), &json!(1)), "{now}");
    scenario.system.clock.advance(SignedDuration::from_mins(61));
    let ended = done(&scenario, &begun).await;
    assert_eq!(ended["counts"]["done"], ids.len(), "{ended}");
    assert_eq!(at_meta(&scenario, ids[0], "daily_budget"), "7000");
    scenario.finish().await.unwrap();
}
