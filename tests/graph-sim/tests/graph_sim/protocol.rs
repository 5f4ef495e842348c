//! Tests of the encoding of calls and responses.

use graph_sim::AppAge;
use reqwest::Method;
use reqwest::header::CONTENT_ENCODING;
use serde_json::json;

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
    let warned = response.headers().contains_key("x-ad-api-version-warning");
    let status = response.status().as_u16();
    (status, served, warned, json(response).await["error"]["code"].as_i64())
}

#[tokio::test]
async fn a_version_that_has_ended_is_served_by_the_newest_with_a_warning() {
    let client = Client::new().await;
    let ads = client.act("ads");
    let v = |text: &str| text.to_owned();
    for current in ["v25.0", "v26.0", "v27.0"] {
        assert_eq!(version(&client, current, &ads).await, (200, v(current), false, None));
    }
    assert_eq!(version(&client, "v24.0", &ads).await, (200, v("v27.0"), true, None));
    // Versions of the Graph API live longer, but the warning comes there too.
    assert_eq!(version(&client, "v24.0", "me").await, (200, v("v24.0"), true, None));
    assert_eq!(version(&client, "v20.0", "me").await, (200, v("v21.0"), true, None));
    // A version that does not exist: only the header tells, or nothing works.
    assert_eq!(version(&client, "v99.0", "me").await, (200, v("v21.0"), false, None));
    let (status, _, warned, code) = version(&client, "v99.0", &ads).await;
    assert_eq!((status, warned, code), (400, false, Some(2635)));

    let batch = json!([{"method": "GET", "relative_url": format!("v24.0/{ads}")}]).to_string();
    let answers = client.post("", &[("batch", &batch)]).await;
    let headers = answers[0]["headers"].to_string();
    assert!(headers.contains("v27.0") && headers.contains("deprecated version"), "{headers}");

    client.time.advance_minutes(100 * 24 * 60);
    let (_, served, warned, code) = version(&client, "v25.0", &ads).await;
    assert_eq!((served, warned), (v("v27.0"), true), "v25 ended in February 2027");
    assert_eq!(code, Some(190), "as did the token; the headers come on errors too");

    let time = ManualClock::new();
    let mut settings = config(generated(), &time);
    settings.behaviour.auto_upgrade = false;
    let client = Client::with_config(settings, time).await.unwrap();
    let (status, .., code) = version(&client, "v24.0", &client.act("ads")).await;
    assert_eq!((status, code), (400, Some(2635)));
}

type Params = &'static [(&'static str, &'static str)];

/// Calls that only apps made before November 2026 may use.
fn closed_to_new_apps(ads: &str) -> [(Method, &str, Params); 5] {
    [
        (Method::POST, ads, &[("method", "GET"), ("limit", "2")]),
        (Method::GET, ads, &[("fields", "id,name.as(title)")]),
        (Method::GET, ads, &[("fields", "id,adset{name.as(title)}")]),
        (Method::GET, ads, &[("callback", "shown")]),
        (Method::POST, "", &[("asyncbatch", "[]"), ("batch", "[]")]),
    ]
}

#[tokio::test]
async fn old_parts_of_the_protocol_are_closed_to_new_apps() {
    let client = Client::new().await;
    let ads = client.act("ads");
    for (method, path, params) in closed_to_new_apps(&ads) {
        let (_, code, _) = client.error(method.clone(), path, params).await;
        assert_eq!(code, 100, "{method} {path} {params:?}");
    }
    // Closed to every app.
    for params in [[("ids", "1,2")], [("date_format", "U")]] {
        assert_eq!(client.error(Method::GET, "", &params).await.1, 100, "{params:?}");
    }
}

#[tokio::test]
async fn an_old_app_may_say_a_method_in_a_parameter_and_rename_fields() {
    let time = ManualClock::new();
    let mut settings = config(generated(), &time);
    settings.behaviour.app_age = AppAge::Old;
    let client = Client::with_config(settings, time).await.unwrap();
    let ads = client.act("ads");
    for (method, path, params) in closed_to_new_apps(&ads) {
        let answer = client.send(method.clone(), path, params).await.unwrap();
        assert_eq!(answer.status(), 200, "{method} {path} {params:?}");
    }
    let campaign = client.new_campaign().await;
    client.post(&campaign, &[("method", "delete")]).await;
    let renamed = client.get(&campaign, &[("fields", "status.as(state)")]).await;
    assert_eq!(renamed["state"], "DELETED");
}
