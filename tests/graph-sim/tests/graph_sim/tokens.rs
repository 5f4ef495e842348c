//! Tests of token states.

use graph_sim::{Behaviour, LOGIN_USER_ID, TokenState};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{APP_ID, Client, ManualClock, SECRET, config, generated};

async fn debug(client: &mut Client, token: &str) -> Value {
    let mine = std::mem::replace(&mut client.token, format!("{APP_ID}|{SECRET}"));
    let known = client.get("debug_token", &[("input_token", token)]).await["data"].take();
    client.token = mine;
    known
}

#[tokio::test]
async fn a_broken_token_is_told_why_and_debug_token_knows() {
    let mut client = Client::new().await;
    let (account, token) = (client.sim.account().id, client.token.clone());
    for (state, subcode) in [
        (TokenState::Expired, 463),
        (TokenState::Revoked, 458),
        (TokenState::PasswordChanged, 460),
        (TokenState::Checkpointed, 459),
        (TokenState::Unconfirmed, 464),
        (TokenState::LoggedOut, 467),
    ] {
        client.sim.set_token_state(&token, state);
        assert_eq!(client.error(Method::GET, &account, &[]).await, (400, 190, Some(subcode)));
        let known = debug(&mut client, &token).await;
        assert_eq!((&known["is_valid"], &known["error"]["subcode"]), (&json!(false), &json!(subcode)));
    }
    for (state, expected) in [
        (TokenState::NotAllowed, (403, 10, None)),
        (TokenState::NotGranted, (403, 200, None)),
        (TokenState::WithoutManagement, (403, 294, None)),
        (TokenState::WithoutAccounts, (400, 100, Some(33))),
    ] {
        client.sim.set_token_state(&token, state);
        assert_eq!(client.error(Method::GET, &account, &[]).await, expected);
        assert_eq!(debug(&mut client, &token).await["is_valid"], true);
    }
    client.sim.set_token_state(&token, TokenState::Valid);
    client.get(&account, &[]).await;
}

#[tokio::test]
async fn a_person_sees_only_the_accounts_that_were_chosen() {
    let mut client = Client::new().await;
    client.sim.set_visible_accounts(LOGIN_USER_ID, &["act_1000000000000072"]);
    client.token = client.sim.issue_token(LOGIN_USER_ID, &["ads_read", "email"]);
    let listed = client.get("me/adaccounts", &[]).await;
    assert_eq!(listed["data"], json!([{"id": "act_1000000000000072", "account_id": "1000000000000072"}]));
    client.get("act_1000000000000072", &[]).await;
    let other = client.sim.account().id;
    assert_eq!(client.error(Method::GET, &other, &[]).await, (400, 100, Some(33)));
    let token = client.token.clone();
    let granular = debug(&mut client, &token).await["granular_scopes"].take();
    assert_eq!(
        granular,
        json!([{"scope": "ads_read", "target_ids": ["1000000000000072"]}, {"scope": "email"}])
    );
}

#[tokio::test]
async fn a_permission_can_be_taken_back_alone() {
    let client = Client::new().await;
    client.send(Method::DELETE, "me/permissions/ads_management", &[]).await.unwrap();
    let declined = client.get("me/permissions", &[("status", "declined")]).await;
    assert_eq!(declined["data"], json!([{"permission": "ads_management", "status": "declined"}]));
    client.get(&client.sim.account().id, &[]).await;
    let write = client.error(Method::POST, &client.act("campaigns"), &[("name", "x")]).await;
    assert_eq!(write, (403, 200, None));
}

#[tokio::test]
async fn a_system_users_token_outlives_everybody() {
    let mut client = Client::new().await;
    client.token = client.sim.issue_system_token("9", &["ads_read"]);
    client.time.advance_minutes(400 * 24 * 60);
    client.get(&client.sim.account().id, &[]).await;
    let token = client.token.clone();
    let known = debug(&mut client, &token).await;
    assert_eq!((&known["type"], &known["expires_at"]), (&json!("SYSTEM_USER"), &json!(0)));
    assert_eq!(known["data_access_expires_at"], 0);
}

#[tokio::test]
async fn an_app_may_require_proofs() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour = Behaviour { require_proof: true, ..Behaviour::default() };
    let client = Client::with_config(config, time).await.unwrap();
    let account = client.sim.account().id;
    assert_eq!(client.error(Method::GET, &account, &[]).await, (400, 100, None));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(client.token.as_bytes());
    let proof = hex::encode(mac.finalize().into_bytes());
    client.get(&account, &[("appsecret_proof", &proof)]).await;
}

#[tokio::test]
async fn who_has_no_token_is_nobody() {
    let mut client = Client::new().await;
    client.token = String::new();
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 2500, None));
    let account = client.sim.account().id;
    assert_eq!(client.error(Method::GET, &account, &[]).await, (400, 104, None));
}
