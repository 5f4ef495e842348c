//! Tests of login: dialog, codes and tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{APP_ID, Client, SECRET, json as body_of};

const REDIRECT_URI: &str = "http://127.0.0.1:3000/callback";

/// Submits the dialog with a decision and returns the redirect location.
async fn decide(client: &Client, decision: &str) -> String {
    let dialog = format!("{}/v26.0/dialog/oauth", client.sim.base_url());
    let asked = [
        ("client_id", APP_ID),
        ("redirect_uri", REDIRECT_URI),
        ("state", "a b&c"),
        ("scope", "ads_read,ads_management"),
        ("response_type", "code"),
    ];
    let page = client.http.get(dialog).query(&asked).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(
        page.contains("<html lang=\"en\">") && page.contains("name=\"state\" value=\"a b&amp;c\""),
        "{page}"
    );
    let form = [&asked[..4], &[("decision", decision)]].concat();
    let decided = format!("{}/dialog/oauth/decision", client.sim.base_url());
    let response = client.http.post(decided).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}

async fn exchange(client: &Client, params: &[(&str, &str)]) -> Value {
    let app = [("client_id", APP_ID), ("client_secret", SECRET)];
    let url = format!("{}/v26.0/oauth/access_token", client.sim.base_url());
    body_of(client.http.get(url).query(&[&app, params].concat()).send().await.unwrap()).await
}

async fn debug(client: &Client, token: &str) -> Value {
    let app_token = format!("{APP_ID}|{SECRET}");
    let url = format!("{}/v26.0/debug_token", client.sim.base_url());
    let query = [("input_token", token), ("access_token", &app_token)];
    let mut body = body_of(client.http.get(url).query(&query).send().await.unwrap()).await;
    body["data"].take()
}

#[tokio::test]
async fn a_person_lets_the_app_in_and_puts_it_out_again() {
    let mut client = Client::new().await;
    let location = decide(&client, "continue").await;
    let (code, state) =
        location.strip_prefix(&format!("{REDIRECT_URI}?code=")).unwrap().split_once('&').unwrap();
    assert_eq!(state, "state=a%20b%26c");
    assert_eq!(client.sim.calls(), 0, "the dialog is not a Graph call");

    let short = exchange(&client, &[("redirect_uri", REDIRECT_URI), ("code", code)]).await;
    assert_eq!((&short["token_type"], &short["expires_in"]), (&json!("bearer"), &json!(7_200)));
    let again = exchange(&client, &[("redirect_uri", REDIRECT_URI), ("code", code)]).await;
    assert_eq!((&again["error"]["code"], &again["error"]["error_subcode"]), (&json!(100), &json!(36009)));

    let short = short["access_token"].as_str().unwrap();
    let renewal = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", short)];
    let long = exchange(&client, &renewal).await;
    assert_eq!(long["expires_in"], 5_184_000);
    client.time.advance_minutes(121);
    assert_eq!(
        exchange(&client, &renewal).await["error"]["error_subcode"],
        463,
        "expired tokens stay expired"
    );

    client.token = long["access_token"].as_str().unwrap().to_owned();
    let me = client.get("me", &[("fields", "id,name")]).await;
    assert_eq!(me["name"], "Simulated Person");
    let permissions = client.get("me/permissions", &[]).await;
    assert_eq!(permissions["data"][1], json!({"permission": "ads_management", "status": "granted"}));

    let alive = debug(&client, &client.token).await;
    assert_eq!((&alive["is_valid"], &alive["user_id"]), (&json!(true), &me["id"]));
    assert_eq!(alive["expires_at"].as_i64().unwrap() - alive["issued_at"].as_i64().unwrap(), 5_184_000);
    assert_eq!(alive["granular_scopes"][0], json!({"scope": "ads_read"}));

    client.send(Method::DELETE, "me/permissions", &[]).await.unwrap();
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 190, Some(458)));
    let dead = debug(&client, &client.token).await;
    assert_eq!((&dead["is_valid"], &dead["error"]["subcode"]), (&json!(false), &json!(458)));
}

/// Returns the token of a user who submits the dialog with these answers.
async fn token_of(client: &Client, answers: &[(&str, &str)]) -> Value {
    let form =
        [("client_id", APP_ID), ("redirect_uri", REDIRECT_URI), ("state", "s"), ("decision", "continue")];
    let decided = format!("{}/dialog/oauth/decision", client.sim.base_url());
    let response = client.http.post(decided).form(&[&form, answers].concat()).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap();
    let code = location.split(['=', '&']).nth(1).unwrap();
    exchange(client, &[("redirect_uri", REDIRECT_URI), ("code", code)]).await
}

