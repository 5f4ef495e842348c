//! Deauthorization and data deletion: people remove the app, and request the deletion of their data.

use std::sync::atomic::Ordering;

use auth_meta::AuthMeta;
use domain::job::{Job, Queue};
use graph_sim::{AccountArgs, LOGIN_USER_ID};
use http::Method;
use jiff::SignedDuration;
use journeys::{Scenario, TODAY, options};
use local::Options;
use local::account::Account;
use local::data::Data;
use local::demo::ApiClient;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::audit::{audit_entries, summarize};
use crate::consent::{connections, log_in};
use crate::crash::{self, Item, crashing_auth_meta, is_published, restore_table, table_items};

/// Slightly longer than the longest lease of a job.
const SECOND_PASS_DELAY: SignedDuration = SignedDuration::from_mins(16);

/// Personal data that may remain in no row of any kind: the user's id, and the sealed token.
const PERSONAL_DATA: [&str; 2] = [LOGIN_USER_ID, "v1.k1."];

/// Returns every item that contains one of these identifiers.
pub(super) async fn traces(scenario: &Scenario, of: &[String]) -> Vec<String> {
    let is_found = |item: &Item| {
        // Nothing can be deleted from the audit log, which is a chain. It names ad accounts and objects, and no person.
        let is_audit = item["pk"].as_s().is_ok_and(|pk| pk.ends_with("#AUDIT"));
        let dump = format!("{item:?}");
        of.iter().any(|trace| {
            (!is_audit || PERSONAL_DATA.contains(&trace.as_str())) && dump.contains(trace.as_str())
        })
    };
    table_items(scenario).await.into_iter().filter(is_found).map(|item| format!("{item:?}")).collect()
}

