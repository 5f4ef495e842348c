//! Tests of the encoding of calls and responses.

use reqwest::header::CONTENT_ENCODING;

use crate::client::{Client, ManualClock, config, generated, json};

#[tokio::test]
async fn a_form_may_have_parts() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let body = "--cut\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nIn parts\r\n\
                --cut\r\nContent-Disposition: form-data; name=\"source\"; filename=\"a.jpg\"\r\n\
                Content-Type: image/jpeg\r\n\r\nbytes\r\n--cut--\r\n";
    let request = client.http.post(format!("{}/v26.0/{campaign}", client.sim.base_url()));
    let request = request.bearer_auth(&client.token).body(body);
    let request = request.header("Content-Type", "multipart/form-data; boundary=cut");
    assert_eq!(json(request.send().await.unwrap()).await["success"], true);
    assert_eq!(client.get(&campaign, &[("fields", "name")]).await["name"], "In parts");

    let sent = client.sim.requests();
    let sent = &sent[1];
    assert_eq!((sent.method.as_str(), sent.class.as_str(), sent.edge.as_str()), ("POST", "Campaign", ""));
    assert_eq!((&sent.params["name"], &sent.files), (&"In parts".to_owned(), &vec!["source".to_owned()]));
}

#[tokio::test]
async fn answers_are_packed_for_those_who_ask() {
    let client = Client::new().await;
    let url = format!("{}/v26.0/me?access_token={}", client.sim.base_url(), client.token);
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let packed = plain.get(&url).header("Accept-Encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
    assert!(packed.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    assert!(!plain.get(&url).send().await.unwrap().headers().contains_key(CONTENT_ENCODING));
    assert_eq!(json(client.http.get(&url).send().await.unwrap()).await["id"], "7");
}

#[tokio::test]
async fn secrets_are_not_recorded() {
    let client = Client::new().await;
    let url = format!("{}/v26.0/me?access_token={}&code=c", client.sim.base_url(), client.token);
    client.http.get(url).send().await.unwrap();
    let sent = client.sim.requests();
    assert!(sent.len() == 1 && sent[0].params.is_empty(), "{sent:?}");
}

/// Returns status, serving version, whether there was a warning, and the error's code.
async fn version(client: &Client, version: &str, path: &str) -> (u16, String, bool, Option<i64>) {
    let url = format!("{}/{version}/{path}", client.sim.base_url());
    let response = client.http.get(url).bearer_auth(&client.token).send().await.unwrap();
    let served = response.headers()["facebook-api-version"].to_str().unwrap().to_owned();
    let warning =
        response.headers().get("x-ad-api-version-warning").map(|text| text.to_str().unwrap().to_owned());
    let expected = format!("The call has been auto-upgraded to v26.0 as {version} has been deprecated");
    assert!(warning.as_ref().is_none_or(|text| *text == expected), "{warning:?}");
    let status = response.status().as_u16();
    (status, served, warning.is_some(), json(response).await["error"]["code"].as_i64())
}

#[tokio::test]
async fn a_version_that_has_ended_is_upgraded_with_a_warning() {
    let client = Client::new().await;
    let ads = client.act("ads");
    let v = |text: &str| text.to_owned();
    assert_eq!(version(&client, "v26.0", &ads).await, (200, v("v26.0"), false, None));
    assert_eq!(version(&client, "v25.0", &ads).await, (200, v("v25.0"), false, None));
    assert_eq!(version(&client, "v24.0", &ads).await, (200, v("v26.0"), true, None));
    assert_eq!(
        version(&client, "v24.0", "me").await,
        (200, v("v24.0"), false, None),
        "Graph versions live longer"
    );
    assert_eq!(version(&client, "v99.0", &ads).await, (400, v("v26.0"), false, Some(2635)));

    let time = ManualClock::new();
    let mut settings = config(generated(), &time);
    settings.behaviour.auto_upgrade = false;
    let client = Client::with_config(settings, time).await.unwrap();
    assert_eq!(version(&client, "v24.0", &client.act("ads")).await, (400, v("v26.0"), false, Some(2635)));
}

#[tokio::test]
async fn a_call_may_say_its_method_in_a_parameter() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    client.post(&campaign, &[("method", "delete")]).await;
    assert_eq!(client.get(&campaign, &[("fields", "status")]).await["status"], "DELETED");
    let read = client.post(&client.act("ads"), &[("method", "GET"), ("limit", "2")]).await;
    assert_eq!(read["data"].as_array().unwrap().len(), 2);
}
