//! Webhook subscriptions of the app and of ad accounts.

use graph_api::GraphError;
use graph_api::subscription::{Subscription, Topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::Meta;

/// Starts a callback that echoes the challenge of requests with this token, and returns its URL.
async fn callback(token: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let value = |name: &str| {
                let rest = request.split_once(&format!("{name}="))?.1;
                Some(rest.split(['&', ' ']).next().unwrap_or_default().to_owned())
            };
            let known = value("hub.verify_token").as_deref() == Some(token);
            let text = value("hub.challenge").filter(|_| known).unwrap_or_else(|| "no".to_owned());
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn the_app_subscribes_to_fields_once_its_callback_agrees() {
    let meta = Meta::start().await;
    let url = callback("our-token").await;
    let fields = ["in_process_ad_objects", "with_issues_ad_objects"];
    let wrong = meta.graph.subscribe(&Topic::AdAccount, &fields, &url, &"another".into()).await;
    assert!(matches!(wrong, Err(GraphError::InvalidInput(_))), "{wrong:?}");
    assert!(meta.graph.subscriptions().await.unwrap().is_empty());

    meta.graph.subscribe(&Topic::AdAccount, &fields, &url, &"our-token".into()).await.unwrap();
    let expected = Subscription {
        topic: Topic::AdAccount,
        callback_url: url,
        active: true,
        fields: fields.map(str::to_owned).to_vec(),
    };
    assert_eq!(meta.graph.subscriptions().await.unwrap(), [expected]);
}

#[tokio::test]
async fn the_app_subscribes_to_an_ad_account_once() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    assert!(!caller.is_subscribed_to_account(&account).await.unwrap());
    caller.subscribe_account(&account).await.unwrap();
    caller.subscribe_account(&account).await.unwrap();
    assert!(caller.is_subscribed_to_account(&account).await.unwrap());
}

#[tokio::test]
async fn edits_of_what_is_mirrored_are_subscribed_to_once() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    caller.subscribe_to_edits(&account).await.unwrap();
    let calls = meta.sim.calls();
    caller.subscribe_to_edits(&account).await.unwrap();
    assert_eq!(meta.sim.calls() - calls, 1, "nothing is missing");
}
