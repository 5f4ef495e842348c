//! A front end on another origin has a person log in: by navigation, and back to its own page with the outcome.

use http::Method;
use http::header::{COOKIE, SET_COOKIE};
use journeys::{Response, Scenario, options};
use local::data::Data;
use reqwest::Url;
use runtime::origins::AllowedOrigins;
use runtime::session::Role;
use serde_json::json;

use crate::connect::query_parameter;

const AUTHORIZE: &str = "/v1/workspaces/demo/connections/meta/authorize";
const FRONT_END: &str = "https://app.example.com";
const RETURN_URL: &str = "https://app.example.com/connected?tab=meta#/accounts";

async fn start() -> Scenario {
    let allowed_origins = AllowedOrigins::parse(FRONT_END).unwrap();
    Scenario::with_options(local::Options { allowed_origins, ..options(Data::Memory) }).await.unwrap()
}

async fn authorize(scenario: &Scenario, return_url: Option<&str>) -> Response {
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let body = json!({"return_url": return_url}).to_string();
    scenario.send(Method::POST, AUTHORIZE, Some(&token), &[], Some(body)).await.unwrap()
}

async fn get(scenario: &Scenario, url: &str, headers: &[(&str, &str)]) -> Response {
    let path = url.strip_prefix(scenario.system.url()).unwrap_or(url);
    scenario.send(Method::GET, path, None, headers, None).await.unwrap()
}

