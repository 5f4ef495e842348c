//! Somebody asks Meta how the connections are.

use std::sync::atomic::Ordering;

use ads::job::{Job, Queue};
use graph_sim::{FaultKind, FaultPlan, PERSON, Place, TokenState, When};
use http::Method;
use jiff::SignedDuration;
use journeys::Story;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::audit::{acts, told};
use crate::consent::connections;
use crate::mortal::{items, mortal, restore};

/// What the daily schedule asks for.
pub(super) async fn look(story: &Story) -> Value {
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

#[tokio::test]
async fn what_the_daily_look_does_and_finds_out_is_in_the_log_and_nothing_else() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let begun = look(&story).await;
    let changes = async || acts(&story, "connection.changed").await;
    let renewals = async || acts(&story, "connection.renewed").await;
    look(&story).await;
    assert_eq!((changes().await.len(), renewals().await.len()), (0, 0), "there was nothing to tell");

    story.system.clock.advance(SignedDuration::from_hours(51 * 24));
    let renewed = look(&story).await;
    look(&story).await;
    let log = renewals().await;
    assert_eq!(told(&log), ["connection.renewed intended", "connection.renewed done"]);
    assert_eq!(log[1]["who"], json!({"kind": "schedule", "timer": "check-connections"}));
    let ends = |connection: &Value| json!({"expires_at": connection["expires_at"]});
    assert_eq!((&log[1]["before"], &log[1]["after"]), (&ends(&begun), &ends(&renewed)));

    let (sim, token) = (story.sim().unwrap(), token(&story).await);
    for state in [TokenState::Revoked, TokenState::Valid, TokenState::Revoked] {
        sim.break_token(&token, state);
        look(&story).await;
        look(&story).await;
    }
    sim.break_token(&token, TokenState::Valid);
    sim.withdraw_permission(PERSON, "ads_management");
    look(&story).await;
    let log = changes().await;
    assert_eq!(told(&log), ["connection.changed intended", "connection.changed done"].repeat(4));
    let states: Vec<_> = log.iter().step_by(2).map(|entry| entry["after"]["state"].clone()).collect();
    assert_eq!(states, ["needs_reconnect", "connected", "needs_reconnect", "connected"].map(Value::from));
    let scopes = |side: &str| log[7][side]["scopes"].to_string().contains("ads_management");
    assert!(scopes("before") && !scopes("after"), "{}", log[7]);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_token_that_dies_at_work_is_told_of_once_by_whoever_meets_it_first() {
    let story = Story::synced().await.unwrap();
    let sim = story.sim().unwrap();
    sim.break_token(&token(&story).await, TokenState::Revoked);
    // Many weeks are asked for at once, and each is refused.
    story.sync().await.unwrap();
    assert_eq!(connections(&story).await[0]["state"], "needs_reconnect");
    story.sync().await.unwrap();
    let log = acts(&story, "connection.changed").await;
    assert_eq!(told(&log), ["connection.changed intended", "connection.changed done"]);
    assert_eq!(
        (&log[1]["who"]["kind"], &log[1]["before"], &log[1]["after"]),
        (&json!("webhook"), &json!({"state": "connected"}), &json!({"state": "needs_reconnect"}))
    );
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_out_of_reach_by_now_is_told_of_once() {
    let story = Story::synced().await.unwrap();
    let account = story.account().unwrap();
    story.sim().unwrap().show_accounts(PERSON, &["act_1"]);
    look(&story).await;
    look(&story).await;
    let mut log = acts(&story, "ad_account.lost").await;
    log.retain(|entry| entry["ad_account"] == account.as_str());
    assert_eq!(told(&log), ["ad_account.lost intended", "ad_account.lost done"]);
    assert_eq!(log[1]["before"], json!({"selected": true, "in_reach": true}));
    assert_eq!(log[1]["after"], json!({"selected": false, "in_reach": false}));
    assert_eq!(log[1]["who"]["kind"], "schedule");
    let refused = story.owner(Method::POST, "sync", None).await.unwrap();
    assert_eq!(refused.status, 409, "it is not synced any more: {}", refused.text);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_look_that_is_killed_anywhere_has_told_what_it_did_and_the_next_one_ends_it() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    story.system.clock.advance(SignedDuration::from_hours(51 * 24));
    // Renewed, and less allowed than before, in one look.
    story.sim().unwrap().withdraw_permission(PERSON, "ads_management");
    let place = story.system.table.all_connections().await.unwrap().remove(0);
    let (workspace, id) = (place.workspace.clone(), place.connection.clone());
    let check = Job::CheckConnection { workspace: place.workspace, connection: place.connection };
    let kept = async || story.system.table.connection(&workspace, &id).await.unwrap().unwrap();
    let (before, old) = (items(&story).await, kept().await);
    let (whole, calls) = mortal(&story, 0..=0);
    whole.process(check.clone()).await.unwrap();
    let steps = calls.load(Ordering::SeqCst);
    let mut open = 0;
    for at in 1..=steps {
        restore(&story, &before).await;
        // An end that cannot be written fails nothing.
        let _died = mortal(&story, at..=i64::MAX).0.process(check.clone()).await;
        let said = acts(&story, "connection.renewed").await.len();
        let renewed = kept().await.sealed_token != old.sealed_token;
        assert!(!renewed || said > 0, "killed before call {at}: it did what it had not said");
        whole.process(check.clone()).await.unwrap();
        assert!(kept().await.expires_at > old.expires_at, "killed before call {at}");
        for what in ["connection.renewed", "connection.changed"] {
            let said = told(&acts(&story, what).await);
            let whole = [format!("{what} intended"), format!("{what} done")];
            // Once it is kept nobody comes back to say so.
            let half = renewed && said == whole[..1];
            assert!(said == whole || half, "killed before call {at}: {said:?}");
            open += usize::from(half);
        }
    }
    assert!(steps > 8 && open <= 6, "{steps} calls, {open} without an end");
    story.end().await.unwrap();
}
