//! The packed console in workerd, in front of the API.

use hosts::edge::EdgeWorker;
use journeys::Scenario;
use journeys::leak_scanner::LeakScanner;
use local::demo::WORKSPACE;
use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};
use reqwest::{Client, StatusCode};
use runtime::session::Role;
use serde_json::{Value, json};

/// The page comes with its settings, its files are kept for good, and the API answers behind the same origin.
#[tokio::test]
#[ignore = "needs the packed Worker"]
async fn the_page_its_files_and_the_api_come_from_one_origin() {
    let scenario = Scenario::start().await.unwrap();
    let system = &scenario.system;
    let vars = json!({
        "API_URL": system.url(),
        "SESSION_ISSUER": system.issuer().url(),
        "SESSION_AUDIENCE": "adflight",
        "CLIENT_ID": "adflight-console",
        "SCOPE": "openid email",
    });
    let edge = EdgeWorker::start_environment("console", json!({"vars": vars})).await.unwrap();
    let http = Client::new();

    let page = http.get(format!("{}/w/demo/overview?range=last_7d", edge.url)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.contains(&format!("connect-src 'self' {};", system.url())), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("&quot;client_id&quot;:&quot;adflight-console&quot;"), "{html}");

    let script = html.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let file = http.get(format!("{}{script}", edge.url)).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::OK, "{script}");
    assert_eq!(file.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert!(file.headers()[CONTENT_TYPE].to_str().unwrap().contains("javascript"));
    let missing = http.get(format!("{}/assets/missing.js", edge.url)).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);

    // What the API answers comes through as it is: its problems, its bodies, its redirects.
    let token = system.token(WORKSPACE, Role::Owner).unwrap();
    let path = "/v1/workspaces";
    let refused = http.get(format!("{}{path}", edge.url)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let created = http.post(format!("{}{path}", edge.url)).bearer_auth(&token);
    let created = created.body(r#"{"name": "At the edge"}"#).send().await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let read = async |origin: &str| -> Value {
        let answer = http.get(format!("{origin}{path}")).bearer_auth(&token).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    };
    let through = read(&edge.url).await;
    assert!(through.to_string().contains("At the edge"), "{through}");
    assert_eq!(through, read(system.url()).await);
    // Headers of both directions, cookies among them. (A redirect cannot be shown here: the emulator follows it itself.)
    let authorize = http.post(format!("{}{path}/{WORKSPACE}/connections/meta/authorize", edge.url));
    let begun = authorize.bearer_auth(&token).send().await.unwrap().text().await.unwrap();
    let begun: Value = serde_json::from_str(&begun).unwrap();
    let start = begun["start_url"].as_str().unwrap().replace(system.url(), &edge.url);
    let asked = http.get(start).send().await.unwrap();
    assert!(asked.headers()[SET_COOKIE].to_str().unwrap().starts_with("adflight_login="));

    edge.stop(&LeakScanner::default()).await.unwrap();
    scenario.finish().await.unwrap();
}
