//! What people allow, choose and decline, and tokens that are handed over.

use graph_sim::{MoreAccount, PERSON, TokenState};
use http::Method;
use http::header::SET_COOKIE;
use journeys::{Answer, Story};
use local::main_job::WORKSPACE;
use reqwest::Url;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::connect::come_back;

const ALL: [&str; 3] = ["ads_read", "ads_management", "business_management"];

async fn post(story: &Story, path: &str, body: Option<&Value>) -> Answer {
    let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/connections/meta/{path}");
    story.send(Method::POST, &path, Some(&token), &[], body.map(Value::to_string)).await.unwrap()
}

/// A person goes through the dialog that this body asks for, with these choices; what the callback answers.
pub(super) async fn log_in(story: &Story, body: Option<&Value>, choices: &[(&str, &str)]) -> (u16, Value) {
    let answer = post(story, "authorize", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cookie = answer.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let dialog: Url = answer.json()["authorize_url"].as_str().unwrap().parse().unwrap();
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
    come_back(story, decided.headers()["location"].to_str().unwrap(), &cookie).await
}

pub(super) async fn connections(story: &Story) -> Vec<Value> {
    let shown = story.api().unwrap().call(Method::GET, "connections", None).await.unwrap();
    shown["data"].as_array().unwrap().clone()
}

async fn accounts(story: &Story) -> Vec<Value> {
    let shown = story.api().unwrap().call(Method::GET, "ad-accounts", None).await.unwrap();
    shown["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_declined_is_named_and_can_be_asked_for_again() {
    let story = Story::begin().await.unwrap();
    let (status, shown) = log_in(&story, None, &[("declined", "ads_management")]).await;
    assert_eq!((status, &shown["declined"]), (200, &json!(["ads_management"])));
    let connection = connections(&story).await.remove(0);
    assert_eq!((&connection["state"], &connection["kind"]), (&json!("connected"), &json!("classic")));
    let next = connection["next_step"].as_str().unwrap();
    assert!(next.contains(r#"{"rerequest":["ads_management"]}"#), "{next}");

    // Without being told to Meta does not ask again.
    log_in(&story, None, &[]).await;
    assert_eq!(connections(&story).await[0]["declined"], json!(["ads_management"]));
    log_in(&story, Some(&json!({"rerequest": ["ads_management"]})), &[]).await;
    let connection = connections(&story).await.remove(0);
    assert_eq!((&connection["declined"], connection.get("next_step")), (&json!([]), None));

    for (body, field) in [
        (json!({"rerequest": ["email"]}), "rerequest[0]"),
        (json!({"kind": "business", "rerequest": ["ads_read"]}), "rerequest"),
        (json!({"kind": "other"}), "kind"),
        (json!({"scope": "email"}), "scope"),
    ] {
        let refused = post(&story, "authorize", Some(&body)).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.text.contains(field), "{body}: {}", refused.text);
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn who_declines_what_everything_needs_is_told_how_to_allow_it() {
    let story = Story::begin().await.unwrap();
    let (status, problem) = log_in(&story, None, &[("declined", "ads_read")]).await;
    assert_eq!(status, 403, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(r#"{"rerequest":["ads_read"]}"#), "{problem}");
    assert!(connections(&story).await.is_empty());
    assert_eq!(log_in(&story, Some(&json!({"rerequest": ["ads_read"]})), &[]).await.0, 200);
    story.end().await.unwrap();
}

#[tokio::test]
async fn only_the_accounts_that_were_chosen_are_kept_and_one_that_is_chosen_no_more_rests() {
    let story = Story::begin().await.unwrap();
    let (main, other) = (story.account().unwrap(), "act_1000000000000072");
    log_in(&story, None, &[("accounts", &format!("{main},{other}"))]).await;
    story.select(true).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let of = |accounts: Vec<Value>| -> Vec<(String, bool, usize)> {
        let shown = accounts.iter().map(|account| {
            let ways = account["reached"].as_array().unwrap().len();
            (account["id"].as_str().unwrap().to_owned(), account["selected"] == true, ways)
        });
        shown.collect()
    };
    let mut expected = vec![(main.clone(), true, 2), (other.to_owned(), false, 2)];
    expected.sort();
    assert_eq!(of(accounts(&story).await), expected);
    assert_eq!(connections(&story).await[0]["chosen_ad_accounts"].as_array().unwrap().len(), 2);

    log_in(&story, None, &[("accounts", other)]).await;
    let mut expected = vec![(main, false, 0), (other.to_owned(), false, 2)];
    expected.sort();
    assert_eq!(of(accounts(&story).await), expected);
    story.end().await.unwrap();
}

#[tokio::test]
async fn accounts_carry_whose_they_are_how_they_are_reached_and_why_they_rest() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    sim.add_business("800", "Client of the agency");
    let (id, business) = ("act_81".to_owned(), Some("800".to_owned()));
    let (name, currency) = ("The client's".to_owned(), "EUR".to_owned());
    let timezone = "Europe/Berlin".to_owned();
    sim.add_account(&MoreAccount { id, name, currency, timezone, business, assigned: false });
    sim.share_account("act_81", "900000000000001");
    sim.change_account("act_81", json!({"account_status": 2, "disable_reason": 3}));
    sim.allow_tasks(PERSON, "act_81", &["ANALYZE"]);
    story.api().unwrap().connect().await.unwrap();
    let all = accounts(&story).await;
    let shared = all.iter().find(|account| account["id"] == "act_81").unwrap();
    assert_eq!(shared["business"], json!({"id": "800", "name": "Client of the agency"}));
    assert_eq!(shared["reached"][0]["how"], "client");
    assert_eq!(shared["tasks"], json!(["ANALYZE"]));
    assert_eq!((&shared["can_run"], &shared["account_status"]), (&json!(false), &json!(2)));
    assert_eq!(shared["disabled_because"], "Meta saw a risk in its payments");
    story.end().await.unwrap();
}

#[tokio::test]
async fn launches_use_an_accounts_defaults_and_a_partner_is_no_beneficiary() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    sim.add_business("700", "Agency");
    let account = story.account().unwrap();
    sim.share_account(&account, "700");
    let user = sim.hire_system_user("700");
    let token = sim.issue_system_token(&user, &ALL);
    assert_eq!(post(&story, "token", Some(&json!({"token": token}))).await.status, 200);
    let put = async |body: Value| story.owner(Method::PUT, "defaults", Some(body)).await.unwrap();
    let dsa = |beneficiary: &str| json!({"payor": "Agency", "beneficiary": beneficiary});
    let refused = put(json!({"dsa": dsa("adflight test company")})).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "dsa.beneficiary");
    assert!(refused.text.contains("name Agency"), "{}", refused.text);
    let defaults = json!({"pixel": "123", "dsa": dsa("Agency"), "domain": "shop.example.com"});
    let kept = put(defaults.clone()).await;
    assert_eq!((kept.status.as_u16(), kept.json()), (200, defaults.clone()));
    assert_eq!(put(json!({"domain": "https://x/"})).await.status, 400);
    assert_eq!(story.owner(Method::GET, "defaults", None).await.unwrap().json(), defaults);

    let mut document = story.launch_document().unwrap();
    document["ad_set"]["countries"] = json!(["DE"]);
    document["ad_set"]["promoted_object"] = json!({"custom_event_type": "PURCHASE"});
    let launched = story.launch("one", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let ad_set = sim.node(launched.json()["adset_id"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&ad_set["dsa_beneficiary"], &ad_set["promoted_object"]["pixel_id"]),
        (&json!("Agency"), &json!("123"))
    );
    document["ad_set"]["dsa"] = dsa("Adflight test company");
    let refused = story.launch("two", &document).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "ad_set.dsa.beneficiary");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_business_lets_in_a_system_user_by_the_deployments_configuration() {
    let story = Story::begin().await.unwrap();
    let (status, shown) = log_in(&story, Some(&json!({"kind": "business"})), &[]).await;
    assert_eq!(status, 200, "{shown}");
    let connection = connections(&story).await.remove(0);
    assert_eq!((&connection["kind"], connection.get("expires_at")), (&json!("business"), None));
    assert_eq!(connection["scopes"].as_array().unwrap().len(), 3);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_system_users_token_is_taken_when_it_is_one_and_is_never_shown() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    let user = sim.hire_system_user("900000000000001");
    let token = sim.issue_system_token(&user, &ALL);
    let taken = post(&story, "token", Some(&json!({"token": token}))).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    assert_eq!((&taken.json()["kind"], &taken.json()["state"]), (&json!("system_user"), &json!("connected")));
    assert!(!taken.text.contains(&token));
    assert_eq!(accounts(&story).await.len(), 3);
    let items = story.system.cloud.dynamodb.scan().table_name("adflight").send().await.unwrap();
    assert!(!format!("{:?}", items.items()).contains("EAAS"), "a token lies open in the table");
    story.select(true).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let progress = story.owner(Method::GET, "sync", None).await.unwrap().json();
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    story.end().await.unwrap();
}

#[tokio::test]
async fn other_tokens_are_refused_with_what_is_wrong_and_without_themselves() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    let person = sim.issue_token(PERSON, &ALL);
    let poor = sim.issue_system_token("9", &["public_profile"]);
    let dead = sim.issue_system_token("9", &ALL);
    sim.break_token(&dead, TokenState::Revoked);
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
        let owner = story.system.token(WORKSPACE, Role::Owner).unwrap();
        let path = format!("/v1/workspaces/{WORKSPACE}/connections/meta/token");
        let refused = story.send(Method::POST, &path, Some(&owner), &[], Some(body)).await.unwrap();
        assert_eq!(refused.status, 400, "{what}");
        let problem = refused.json();
        assert!(problem.to_string().contains(what), "{what}: {problem}");
        assert!(!refused.text.contains("EAAS"), "{problem}");
    }
    assert!(connections(&story).await.is_empty());
    story.end().await.unwrap();
}