#[tokio::test]
async fn a_person_may_say_no_to_one_permission_and_yes_later() {
    let mut client = Client::new().await;
    let scope = ("scope", "ads_read,ads_management");
    let token = token_of(&client, &[scope, ("declined", "ads_management")]).await;
    client.token = token["access_token"].as_str().unwrap().to_owned();
    assert_eq!(debug(&client, &client.token).await["scopes"], json!(["ads_read"]));
    let permissions = client.get("me/permissions", &[("permission", "ads_management")]).await;
    assert_eq!(permissions["data"], json!([{"permission": "ads_management", "status": "declined"}]));
    let silent = token_of(&client, &[scope]).await;
    let known = debug(&client, silent["access_token"].as_str().unwrap()).await;
    assert_eq!(known["scopes"], json!(["ads_read"]), "the dialog does not ask twice by itself");
    let token = token_of(&client, &[scope, ("auth_type", "rerequest")]).await;
    client.token = token["access_token"].as_str().unwrap().to_owned();
    let permissions = client.get("me/permissions", &[("status", "granted")]).await;
    assert_eq!(permissions["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_configuration_may_let_in_a_system_user_for_ever() {
    let client = Client::new().await;
    let dialog = format!("{}/v26.0/dialog/oauth", client.sim.base_url());
    let asked = [
        ("client_id", APP_ID),
        ("redirect_uri", REDIRECT_URI),
        ("config_id", "77"),
        ("override_default_response_type", "true"),
        ("response_type", "code"),
    ];
    let page = client.http.get(dialog).query(&asked).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(r#"name="for" value="system_user""#) && !page.contains("declined"), "{page}");
    let token = token_of(&client, &[("scope", "ads_read"), ("for", "system_user")]).await;
    assert!(token.get("expires_in").is_none(), "{token}");
    let known = debug(&client, token["access_token"].as_str().unwrap()).await;
    assert_eq!((&known["type"], &known["expires_at"]), (&json!("SYSTEM_USER"), &json!(0)));
}

#[tokio::test]
async fn a_person_who_cancels_is_sent_back_without_a_code() {
    let location = decide(&Client::new().await, "cancel").await;
    let expected =
        "?error_reason=user_denied&error=access_denied&error_description=Permissions%20error&state=";
    assert!(location.starts_with(&format!("{REDIRECT_URI}{expected}")), "{location}");
}

#[tokio::test]
async fn nobody_is_sent_to_a_foreign_address() {
    let client = Client::new().await;
    for (app, back) in [(APP_ID, "https://evil.test/"), ("999", REDIRECT_URI)] {
        let url = format!("{}/v26.0/dialog/oauth", client.sim.base_url());
        let response =
            client.http.get(url).query(&[("client_id", app), ("redirect_uri", back)]).send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        assert!(!response.headers().contains_key("location"));
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_apart() {
    let mut client = Client::new().await;
    let url = format!("{}/v26.0/oauth/access_token", client.sim.base_url());
    let wrong = [("client_id", APP_ID), ("client_secret", "guess"), ("grant_type", "client_credentials")];
    let wrong = body_of(client.http.get(url).query(&wrong).send().await.unwrap()).await;
    assert_eq!(
        (&wrong["error"]["code"], &wrong["error"]["message"]),
        (&json!(1), &json!("Error validating client secret."))
    );
    let app = exchange(&client, &[("grant_type", "client_credentials")]).await;
    assert_eq!(app["access_token"], format!("{APP_ID}|{SECRET}"));

    assert_eq!(client.error(Method::GET, "me", &[("appsecret_proof", "00")]).await, (400, 100, None));
    let account = client.sim.account().id;
    client.token = client.sim.issue_token("7", &["ads_read"]);
    client.get(&account, &[]).await;
    assert_eq!(
        client.error(Method::POST, &client.act("campaigns"), &[("name", "x")]).await,
        (403, 200, None)
    );
    client.token = client.sim.issue_token("7", &["public_profile"]);
    assert_eq!(client.error(Method::GET, &account, &[]).await, (403, 200, None));
    client.token = "EAASnonsense".to_owned();
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 190, None));
    client.token = String::new();
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 2500, None));
}
