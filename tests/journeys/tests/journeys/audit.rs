//! Whoever does something leaves a trace, in a chain that shows where it was touched.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use access::Access;
use aws_sdk_dynamodb::types::AttributeValue;
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::{Story, options};
use local::data::Data;
use local::main_job::{Api, WORKSPACE};
use local::system::tenant;
use local::verify::{Where, verify};
use manage_campaign::ManageCampaign;
use runtime::session::Role;
use runtime::{Clock, Host, Sessions};
use serde_json::{Value, json};
use store::Table;
use store::audit::{Act, Actor, Stage};

/// Every entry of the demonstration's log, oldest first.
async fn log(story: &Story) -> Vec<Value> {
    let mut entries = story.api().unwrap().all("audit").await.unwrap();
    entries.reverse();
    entries
}

/// Every entry about one kind of act, oldest first.
pub(crate) async fn acts(story: &Story, what: &str) -> Vec<Value> {
    log(story).await.into_iter().filter(|entry| entry["what"] == what).collect()
}

/// What was done since an entry, as `campaign.changed intended`, without what the rules of others did.
pub(crate) fn told(entries: &[Value]) -> Vec<String> {
    let told = entries.iter().map(|entry| format!("{} {}", entry["what"], entry["stage"]).replace('"', ""));
    told.collect()
}

async fn holds(story: &Story) -> u64 {
    let workspace = tenant(WORKSPACE).unwrap();
    story.system.table.audit_verify(&workspace).await.unwrap().unwrap()
}

#[tokio::test]
async fn everything_that_a_person_does_is_in_the_log_with_what_was_before_and_after() {
    let story = Story::synced().await.unwrap();
    let campaign = story.running_campaign().await.unwrap();
    let before = story.owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    let api = story.api().unwrap();
    let path = format!("campaigns/{campaign}");
    let ok = async |method, path: &str, body| {
        let answer = story.owner(method, path, body).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
    };
    ok(Method::PATCH, &path, Some(json!({"name": "Renamed", "status": "PAUSED"}))).await;
    let at = json!({"activate_at": "2026-12-01T09:00:00"});
    ok(Method::PUT, &format!("{path}/schedule"), Some(at)).await;
    ok(Method::DELETE, &format!("{path}/schedule"), None).await;
    ok(Method::DELETE, &path, None).await;
    let rule = json!({
        "name": "Tell me", "level": "campaign", "action": {"do": "notify"},
        "when": {"metric": "spend", "window": "last_7_days", "is": "above", "value": "0"},
        "guard": {"min_impressions": 1},
    });
    let added = api.call(Method::POST, "rules", Some(&rule)).await.unwrap();
    let one = format!("rules/{}", added["id"].as_str().unwrap());
    api.call(Method::PUT, &one, Some(&rule)).await.unwrap();
    api.call(Method::DELETE, &one, None).await.unwrap();
    let launched = story.launch("key", &story.launch_document().unwrap()).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(story.launch("key", &story.launch_document().unwrap()).await.unwrap().status, 201);
    ok(Method::POST, "sync", None).await;
    story.select(false).await.unwrap();
    let connection = api.call(Method::GET, "connections", None).await.unwrap()["data"][0]["id"].clone();
    api.call(Method::DELETE, &format!("connections/{}", connection.as_str().unwrap()), None).await.unwrap();

    let entries = log(&story).await;
    let acts = [
        "connection.made",
        "ad_account.selected",
        "campaign.changed",
        "campaign.scheduled",
        "campaign.unscheduled",
        "campaign.deleted",
        "rule.added",
        "rule.changed",
        "rule.removed",
        "campaign.launched",
        "ad_account.sync_requested",
        "ad_account.selected",
        "connection.removed",
    ];
    let expected: Vec<_> =
        acts.iter().flat_map(|act| [format!("{act} intended"), format!("{act} done")]).collect();
    assert_eq!(told(&entries), expected, "a repeated launch is no second act");
    assert_eq!(holds(&story).await, entries.len() as u64);

    let changed = &entries[5];
    assert_eq!(changed["object"], format!("campaign/{campaign}"));
    assert_eq!(changed["ad_account"], story.account().unwrap());
    assert_eq!(changed["before"], json!({"name": before["name"], "status": "ACTIVE"}));
    assert_eq!(changed["after"], json!({"name": "Renamed", "status": "PAUSED"}));
    assert!(changed["meta"].as_str().is_some_and(|trace| !trace.is_empty()), "{changed}");
    let same = json!({"kind": "person", "subject": changed["who"]["subject"]});
    assert!(entries.iter().all(|entry| entry["who"] == same), "{}", json!(entries));
    assert_eq!(changed["act"], entries[4]["act"]);
    assert_eq!(entries[19]["meta"], launched.json()["campaign_id"], "{}", entries[19]);
    // Who connected is Meta's business, and gone when they ask for it.
    let dump = json!(entries).to_string();
    assert!(!dump.contains(connection.as_str().unwrap()), "{dump}");
    assert!(!dump.contains("EAA") && !dump.contains('@'), "{dump}");
    story.end().await.unwrap();
}

