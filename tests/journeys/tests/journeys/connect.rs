//! An advertiser connects an ad account.

use http::Method;
use http::header::{COOKIE, SET_COOKIE};
use journeys::{Response, Scenario};
use local::demo::ApiClient;
use reqwest::Url;
use runtime::session::Role;
use serde_json::Value;

/// Begins a login and returns the dialog's address and the browser's cookie.
pub(super) async fn begin_login(scenario: &Scenario) -> (Url, String) {
    let token = scenario.system.token("demo", runtime::session::Role::Owner).unwrap();
    let path = "/v1/workspaces/demo/connections/meta/authorize";
    let response = scenario.send(Method::POST, path, Some(&token), &[], None).await.unwrap();
    start_login(scenario, &response).await
}

/// Follows the `start_url` of this response from a page of a front end, as a browser does. Returns the dialog's address
/// and the browser's cookie.
pub(super) async fn start_login(scenario: &Scenario, begun: &Response) -> (Url, String) {
    assert_eq!(begun.status, 200, "{}", begun.text);
    let start_url = begun.json()["start_url"].as_str().unwrap().to_owned();
    let path = start_url.strip_prefix(scenario.system.url()).unwrap();
    let headers = [("referer", "http://localhost:5173/")];
    let response = scenario.send(Method::GET, path, None, &headers, None).await.unwrap();
    assert_eq!(response.status, 302, "{}", response.text);
    let cookie = response.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let dialog = response.headers["location"].to_str().unwrap().parse().unwrap();
    (dialog, cookie.split(';').next().unwrap().to_owned())
}

pub(super) async fn complete_login(scenario: &Scenario, callback: &str, cookie: &str) -> (u16, Value) {
    let path = callback.strip_prefix(scenario.system.url()).unwrap();
    let headers = [(COOKIE.as_str(), cookie), ("accept", "application/json")];
    let response = scenario.send(Method::GET, path, None, &headers, None).await.unwrap();
    (response.status.as_u16(), response.json())
}

#[tokio::test]
async fn a_person_connects_and_every_ad_account_is_listed() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();
    let connected = api.connect().await.unwrap();
    assert_eq!(connected["ad_accounts"].as_array().unwrap().len(), 3);

    let accounts = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    let currencies: Vec<_> = accounts["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["currency"].as_str().unwrap())
        .collect();
    assert!(currencies.contains(&"SGD") && currencies.contains(&"JPY"), "{currencies:?}");
    assert!(accounts["data"].as_array().unwrap().iter().all(|account| account["selected"] == false));

    let yen =
        accounts["data"].as_array().unwrap().iter().find(|account| account["currency"] == "JPY").unwrap();
    assert_eq!(yen["minor_units"], 1, "budgets in yen have no cents");

    let connections = api.call(Method::GET, "connections", None).await.unwrap();
    let connection = &connections["data"][0];
    assert_eq!(connection["state"], "connected");
    assert!(connection["scopes"].as_array().unwrap().iter().any(|scope| scope == "ads_read"));
    assert!(connection["expires_at"].is_string());
    assert!(!connections.to_string().contains("EAAS"), "a token is shown");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_token_is_stored_sealed() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let items = scenario.system.cloud.dynamodb.scan().table_name("adflight").send().await.unwrap();
    let dump = format!("{:?}", items.items());
    assert!(dump.contains("v1.k1."), "no sealed token in {dump}");
    assert!(!dump.contains("EAAS"), "a token lies open in the table");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_callback_works_once_and_in_its_own_browser_only() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();

    // A visit in another browser is refused and uses up nothing.
    let (dialog, cookie) = begin_login(&scenario).await;
    let callback = api.confirm_dialog(&dialog).await.unwrap();
    let (status, problem) = complete_login(&scenario, &callback, "adflight_login=guess").await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:adflight:conflict")));
    assert_eq!(complete_login(&scenario, &callback, &cookie).await.0, 200);

    // The same callback twice.
    let (dialog, cookie) = begin_login(&scenario).await;
    let callback = api.confirm_dialog(&dialog).await.unwrap();
    assert_eq!(complete_login(&scenario, &callback, &cookie).await.0, 200);
    assert_eq!(complete_login(&scenario, &callback, &cookie).await.0, 409);

    // A forged state, and one that has expired.
    let forged = callback.replace("state=", "state=x");
    assert_eq!(complete_login(&scenario, &forged, &cookie).await.0, 409);
    let (dialog, cookie) = begin_login(&scenario).await;
    let callback = api.confirm_dialog(&dialog).await.unwrap();
    scenario.system.clock.advance(jiff::SignedDuration::from_mins(11));
    assert_eq!(complete_login(&scenario, &callback, &cookie).await.0, 409);
    scenario.finish().await.unwrap();
}

