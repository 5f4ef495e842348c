//! The leak scanner itself: a leaked secret is found in every channel and every encoding.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use journeys::Scenario;
use journeys::leak_scanner::{LeakChannel, LeakScanner};
use local::cloud::{KEYRING_SECRET, TABLE};
use local::demo::WORKSPACE;
use runtime::session::Role;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::connect::{begin_login, complete_login, query_parameter};

/// 32 bytes, as some secrets are stored.
const SECRET: &str = "6f1d0c9e3b7a58f24e6d8c0b1a2f3e4d5c6b7a8990a1b2c3d4e5f60718293a4b";

#[test]
fn a_secret_is_found_in_every_encoding() {
    let is_clean = |text: &str| {
        let scanner = LeakScanner::default();
        scanner.add_secret("it", SECRET);
        scanner.add_secret("odd", "pass|word/+&?");
        scanner.record(LeakChannel::LogLine, text);
        scanner.assert_no_leaks(&[LeakChannel::LogLine]).is_ok()
    };
    assert!(
        is_clean("nothing of interest")
            && is_clean(&SECRET[..63])
            && is_clean("EAAS")
            && is_clean("pass|word")
    );
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
                    assert!(!is_clean(&written), "{raw:?} in {written}");
                }
            }
        }
    }
    for written in ["pass%7Cword%2F%2B%26%3F", "pass%7cword%2f%2b%26%3f", "x=pass|word/+&?"] {
        assert!(!is_clean(written), "{written}");
    }
}

/// Leaks a secret in a scenario, and asserts that the scanner finds it.
async fn assert_leak_is_found(what: &str, channels: &[LeakChannel], leak: impl AsyncFnOnce(&Scenario)) {
    let scenario = Scenario::start().await.unwrap();
    leak(&scenario).await;
    let error =
        scenario.finish().await.err().unwrap_or_else(|| panic!("{what} in {channels:?} was not seen"));
    for channel in channels {
        assert!(error.to_string().contains(&format!("{what} in {channel:?}")), "{channel:?}: {error}");
    }
}

async fn request(scenario: &Scenario, path: &str) -> u16 {
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    scenario.send(Method::GET, path, Some(&token), &[], None).await.unwrap().status.as_u16()
}

async fn put_in_table(scenario: &Scenario, what: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = scenario.system.cloud.dynamodb.put_item().table_name(TABLE);
    let item = item.item("pk", text("WS#demo")).item("sk", text("PLANTED")).item("text", text(what));
    item.send().await.unwrap();
}

#[tokio::test]
async fn a_secret_is_found_in_every_channel() {
    let token = |scenario: &Scenario| scenario.sim().unwrap().issue_token("1", &["ads_read"]);
    assert_leak_is_found("a session", &[LeakChannel::LogLine], async |scenario| {
        let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
        tracing::debug!(token, "What nobody should write.");
    })
    .await;
    assert_leak_is_found("a token", &[LeakChannel::AwsCall], async |scenario| {
        let queue = &scenario.system.cloud.queues.address("sync-entities").unwrap().url;
        let send = scenario.system.cloud.sqs.send_message().queue_url(queue).message_body(token(scenario));
        send.send().await.unwrap();
    })
    .await;
    assert_leak_is_found("the issuer's key", &[LeakChannel::AwsCall, LeakChannel::Table], async |scenario| {
        let seed = URL_SAFE_NO_PAD.decode(scenario.system.issuer().seed().expose_secret()).unwrap();
        put_in_table(scenario, &hex::encode(seed)).await;
    })
    .await;
    assert_leak_is_found(
        "a key of the keyring",
        &[LeakChannel::AwsCall, LeakChannel::Table],
        async |scenario| {
            let secrets = &scenario.system.cloud.secrets;
            let stored = secrets.get_secret_value().secret_id(KEYRING_SECRET).send().await.unwrap();
            let stored: Value = serde_json::from_str(stored.secret_string().unwrap()).unwrap();
            put_in_table(scenario, &format!("the key is {}", stored["k1"].as_str().unwrap())).await;
        },
    )
    .await;
    assert_leak_is_found("the app's secret", &[LeakChannel::Request], async |scenario| {
        let secret = scenario.system.secrets.app_secret.expose_secret();
        assert_eq!(request(scenario, &format!("/v1/nowhere?secret={secret}")).await, 404);
    })
    .await;
    assert_leak_is_found("the verify token", &[LeakChannel::Response], async |scenario| {
        let verify = scenario.system.secrets.verify_token.expose_secret();
        let path = "/v1/webhooks/meta?hub.mode=subscribe";
        let path = format!("{path}&hub.challenge={verify}&hub.verify_token={verify}");
        assert_eq!(request(scenario, &path).await, 200);
    })
    .await;
    assert_leak_is_found("a token", &[LeakChannel::GraphUrl], async |scenario| {
        let url = format!("{}/v26.0/me?access_token={}", scenario.sim().unwrap().base_url(), token(scenario));
        reqwest::get(url).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_login_generates_is_found_even_when_it_leaked_before_it_was_known() {
    let of_login = ["a login's state", "a login's code", "a cookie"];
    for (nth, what) in of_login.into_iter().enumerate() {
        assert_leak_is_found(
            what,
            &[LeakChannel::LogLine, LeakChannel::AwsCall, LeakChannel::Table],
            async |scenario| {
                let (dialog, cookie) = begin_login(scenario).await;
                let callback = scenario.api().unwrap().confirm_dialog(&dialog).await.unwrap();
                let secrets = [
                    query_parameter(&callback, "state"),
                    query_parameter(&callback, "code"),
                    cookie.split_once('=').unwrap().1.to_owned(),
                ];
                // Logged before the code is known to the scanner.
                tracing::debug!(secret = secrets[nth], "What nobody should write.");
                put_in_table(scenario, &secrets[nth]).await;
                assert_eq!(complete_login(scenario, &callback, &cookie).await.0, 200);
            },
        )
        .await;
    }
}
