//! The canaries themselves: a secret that gets out is seen, wherever and in whatever form.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use journeys::Story;
use journeys::canary::{Canaries, Place};
use local::cloud::{KEYRING_SECRET, TABLE};
use local::main_job::WORKSPACE;
use runtime::session::Role;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::connect::{begin_login, come_back, part};

/// 32 bytes, as some secrets are kept.
const SECRET: &str = "6f1d0c9e3b7a58f24e6d8c0b1a2f3e4d5c6b7a8990a1b2c3d4e5f60718293a4b";

#[test]
fn a_secret_is_seen_in_every_form() {
    let hides = |text: &str| {
        let canaries = Canaries::default();
        canaries.add("it", SECRET);
        canaries.add("odd", "pass|word/+&?");
        canaries.hear(Place::Line, text);
        canaries.assert_silent(&[Place::Line]).is_ok()
    };
    assert!(hides("nothing of interest") && hides(&SECRET[..63]) && hides("EAAS") && hides("pass|word"));
    let bytes = hex::decode(SECRET).unwrap();
    for raw in [SECRET.as_bytes(), &bytes, b"EAASeyJ1c2VyIjoi", b"pass|word/+&?"] {
        for before in ["", "a", "ab", "abc", "abcd"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = [before.as_bytes(), raw, after.as_bytes()].concat();
                for written in [
                    STANDARD.encode(&text),
                    URL_SAFE_NO_PAD.encode(&text),
                    hex::encode(&text),
                    hex::encode_upper(&text),
                ] {
                    assert!(!hides(&written), "{raw:?} in {written}");
                }
            }
        }
    }
    for written in ["pass%7Cword%2F%2B%26%3F", "pass%7cword%2f%2b%26%3f", "x=pass|word/+&?"] {
        assert!(!hides(written), "{written}");
    }
}

/// Lets a secret out in a story, which must not end well.
async fn escapes(what: &str, places: &[Place], plant: impl AsyncFnOnce(&Story)) {
    let story = Story::begin().await.unwrap();
    plant(&story).await;
    let error = story.end().await.err().unwrap_or_else(|| panic!("{what} in {places:?} was not seen"));
    for place in places {
        assert!(error.to_string().contains(&format!("{what} in {place:?}")), "{place:?}: {error}");
    }
}

async fn ask(story: &Story, path: &str) -> u16 {
    let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
    story.send(Method::GET, path, Some(&token), &[], None).await.unwrap().status.as_u16()
}

async fn put(story: &Story, what: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = story.system.cloud.dynamodb.put_item().table_name(TABLE);
    let item = item.item("pk", text("WS#demo")).item("sk", text("PLANTED")).item("text", text(what));
    item.send().await.unwrap();
}

#[tokio::test]
async fn a_secret_is_seen_in_every_place() {
    let token = |story: &Story| story.sim().unwrap().issue_token("1", &["ads_read"]);
    escapes("a session", &[Place::Line], async |story| {
        let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
        tracing::debug!(token, "What nobody should write.");
    })
    .await;
    escapes("a token", &[Place::Call], async |story| {
        let queue = &story.system.cloud.queues.address("sync-entities").unwrap().url;
        let send = story.system.cloud.sqs.send_message().queue_url(queue).message_body(token(story));
        send.send().await.unwrap();
    })
    .await;
    escapes("the issuer's key", &[Place::Call, Place::Table], async |story| {
        let seed = URL_SAFE_NO_PAD.decode(story.system.issuer().seed().expose_secret()).unwrap();
        put(story, &hex::encode(seed)).await;
    })
    .await;
    escapes("a key of the keyring", &[Place::Call, Place::Table], async |story| {
        let secrets = &story.system.cloud.secrets;
        let kept = secrets.get_secret_value().secret_id(KEYRING_SECRET).send().await.unwrap();
        let kept: Value = serde_json::from_str(kept.secret_string().unwrap()).unwrap();
        put(story, &format!("the key is {}", kept["k1"].as_str().unwrap())).await;
    })
    .await;
    escapes("the app's secret", &[Place::Request], async |story| {
        let secret = story.system.secrets.app_secret.expose_secret();
        assert_eq!(ask(story, &format!("/v1/nowhere?secret={secret}")).await, 404);
    })
    .await;
    escapes("the verify token", &[Place::Answer], async |story| {
        let verify = story.system.secrets.verify_token.expose_secret();
        let path = "/v1/webhooks/meta?hub.mode=subscribe";
        let path = format!("{path}&hub.challenge={verify}&hub.verify_token={verify}");
        assert_eq!(ask(story, &path).await, 200);
    })
    .await;
    escapes("a token", &[Place::GraphUrl], async |story| {
        let url = format!("{}/v26.0/me?access_token={}", story.sim().unwrap().base_url(), token(story));
        reqwest::get(url).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_login_makes_is_known_whenever_it_escaped() {
    let of_login = ["a login's state", "a login's code", "a cookie"];
    for (nth, what) in of_login.into_iter().enumerate() {
        escapes(what, &[Place::Line, Place::Call, Place::Table], async |story| {
            let (dialog, cookie) = begin_login(story).await;
            let callback = story.api().unwrap().press_continue(&dialog).await.unwrap();
            let secrets = [
                part(&callback, "state"),
                part(&callback, "code"),
                cookie.split_once('=').unwrap().1.to_owned(),
            ];
            // Before anybody else sees the code.
            tracing::debug!(secret = secrets[nth], "What nobody should write.");
            put(story, &secrets[nth]).await;
            assert_eq!(come_back(story, &callback, &cookie).await.0, 200);
        })
        .await;
    }
}