#[tokio::test]
async fn what_rules_and_schedules_do_is_in_the_log_once_however_often_it_is_tried() {
    let story = Story::synced().await.unwrap();
    let campaign = story.running_campaign().await.unwrap();
    let rule = json!({
        "name": "Pause", "level": "campaign", "action": {"do": "pause"},
        "when": {"metric": "spend", "window": "last_7_days", "is": "above", "value": "0"},
        "guard": {"min_impressions": 1},
    });
    let added = story.api().unwrap().call(Method::POST, "rules", Some(&rule)).await.unwrap();
    // Meta does not answer the first time, and the next evaluation finishes it.
    story.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: campaign.clone(),
        times: 4,
        skip: 0,
        kind: FaultKind::Html,
    });
    story.sync().await.unwrap();
    story.system.clock.advance(SignedDuration::from_mins(6));
    story.sync().await.unwrap();
    assert_eq!(story.sim().unwrap().campaign(&campaign).unwrap()["status"], "PAUSED");
    let entries = log(&story).await;
    let object = format!("campaign/{campaign}");
    let of_it: Vec<_> = entries.iter().filter(|entry| entry["object"] == object.as_str()).cloned().collect();
    assert_eq!(told(&of_it), ["campaign.paused intended", "campaign.paused done"]);
    assert_eq!((&of_it[1]["who"]["kind"], &of_it[1]["before"]["status"]), (&json!("rule"), &json!("ACTIVE")));
    assert_eq!(of_it[1]["after"]["status"], "PAUSED");
    assert!(of_it[1]["meta"].is_string(), "{}", of_it[1]);

    // Tomorrow it would pause it again.
    let one = format!("rules/{}", added["id"].as_str().unwrap());
    story.api().unwrap().call(Method::DELETE, &one, None).await.unwrap();
    let at = json!({"activate_at": "2026-11-21T09:00:00"});
    let scheduled =
        story.owner(Method::PUT, &format!("campaigns/{campaign}/schedule"), Some(at)).await.unwrap();
    assert_eq!(scheduled.status, 200, "{}", scheduled.text);
    story.system.clock.advance(SignedDuration::from_hours(36));
    let active = async {
        while story.sim().unwrap().campaign(&campaign).unwrap()["status"] != "ACTIVE" {
            story.system.runner.settle().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), active).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let entries = log(&story).await;
    let by_schedule: Vec<_> =
        entries.iter().filter(|entry| entry["who"]["kind"] == "schedule").cloned().collect();
    assert_eq!(told(&by_schedule), ["campaign.activated intended", "campaign.activated done"]);
    holds(&story).await;
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_act_that_meta_refuses_or_never_answers_says_so() {
    let story = Story::synced().await.unwrap();
    let campaign = story.running_campaign().await.unwrap();
    let begun = log(&story).await.len();
    let fail = |times, kind| {
        let fault =
            Fault { method: Some("POST".to_owned()), path_contains: campaign.clone(), times, skip: 0, kind };
        story.sim().unwrap().fail_next(fault);
    };
    let patch = async || {
        let path = format!("campaigns/{campaign}");
        story.owner(Method::PATCH, &path, Some(json!({"name": "New"}))).await.unwrap().status.as_u16()
    };
    fail(1, FaultKind::Error { status: 400, code: 100, subcode: None, headers: Vec::new() });
    assert_eq!(patch().await, 422);
    fail(20, FaultKind::Html);
    assert_eq!(patch().await, 503);
    // What was a mistake of the request never began.
    let path = format!("campaigns/{campaign}");
    assert_eq!(story.owner(Method::PATCH, &path, Some(json!({"name": ""}))).await.unwrap().status, 400);
    let entries = log(&story).await.split_off(begun);
    assert_eq!(
        told(&entries),
        [
            "campaign.changed intended",
            "campaign.changed failed",
            "campaign.changed intended",
            "campaign.changed unknown"
        ]
    );
    assert!(entries[1]["reason"].is_string(), "{}", entries[1]);
    story.end().await.unwrap();
}

