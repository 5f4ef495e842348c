//! An agency with thousands of ad accounts connects without a time-out.

use domain::role::Role;
use graph_sim::{LOGIN_USER_ID, NewAccount};
use http::Method;
use journeys::Scenario;
use runtime::env::Env;
use serde_json::{Value, json};

use crate::crash::table_items;
use crate::deauthorization::run_second_pass;

const ACCOUNTS: usize = 5_000;

fn add_accounts(scenario: &Scenario, count: usize) {
    for n in 0..count {
        scenario.sim().unwrap().add_account(&NewAccount {
            id: format!("act_{}", 500_000_000 + n),
            name: format!("Client {n}"),
            currency: "SGD".to_owned(),
            timezone: "Asia/Singapore".to_owned(),
            business: None,
            assigned: true,
        });
    }
}

#[tokio::test]
async fn five_thousand_ad_accounts_connect_without_a_time_out() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    add_accounts(&scenario, ACCOUNTS);
    let api = scenario.api().unwrap();
    let calls = sim.calls();
    // The callback reads a few pages only, and the rest is a job.
    let connected = api.connect().await.unwrap();
    assert!(sim.calls() - calls < 20, "{} calls", sim.calls() - calls);
    assert_eq!(connected["discovery"]["state"], "running", "{connected}");
    let accounts = async |query: &str| {
        let token = scenario.system.token("demo", Role::Viewer).unwrap();
        let path = format!("/v1/workspaces/demo/ad-accounts{query}");
        scenario.send(Method::GET, &path, Some(&token), &[], None).await.unwrap().json()
    };
    scenario.system.runner.settle().await.unwrap();
    let page = accounts("?limit=1").await;
    assert_eq!(page["discovery"], json!([]), "nothing is under way any more");
    let all = api.all("ad-accounts").await.unwrap().len();
    assert!(all > ACCOUNTS, "{all}");
    let connections = api.call(Method::GET, "connections", None).await.unwrap();
    let discovery = &connections["data"][0]["discovery"];
    assert_eq!((&discovery["state"], &discovery["found"]), (&json!("complete"), &json!(all)));
    let found = accounts("?q=client%204999").await;
    let names: Vec<&Value> = found["data"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, [&json!("Client 4999")]);
    scenario.finish().await.unwrap();
}

/// With as many ad accounts as `AD_ACCOUNTS` says. The embedded table takes five minutes for 5,000, most of it numbering the
/// records of its stream.
#[tokio::test]
async fn a_person_with_many_ad_accounts_is_deleted_whole() {
    let scenario = Scenario::start().await.unwrap();
    let count = Env::optional("AD_ACCOUNTS").map_or(300, |count| count.parse().unwrap());
    add_accounts(&scenario, count);
    scenario.api().unwrap().connect().await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let of_accounts = async || {
        let items = table_items(&scenario).await;
        let keys = items.iter().map(|item| format!("{:?} {:?}", item["pk"], item["sk"]));
        keys.filter(|key| key.contains("act_5000") || key.contains("DELETION_SCOPES")).collect::<Vec<_>>()
    };
    assert!(of_accounts().await.len() >= 2 * count);
    scenario.sim().unwrap().request_deletion(LOGIN_USER_ID).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    // Where it deleted is kept, one item for each place, until the second pass.
    let places = of_accounts().await;
    assert!(
        places.len() >= count && places.iter().all(|key| key.contains("DELETION_SCOPES")),
        "{}",
        places.len()
    );
    run_second_pass(&scenario).await;
    assert_eq!(of_accounts().await, Vec::<String>::new());
    scenario.finish().await.unwrap();
}
