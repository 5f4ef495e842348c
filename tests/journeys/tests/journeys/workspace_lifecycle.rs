//! A workspace is named, renamed and deleted by its owners.

use domain::job::Job;
use domain::role::Role;
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::tenant::tenant;
use serde_json::json;

use crate::crash::table_items;

/// Keys of everything that belongs to the workspace, but for its audit log and the state of its requests.
async fn leftovers(scenario: &Scenario) -> Vec<String> {
    let items = table_items(scenario).await;
    let keys = items.iter().map(|item| {
        let part = |name: &str| item[name].as_s().unwrap().to_owned();
        format!("{} {}", part("pk"), part("sk"))
    });
    let is_ours = |key: &String| key.contains("WS#demo") || key.contains("act_");
    let stays = |key: &String| {
        ["#AUDIT ", " RATE_LIMIT#", " IDEMPOTENCY#", "LIMIT#"].iter().any(|kind| key.contains(kind))
    };
    keys.filter(|key| is_ours(key) && !stays(key)).collect()
}

#[tokio::test]
async fn an_owner_renames_and_deletes_a_workspace_with_everything_in_it() {
    let scenario = Scenario::newly_synced().await.unwrap();
    scenario.system.create_workspace("demo", "Demo").await.unwrap();
    let ask = async |method: Method, role: Role, headers: &[(&str, &str)], body: Option<&str>| {
        let token = scenario.system.token("demo", role).unwrap();
        let body = body.map(str::to_owned);
        scenario.send(method, "/v1/workspaces/demo", Some(&token), headers, body).await.unwrap()
    };
    let read = ask(Method::GET, Role::Viewer, &[], None).await;
    assert_eq!(read.json(), json!({"workspace": "demo", "name": "Demo", "role": "viewer"}));
    let read = ask(Method::GET, Role::Owner, &[], None).await;
    let tag = [("if-match", read.headers["etag"].to_str().unwrap())];
    let name = Some(r#"{"name": "Agency"}"#);
    assert_eq!(ask(Method::PATCH, Role::Editor, &[], name).await.status, 403);
    assert_eq!(ask(Method::PATCH, Role::Owner, &tag, name).await.json()["name"], "Agency");
    assert_eq!(ask(Method::PATCH, Role::Owner, &tag, name).await.status, 412);

    let campaign = scenario.running_campaign().await.unwrap();
    let schedule = format!("campaigns/{campaign}/schedules/activate");
    let at = Some(json!({"at": "2026-12-24T09:00:00"}));
    assert_eq!(scenario.call_as_owner(Method::PUT, &schedule, at).await.unwrap().status, 200);
    // The rules' schedule ends itself when it next comes due.
    let timers = || {
        let all = scenario.system.cloud.timers.all().into_values().map(|timer| timer.input);
        let ours = |input: &String| ["sync_account", "run_schedule"].iter().any(|job| input.contains(job));
        all.filter(ours).collect::<Vec<_>>()
    };
    assert!(!timers().is_empty() && !leftovers(&scenario).await.is_empty());
    assert_eq!(ask(Method::DELETE, Role::Editor, &[], None).await.status, 403);
    assert_eq!(ask(Method::DELETE, Role::Owner, &[], None).await.status, 202);
    scenario.system.runner.settle().await.unwrap();
    // Everything is stopped, and nothing deleted yet: earlier work may still be writing.
    assert!(timers().is_empty(), "{:?}", timers());
    let workspace = tenant("demo").unwrap();
    let table = &scenario.system.table;
    assert!(table.members(&workspace).await.unwrap().is_empty());
    let tokens = table.connections(&workspace).await.unwrap();
    assert!(tokens.iter().all(|connection| connection.sealed_token.is_empty()));
    assert!(leftovers(&scenario).await.len() > 100);

    // The message of the second part is lost; the daily health check finds what is left to do.
    scenario.system.clock.advance(SignedDuration::from_mins(16));
    let check = Job::CheckConnections { after: None };
    scenario.system.cloud.queues.send(&[check.clone(), check]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let left = leftovers(&scenario).await;
    assert!(left.is_empty(), "{left:?}");
    assert!(!table.audit_entries(&workspace, None, None, 10).await.unwrap().is_empty(), "the log stays");
    // What only the issuer knows is kept by the issuer.
    assert_eq!(ask(Method::DELETE, Role::Owner, &[], None).await.status, 409);
    scenario.finish().await.unwrap();
}
