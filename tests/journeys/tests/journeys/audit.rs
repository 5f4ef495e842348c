//! The audit log: every change is logged, and digests reveal modifications.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use aws_sdk_dynamodb::types::AttributeValue;
use connector::Connector;
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use journeys::{Scenario, options};
use local::calls::Recorders;
use local::data::Data;
use local::demo::{ApiClient, WORKSPACE};
use local::tenant::tenant;
use local::verify::{TableLocation, verify};
use manage_campaign::ManageCampaign;
use runtime::session::Role;
use runtime::{Clock, Host, SessionVerifier};
use serde_json::{Value, json};
use store::Table;
use store::audit::digest::AuditRoot;
use store::audit::{Actor, AuditEvent, EventRecord, Phase};

/// Returns every entry of the demonstration workspace's log, oldest first.
async fn log(scenario: &Scenario) -> Vec<Value> {
    let mut entries = scenario.api().unwrap().all("audit").await.unwrap();
    entries.reverse();
    entries
}

/// Returns every entry of one action, oldest first.
pub(crate) async fn audit_entries(scenario: &Scenario, action: &str) -> Vec<Value> {
    log(scenario).await.into_iter().filter(|entry| entry["action"] == action).collect()
}

/// Returns action and phase of each entry, such as `campaign.changed intended`.
pub(crate) fn summarize(entries: &[Value]) -> Vec<String> {
    let summaries =
        entries.iter().map(|entry| format!("{} {}", entry["action"], entry["phase"]).replace('"', ""));
    summaries.collect()
}

/// Returns a rule that pauses every campaign with delivery.
pub(crate) fn pause_rule() -> Value {
    json!({
        "name": "Pause", "level": "campaign", "action": {"type": "pause"},
        "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
        "guard": {"min_impressions": 1},
    })
}

/// Verifies the demonstration workspace's log and returns the number of its entries.
pub(crate) async fn verified_length(scenario: &Scenario) -> u64 {
    let (table, workspace) = (&scenario.system.table, tenant(WORKSPACE).unwrap());
    table.verify_audit_log(&workspace, &[], scenario.system.clock.now()).await.unwrap().unwrap().entries
}

