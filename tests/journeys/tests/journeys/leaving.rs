//! People leave: they remove the app, and want their data deleted.

use std::sync::atomic::Ordering;

use ads::job::{Job, Queue};
use auth_meta::AuthMeta;
use graph_sim::{AccountArgs, PERSON};
use http::Method;
use jiff::SignedDuration;
use journeys::{Story, TODAY, options};
use local::Options;
use local::account::Account;
use local::data::Data;
use local::main_job::Api;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::audit::{acts, told};
use crate::consent::{connections, log_in};
use crate::mortal::{Item, items, mortal, restore};

/// A little longer than anything that was under way may live.
const SETTLED: SignedDuration = SignedDuration::from_mins(16);

/// What may not be found anywhere, whatever kind of row it is: who it was, and their token.
const PERSONAL: [&str; 2] = [PERSON, "v1.k1."];

/// Everything that says of whom or of which ad accounts something is.
pub(super) async fn traces(story: &Story, of: &[String]) -> Vec<String> {
    let is_found = |item: &Item| {
        // The audit log is a chain from which nothing can be taken. It names ad accounts and objects, and no person.
        let is_audit = item["pk"].as_s().is_ok_and(|pk| pk.ends_with("#AUDIT"));
        let dump = format!("{item:?}");
        of.iter()
            .any(|trace| (!is_audit || PERSONAL.contains(&trace.as_str())) && dump.contains(trace.as_str()))
    };
    items(story).await.into_iter().filter(is_found).map(|item| format!("{item:?}")).collect()
}