fn cookie_of(response: &Response) -> String {
    response.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

fn location(response: &Response) -> String {
    response.headers["location"].to_str().unwrap().to_owned()
}

/// Begins a login that returns to this URL, and returns the dialog and the browser's cookie.
async fn begin(scenario: &Scenario, return_url: Option<&str>) -> (Url, String) {
    let begun = authorize(scenario, return_url).await;
    let start_url = begun.json()["start_url"].as_str().unwrap().to_owned();
    let started = get(scenario, &start_url, &[("referer", "https://app.example.com/")]).await;
    assert_eq!(started.status, 302, "{}", started.text);
    (location(&started).parse().unwrap(), cookie_of(&started))
}

#[tokio::test]
async fn a_login_leads_back_to_the_front_end_whatever_comes_of_it() {
    let scenario = start().await;
    let api = scenario.api().unwrap();
    let back = |outcome: &str| format!("https://app.example.com/connected?tab=meta&{outcome}#/accounts");

    // Cancelled at Meta.
    let (dialog, cookie) = begin(&scenario, Some(RETURN_URL)).await;
    let state = query_parameter(dialog.as_str(), "state");
    let cancelled = format!("/v1/auth/meta/callback?error=access_denied&state={state}");
    let cancelled = get(&scenario, &cancelled, &[(COOKIE.as_str(), &cookie)]).await;
    assert_eq!((cancelled.status.as_u16(), location(&cancelled)), (303, back("outcome=cancelled")));

    // Refused: the page says why and has the link.
    let (dialog, cookie) = begin(&scenario, Some(RETURN_URL)).await;
    let state = query_parameter(dialog.as_str(), "state");
    let refused = format!("/v1/auth/meta/callback?code=AQmade-up&state={state}");
    let refused = get(&scenario, &refused, &[(COOKIE.as_str(), &cookie)]).await;
    assert_eq!(refused.status, 422);
    let link = back("outcome=failed&amp;error=meta-refused").replacen("meta&outcome", "meta&amp;outcome", 1);
    assert!(refused.text.contains(&format!("href=\"{link}\"")), "{}", refused.text);
    assert!(refused.text.contains("Back to app.example.com"), "{}", refused.text);

    // Connected: from the page with the ad accounts back to the front end.
    let (dialog, cookie) = begin(&scenario, Some(RETURN_URL)).await;
    let callback = api.confirm_dialog(&dialog).await.unwrap();
    let page = get(&scenario, &callback, &[(COOKIE.as_str(), &cookie)]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://app.example.com;"), "{policy}");
    let secret = page.text.split_once("name=\"selection\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let cookie = cookie_of(&page);
    let headers = [(COOKIE.as_str(), cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let form = format!("selection={secret}&ad_account={}", scenario.account().unwrap());
    let sent = scenario.send(Method::POST, "/v1/auth/meta/choose", None, &headers, Some(form)).await.unwrap();
    assert_eq!((sent.status.as_u16(), location(&sent)), (303, back("outcome=connected")));
    let accounts = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    assert_eq!(
        accounts["data"].as_array().unwrap().iter().filter(|account| account["selected"] == true).count(),
        1
    );

    // The same callback again: its login is gone, and still there is a way back.
    let again = get(&scenario, &callback, &[(COOKIE.as_str(), &cookie)]).await;
    assert_eq!(again.status, 409);
    assert!(
        again.text.contains("https://app.example.com/?outcome=failed&amp;error=conflict"),
        "{}",
        again.text
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_link_to_a_login_from_anybody_else_asks_first_and_works_once() {
    let scenario = start().await;
    let begun = authorize(&scenario, None).await;
    let start_url = begun.json()["start_url"].as_str().unwrap().to_owned();
    assert!(!begun.headers.contains_key(SET_COOKIE));
    let evil = [("referer", "https://evil.example/https://app.example.com/")];
    let asked = get(&scenario, &start_url, &evil).await;
    assert_eq!(asked.status, 200);
    assert!(
        asked.text.contains("connected to the workspace <strong>") && asked.text.contains("Go on to Meta")
    );
    let link =
        asked.text.split_once("<a href=\"").unwrap().1.split_once('"').unwrap().0.replace("&amp;", "&");

    // The link of the page is worth nothing in another browser, and a guessed one nothing in this.
    let cookie = cookie_of(&asked);
    let guessed = format!("{start_url}&confirmation=guess");
    for (url, headers) in [(&link, &[][..]), (&guessed, &[(COOKIE.as_str(), cookie.as_str())][..])] {
        assert_eq!(get(&scenario, url, headers).await.status, 200, "{url}");
    }
    let started = get(&scenario, &link, &[(COOKIE.as_str(), &cookie)]).await;
    assert_eq!(started.status, 302, "{}", started.text);
    assert!(location(&started).contains("/dialog/oauth?"), "{}", location(&started));
    let again = get(&scenario, &link, &[(COOKIE.as_str(), &cookie)]).await;
    assert_eq!(again.status, 409);

    // A link that nobody has opened ends after five minutes.
    let begun = authorize(&scenario, None).await;
    let start_url = begun.json()["start_url"].as_str().unwrap().to_owned();
    scenario.system.clock.advance(jiff::SignedDuration::from_mins(6));
    let over = get(&scenario, &start_url, &[("referer", FRONT_END)]).await;
    assert_eq!(over.status, 409);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_login_returns_to_no_other_origin() {
    let scenario = start().await;
    for wrong in
        ["https://evil.example/", "https://app.example.com@evil.example/", "javascript:alert(1)", "x"]
    {
        let refused = authorize(&scenario, Some(wrong)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["errors"][0]["field"]),
            (400, &json!("return_url"))
        );
    }
    for local in ["http://localhost:5173/done", "http://127.0.0.1:3000"] {
        assert_eq!(authorize(&scenario, Some(local)).await.status, 200, "{local}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn browsers_of_allowed_origins_may_call_the_api_of_a_laptop() {
    let scenario = start().await;
    let preflight = async |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
        ];
        scenario.send(Method::OPTIONS, AUTHORIZE, None, &headers, None).await.unwrap()
    };
    for origin in [FRONT_END, "http://localhost:5173", "http://127.0.0.1:8080"] {
        let allowed = preflight(origin).await;
        assert_eq!(allowed.headers["access-control-allow-origin"], origin);
        let methods = allowed.headers["access-control-allow-methods"].to_str().unwrap();
        let headers = allowed.headers["access-control-allow-headers"].to_str().unwrap();
        assert!(methods.contains("PATCH") && headers.contains("idempotency-key"), "{methods} {headers}");
        let answered = scenario
            .send(Method::GET, "/v1/workspaces/demo/connections", None, &[("origin", origin)], None)
            .await
            .unwrap();
        assert_eq!(
            (answered.status.as_u16(), &answered.headers["access-control-allow-origin"]),
            (401, &origin.parse().unwrap())
        );
    }
    for origin in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
        let refused = preflight(origin).await;
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    scenario.finish().await.unwrap();
}