/// Returns the identifiers that must not remain: the person, the connection, the accounts and their objects.
pub(super) async fn all_traces(scenario: &Scenario) -> Vec<String> {
    let mut traces: Vec<_> = PERSONAL_DATA.map(str::to_owned).into();
    for item in table_items(scenario).await {
        let (pk, sk) = (item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
        if let Some(account) = sk.strip_prefix("ACCOUNT#act_") {
            traces.push(account.to_owned());
            traces.extend(item.get("name").and_then(|name| name.as_s().ok()).cloned());
        }
        traces.extend(pk.strip_prefix("PLATFORM#meta#").map(str::to_owned));
    }
    assert!(traces.len() > 10, "{traces:?}");
    traces
}

/// The ad accounts to which the person grants access.
#[derive(PartialEq, Eq)]
enum Grant {
    AllAccounts,
    OneAccount,
}

/// Populates a workspace with everything about an ad account: facts, objects, decisions, a launch, a timer, changes.
async fn populated(options: Options, grant: Grant) -> Scenario {
    let scenario = Scenario::with_options(options).await.unwrap();
    let account = scenario.account().unwrap();
    let choices = [("accounts", account.as_str())];
    let choices = if grant == Grant::OneAccount { &choices[..] } else { &[] };
    assert_eq!(log_in(&scenario, None, choices).await.0, 200);
    scenario.select(true).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let api = scenario.api().unwrap();
    let rule = |name: &str, account: Option<&str>| {
        json!({"name": name, "ad_account": account, "level": "ad", "action": {"type": "notify"},
               "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "1"}})
    };
    let stored = api.call(Method::POST, "rules", Some(&rule("One of all", None))).await.unwrap();
    let removed = api.call(Method::POST, "rules", Some(&rule("One that goes", None))).await.unwrap();
    api.call(Method::POST, "rules", Some(&rule("Of this account", Some(&account)))).await.unwrap();
    scenario.sync().await.unwrap();
    let decisions = format!("rules/{}/decisions", stored["id"].as_str().unwrap());
    let decided = api.call(Method::GET, &decisions, None).await.unwrap();
    assert!(!decided["data"].as_array().unwrap().is_empty());
    let removed = format!("rules/{}", removed["id"].as_str().unwrap());
    api.call(Method::DELETE, &removed, None).await.unwrap();
    let launched = scenario.launch("one", &scenario.launch_document().unwrap()).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let campaign = scenario.running_campaign().await.unwrap();
    let at = json!({"at": "2026-12-24T09:00:00"});
    let timer = scenario
        .call_as_owner(Method::PUT, &format!("campaigns/{campaign}/schedules/activate"), Some(at))
        .await
        .unwrap();
    assert_eq!(timer.status, 200, "{}", timer.text);
    let change = json!({"object": "ad_account", "entry": [{"id": "0", "time": 1_795_140_000, "changes": [
        {"field": "with_issues_ad_objects", "value": {"id": campaign, "level": "CAMPAIGN"}}]}]});
    assert_eq!(scenario.deliver(&change.to_string()).await.unwrap().status, 200);
    scenario.system.runner.settle().await.unwrap();
    scenario
}

#[tokio::test]
async fn a_deletion_request_deletes_a_users_data_in_every_workspace() {
    let scenario = populated(options(Data::Memory), Grant::AllAccounts).await;
    let second = ApiClient::new(&scenario.system, "second", Role::Owner).unwrap();
    second.connect().await.unwrap();
    let all = all_traces(&scenario).await;
    assert!(!traces(&scenario, &all).await.is_empty());
    let sim = scenario.sim().unwrap();

    assert_eq!(sim.remove_app(LOGIN_USER_ID).await.unwrap().status, 200);
    scenario.system.runner.settle().await.unwrap();
    let left = connections(&scenario).await.remove(0);
    assert_eq!(
        (&left["state"], &left["reason"]),
        (&json!("needs_reconnect"), &json!("the person removed the app at Meta"))
    );
    assert!(traces(&scenario, &["v1.k1.".to_owned()]).await.is_empty(), "no token is left");
    let forgotten = audit_entries(&scenario, "connection.token_deleted").await;
    assert_eq!(summarize(&forgotten), ["connection.token_deleted done"]);
    assert_eq!(forgotten[0]["actor"], json!({"kind": "platform"}));
    assert_eq!(
        (&forgotten[0]["before"], &forgotten[0]["after"]),
        (&json!({"state": "connected"}), &json!({"state": "needs_reconnect"}))
    );

    let response = sim.request_deletion(LOGIN_USER_ID).await.unwrap();
    assert_eq!(response.status, 200, "{response:?}");
    let url = response.body["url"].as_str().unwrap().to_owned();
    let code = response.body["confirmation_code"].as_str().unwrap();
    assert!(url.ends_with(code), "{url}");
    scenario.system.runner.settle().await.unwrap();
    // The deletion request knows what to check again, live events tell consoles for a day that the account went, and
    // nothing else is left.
    let left = traces(&scenario, &all).await;
    let kept = ["DELETION_REQUESTS", "DELETION_SCOPES", "LIVE#"];
    let knows = |item: &&String| kept.iter().any(|part| item.contains(part));
    assert_eq!(left.iter().filter(knows).count(), left.len(), "{left:?}");
    run_second_pass(&scenario).await;

    let left = traces(&scenario, &all).await;
    assert!(left.is_empty(), "{} items, such as {}", left.len(), left[0]);
    let trace = traces(&scenario, &[code.to_owned()]).await;
    assert_eq!(trace.len(), 1, "that it was done is known: {trace:?}");
    let page = scenario
        .send(Method::GET, url.strip_prefix(scenario.system.url()).unwrap(), None, &[], None)
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
    assert!(connections(&scenario).await.is_empty());
    // The tick may be due at any moment; nothing else is.
    let timers = scenario.system.cloud.timers.due();
    assert!(timers.iter().all(|(_, timer)| timer.period.is_some()), "{timers:?}");
    assert_eq!(scenario.system.runner.dead_letter_count(Queue::AuthMeta).await.unwrap(), 0);
    scenario.finish().await.unwrap();
}

/// Runs the second pass of open deletions, when no job that started before them can still be running.
pub(super) async fn run_second_pass(scenario: &Scenario) {
    scenario.system.clock.advance(SECOND_PASS_DELAY);
    let requests = scenario.system.table.deletion_requests().await.unwrap().into_iter();
    let open = requests.filter(|request| request.completed_at.is_none());
    let jobs: Vec<_> = open.map(|request| Job::DeleteUserData { code: request.code }).collect();
    assert!(!jobs.is_empty());
    scenario.system.cloud.queues.send(&jobs).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
}

#[tokio::test]
async fn data_left_after_a_disconnection_is_deleted_with_its_user() {
    let scenario = populated(options(Data::Memory), Grant::AllAccounts).await;
    let all = all_traces(&scenario).await;
    let path = format!("connections/meta-{LOGIN_USER_ID}");
    scenario.api().unwrap().call(Method::DELETE, &path, None).await.unwrap();
    assert!(!traces(&scenario, &all).await.is_empty(), "the numbers stay with the workspace");

    scenario.sim().unwrap().request_deletion(LOGIN_USER_ID).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    run_second_pass(&scenario).await;
    let left = traces(&scenario, &all).await;
    assert!(left.is_empty(), "{} items, such as {}", left.len(), left[0]);
    scenario.finish().await.unwrap();
}

/// Creates a deletion request that no job has started.
pub(super) async fn create_deletion_request(scenario: &Scenario) -> String {
    let code = "0123456789abcdef01234567".to_owned();
    let request = store::deletion::DeletionRequest {
        code: code.clone(),
        user: Some(LOGIN_USER_ID.parse().unwrap()),
        requested_at: scenario.system.clock.now(),
        first_pass_at: None,
        completed_at: None,
    };
    scenario.system.table.create_deletion_request(&request).await.unwrap();
    code
}

#[tokio::test]
async fn a_deletion_that_is_killed_at_any_step_is_completed_by_the_next() {
    // Small, because its data is deleted a hundred times.
    let account = AccountArgs {
        campaigns: 3,
        adsets: 3,
        ads: 3,
        days: 2,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    let options = Options { account: Account::Simulated(account), ..Options::in_memory() };
    let scenario = populated(options, Grant::OneAccount).await;
    let all = all_traces(&scenario).await;
    let code = create_deletion_request(&scenario).await;
    let before = table_items(&scenario).await;
    let erase = Job::DeleteUserData { code };

    // Runs both passes, and sets the clock back.
    let both_passes = async |function: &AuthMeta| {
        let first = function.process(erase.clone()).await;
        scenario.system.clock.advance(SECOND_PASS_DELAY);
        let second = function.process(erase.clone()).await;
        scenario.system.clock.advance(-SECOND_PASS_DELAY);
        first.and(second)
    };
    let (whole, calls) = crashing_auth_meta(&scenario, 0..=0);
    both_passes(&whole).await.unwrap();
    let steps = calls.load(Ordering::SeqCst);
    assert!(traces(&scenario, &all).await.is_empty());
    assert!(steps > 20, "{steps} calls");
    let again = table_items(&scenario).await;
    whole.process(erase.clone()).await.unwrap();
    assert_eq!(table_items(&scenario).await.len(), again.len(), "a second run does nothing");

    let mut unbroken = 0;
    for at in crash::points(steps) {
        restore_table(&scenario, &before).await;
        let (dies, made) = crashing_auth_meta(&scenario, at..=at);
        let died = both_passes(&dies).await;
        match &died {
            Err(failure) => assert!(failure.is_retryable(), "call {at} of {steps}: {failure}"),
            // The number of calls differs by a few from run to run: this one made fewer, and did not die.
            Ok(()) if made.load(Ordering::SeqCst) < at => {}
            // The end of a completed change is logged only if that is possible.
            Ok(()) => unbroken += 1,
        }
        let (next, _) = crashing_auth_meta(&scenario, 0..=0);
        for _ in 0..3 {
            scenario.system.clock.advance(SECOND_PASS_DELAY);
            // The crashed run may have got far enough that this one is deferred.
            let _done_or_deferred = next.process(erase.clone()).await;
        }
        let requests = scenario.system.table.deletion_requests().await.unwrap();
        assert!(
            requests.iter().all(|request| request.completed_at.is_some()),
            "killed before call {at}: {requests:?}"
        );
        scenario.system.clock.advance(SECOND_PASS_DELAY * -3);
        let left = traces(&scenario, &all).await;
        assert!(left.is_empty(), "killed before call {at} of {steps}: {left:?}");
        let said = summarize(&audit_entries(&scenario, "connection.deleted").await);
        let whole = ["connection.deleted intended", "connection.deleted done"];
        assert!(said == whole || died.is_ok() && said == whole[..1], "killed before call {at}: {said:?}");
    }
    assert!(unbroken <= 3, "{unbroken} of {steps} calls do not matter");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_deletion_request_whose_message_was_lost_is_resumed_by_the_health_check() {
    let scenario = Scenario::synced().await.unwrap();
    let all = all_traces(&scenario).await;
    let code = create_deletion_request(&scenario).await;
    let page = format!("/v1/auth/meta/data-deletion/{code}");
    let page = scenario.send(Method::GET, &page, None, &[], None).await.unwrap();
    assert!(page.text.contains("is under way"), "{}", page.text);
    for _ in 0..2 {
        scenario.system.cloud.queues.send(&[Job::CheckConnections { after: None }]).await.unwrap();
        scenario.system.runner.settle().await.unwrap();
        scenario.system.clock.advance(SECOND_PASS_DELAY);
    }
    assert!(traces(&scenario, &all).await.is_empty());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_that_another_valid_connection_can_access_is_not_deleted() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    let user = sim.create_system_user("900000000000001");
    let token = sim.issue_system_token(&user, &["ads_read", "ads_management", "business_management"]);
    let api = scenario.api().unwrap();
    api.call(Method::POST, "connections/meta/token", Some(&json!({"token": token}))).await.unwrap();
    scenario.connect_and_sync().await.unwrap();
    let connection_of = |accounts: Value| accounts["data"][0]["connection"].clone();
    let before = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    assert_eq!(connection_of(before), format!("meta-{LOGIN_USER_ID}"));

    sim.remove_app(LOGIN_USER_ID).await.unwrap();
    sim.request_deletion(LOGIN_USER_ID).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    run_second_pass(&scenario).await;
    assert_eq!(traces(&scenario, &[LOGIN_USER_ID.to_owned()]).await, [""; 0]);
    let accounts = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    assert_eq!(accounts["data"].as_array().unwrap().len(), 3);
    assert_eq!(connection_of(accounts.clone()), format!("meta-{user}"));
    assert_eq!(accounts["data"][0]["access_paths"][0]["type"], "assigned", "looked at again: {accounts}");
    scenario.sync().await.unwrap();
    let progress = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_redelivered_request_does_not_delete_a_user_who_has_connected_again() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();
    api.connect().await.unwrap();
    let sim = scenario.sim().unwrap();
    let old = sim.signed_request(LOGIN_USER_ID);
    sim.remove_app(LOGIN_USER_ID).await.unwrap();
    scenario.system.clock.advance(SignedDuration::from_mins(10));
    api.connect().await.unwrap();
    for path in ["deauthorize", "data-deletion"] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("/v1/auth/meta/{path}");
        let body = Some(format!("signed_request={old}"));
        assert_eq!(scenario.send(Method::POST, &path, None, &form, body).await.unwrap().status, 200);
    }
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(connections(&scenario).await[0]["state"], "connected");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn only_requests_signed_by_meta_are_accepted() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let items = async || table_items(&scenario).await.iter().filter(|item| !is_published(item)).count();
    let before = items().await;
    let good = scenario.sim().unwrap().signed_request(LOGIN_USER_ID);
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
            let response = scenario.send(Method::POST, path, None, &form, Some(body.clone())).await.unwrap();
            assert_eq!(response.status, status, "{path} {body}: {}", response.text);
        }
        scenario.system.clock.advance(SignedDuration::from_hours(25));
        let late = Some(format!("signed_request={good}"));
        let late = scenario.send(Method::POST, path, None, &form, late).await.unwrap();
        assert_eq!(late.status, 403, "{}", late.text);
        scenario.system.clock.advance(SignedDuration::from_hours(-25));
    }
    let unknown = "/v1/auth/meta/data-deletion/0000";
    assert_eq!(scenario.send(Method::GET, unknown, None, &[], None).await.unwrap().status, 404);
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(items().await, before);
    assert_eq!(connections(&scenario).await[0]["state"], "connected");
    scenario.finish().await.unwrap();
}
