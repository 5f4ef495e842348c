//! Somebody asks Meta how the connections are.

use ads::job::{Job, Queue};
use graph_sim::{FaultKind, FaultPlan, PERSON, Place, TokenState, When};
use jiff::SignedDuration;
use journeys::Story;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::consent::connections;

/// What the daily schedule asks for.
async fn look(story: &Story) -> Value {
    story.system.cloud.queues.send(&[Job::CheckConnections]).await.unwrap();
    story.system.runner.settle().await.unwrap();
    connections(story).await.remove(0)
}

/// The token that is kept.
async fn token(story: &Story) -> String {
    let holders = story.system.table.all_connections().await.unwrap();
    let place = &holders[0];
    let connection =
        story.system.table.connection(&place.workspace, &place.connection).await.unwrap().unwrap();
    let context = access::token_context(&place.workspace, &place.connection);
    story
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
async fn a_token_is_renewed_in_its_last_ten_days_and_the_other_clock_is_told_of() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let (first, before) = (token(&story).await, look(&story).await);
    assert_eq!(token(&story).await, first, "a young token is left alone");
    story.system.clock.advance(SignedDuration::from_hours(51 * 24));
    let after = look(&story).await;
    assert_ne!(token(&story).await, first);
    assert!(after["expires_at"].as_str() > before["expires_at"].as_str(), "{after}");
    assert_eq!(after["data_access_expires_at"], before["data_access_expires_at"]);
    assert_eq!(after["state"], "connected");

    // Ninety days after the login Meta shows nothing more, whatever the token's own end is.
    story.system.clock.advance(SignedDuration::from_hours(30 * 24));
    let soon = look(&story).await;
    assert_eq!(soon["state"], "expiring");
    assert!(soon["reason"].as_str().unwrap().contains("the access to the person's data ends on"), "{soon}");
    assert!(soon["next_step"].as_str().unwrap().contains("connections/meta/authorize"), "{soon}");
    story.api().unwrap().connect().await.unwrap();
    assert_eq!(connections(&story).await[0]["state"], "connected");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_token_without_an_end_is_not_given_one() {
    let story = Story::begin().await.unwrap();
    let body = json!({"kind": "business"});
    crate::consent::log_in(&story, Some(&body), &[]).await;
    let first = token(&story).await;
    story.system.clock.advance(SignedDuration::from_hours(400 * 24));
    let shown = look(&story).await;
    assert_eq!((&shown["state"], shown.get("expires_at")), (&json!("connected"), None));
    assert_eq!(token(&story).await, first);
    story.end().await.unwrap();
}

#[tokio::test]
async fn only_what_means_it_asks_for_a_reconnect() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let token = token(&story).await;
    let sim = story.sim().unwrap();
    for (state, shown, next) in [
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
        sim.break_token(&token, state);
        let connection = look(&story).await;
        assert_eq!(connection["state"], shown, "{state:?}: {connection}");
        let said = connection["next_step"].as_str().unwrap_or_default();
        assert!(said.contains(next), "{state:?}: {connection}");
        assert_eq!(connection["reason"].is_string(), !next.is_empty(), "{state:?}: {connection}");
        // Mended at Meta, it works again by itself.
        sim.break_token(&token, TokenState::Valid);
        assert_eq!(look(&story).await["state"], "connected", "{state:?}");
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_permission_that_is_taken_back_is_named_with_the_way_to_ask_again() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let sim = story.sim().unwrap();
    sim.withdraw_permission(PERSON, "ads_management");
    let shown = look(&story).await;
    assert_eq!((&shown["state"], &shown["declined"]), (&json!("connected"), &json!(["ads_management"])));
    assert!(shown["next_step"].as_str().unwrap().contains(r#"{"rerequest":["ads_management"]}"#), "{shown}");
    sim.expire_permission(PERSON, "ads_read");
    let shown = look(&story).await;
    assert_eq!(shown["state"], "lost_permission");
    assert!(shown["reason"].as_str().unwrap().contains("ads_read"), "{shown}");
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_outage_at_meta_changes_nothing() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let before = connections(&story).await.remove(0);
    let sim = story.sim().unwrap();
    for kind in [FaultKind::Html, FaultKind::LostCall, FaultKind::Truncated, FaultKind::HtmlUnavailable] {
        sim.set_plan(FaultPlan::of(When::default(), Place::default(), kind.clone()));
        let after = look(&story).await;
        sim.set_plan(FaultPlan::default());
        assert_eq!(after, before, "{kind:?}");
    }
    assert_eq!(story.system.runner.dead(Queue::AuthMeta).await.unwrap(), 0, "the looks come again");
    story.end().await.unwrap();
}
