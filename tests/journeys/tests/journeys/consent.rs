//! Permissions and accounts that people grant or decline, and system users' tokens.

use graph_sim::{LOGIN_USER_ID, NewAccount, TokenState};
use http::Method;
use journeys::{Response, Scenario};
use local::demo::WORKSPACE;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::connect::{complete_login, start_login};

const ALL_SCOPES: [&str; 3] = ["ads_read", "ads_management", "business_management"];

async fn post(scenario: &Scenario, path: &str, body: Option<&Value>) -> Response {
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/connections/meta/{path}");
    scenario.send(Method::POST, &path, Some(&token), &[], body.map(Value::to_string)).await.unwrap()
}

/// Completes the dialog of this request with these choices, and returns the callback's response.
pub(super) async fn log_in(
    scenario: &Scenario,
    body: Option<&Value>,
    choices: &[(&str, &str)],
) -> (u16, Value) {
    let response = post(scenario, "authorize", body).await;
    let (dialog, cookie) = start_login(scenario, &response).await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = http.get(dialog.clone()).send().await.unwrap().text().await.unwrap();
    let mut form: Vec<(String, String)> = page
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|input| {
            let (name, rest) = input.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
        })
        .collect();
    form.extend(choices.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    form.push(("decision".to_owned(), "continue".to_owned()));
    let decided = dialog.join("/dialog/oauth/decision").unwrap();
    let decided = http.post(decided).form(&form).send().await.unwrap();
    complete_login(scenario, decided.headers()["location"].to_str().unwrap(), &cookie).await
}

pub(super) async fn connections(scenario: &Scenario) -> Vec<Value> {
    let view = scenario.api().unwrap().call(Method::GET, "connections", None).await.unwrap();
    view["data"].as_array().unwrap().clone()
}

