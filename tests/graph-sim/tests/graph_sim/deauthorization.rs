//! Tests of the deauthorization and data deletion callbacks, which carry a signed form.

use std::sync::{Arc, Mutex};

use axum::Form;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_sim::LOGIN_USER_ID;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Client, SECRET};

type Forms = Arc<Mutex<Vec<Vec<(String, String)>>>>;

/// Starts an app server that records the forms it receives; the server ends with the test.
async fn app() -> (String, Forms) {
    let forms = Forms::default();
    let received = Arc::clone(&forms);
    let callback = move |Form(form): Form<Vec<(String, String)>>| async move {
        received.lock().unwrap().push(form);
        json!({"url": "https://app.test/deletion/abc", "confirmation_code": "abc"}).to_string()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/callback", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/callback", post(callback));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, forms)
}

#[tokio::test]
async fn a_person_who_removes_the_app_and_wants_their_data_deleted_is_announced_twice() {
    let mut client = Client::new().await;
    let (url, forms) = app().await;
    client.token = client.sim.issue_token(LOGIN_USER_ID, &["ads_read"]);
    client.sim.set_deauthorize_url(&url);
    client.sim.set_data_deletion_url(&url);
    assert_eq!(client.sim.remove_app(LOGIN_USER_ID).await.unwrap().status, 200);
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 190, Some(458)));
    let deleted = client.sim.request_deletion(LOGIN_USER_ID).await.unwrap();
    assert_eq!(deleted.body["confirmation_code"], "abc");
    let forms = forms.lock().unwrap();
    assert_eq!(forms.len(), 2);
    for form in forms.iter() {
        let [(name, signed)] = form.as_slice() else { panic!("{form:?}") };
        assert_eq!(name, "signed_request");
        let (signature, payload) = signed.split_once('.').unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(payload);
        assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap(), mac.finalize().into_bytes().as_slice());
        let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!(payload["user_id"], LOGIN_USER_ID);
        assert_eq!(payload["algorithm"], "HMAC-SHA256");
    }
}

#[tokio::test]
async fn an_app_without_an_address_hears_nothing() {
    let client = Client::new().await;
    assert_eq!(client.sim.remove_app(LOGIN_USER_ID).await, None);
    assert_eq!(client.sim.request_deletion(LOGIN_USER_ID).await, None);
}
