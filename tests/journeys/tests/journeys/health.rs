//! The daily health check of connections.

use std::sync::atomic::Ordering;

use domain::job::{Job, Queue};
use graph_sim::{FaultKind, FaultPlan, LOGIN_USER_ID, RequestMatcher, TokenState, Trigger};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::audit::{audit_entries, summarize};
use crate::consent::connections;
use crate::crash::{self, crashing_auth_meta, restore_table, table_items};
use crate::watch::advance;

/// Runs the job of the daily schedule, and returns the connection.
pub(super) async fn check_connections(scenario: &Scenario) -> Value {
    scenario.system.cloud.queues.send(&[Job::CheckConnections { after: None }]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    connections(scenario).await.remove(0)
}

/// Returns the stored token.
async fn token(scenario: &Scenario) -> String {
    let stored = scenario.system.table.connections_after(None, 100).await.unwrap().0;
    let place = &stored[0];
    let connection =
        scenario.system.table.connection(&place.workspace, &place.connection).await.unwrap().unwrap();
    let context = connector::token_context(&place.workspace, &place.connection);
    scenario
        .system
        .cloud
        .keyring
        .open(&connection.sealed_token, &context)
        .await
        .unwrap()
        .expose_secret()
        .to_owned()
}

#[tokio::test]
async fn a_token_is_renewed_in_its_last_ten_days_and_the_end_of_data_access_is_reported() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let (first, before) = (token(&scenario).await, check_connections(&scenario).await);
    assert_eq!(token(&scenario).await, first, "a young token is left alone");
    scenario.system.clock.advance(SignedDuration::from_hours(51 * 24));
    let after = check_connections(&scenario).await;
    assert_ne!(token(&scenario).await, first);
    assert!(after["expires_at"].as_str() > before["expires_at"].as_str(), "{after}");
    assert_eq!(after["data_access_expires_at"], before["data_access_expires_at"]);
    assert_eq!(after["state"], "connected");

    // Ninety days after the login Meta's data access ends, whatever the token's expiry is.
    scenario.system.clock.advance(SignedDuration::from_hours(30 * 24));
    let soon = check_connections(&scenario).await;
    assert_eq!(soon["state"], "expiring");
    assert!(soon["reason"].as_str().unwrap().contains("the access to the person's data ends on"), "{soon}");
    assert!(soon["next_step"].as_str().unwrap().contains("connections/meta/authorize"), "{soon}");
    scenario.api().unwrap().connect().await.unwrap();
    assert_eq!(connections(&scenario).await[0]["state"], "connected");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_token_without_an_expiry_gets_none() {
    let scenario = Scenario::start().await.unwrap();
    let body = json!({"kind": "business"});
    crate::consent::log_in(&scenario, Some(&body), &[]).await;
    let first = token(&scenario).await;
    scenario.system.clock.advance(SignedDuration::from_hours(400 * 24));
    let view = check_connections(&scenario).await;
    assert_eq!((&view["state"], view.get("expires_at")), (&json!("connected"), None));
    assert_eq!(token(&scenario).await, first);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn only_errors_of_the_token_ask_for_a_reconnect() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let token = token(&scenario).await;
    let sim = scenario.sim().unwrap();
    for (state, expected, next) in [
        (TokenState::Revoked, "needs_reconnect", "connections/meta/authorize"),
        (TokenState::Checkpointed, "lost_permission", "facebook.com"),
        (TokenState::PasswordChanged, "needs_reconnect", "connections/meta/authorize"),
        (TokenState::Unconfirmed, "lost_permission", "facebook.com"),
        (TokenState::LoggedOut, "needs_reconnect", "connections/meta/authorize"),
        (TokenState::Expired, "needs_reconnect", "connections/meta/authorize"),
        (TokenState::NotAllowed, "connected", ""),
        (TokenState::NotGranted, "connected", ""),
        (TokenState::WithoutAccounts, "connected", ""),
    ] {
        sim.set_token_state(&token, state);
        let connection = check_connections(&scenario).await;
        assert_eq!(connection["state"], expected, "{state:?}: {connection}");
        let said = connection["next_step"].as_str().unwrap_or_default();
        assert!(said.contains(next), "{state:?}: {connection}");
        assert_eq!(connection["reason"].is_string(), !next.is_empty(), "{state:?}: {connection}");
        // When the token is valid again at Meta, the connection recovers by itself.
        sim.set_token_state(&token, TokenState::Valid);
        assert_eq!(check_connections(&scenario).await["state"], "connected", "{state:?}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_withdrawn_permission_is_named_with_the_way_to_request_it_again() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.withdraw_permission(LOGIN_USER_ID, "ads_management");
    let view = check_connections(&scenario).await;
    assert_eq!((&view["state"], &view["declined"]), (&json!("connected"), &json!(["ads_management"])));
    assert!(view["next_step"].as_str().unwrap().contains(r#"{"rerequest":["ads_management"]}"#), "{view}");
    sim.expire_permission(LOGIN_USER_ID, "ads_read");
    let view = check_connections(&scenario).await;
    assert_eq!(view["state"], "lost_permission");
    assert!(view["reason"].as_str().unwrap().contains("ads_read"), "{view}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_outage_at_meta_changes_nothing() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let before = connections(&scenario).await.remove(0);
    let sim = scenario.sim().unwrap();
    for kind in [FaultKind::Html, FaultKind::LostRequest, FaultKind::Truncated, FaultKind::HtmlUnavailable] {
        sim.set_plan(FaultPlan::single(Trigger::default(), RequestMatcher::default(), kind.clone()));
        let after = check_connections(&scenario).await;
        sim.set_plan(FaultPlan::default());
        assert_eq!(after, before, "{kind:?}");
    }
    assert_eq!(
        scenario.system.runner.dead_letter_count(Queue::AuthMeta).await.unwrap(),
        0,
        "the checks are retried"
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_the_health_check_changes_is_in_the_audit_log_and_nothing_else() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let begun = check_connections(&scenario).await;
    let changes = async || audit_entries(&scenario, "connection.changed").await;
    let renewals = async || audit_entries(&scenario, "connection.renewed").await;
    check_connections(&scenario).await;
    assert_eq!((changes().await.len(), renewals().await.len()), (0, 0), "there was nothing to log");

    scenario.system.clock.advance(SignedDuration::from_hours(51 * 24));
    let renewed = check_connections(&scenario).await;
    check_connections(&scenario).await;
    let log = renewals().await;
    assert_eq!(summarize(&log), ["connection.renewed intended", "connection.renewed done"]);
    assert_eq!(log[1]["actor"], json!({"kind": "schedule", "timer": "check-connections"}));
    let ends = |connection: &Value| json!({"expires_at": connection["expires_at"]});
    assert_eq!((&log[1]["before"], &log[1]["after"]), (&ends(&begun), &ends(&renewed)));

    let (sim, token) = (scenario.sim().unwrap(), token(&scenario).await);
    for state in [TokenState::Revoked, TokenState::Valid, TokenState::Revoked] {
        sim.set_token_state(&token, state);
        check_connections(&scenario).await;
        check_connections(&scenario).await;
    }
    sim.set_token_state(&token, TokenState::Valid);
    sim.withdraw_permission(LOGIN_USER_ID, "ads_management");
    check_connections(&scenario).await;
    let log = changes().await;
    assert_eq!(summarize(&log), ["connection.changed done"].repeat(4));
    let states: Vec<_> = log.iter().map(|entry| entry["after"]["state"].clone()).collect();
    assert_eq!(states, ["needs_reconnect", "connected", "needs_reconnect", "connected"].map(Value::from));
    let scopes = |side: &str| log[3][side]["scopes"].to_string().contains("ads_management");
    assert!(scopes("before") && !scopes("after"), "{}", log[3]);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_token_that_becomes_invalid_during_a_sync_is_logged_once() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.set_token_state(&token(&scenario).await, TokenState::Revoked);
    // Many chunks are requested at once, and each is refused.
    scenario.sync().await.unwrap();
    assert_eq!(connections(&scenario).await[0]["state"], "needs_reconnect");
    scenario.sync().await.unwrap();
    let log = audit_entries(&scenario, "connection.changed").await;
    assert_eq!(summarize(&log), ["connection.changed done"]);
    assert_eq!(
        (&log[0]["actor"]["kind"], &log[0]["before"], &log[0]["after"]),
        (&json!("platform"), &json!({"state": "connected"}), &json!({"state": "needs_reconnect"}))
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_no_longer_accessible_is_logged_once() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    scenario.sim().unwrap().set_visible_accounts(LOGIN_USER_ID, &["act_1"]);
    check_connections(&scenario).await;
    check_connections(&scenario).await;
    let mut log = audit_entries(&scenario, "ad_account.access_lost").await;
    log.retain(|entry| entry["ad_account"] == account.as_str());
    assert_eq!(summarize(&log), ["ad_account.access_lost done"]);
    assert_eq!(log[0]["before"], json!({"selected": true, "accessible": true}));
    assert_eq!(log[0]["after"], json!({"selected": false, "accessible": false}));
    assert_eq!(log[0]["actor"]["kind"], "schedule");
    let refused = scenario.call_as_owner(Method::POST, "sync", None).await.unwrap();
    assert_eq!(refused.status, 409, "it is not synced any more: {}", refused.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_health_check_killed_at_any_call_has_logged_its_changes_and_the_next_one_finishes_it() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let place = scenario.system.table.connections_after(None, 100).await.unwrap().0.remove(0);
    let (workspace, id) = (place.workspace.clone(), place.connection.clone());
    let check = Job::CheckConnection { workspace: place.workspace, connection: place.connection };
    let stored = async || scenario.system.table.connection(&workspace, &id).await.unwrap().unwrap();
    let (before, old) = (table_items(&scenario).await, stored().await);
    // The token is renewed and a permission withdrawn, in one check. Those that the clock causes come first.
    scenario.sim().unwrap().withdraw_permission(LOGIN_USER_ID, "ads_management");
    advance(&scenario, SignedDuration::from_hours(51 * 24)).await;
    restore_table(&scenario, &before).await;
    let (whole, calls) = crashing_auth_meta(&scenario, 0..=0);
    whole.process(check.clone()).await.unwrap();
    let steps = calls.load(Ordering::SeqCst);
    for at in crash::points(steps) {
        restore_table(&scenario, &before).await;
        let _died = crashing_auth_meta(&scenario, at..=i64::MAX).0.process(check.clone()).await;
        let recorded = audit_entries(&scenario, "connection.changed").await.len();
        let renewed = stored().await.sealed_token != old.sealed_token;
        assert_eq!(renewed, recorded == 1, "killed before call {at}: the row and its events go together");
        whole.process(check.clone()).await.unwrap();
        assert!(stored().await.expires_at > old.expires_at, "killed before call {at}");
        let renewals = summarize(&audit_entries(&scenario, "connection.renewed").await);
        assert_eq!(
            renewals,
            ["connection.renewed intended", "connection.renewed done"],
            "killed before {at}"
        );
        let changes = summarize(&audit_entries(&scenario, "connection.changed").await);
        assert_eq!(changes, ["connection.changed done"], "killed before call {at}");
    }
    assert!(steps >= 6, "{steps} calls");
    scenario.finish().await.unwrap();
}