async fn accounts(scenario: &Scenario) -> Vec<Value> {
    let view = scenario.api().unwrap().call(Method::GET, "ad-accounts", None).await.unwrap();
    view["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn declined_permissions_are_named_and_can_be_requested_again() {
    let scenario = Scenario::start().await.unwrap();
    let (status, view) = log_in(&scenario, None, &[("declined", "ads_management")]).await;
    assert_eq!((status, &view["declined"]), (200, &json!(["ads_management"])));
    let connection = connections(&scenario).await.remove(0);
    assert_eq!((&connection["state"], &connection["kind"]), (&json!("connected"), &json!("classic")));
    let next = connection["next_step"].as_str().unwrap();
    assert!(next.contains(r#"{"rerequest":["ads_management"]}"#), "{next}");

    // Meta asks again only if requested to.
    log_in(&scenario, None, &[]).await;
    assert_eq!(connections(&scenario).await[0]["declined"], json!(["ads_management"]));
    log_in(&scenario, Some(&json!({"rerequest": ["ads_management"]})), &[]).await;
    let connection = connections(&scenario).await.remove(0);
    assert_eq!((&connection["declined"], connection.get("next_step")), (&json!([]), None));

    for (body, field) in [
        (json!({"rerequest": ["email"]}), "rerequest[0]"),
        (json!({"kind": "business", "rerequest": ["ads_read"]}), "rerequest"),
        (json!({"kind": "other"}), "kind"),
        (json!({"scope": "email"}), "scope"),
    ] {
        let refused = post(&scenario, "authorize", Some(&body)).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.text.contains(field), "{body}: {}", refused.text);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn declining_a_required_permission_explains_how_to_grant_it() {
    let scenario = Scenario::start().await.unwrap();
    let (status, problem) = log_in(&scenario, None, &[("declined", "ads_read")]).await;
    assert_eq!(status, 403, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(r#"{"rerequest":["ads_read"]}"#), "{problem}");
    assert!(connections(&scenario).await.is_empty());
    assert_eq!(log_in(&scenario, Some(&json!({"rerequest": ["ads_read"]})), &[]).await.0, 200);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn only_granted_accounts_are_stored_and_a_revoked_one_is_deselected() {
    let scenario = Scenario::start().await.unwrap();
    let (main, other) = (scenario.account().unwrap(), "act_1000000000000072");
    log_in(&scenario, None, &[("accounts", &format!("{main},{other}"))]).await;
    scenario.select(true).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let of = |accounts: Vec<Value>| -> Vec<(String, bool, usize)> {
        let view = accounts.iter().map(|account| {
            let ways = account["access_paths"].as_array().unwrap().len();
            (account["id"].as_str().unwrap().to_owned(), account["selected"] == true, ways)
        });
        view.collect()
    };
    let mut expected = vec![(main.clone(), true, 2), (other.to_owned(), false, 2)];
    expected.sort();
    assert_eq!(of(accounts(&scenario).await), expected);
    assert_eq!(connections(&scenario).await[0]["granted_ad_accounts"].as_array().unwrap().len(), 2);

    log_in(&scenario, None, &[("accounts", other)]).await;
    let mut expected = vec![(main, false, 0), (other.to_owned(), false, 2)];
    expected.sort();
    assert_eq!(of(accounts(&scenario).await), expected);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn accounts_show_their_business_their_access_and_why_they_cannot_run_ads() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.add_business("800", "Client of the agency");
    let (id, business) = ("act_81".to_owned(), Some("800".to_owned()));
    let (name, currency) = ("The client's".to_owned(), "EUR".to_owned());
    let timezone = "Europe/Berlin".to_owned();
    sim.add_account(&NewAccount { id, name, currency, timezone, business, assigned: false });
    sim.share_account("act_81", "900000000000001");
    sim.update_account("act_81", json!({"account_status": 2, "disable_reason": 3}));
    sim.set_tasks(LOGIN_USER_ID, "act_81", &["ANALYZE"]);
    scenario.api().unwrap().connect().await.unwrap();
    let all = accounts(&scenario).await;
    let shared = all.iter().find(|account| account["id"] == "act_81").unwrap();
    assert_eq!(shared["business"], json!({"id": "800", "name": "Client of the agency"}));
    assert_eq!(shared["access_paths"][0]["type"], "client");
    assert_eq!(shared["tasks"], json!(["ANALYZE"]));
    assert_eq!((&shared["can_run"], &shared["account_status"]), (&json!(false), &json!(2)));
    assert_eq!(shared["disable_reason_text"], "Meta saw a risk in its payments");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn launches_use_an_accounts_defaults_and_a_partner_is_no_beneficiary() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.add_business("700", "Agency");
    let account = scenario.account().unwrap();
    sim.share_account(&account, "700");
    let user = sim.create_system_user("700");
    let token = sim.issue_system_token(&user, &ALL_SCOPES);
    assert_eq!(post(&scenario, "token", Some(&json!({"token": token}))).await.status, 200);
    let put = async |body: Value| scenario.call_as_owner(Method::PUT, "defaults", Some(body)).await.unwrap();
    let dsa = |beneficiary: &str| json!({"payor": "Agency", "beneficiary": beneficiary});
    let refused = put(json!({"dsa": dsa("adflight test company")})).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "dsa.beneficiary");
    assert!(refused.text.contains("name Agency"), "{}", refused.text);
    let defaults = json!({"pixel": "123", "dsa": dsa("Agency"), "domain": "shop.example.com"});
    let stored = put(defaults.clone()).await;
    assert_eq!((stored.status.as_u16(), stored.json()), (200, defaults.clone()));
    assert_eq!(put(json!({"domain": "https://x/"})).await.status, 400);
    assert_eq!(scenario.call_as_owner(Method::GET, "defaults", None).await.unwrap().json(), defaults);

    let mut document = scenario.launch_document().unwrap();
    document["ad_set"]["countries"] = json!(["DE"]);
    document["ad_set"]["promoted_object"] = json!({"custom_event_type": "PURCHASE"});
    let launched = scenario.launch("one", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let ad_set = sim.node(launched.json()["adset_id"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&ad_set["dsa_beneficiary"], &ad_set["promoted_object"]["pixel_id"]),
        (&json!("Agency"), &json!("123"))
    );
    document["ad_set"]["dsa"] = dsa("Adflight test company");
    let refused = scenario.launch("two", &document).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "ad_set.dsa.beneficiary");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_business_connects_a_system_user_by_the_login_configuration_of_the_deployment() {
    let scenario = Scenario::start().await.unwrap();
    let (status, view) = log_in(&scenario, Some(&json!({"kind": "business"})), &[]).await;
    assert_eq!(status, 200, "{view}");
    let connection = connections(&scenario).await.remove(0);
    assert_eq!((&connection["kind"], connection.get("expires_at")), (&json!("business"), None));
    assert_eq!(connection["scopes"].as_array().unwrap().len(), 3);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_system_users_token_is_accepted_and_never_shown() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    let user = sim.create_system_user("900000000000001");
    let token = sim.issue_system_token(&user, &ALL_SCOPES);
    let taken = post(&scenario, "token", Some(&json!({"token": token}))).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    assert_eq!((&taken.json()["kind"], &taken.json()["state"]), (&json!("system_user"), &json!("connected")));
    assert!(!taken.text.contains(&token));
    assert_eq!(accounts(&scenario).await.len(), 3);
    let items = scenario.system.cloud.dynamodb.scan().table_name("adflight").send().await.unwrap();
    assert!(!format!("{:?}", items.items()).contains("EAAS"), "a token lies open in the table");
    scenario.select(true).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let progress = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn other_tokens_are_rejected_with_the_reason_and_are_not_echoed() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    let person = sim.issue_token(LOGIN_USER_ID, &ALL_SCOPES);
    let poor = sim.issue_system_token("9", &["public_profile"]);
    let dead = sim.issue_system_token("9", &ALL_SCOPES);
    sim.set_token_state(&dead, TokenState::Revoked);
    let secret = "EAASnot-a-token-of-anybody";
    for (body, what) in [
        (json!({"token": person}).to_string(), "is not a system user's"),
        (json!({"token": poor}).to_string(), "was made without ads_read"),
        (json!({"token": dead}).to_string(), "does not work"),
        (json!({"token": secret}).to_string(), "does not work"),
        (json!({"token": ""}).to_string(), "must have 1 to 4096"),
        (json!({"token": [secret]}).to_string(), "must be {"),
        (json!({"token": secret, "more": secret}).to_string(), "must be {"),
        (json!(secret).to_string(), "must be {"),
        (secret.to_owned(), "must be {"),
    ] {
        let owner = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
        let path = format!("/v1/workspaces/{WORKSPACE}/connections/meta/token");
        let refused = scenario.send(Method::POST, &path, Some(&owner), &[], Some(body)).await.unwrap();
        assert_eq!(refused.status, 400, "{what}");
        let problem = refused.json();
        assert!(problem.to_string().contains(what), "{what}: {problem}");
        assert!(!refused.text.contains("EAAS"), "{problem}");
    }
    assert!(connections(&scenario).await.is_empty());
    scenario.finish().await.unwrap();
}