pub(super) fn query_parameter(url: &str, name: &str) -> String {
    let url: Url = url.parse().unwrap();
    url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
}

#[tokio::test]
async fn a_code_of_another_login_or_of_another_app_connects_nobody() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();
    let (dialog, cookie) = begin_login(&scenario).await;
    let first = api.confirm_dialog(&dialog).await.unwrap();
    assert_eq!(complete_login(&scenario, &first, &cookie).await.0, 200);
    let calls = async || {
        let listed = api.call(Method::GET, "connections", None).await.unwrap();
        listed["data"][0]["connected_at"].clone()
    };
    let connected_at = calls().await;

    let elsewhere = Scenario::start().await.unwrap();
    let (dialog, _) = begin_login(&elsewhere).await;
    let foreign = elsewhere.api().unwrap().confirm_dialog(&dialog).await.unwrap();
    for used in [query_parameter(&first, "code"), query_parameter(&foreign, "code"), "AQmade-up".to_owned()] {
        let (dialog, cookie) = begin_login(&scenario).await;
        let own = api.confirm_dialog(&dialog).await.unwrap();
        let mixed = own.replace(&query_parameter(&own, "code"), &used);
        let (status, problem) = complete_login(&scenario, &mixed, &cookie).await;
        assert_eq!(
            (status, &problem["type"]),
            (422, &serde_json::json!("urn:adflight:meta-refused")),
            "{problem}"
        );
        // The login is used up: a refused one cannot be repeated with another code.
        assert_eq!(complete_login(&scenario, &own, &cookie).await.0, 409);
    }
    assert_eq!(calls().await, connected_at, "nothing has changed");
    elsewhere.finish().await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_token_of_another_app_connects_nobody_although_a_code_gave_it() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();
    scenario.sim().unwrap().issue_tokens_as_app("100000000000999");
    let (dialog, cookie) = begin_login(&scenario).await;
    let callback = api.confirm_dialog(&dialog).await.unwrap();
    let (status, problem) = complete_login(&scenario, &callback, &cookie).await;
    assert_eq!((status, problem["type"].as_str()), (422, Some("urn:adflight:meta-refused")), "{problem}");
    for list in ["connections", "ad-accounts"] {
        let view = api.call(Method::GET, list, None).await.unwrap();
        assert_eq!(view["data"], serde_json::json!([]));
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_login_comes_back_to_this_deployment_whatever_the_request_claims() {
    let scenario = Scenario::start().await.unwrap();
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let path = "/v1/workspaces/demo/connections/meta/authorize";
    let claims =
        [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")];
    for headers in claims.iter().map(std::slice::from_ref).chain([&claims[..]]) {
        let response = scenario.send(Method::POST, path, Some(&token), headers, None).await.unwrap();
        let (dialog, _) = start_login(&scenario, &response).await;
        assert_eq!(
            query_parameter(dialog.as_str(), "redirect_uri"),
            format!("{}/v1/auth/meta/callback", scenario.system.url())
        );
    }
    for field in ["redirect_uri", "redirect", "return_to", "state"] {
        let body = serde_json::json!({field: "https://evil.example/"}).to_string();
        let response = scenario.send(Method::POST, path, Some(&token), &[], Some(body)).await.unwrap();
        assert_eq!(response.status, 400, "{field}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_login_changes_nothing_and_says_so() {
    let scenario = Scenario::start().await.unwrap();
    let (dialog, cookie) = begin_login(&scenario).await;
    let state = dialog.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let path = format!("/v1/auth/meta/callback?error=access_denied&error_reason=user_denied&state={state}");
    let headers = [(COOKIE.as_str(), cookie.as_str())];
    let page = scenario.send(Method::GET, &path, None, &headers, None).await.unwrap();
    assert_eq!(page.status, 422);
    assert!(page.text.contains("<h1>") && page.text.contains("cancelled"), "{}", page.text);
    let connections = scenario.api().unwrap().call(Method::GET, "connections", None).await.unwrap();
    assert_eq!(connections["data"].as_array().unwrap().len(), 0);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_invalid_token_asks_for_a_reconnect_and_connecting_again_repairs_it() {
    let scenario = Scenario::synced().await.unwrap();
    scenario.sim().unwrap().revoke_token(460);
    scenario.sync().await.unwrap();
    let api = scenario.api().unwrap();
    let connections = api.call(Method::GET, "connections", None).await.unwrap();
    assert_eq!(connections["data"][0]["state"], "needs_reconnect");
    let campaign = scenario.running_campaign().await.unwrap();
    let refused = scenario
        .call_as_owner(
            Method::PATCH,
            &format!("campaigns/{campaign}"),
            Some(serde_json::json!({"status": "PAUSED"})),
        )
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.json()["type"].as_str()),
        (409, Some("urn:adflight:reconnect"))
    );

    api.connect().await.unwrap();
    let connections = api.call(Method::GET, "connections", None).await.unwrap();
    assert_eq!(
        connections["data"].as_array().unwrap().len(),
        1,
        "connecting again makes no second connection"
    );
    assert_eq!(connections["data"][0]["state"], "connected");
    scenario.sync().await.unwrap();
    let progress = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn disconnecting_deletes_the_token_and_stops_the_syncs() {
    let scenario = Scenario::synced().await.unwrap();
    let api = scenario.api().unwrap();
    let connections = api.call(Method::GET, "connections", None).await.unwrap();
    let id = connections["data"][0]["id"].as_str().unwrap();
    api.call(Method::DELETE, &format!("connections/{id}"), None).await.unwrap();
    let gone = api.call(Method::GET, &format!("connections/{id}"), None).await.unwrap_err();
    assert!(gone.to_string().contains("404"), "{gone}");
    assert_eq!(scenario.call_as_owner(Method::POST, "sync", None).await.unwrap().status, 409);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_connection_index_lists_every_connection_and_drops_removed_ones() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    for workspace in ["demo", "other"] {
        let api = ApiClient::new(&scenario.system, workspace, Role::Owner).unwrap();
        api.connect().await.unwrap();
        api.connect().await.unwrap();
    }
    let all = table.connections_after(None, 100).await.unwrap().0;
    let workspaces: Vec<_> = all.iter().map(|place| place.workspace.as_str()).collect();
    assert_eq!(workspaces, ["demo", "other"], "one entry for a connection, however often it is renewed");

    let api = ApiClient::new(&scenario.system, "demo", Role::Owner).unwrap();
    api.call(Method::DELETE, &format!("connections/{}", all[0].connection), None).await.unwrap();
    assert_eq!(table.connections_after(None, 100).await.unwrap().0, all[1..]);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn ad_accounts_are_listed_in_pages_and_filtered() {
    let scenario = Scenario::start().await.unwrap();
    let (api, sim) = (scenario.api().unwrap(), scenario.sim().unwrap());
    for number in 1..=12 {
        sim.add_account(&graph_sim::NewAccount {
            id: format!("act_{}", 7_000_000_000_000_000_u64 + number),
            name: format!("Client {number} GmbH"),
            currency: "EUR".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            business: None,
            assigned: true,
        });
    }
    api.connect().await.unwrap();
    let (mut ids, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = api.call(Method::GET, &format!("ad-accounts?limit=4{after}"), None).await.unwrap();
        ids.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["after"].as_str() {
            Some(cursor) => after = format!("&after={cursor}"),
            None => break,
        }
    }
    assert_eq!((ids.len(), pages), (15, 4));
    assert!(ids.is_sorted());
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/selection");
    api.call(Method::PUT, &path, Some(&serde_json::json!({"selected": true}))).await.unwrap();
    for (filter, count) in [
        ("q=client%201", 4),
        ("q=CLIENT%2012", 1),
        ("q=act_70000", 12),
        ("selected=true", 1),
        ("selected=false", 14),
        ("selected=true&q=client", 0),
        ("business=900000000000001", 3),
        ("business=1", 0),
    ] {
        let found = api.all(&format!("ad-accounts?{filter}")).await.unwrap();
        assert_eq!(found.len(), count, "{filter}");
    }
    for (wrong, field) in
        [("limit=0", "limit"), ("after=eA", "after"), ("q=", "q"), ("selected=1", "selected")]
    {
        let error =
            api.call(Method::GET, &format!("ad-accounts?{wrong}"), None).await.unwrap_err().to_string();
        assert!(error.contains(&format!("\"field\":\"{field}\"")), "{error}");
    }
    scenario.finish().await.unwrap();
}