#[tokio::test]
async fn every_change_by_a_person_is_logged_with_the_state_before_and_after() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let before =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    let api = scenario.api().unwrap();
    let path = format!("campaigns/{campaign}");
    let ok = async |method, path: &str, body| {
        let response = scenario.call_as_owner(method, path, body).await.unwrap();
        assert!(response.status.is_success(), "{path}: {}", response.text);
    };
    ok(Method::PATCH, &path, Some(json!({"name": "Renamed", "status": "PAUSED"}))).await;
    let at = json!({"at": "2026-12-01T09:00:00"});
    ok(Method::PUT, &format!("{path}/schedules/activate"), Some(at)).await;
    ok(Method::DELETE, &format!("{path}/schedules/activate"), None).await;
    ok(Method::DELETE, &path, None).await;
    let rule = json!({
        "name": "Tell me", "level": "campaign", "action": {"type": "notify"},
        "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
        "guard": {"min_impressions": 1},
    });
    let added = api.call(Method::POST, "rules", Some(&rule)).await.unwrap();
    let one = format!("rules/{}", added["id"].as_str().unwrap());
    api.call(Method::PUT, &one, Some(&rule)).await.unwrap();
    api.call(Method::DELETE, &one, None).await.unwrap();
    let launched = scenario.launch("key", &scenario.launch_document().unwrap()).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(scenario.launch("key", &scenario.launch_document().unwrap()).await.unwrap().status, 201);
    ok(Method::POST, "sync", None).await;
    scenario.select(false).await.unwrap();
    let connection = api.call(Method::GET, "connections", None).await.unwrap()["data"][0]["id"].clone();
    api.call(Method::DELETE, &format!("connections/{}", connection.as_str().unwrap()), None).await.unwrap();

    let entries = log(&scenario).await;
    let actions = [
        "connection.created",
        "ad_account.selected",
        "campaign.changed",
        "campaign.scheduled",
        "campaign.schedule_cancelled",
        "campaign.deleted",
        "rule.added",
        "rule.changed",
        "rule.removed",
        "campaign.launched",
        "ad_account.sync_requested",
        "ad_account.selected",
        "connection.removed",
    ];
    // A change of the table alone is recorded in its transaction, and needs no intent.
    let at_meta = ["campaign.changed", "campaign.deleted", "campaign.launched", "ad_account.sync_requested"];
    let phases = |action: &str| if at_meta.contains(&action) { &["intended", "done"][..] } else { &["done"] };
    let expected: Vec<_> = actions
        .iter()
        .flat_map(|action| phases(action).iter().map(move |phase| format!("{action} {phase}")))
        .collect();
    assert_eq!(summarize(&entries), expected, "a repeated launch is no second change");
    assert_eq!(verified_length(&scenario).await, entries.len() as u64);

    let changed = &entries[3];
    assert_eq!(changed["target"], format!("campaign/{campaign}"));
    assert_eq!(changed["ad_account"], scenario.account().unwrap());
    assert_eq!(changed["before"], json!({"name": before["name"], "status": "ACTIVE"}));
    assert_eq!(changed["after"], json!({"name": "Renamed", "status": "PAUSED"}));
    assert!(changed["meta"].as_str().is_some_and(|trace| !trace.is_empty()), "{changed}");
    let same = json!({"kind": "person", "subject": changed["actor"]["subject"]});
    assert!(entries.iter().all(|entry| entry["actor"] == same), "{}", json!(entries));
    assert_eq!(changed["event_id"], entries[2]["event_id"]);
    let launch = entries.iter().rfind(|entry| entry["action"] == "campaign.launched").unwrap();
    assert_eq!(launch["meta"], launched.json()["campaign_id"], "{launch}");
    // The log never names the Meta user, whose data must be deleted on request.
    let dump = json!(entries).to_string();
    assert!(!dump.contains(connection.as_str().unwrap()), "{dump}");
    assert!(!dump.contains("EAA") && !dump.contains('@'), "{dump}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn changes_by_rules_and_schedules_are_logged_once_despite_retries() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let rule = pause_rule();
    let added = scenario.api().unwrap().call(Method::POST, "rules", Some(&rule)).await.unwrap();
    // Meta's first responses are lost, and the next evaluation finishes the change.
    scenario.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: campaign.clone(),
        times: 4,
        skip: 0,
        kind: FaultKind::Html,
    });
    scenario.sync().await.unwrap();
    scenario.system.clock.advance(SignedDuration::from_mins(6));
    scenario.sync().await.unwrap();
    assert_eq!(scenario.sim().unwrap().campaign(&campaign).unwrap()["status"], "PAUSED");
    let entries = log(&scenario).await;
    let object = format!("campaign/{campaign}");
    let of_it: Vec<_> = entries.iter().filter(|entry| entry["target"] == object.as_str()).cloned().collect();
    assert_eq!(summarize(&of_it), ["campaign.paused intended", "campaign.paused done"]);
    assert_eq!(
        (&of_it[1]["actor"]["kind"], &of_it[1]["before"]["status"]),
        (&json!("rule"), &json!("ACTIVE"))
    );
    assert_eq!(of_it[1]["after"]["status"], "PAUSED");
    assert!(of_it[1]["meta"].is_string(), "{}", of_it[1]);

    // It would pause the campaign again tomorrow.
    let one = format!("rules/{}", added["id"].as_str().unwrap());
    scenario.api().unwrap().call(Method::DELETE, &one, None).await.unwrap();
    let at = json!({"at": "2026-11-21T09:00:00"});
    let scheduled = scenario
        .call_as_owner(Method::PUT, &format!("campaigns/{campaign}/schedules/activate"), Some(at))
        .await
        .unwrap();
    assert_eq!(scheduled.status, 200, "{}", scheduled.text);
    scenario.system.clock.advance(SignedDuration::from_hours(36));
    let active = async {
        while scenario.sim().unwrap().campaign(&campaign).unwrap()["status"] != "ACTIVE" {
            scenario.system.runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), active).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let entries = log(&scenario).await;
    let by_schedule: Vec<_> =
        entries.iter().filter(|entry| entry["actor"]["kind"] == "schedule").cloned().collect();
    assert_eq!(summarize(&by_schedule), ["campaign.activated intended", "campaign.activated done"]);
    verified_length(&scenario).await;
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_change_that_meta_rejects_or_never_answers_is_logged_as_such() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let begun = log(&scenario).await.len();
    let fail = |times, kind| {
        let fault =
            Fault { method: Some("POST".to_owned()), path_contains: campaign.clone(), times, skip: 0, kind };
        scenario.sim().unwrap().fail_next(fault);
    };
    let patch = async || {
        let path = format!("campaigns/{campaign}");
        scenario
            .call_as_owner(Method::PATCH, &path, Some(json!({"name": "New"})))
            .await
            .unwrap()
            .status
            .as_u16()
    };
    fail(1, FaultKind::Error { status: 400, code: 100, subcode: None, headers: Vec::new() });
    assert_eq!(patch().await, 422);
    fail(20, FaultKind::Html);
    assert_eq!(patch().await, 502);
    // An invalid request is not logged.
    let path = format!("campaigns/{campaign}");
    assert_eq!(
        scenario.call_as_owner(Method::PATCH, &path, Some(json!({"name": ""}))).await.unwrap().status,
        400
    );
    let entries = log(&scenario).await.split_off(begun);
    assert_eq!(
        summarize(&entries),
        [
            "campaign.changed intended",
            "campaign.changed failed",
            "campaign.changed intended",
            "campaign.changed unknown"
        ]
    );
    assert!(entries[1]["reason"].is_string(), "{}", entries[1]);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn owners_read_the_log_page_by_page_and_day_by_day() {
    let scenario = Scenario::start().await.unwrap();
    let (table, workspace) = (&scenario.system.table, tenant(WORKSPACE).unwrap());
    let days =
        ["2026-11-18T23:59:59Z", "2026-11-19T00:00:00Z", "2026-11-19T12:00:00Z", "2026-11-20T00:00:00Z"];
    for (day, at) in days.iter().enumerate() {
        for n in 0..3 {
            let at: Timestamp = at.parse().unwrap();
            let at = at + SignedDuration::from_micros(n);
            table.record_event(&workspace, &event(&format!("{day}-{n}")).at(at)).await.unwrap();
        }
    }
    let api = scenario.api().unwrap();
    let list = async |query: &str| {
        let page = api.call(Method::GET, &format!("audit{query}"), None).await.unwrap();
        let rows = page["data"].as_array().unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect();
        (ids.join(" "), page["after"].as_str().map(str::to_owned))
    };
    let all = "3-2 3-1 3-0 2-2 2-1 2-0 1-2 1-1 1-0 0-2 0-1 0-0";
    assert_eq!(list("").await, (all.to_owned(), None));
    let (first, after) = list("?limit=4").await;
    assert_eq!(first, "3-2 3-1 3-0 2-2");
    let rest = list(&format!("?limit=9&after={}", after.unwrap())).await;
    assert_eq!(rest, ("2-1 2-0 1-2 1-1 1-0 0-2 0-1 0-0".to_owned(), None));
    assert_eq!(list("?day=2026-11-19").await.0, "2-2 2-1 2-0 1-2 1-1 1-0");
    let (page, after) = list("?day=2026-11-19&limit=4").await;
    assert_eq!(page, "2-2 2-1 2-0 1-2");
    let rest = list(&format!("?day=2026-11-19&after={}", after.unwrap())).await;
    assert_eq!(rest, ("1-1 1-0".to_owned(), None));
    assert_eq!(list("?day=2026-11-20").await.0, "3-2 3-1 3-0");
    assert_eq!(list("?day=2026-11-17").await.0, "");
    assert_eq!(list("?day=2027-01-01").await.0, "");
    for wrong in ["?day=tomorrow", "?limit=0", "?after=x", "?sort=up", "?day=9999-12-31"] {
        let refused = api.call(Method::GET, &format!("audit{wrong}"), None).await.unwrap_err().to_string();
        assert!(refused.contains("400"), "{wrong}: {refused}");
    }
    let editor = ApiClient::new(&scenario.system, WORKSPACE, Role::Editor).unwrap();
    let refused = editor.call(Method::GET, "audit", None).await.unwrap_err().to_string();
    assert!(refused.contains("403"), "{refused}");
    scenario.finish().await.unwrap();
}

