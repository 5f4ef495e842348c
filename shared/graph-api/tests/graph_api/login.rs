//! A person lets the app in, and takes it back.

use graph_api::GraphError;
use graph_api::oauth::SCOPES;
use graph_sim::TokenState;

use crate::support::{APP_ID, Meta};

const HOME: &str = "http://127.0.0.1:9/callback";

/// What Meta's dialog sends back when a person presses "Continue".
async fn code(meta: &Meta) -> String {
    let dialog = meta.graph.authorize_url(HOME, "a state");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let query = dialog.split_once('?').unwrap().1;
    let decision = format!("{}/dialog/oauth/decision", meta.sim.base_url());
    let form = http.post(decision).header("content-type", "application/x-www-form-urlencoded");
    let answer = form.body(format!("{query}&decision=continue")).send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.starts_with(HOME) && back.contains("state=a"), "{back}");
    back.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_code_becomes_a_token_of_sixty_days() {
    let meta = Meta::start().await;
    let code = code(&meta).await;
    let short = meta.graph.exchange_code(&code, HOME).await.unwrap();
    assert!(matches!(meta.graph.exchange_code(&code, HOME).await, Err(GraphError::FixInput(_))), "once only");
    let long = meta.graph.extend(&short.access_token).await.unwrap();
    assert!(long.expires_in.unwrap() > 50 * 24 * 3600);
    let facts = meta.graph.debug_token(&long.access_token).await.unwrap();
    assert!(facts.is_valid);
    assert_eq!(facts.app_id, APP_ID);
    let caller = meta.graph.on_behalf_of(long.access_token);
    let granted = caller.granted_permissions().await.unwrap();
    assert!(SCOPES.iter().all(|scope| granted.iter().any(|granted| granted == scope)), "{granted:?}");
    let accounts = caller.ad_accounts().all().await.unwrap();
    assert!(accounts.iter().any(|account| account.id == meta.account()));
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_known_to_be_dead() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    assert!(caller.is_alive().await.unwrap());
    meta.sim.break_token(&meta.token, TokenState::Revoked);
    assert!(!caller.is_alive().await.unwrap());
    let account = meta.account().to_string();
    let refused = caller.get::<serde_json::Value>(&account, &[("fields", "id")]).await;
    assert!(matches!(refused, Err(GraphError::Reconnect(details)) if details.subcode == Some(458)));
}