#[tokio::test]
async fn owners_read_the_log_page_by_page_and_day_by_day() {
    let story = Story::begin().await.unwrap();
    let (table, workspace) = (&story.system.table, tenant(WORKSPACE).unwrap());
    let days =
        ["2026-11-18T23:59:59Z", "2026-11-19T00:00:00Z", "2026-11-19T12:00:00Z", "2026-11-20T00:00:00Z"];
    for (day, at) in days.iter().enumerate() {
        for n in 0..3 {
            table.audit(&workspace, &[act(&format!("{day}-{n}"))], at.parse().unwrap()).await.unwrap();
        }
    }
    // A clock that is behind does not put an entry before those that are there.
    table.audit(&workspace, &[act("late")], days[0].parse().unwrap()).await.unwrap();
    let api = story.api().unwrap();
    let list = async |query: &str| {
        let page = api.call(Method::GET, &format!("audit{query}"), None).await.unwrap();
        let places: Vec<_> =
            page["data"].as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        (places, page["after"].as_str().map(str::to_owned))
    };
    assert_eq!(list("").await, ((1..=13).rev().collect(), None));
    let (first, after) = list("?limit=4").await;
    assert_eq!(first, [13, 12, 11, 10]);
    assert_eq!(list(&format!("?limit=9&after={}", after.unwrap())).await, ((1..=9).rev().collect(), None));
    assert_eq!(list("?day=2026-11-19").await.0, [9, 8, 7, 6, 5, 4]);
    let (page, after) = list("?day=2026-11-19&limit=4").await;
    assert_eq!(page, [9, 8, 7, 6]);
    assert_eq!(list(&format!("?day=2026-11-19&after={}", after.unwrap())).await, (vec![5, 4], None));
    assert_eq!(list("?day=2026-11-20").await.0, [13, 12, 11, 10]);
    assert_eq!(list("?day=2026-11-17").await.0, Vec::<u64>::new());
    assert_eq!(list("?day=2027-01-01").await.0, Vec::<u64>::new());
    for wrong in ["?day=tomorrow", "?limit=0", "?after=x", "?sort=up", "?day=9999-12-31"] {
        let refused = api.call(Method::GET, &format!("audit{wrong}"), None).await.unwrap_err().to_string();
        assert!(refused.contains("400"), "{wrong}: {refused}");
    }
    let editor = Api::new(&story.system, WORKSPACE, Role::Editor).unwrap();
    let refused = editor.call(Method::GET, "audit", None).await.unwrap_err().to_string();
    assert!(refused.contains("403"), "{refused}");
    story.end().await.unwrap();
}

fn act(id: &str) -> Act {
    Act::new(id.to_owned(), Actor::Operator, "story.told", format!("story/{id}"))
}