/// Returns what a test records with a change that it makes in the table itself.
pub(crate) fn recorded(scenario: &Scenario, id: &str) -> EventRecord {
    event(id).done_at(scenario.system.clock.now())
}

fn event(id: &str) -> AuditEvent {
    AuditEvent::new(id.to_owned(), Actor::Operator, "test.recorded", format!("test/{id}"))
}

/// Polls work this many times, and drops it.
pub(crate) async fn killed_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let (mut work, mut left) = (pin!(work), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

async fn ids(table: &Table) -> Vec<String> {
    let page = table.audit_entries(&tenant("a").unwrap(), None, None, 1000).await.unwrap();
    let mut ids: Vec<_> = page.iter().map(|stored| stored.entry().unwrap().event.event_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_sealer_that_was_frozen_for_hours_makes_no_later_one_seal_an_entry_twice() {
    let local = Data::Memory.secrets().unwrap();
    let clock = Clock::system();
    let table = local::cloud::Cloud::start(&Data::Memory, &local, &clock, 30, Recorders::default())
        .await
        .unwrap()
        .table;
    let (workspace, now) = (tenant("a").unwrap(), clock.now());
    // The second sealer read its clock two hours ago.
    for (n, minutes) in [0, -120, 1, 2].into_iter().enumerate() {
        table.record_event(&workspace, &event(&n.to_string()).at(now)).await.unwrap();
        table.seal_audit_log(&workspace, now + SignedDuration::from_mins(minutes)).await.unwrap();
    }
    let report = table.verify_audit_log(&workspace, &[], now).await.unwrap().unwrap();
    assert_eq!((report.entries, report.unsealed, report.digests), (4, 0, 4));
}

#[tokio::test]
async fn concurrent_writers_do_not_wait_for_each_other_and_a_retry_adds_nothing_twice() {
    let local = Data::Memory.secrets().unwrap();
    let clock = Clock::system();
    let table = local::cloud::Cloud::start(&Data::Memory, &local, &clock, 30, Recorders::default())
        .await
        .unwrap()
        .table;
    let workspace = tenant("a").unwrap();
    let mut expected = Vec::new();
    let mut polls = 0;
    loop {
        polls += 1;
        let one = event(&polls.to_string());
        let first = one.clone().at(clock.now());
        let done = killed_after(polls, table.record_event(&workspace, &first)).await.is_some();
        for _ in 0..2 {
            table.record_event(&workspace, &one.clone().at(clock.now())).await.unwrap();
        }
        expected.push(one.event_id);
        if done {
            break;
        }
    }
    assert!(polls >= 3, "{polls}");
    let many: Vec<_> = (0..20).map(|n| event(&format!("many-{n}")).at(clock.now())).collect();
    let written = many.iter().map(|event| table.record_event(&workspace, event));
    for written in futures_util::future::join_all(written).await {
        written.unwrap();
    }
    expected.extend((0..20).map(|n| format!("many-{n}")));
    // The end of a change is another entry than its intent, and only the first reported end is stored.
    for phase in [Phase::Done, Phase::Failed] {
        let end = AuditEvent { phase, ..event("1") };
        table.record_event(&workspace, &end.at(clock.now())).await.unwrap();
    }
    expected.push("1".to_owned());
    expected.sort();
    assert_eq!(ids(&table).await, expected);
    // Sealers at the same moment, one of them killed at any step, seal everything once.
    for polls in 1.. {
        let killed = killed_after(polls, table.seal_audit_log(&workspace, clock.now())).await.is_none();
        let sealers = (0..4).map(|_| table.seal_audit_log(&workspace, clock.now()));
        for sealed in futures_util::future::join_all(sealers).await {
            sealed.unwrap();
        }
        let more = event(&format!("more-{polls}"));
        table.record_event(&workspace, &more.clone().at(clock.now())).await.unwrap();
        expected.push(more.event_id);
        if !killed {
            break;
        }
    }
    table.seal_audit_log(&workspace, clock.now()).await.unwrap();
    let report = table.verify_audit_log(&workspace, &[], clock.now()).await.unwrap().unwrap();
    assert_eq!((report.entries, report.unsealed), (expected.len() as u64, 0));
    let nobody = tenant("nobody").unwrap();
    assert_eq!(table.verify_audit_log(&nobody, &[], clock.now()).await.unwrap().unwrap().entries, 0);
}

fn digest_key(seq: u64) -> String {
    format!("DIGEST#{seq:020}")
}

#[tokio::test]
async fn a_modified_log_is_reported_where_it_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Folder(folder.path().to_owned());
    let scenario = Scenario::with_options(options(data.clone())).await.unwrap();
    let (table, workspace) = (scenario.system.table.clone(), tenant(WORKSPACE).unwrap());
    let clock = scenario.system.clock.clone();
    for n in 0..6 {
        table.record_event(&workspace, &event(&n.to_string()).at(clock.now())).await.unwrap();
        table.seal_audit_log(&workspace, clock.now()).await.unwrap();
    }
    let here = || TableLocation::Local(data.clone());
    assert!(verify(&here(), WORKSPACE, &[]).await.unwrap_err().to_string().contains("in use"));

    let dynamodb = scenario.system.cloud.dynamodb.clone();
    let key = |sk: &str| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        [("pk".to_owned(), text("WS#demo#AUDIT")), ("sk".to_owned(), text(sk))]
    };
    let read = async |sk: &str| {
        let get = dynamodb.get_item().table_name("adflight").set_key(Some(key(sk).into()));
        get.send().await.unwrap().item.unwrap()
    };
    let write = async |item| {
        dynamodb.put_item().table_name("adflight").set_item(Some(item)).send().await.unwrap();
    };
    let delete = async |sk: &str| {
        let delete = dynamodb.delete_item().table_name("adflight").set_key(Some(key(sk).into()));
        delete.send().await.unwrap();
    };
    let place = async || {
        let verified = table.verify_audit_log(&workspace, &[], clock.now()).await.unwrap();
        verified.map_err(|fault| fault.place).map(|report| report.entries)
    };
    let entries = table.audit_entries(&workspace, None, None, 100).await.unwrap();
    let third = entries[3].sk.clone();
    let kept = read(&third).await;

    let mut changed = kept.clone();
    let body = changed["body"].as_s().unwrap().replace("test.recorded", "test.forged");
    changed.insert("body".to_owned(), AttributeValue::S(body));
    write(changed).await;
    assert_eq!(place().await, Err(third.clone()));
    delete(&third).await;
    assert_eq!(place().await, Err(third.clone()));
    write(kept).await;
    assert_eq!(place().await, Ok(6));

    // A root that was kept is part of the log, and one of another log is not.
    let holds = async |root: &AuditRoot| {
        let roots = std::slice::from_ref(root);
        let verified = table.verify_audit_log(&workspace, roots, clock.now()).await.unwrap();
        verified.map_err(|fault| fault.place).map(|report| report.root.unwrap())
    };
    let report = table.verify_audit_log(&workspace, &[], clock.now()).await.unwrap().unwrap();
    let root = report.root.unwrap();
    assert_eq!(holds(&root).await, Ok(root.clone()));
    let forged = AuditRoot { hash: root.hash.chars().rev().collect(), ..root.clone() };
    assert_eq!(holds(&forged).await, Err(digest_key(6)));
    assert_eq!(holds(&AuditRoot { seq: 7, ..root }).await, Err(digest_key(7)), "digests were cut off");

    // The last digest is removed: its copy, the head, still names it.
    let last = digest_key(6);
    let kept = read(&last).await;
    delete(&last).await;
    assert_eq!(place().await, Err(last.clone()));
    write(kept.clone()).await;
    // One digest more than the head knows.
    let behind = digest_key(7);
    let mut item = kept;
    item.extend(key(&behind));
    write(item).await;
    assert_eq!(place().await, Err(behind.clone()));
    delete(&behind).await;

    // An entry that nobody sealed is a fault once it is older than ten minutes: it was inserted, or nobody seals.
    let old = clock.now() - SignedDuration::from_hours(2);
    table.record_event(&workspace, &event("inserted").at(old)).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let found = place().await.unwrap_err();
    assert!(found.starts_with("ENTRY#"), "{found}");
    scenario.finish().await.unwrap();

    let fault = verify(&here(), WORKSPACE, &[]).await.unwrap().unwrap_err();
    assert_eq!(fault.place, found);
    assert_eq!(verify(&here(), "other", &[]).await.unwrap().unwrap().entries, 0);
}

/// What 120 changes at the same time did to a log with one conditional head: fifteen were answered 503.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_parallel_changes_are_all_made_and_logged() {
    let scenario = Scenario::synced().await.unwrap();
    let begun = log(&scenario).await.len();
    let rule = json!({
        "name": "Tell me", "level": "campaign", "action": {"type": "notify"},
        "when": {"measure": "spend", "window": "today", "operator": "above", "value": "1"},
    });
    let path = format!("/v1/workspaces/{WORKSPACE}/rules");
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let changes = (0..200).map(|n| {
        let (rule, key, token, path) = (rule.to_string(), format!("parallel-{n}"), &token, &path);
        let scenario = &scenario;
        async move {
            let headers = [("idempotency-key", key.as_str())];
            scenario
                .send(Method::POST, path, Some(token), &headers, Some(rule))
                .await
                .unwrap()
                .status
                .as_u16()
        }
    });
    let statuses = futures_util::future::join_all(changes).await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    let entries = log(&scenario).await;
    let added = entries.iter().filter(|entry| entry["action"] == "rule.added" && entry["phase"] == "done");
    assert_eq!((added.count(), entries.len() - begun), (200, 200));
    // The stream has them sealed.
    let sealed = async {
        let (table, workspace) = (&scenario.system.table, tenant(WORKSPACE).unwrap());
        while table
            .verify_audit_log(&workspace, &[], scenario.system.clock.now())
            .await
            .unwrap()
            .unwrap()
            .unsealed
            > 0
        {
            scenario.system.runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), sealed).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_change_at_meta_whose_process_died_has_left_its_intent() {
    let scenario = Scenario::synced().await.unwrap();
    let system = &scenario.system;
    let cloud = &system.cloud;
    let host = Host {
        clock: system.clock.clone(),
        queues: cloud.queues.clone(),
        schedules: cloud.schedules.clone(),
        sessions: SessionVerifier::new(system.issuer().config()).unwrap(),
        public_url: None,
        requests_per_minute: 1_000_000,
    };
    let access = Connector::new(system.table.clone(), system.graph.clone(), cloud.keyring.clone());
    let function = ManageCampaign::new(access, host);
    let campaign = scenario.running_campaign().await.unwrap();
    let path =
        format!("/v1/workspaces/demo/ad-accounts/{}/campaigns/{campaign}", scenario.account().unwrap());
    let token = system.token(WORKSPACE, Role::Editor).unwrap();
    // Under load a poll may do all that is left, so one sweep over the polls may find no process to kill in between.
    let (mut sweep, mut polls, mut unfinished) = (1, 0, Vec::new());
    loop {
        polls += 1;
        let name = format!("Name {sweep}-{polls}");
        let request = http::Request::patch(&path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(json!({"name": name}).to_string().into())
            .unwrap();
        let response = killed_after(polls, function.handle(request)).await;
        let entries = log(&scenario).await;
        let changed = scenario.sim().unwrap().campaign(&campaign).unwrap()["name"] == name.as_str();
        let entries: Vec<_> =
            entries.iter().filter(|entry| entry["after"]["name"] == name.as_str()).collect();
        let phases = summarize(&entries.into_iter().cloned().collect::<Vec<_>>());
        if changed {
            assert!(
                phases.first().is_some_and(|first| first == "campaign.changed intended"),
                "{polls}: {phases:?}"
            );
        }
        if phases.len() == 1 {
            unfinished.push(name);
        }
        let Some(response) = response else { continue };
        assert_eq!((response.status().as_u16(), phases.len()), (200, 2), "{polls}");
        // Meta may have handled a request only after its process was killed.
        let requests = scenario.sim().unwrap().requests();
        let sent = |name: &&String| requests.iter().any(|request| request.params.get("name") == Some(*name));
        if unfinished.iter().any(|name| sent(&name)) {
            break;
        }
        assert!(sweep < 20, "it was never killed between the change and its end");
        (sweep, polls) = (sweep + 1, 0);
    }
    verified_length(&scenario).await;
    scenario.finish().await.unwrap();
}