/// What may not be found any more: the person, the connection, the accounts and what is in them.
pub(super) async fn all_traces(story: &Story) -> Vec<String> {
    let mut traces: Vec<_> = PERSONAL.map(str::to_owned).into();
    for item in items(story).await {
        let (pk, sk) = (item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
        if let Some(account) = sk.strip_prefix("ACCOUNT#act_") {
            traces.push(account.to_owned());
            traces.extend(item.get("name").and_then(|name| name.as_s().ok()).cloned());
        }
        traces.extend(pk.strip_prefix("META#").map(str::to_owned));
    }
    assert!(traces.len() > 10, "{traces:?}");
    traces
}

/// What the person lets us see.
#[derive(PartialEq, Eq)]
enum Chosen {
    Everything,
    OneAccount,
}

/// A workspace with all that comes of an ad account: facts, objects, decisions, a launch, a timer, changes.
async fn busy(options: Options, chosen: Chosen) -> Story {
    let story = Story::on(options).await.unwrap();
    let account = story.account().unwrap();
    let choices = [("accounts", account.as_str())];
    let choices = if chosen == Chosen::OneAccount { &choices[..] } else { &[] };
    assert_eq!(log_in(&story, None, choices).await.0, 200);
    story.select(true).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let api = story.api().unwrap();
    let rule = |name: &str, account: Option<&str>| {
        json!({"name": name, "ad_account": account, "level": "ad", "action": {"do": "notify"},
               "when": {"metric": "spend", "window": "last_7_days", "is": "above", "value": "1"}})
    };
    let kept = api.call(Method::POST, "rules", Some(&rule("One of all", None))).await.unwrap();
    let removed = api.call(Method::POST, "rules", Some(&rule("One that goes", None))).await.unwrap();
    api.call(Method::POST, "rules", Some(&rule("Of this account", Some(&account)))).await.unwrap();
    story.sync().await.unwrap();
    let decisions = format!("rules/{}/decisions", kept["id"].as_str().unwrap());
    let decided = api.call(Method::GET, &decisions, None).await.unwrap();
    assert!(!decided["data"].as_array().unwrap().is_empty());
    let removed = format!("rules/{}", removed["id"].as_str().unwrap());
    api.call(Method::DELETE, &removed, None).await.unwrap();
    let launched = story.launch("one", &story.launch_document().unwrap()).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let campaign = story.running_campaign().await.unwrap();
    let at = json!({"activate_at": "2026-12-24T09:00:00"});
    let timer = story.owner(Method::PUT, &format!("campaigns/{campaign}/schedule"), Some(at)).await.unwrap();
    assert_eq!(timer.status, 200, "{}", timer.text);
    let change = json!({"object": "ad_account", "entry": [{"id": "0", "time": 1_795_140_000, "changes": [
        {"field": "with_issues_ad_objects", "value": {"id": campaign, "level": "CAMPAIGN"}}]}]});
    assert_eq!(story.deliver(&change.to_string()).await.unwrap().status, 200);
    story.system.runner.settle().await.unwrap();
    story
}

#[tokio::test]
async fn a_person_who_wants_it_is_forgotten_in_every_workspace() {
    let story = busy(options(Data::Memory), Chosen::Everything).await;
    let second = Api::new(&story.system, "second", Role::Owner).unwrap();
    second.connect().await.unwrap();
    let all = all_traces(&story).await;
    assert!(!traces(&story, &all).await.is_empty());
    let sim = story.sim().unwrap();

    assert_eq!(sim.remove_app(PERSON).await.unwrap().status, 200);
    story.system.runner.settle().await.unwrap();
    let left = connections(&story).await.remove(0);
    assert_eq!(
        (&left["state"], &left["reason"]),
        (&json!("needs_reconnect"), &json!("the person removed the app at Meta"))
    );
    assert!(traces(&story, &["v1.k1.".to_owned()]).await.is_empty(), "no token is left");
    let forgotten = acts(&story, "connection.token_forgotten").await;
    assert_eq!(told(&forgotten), ["connection.token_forgotten intended", "connection.token_forgotten done"]);
    assert_eq!(forgotten[1]["who"], json!({"kind": "webhook"}));
    assert_eq!(
        (&forgotten[1]["before"], &forgotten[1]["after"]),
        (&json!({"state": "connected"}), &json!({"state": "needs_reconnect"}))
    );

    let answer = sim.ask_for_deletion(PERSON).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let url = answer.body["url"].as_str().unwrap().to_owned();
    let code = answer.body["confirmation_code"].as_str().unwrap();
    assert!(url.ends_with(code), "{url}");
    story.system.runner.settle().await.unwrap();
    let left = traces(&story, &all).await;
    assert_eq!(left.len(), 1, "the wish knows where to look again, and nothing else is left: {left:?}");
    look_again(&story).await;

    let left = traces(&story, &all).await;
    assert!(left.is_empty(), "{} items, such as {}", left.len(), left[0]);
    let trace = traces(&story, &[code.to_owned()]).await;
    assert_eq!(trace.len(), 1, "that it was done is known: {trace:?}");
    let page = story
        .send(Method::GET, url.strip_prefix(story.system.url()).unwrap(), None, &[], None)
        .await
        .unwrap();
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(
        page.text.contains("<html lang=\"en\">") && page.text.contains("was deleted on"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("<script") && page.text.contains(code));
    assert!(connections(&story).await.is_empty());
    let timers = story.system.cloud.timers.due();
    assert!(timers.is_empty(), "{timers:?}");
    assert_eq!(story.system.runner.dead(Queue::AuthMeta).await.unwrap(), 0);
    story.end().await.unwrap();
}

/// What the queue brings when nothing can be under way any more that had begun before.
pub(super) async fn look_again(story: &Story) {
    story.system.clock.advance(SETTLED);
    let wishes = story.system.table.erasures().await.unwrap().into_iter();
    let open = wishes.filter(|wish| wish.done_at.is_none());
    let jobs: Vec<_> = open.map(|wish| Job::ErasePerson { erasure: wish.code }).collect();
    assert!(!jobs.is_empty());
    story.system.cloud.queues.send(&jobs).await.unwrap();
    story.system.runner.settle().await.unwrap();
}

#[tokio::test]
async fn a_connection_of_a_time_without_the_index_is_forgotten_too() {
    let story = Story::synced().await.unwrap();
    let all = all_traces(&story).await;
    let is_entry = |item: &Item| item["pk"].as_s().is_ok_and(|pk| pk.starts_with("HOLDING#"));
    let (entries, others): (Vec<_>, Vec<_>) = items(&story).await.into_iter().partition(is_entry);
    assert_eq!(entries.len(), 1);
    restore(&story, &others).await;

    story.sim().unwrap().ask_for_deletion(PERSON).await.unwrap();
    story.system.runner.settle().await.unwrap();
    look_again(&story).await;
    let left = traces(&story, &all).await;
    assert!(left.is_empty(), "{} items, such as {}", left.len(), left[0]);
    story.end().await.unwrap();
}

#[tokio::test]
async fn what_stayed_after_a_connection_was_removed_goes_with_its_person() {
    let story = busy(options(Data::Memory), Chosen::Everything).await;
    let all = all_traces(&story).await;
    let path = format!("connections/meta-{PERSON}");
    story.api().unwrap().call(Method::DELETE, &path, None).await.unwrap();
    assert!(!traces(&story, &all).await.is_empty(), "the numbers stay with the workspace");

    story.sim().unwrap().ask_for_deletion(PERSON).await.unwrap();
    story.system.runner.settle().await.unwrap();
    look_again(&story).await;
    let left = traces(&story, &all).await;
    assert!(left.is_empty(), "{} items, such as {}", left.len(), left[0]);
    story.end().await.unwrap();
}

/// A wish that nobody has begun to fulfil.
pub(super) async fn wish(story: &Story) -> String {
    let code = "0123456789abcdef01234567".to_owned();
    let wish = store::erase::Erasure {
        code: code.clone(),
        user: Some(PERSON.parse().unwrap()),
        asked_at: story.system.clock.now(),
        erased_at: None,
        touched: Vec::new(),
        done_at: None,
    };
    story.system.table.begin_erasure(&wish).await.unwrap();
    code
}

#[tokio::test]
async fn a_deletion_that_is_killed_at_any_step_is_completed_by_the_next() {
    // Small, for it is deleted a hundred times.
    let account = AccountArgs {
        campaigns: 3,
        adsets: 3,
        ads: 3,
        days: 8,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    let options = Options { account: Account::Simulated(account), ..Options::in_memory() };
    let story = busy(options, Chosen::OneAccount).await;
    let all = all_traces(&story).await;
    let erasure = wish(&story).await;
    let before = items(&story).await;
    let erase = Job::ErasePerson { erasure };

    // Both looks, and back to the time before them.
    let looks = async |function: &AuthMeta| {
        let first = function.process(erase.clone()).await;
        story.system.clock.advance(SETTLED);
        let second = function.process(erase.clone()).await;
        story.system.clock.advance(-SETTLED);
        first.and(second)
    };
    let (whole, calls) = mortal(&story, 0..=0);
    looks(&whole).await.unwrap();
    let steps = calls.load(Ordering::SeqCst);
    assert!(traces(&story, &all).await.is_empty());
    assert!(steps > 20, "{steps} calls");
    let again = items(&story).await;
    whole.process(erase.clone()).await.unwrap();
    assert_eq!(items(&story).await.len(), again.len(), "done a second time, it does nothing");

    let mut unbroken = 0;
    for at in 1..=steps {
        restore(&story, &before).await;
        let (dies, _) = mortal(&story, at..=at);
        let died = looks(&dies).await;
        match &died {
            Err(failure) => assert!(failure.may_pass(), "call {at} of {steps}: {failure}"),
            // The end of an act that stands is noted in the audit log where that is possible.
            Ok(()) => unbroken += 1,
        }
        let (next, _) = mortal(&story, 0..=0);
        for _ in 0..3 {
            story.system.clock.advance(SETTLED);
            // The one that died may have got as far as that this one waits.
            let _looked_or_waits = next.process(erase.clone()).await;
        }
        let wishes = story.system.table.erasures().await.unwrap();
        assert!(wishes.iter().all(|wish| wish.done_at.is_some()), "killed before call {at}: {wishes:?}");
        story.system.clock.advance(SETTLED * -3);
        let left = traces(&story, &all).await;
        assert!(left.is_empty(), "killed before call {at} of {steps}: {left:?}");
        let said = told(&acts(&story, "connection.erased").await);
        let whole = ["connection.erased intended", "connection.erased done"];
        assert!(said == whole || died.is_ok() && said == whole[..1], "killed before call {at}: {said:?}");
    }
    assert!(unbroken <= 3, "{unbroken} of {steps} calls do not matter");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_wish_whose_message_was_lost_is_taken_up_by_the_daily_look() {
    let story = Story::synced().await.unwrap();
    let all = all_traces(&story).await;
    let code = wish(&story).await;
    let page = format!("/v1/auth/meta/data-deletion/{code}");
    let page = story.send(Method::GET, &page, None, &[], None).await.unwrap();
    assert!(page.text.contains("is under way"), "{}", page.text);
    for _ in 0..2 {
        story.system.cloud.queues.send(&[Job::CheckConnections]).await.unwrap();
        story.system.runner.settle().await.unwrap();
        story.system.clock.advance(SETTLED);
    }
    assert!(traces(&story, &all).await.is_empty());
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_account_that_a_living_connection_reaches_stays_with_it() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    let user = sim.hire_system_user("900000000000001");
    let token = sim.issue_system_token(&user, &["ads_read", "ads_management", "business_management"]);
    let api = story.api().unwrap();
    api.call(Method::POST, "connections/meta/token", Some(&json!({"token": token}))).await.unwrap();
    story.connect_and_sync().await.unwrap();
    let holder = |accounts: Value| accounts["data"][0]["connection"].clone();
    let before = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    assert_eq!(holder(before), format!("meta-{PERSON}"));

    sim.remove_app(PERSON).await.unwrap();
    sim.ask_for_deletion(PERSON).await.unwrap();
    story.system.runner.settle().await.unwrap();
    look_again(&story).await;
    assert!(traces(&story, &[PERSON.to_owned()]).await.is_empty());
    let accounts = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    assert_eq!(accounts["data"].as_array().unwrap().len(), 3);
    assert_eq!(holder(accounts.clone()), format!("meta-{user}"));
    assert_eq!(accounts["data"][0]["reached"][0]["how"], "assigned", "looked at again: {accounts}");
    story.sync().await.unwrap();
    let progress = story.owner(Method::GET, "sync", None).await.unwrap().json();
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    story.end().await.unwrap();
}

#[tokio::test]
async fn who_connects_again_after_leaving_stays_whatever_is_sent_once_more() {
    let story = Story::begin().await.unwrap();
    let api = story.api().unwrap();
    api.connect().await.unwrap();
    let sim = story.sim().unwrap();
    let old = sim.signed_request(PERSON);
    sim.remove_app(PERSON).await.unwrap();
    story.system.clock.advance(SignedDuration::from_mins(10));
    api.connect().await.unwrap();
    for path in ["deauthorize", "data-deletion"] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("/v1/auth/meta/{path}");
        let body = Some(format!("signed_request={old}"));
        assert_eq!(story.send(Method::POST, &path, None, &form, body).await.unwrap().status, 200);
    }
    story.system.runner.settle().await.unwrap();
    assert_eq!(connections(&story).await[0]["state"], "connected");
    story.end().await.unwrap();
}

#[tokio::test]
async fn nobody_but_meta_can_say_that_somebody_left() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let before = items(&story).await.len();
    let good = story.sim().unwrap().signed_request(PERSON);
    let (signature, payload) = good.split_once('.').unwrap();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for path in ["/v1/auth/meta/deauthorize", "/v1/auth/meta/data-deletion"] {
        for (body, status) in [
            (format!("signed_request={signature}x.{payload}"), 403),
            (format!("signed_request={payload}.{signature}"), 403),
            (format!("signed_request={signature}.{}", payload.replace('e', "f")), 403),
            ("signed_request=".to_owned(), 403),
            (format!("signed_request={good}&signed_request={good}"), 400),
            (format!("other={good}"), 400),
            (good.clone(), 400),
            (String::new(), 400),
        ] {
            let answer = story.send(Method::POST, path, None, &form, Some(body.clone())).await.unwrap();
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        }
        story.system.clock.advance(SignedDuration::from_hours(25));
        let late = Some(format!("signed_request={good}"));
        let late = story.send(Method::POST, path, None, &form, late).await.unwrap();
        assert_eq!(late.status, 403, "{}", late.text);
        story.system.clock.advance(SignedDuration::from_hours(-25));
    }
    let unknown = "/v1/auth/meta/data-deletion/0000";
    assert_eq!(story.send(Method::GET, unknown, None, &[], None).await.unwrap().status, 404);
    story.system.runner.settle().await.unwrap();
    assert_eq!(items(&story).await.len(), before);
    assert_eq!(connections(&story).await[0]["state"], "connected");
    story.end().await.unwrap();
}