/// Polls work so many times, and lets it go.
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
    let page = table.audit_page(&tenant("a").unwrap(), None, 1000).await.unwrap();
    let mut ids: Vec<_> = page.iter().map(|kept| kept.entry().unwrap().act.act).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn many_writers_make_one_chain_and_one_that_died_adds_nothing_twice() {
    let local = Data::Memory.secrets().unwrap();
    let clock = Clock::system();
    let table = local::cloud::Cloud::start(&Data::Memory, &local, &clock, 30, None).await.unwrap().table;
    let workspace = tenant("a").unwrap();
    let mut expected = Vec::new();
    let mut polls = 0;
    loop {
        polls += 1;
        let acts = [act(&format!("{polls}-a")), act(&format!("{polls}-b"))];
        let done = killed_after(polls, table.audit(&workspace, &acts, clock.now())).await.is_some();
        table.audit(&workspace, &acts, clock.now()).await.unwrap();
        table.audit(&workspace, &acts[..1], clock.now()).await.unwrap();
        expected.extend(acts.map(|act| act.act));
        if done {
            break;
        }
    }
    assert!(polls >= 5, "{polls}");
    let many: Vec<_> = (0..20).map(|n| [act(&format!("many-{n}"))]).collect();
    let written = many.iter().map(|acts| table.audit(&workspace, acts, clock.now()));
    for written in futures_util::future::join_all(written).await {
        written.unwrap();
    }
    expected.extend(many.into_iter().map(|[act]| act.act));
    // The end of an act is another entry than its intent, and the first one that is said stays.
    let ends = [Stage::Done, Stage::Failed].map(|stage| Act { stage, ..act("1-a") });
    for end in &ends {
        table.audit(&workspace, std::slice::from_ref(end), clock.now()).await.unwrap();
    }
    expected.push("1-a".to_owned());
    expected.sort();
    assert_eq!(ids(&table).await, expected);
    assert_eq!(table.audit_verify(&workspace).await.unwrap().unwrap(), expected.len() as u64);
    assert_eq!(table.audit_verify(&tenant("nobody").unwrap()).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_log_that_somebody_has_touched_is_found_at_its_first_broken_link() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Folder(folder.path().to_owned());
    let story = Story::on(options(data.clone())).await.unwrap();
    let (table, workspace) = (story.system.table.clone(), tenant(WORKSPACE).unwrap());
    let acts: Vec<_> = (0..6).map(|n| act(&n.to_string())).collect();
    table.audit(&workspace, &acts, story.system.clock.now()).await.unwrap();
    let here = || Where::Here(data.clone());
    assert!(verify(&here(), WORKSPACE).await.unwrap_err().to_string().contains("in use"));

    let dynamodb = story.system.cloud.dynamodb.clone();
    let key = |sk: &str| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        [("pk".to_owned(), text("WS#demo#AUDIT")), ("sk".to_owned(), text(sk))]
    };
    let position = |seq: u64| format!("ENTRY#{seq:020}");
    let read = async |sk: &str| {
        let get = dynamodb.get_item().table_name("adflight").set_key(Some(key(sk).into()));
        get.send().await.unwrap().item.unwrap()
    };
    let write = async |item| {
        dynamodb.put_item().table_name("adflight").set_item(Some(item)).send().await.unwrap();
    };
    let broken = async || table.audit_verify(&workspace).await.unwrap().map_err(|broken| broken.seq);
    let (third, head) = (read(&position(3)).await, read("HEAD").await);

    let mut changed = third.clone();
    let body = changed["body"].as_s().unwrap().replace("story.told", "story.sold");
    changed.insert("body".to_owned(), AttributeValue::S(body));
    write(changed).await;
    assert_eq!(broken().await, Err(3));
    let delete = dynamodb.delete_item().table_name("adflight").set_key(Some(key(&position(3)).into()));
    delete.send().await.unwrap();
    assert_eq!(broken().await, Err(3));
    write(third).await;
    assert_eq!(broken().await, Ok(6));

    // The last one is taken away, and then the head is set back as well: the first is seen, and the second only
    // in the log lines.
    let last = read(&position(6)).await;
    let delete = dynamodb.delete_item().table_name("adflight").set_key(Some(key(&position(6)).into()));
    delete.send().await.unwrap();
    assert_eq!(broken().await, Err(6));
    write(last.clone()).await;
    // One more behind the end.
    let mut behind = last;
    behind.extend(key(&position(7)));
    write(behind).await;
    assert_eq!(broken().await, Err(7));
    write(head).await;
    story.end().await.unwrap();

    let said = verify(&here(), WORKSPACE).await.unwrap().unwrap_err();
    assert_eq!(said.seq, 7);
    assert!(said.to_string().starts_with("entry 7: "), "{said}");
    assert_eq!(verify(&here(), "other").await.unwrap(), Ok(0));
}

#[tokio::test]
async fn a_change_at_meta_whose_process_died_has_left_its_intent() {
    let story = Story::synced().await.unwrap();
    let system = &story.system;
    let cloud = &system.cloud;
    let host = Host {
        clock: system.clock.clone(),
        queues: cloud.queues.clone(),
        schedules: cloud.schedules.clone(),
        sessions: Sessions::new(system.issuer().config()).unwrap(),
        public_url: None,
        requests_per_minute: 1_000_000,
    };
    let access = Access::new(system.table.clone(), system.graph.clone(), cloud.keyring.clone());
    let function = ManageCampaign::new(access, host);
    let campaign = story.running_campaign().await.unwrap();
    let path = format!("/v1/workspaces/demo/ad-accounts/{}/campaigns/{campaign}", story.account().unwrap());
    let token = system.token(WORKSPACE, Role::Editor).unwrap();
    let (mut polls, mut left_behind) = (0, 0);
    loop {
        polls += 1;
        let name = format!("Name {polls}");
        let request = http::Request::patch(&path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(json!({"name": name}).to_string().into())
            .unwrap();
        let answered = killed_after(polls, function.handle(request)).await;
        let changed = story.sim().unwrap().campaign(&campaign).unwrap()["name"] == name.as_str();
        let entries = log(&story).await;
        let stages: Vec<_> = entries.iter().filter(|entry| entry["after"]["name"] == name.as_str()).collect();
        let stages = told(&stages.into_iter().cloned().collect::<Vec<_>>());
        if changed {
            assert!(
                stages.first().is_some_and(|first| first == "campaign.changed intended"),
                "{polls}: {stages:?}"
            );
            left_behind += usize::from(stages.len() == 1);
        }
        if let Some(answered) = answered {
            assert_eq!((answered.status().as_u16(), stages.len()), (200, 2), "{polls}");
            break;
        }
    }
    assert!(left_behind > 0, "it was never killed between the change and its end");
    holds(&story).await;
    story.end().await.unwrap();
}
