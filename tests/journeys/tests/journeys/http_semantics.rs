//! What any HTTP client may rely on: entity tags, conditions, encodings, HEAD, limits, and problems that say what to do.

use std::io::Read;

use domain::role::Role;
use flate2::read::GzDecoder;
use http::Method;
use journeys::{Response, Scenario};
use serde_json::{Value, json};

async fn ask(
    scenario: &Scenario,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Response {
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let path = format!("/v1/workspaces/demo/{path}");
    scenario.send(method, &path, Some(&token), headers, body.map(|body| body.to_string())).await.unwrap()
}

fn tag(response: &Response) -> String {
    response.headers["etag"].to_str().unwrap().to_owned()
}

fn rule(name: &str) -> Value {
    json!({
        "name": name, "level": "campaign", "action": {"type": "notify"},
        "when": {"measure": "spend", "window": "today", "operator": "above", "value": "1"},
    })
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let scenario = Scenario::synced().await.unwrap();
    let path = format!("ad-accounts/{}/campaigns", scenario.account().unwrap());
    let list = ask(&scenario, Method::GET, &path, &[], None).await;
    let known = tag(&list);
    let weak = format!("\"other\", W/{known}");
    for if_none_match in [known.as_str(), &weak, "*"] {
        let again = ask(&scenario, Method::GET, &path, &[("if-none-match", if_none_match)], None).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{if_none_match}");
        assert_eq!(tag(&again), known);
    }
    let changed = ask(&scenario, Method::GET, &path, &[("if-none-match", "\"other\"")], None).await;
    assert_eq!((changed.status.as_u16(), &changed.text), (200, &list.text));

    // HEAD is GET without the body.
    let head = ask(&scenario, Method::HEAD, &path, &[], None).await;
    assert_eq!((head.status.as_u16(), head.text.as_str(), tag(&head)), (200, "", known));
    assert_eq!(head.headers["content-type"], list.headers["content-type"]);
    assert_eq!(ask(&scenario, Method::HEAD, "rules/none", &[], None).await.status, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn data_is_compressed_as_the_client_likes_it() {
    let scenario = Scenario::synced().await.unwrap();
    let path = format!(
        "{}/v1/workspaces/demo/ad-accounts/{}/ads",
        scenario.system.url(),
        scenario.account().unwrap()
    );
    // A client that decompresses nothing by itself.
    let http = reqwest::Client::builder().no_gzip().no_brotli().tls_certs_only([]).build().unwrap();
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let get = async |accepts: &str, path: &str| {
        let request = http.get(path).bearer_auth(&token).header("accept-encoding", accepts);
        let response = request.send().await.unwrap();
        let headers = response.headers().clone();
        (headers, response.bytes().await.unwrap())
    };
    let (headers, plain) = get("identity", &path).await;
    assert!(!headers.contains_key("content-encoding"));
    assert!(headers.get_all("vary").iter().any(|names| names == "accept-encoding"), "{headers:?}");
    for (accepts, encoding) in [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("GZIP", "gzip"),
    ] {
        let (headers, body) = get(accepts, &path).await;
        assert_eq!(headers["content-encoding"], encoding, "{accepts}");
        let mut text = Vec::new();
        match encoding {
            "br" => brotli::Decompressor::new(&*body, 4096).read_to_end(&mut text).unwrap(),
            _ => GzDecoder::new(&*body).read_to_end(&mut text).unwrap(),
        };
        assert_eq!(text, plain, "{accepts}");
        assert!(body.len() * 3 < plain.len(), "{encoding}: {} of {} bytes", body.len(), plain.len());
    }
    // Small answers are not worth it.
    let rules = path.rsplit_once("/ad-accounts").unwrap().0.to_owned() + "/rules";
    assert!(!get("gzip", &rules).await.0.contains_key("content-encoding"));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_change_of_what_was_changed_since_is_refused_with_both_versions() {
    let scenario = Scenario::synced().await.unwrap();
    let made = ask(&scenario, Method::POST, "rules", &[], Some(rule("First"))).await.json();
    let path = format!("rules/{}", made["id"].as_str().unwrap());
    let read = tag(&ask(&scenario, Method::GET, &path, &[], None).await);
    let change = async |if_match: &str, name: &str| {
        ask(&scenario, Method::PUT, &path, &[("if-match", if_match)], Some(rule(name))).await
    };
    assert_eq!(change(&read, "Second").await.status, 200);
    let stale = change(&read, "Third").await;
    assert_eq!(
        (stale.status.as_u16(), stale.json()["type"].as_str()),
        (412, Some("urn:adflight:stale-version"))
    );
    let now = ask(&scenario, Method::GET, &path, &[], None).await;
    assert_eq!(
        (stale.json()["sent"].as_str(), stale.json()["current"].as_str()),
        (Some(&*read), Some(&*tag(&now)))
    );
    assert_eq!(now.json()["name"], "Second");
    let gone = ask(&scenario, Method::DELETE, &path, &[("if-match", &read)], None).await;
    assert_eq!(gone.status, 412);
    // Of changes with the same version at the same time one is made.
    let current = tag(&now);
    let all = futures_util::future::join_all((0..8).map(|n| {
        let (change, current) = (&change, current.clone());
        async move { change(&current, &format!("Of {n}")).await.status.as_u16() }
    }));
    let mut statuses = all.await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    // Where a condition is not checked it is not ignored either.
    let unchecked = ask(&scenario, Method::POST, "rules", &[("if-match", "*")], Some(rule("New"))).await;
    assert_eq!(unchecked.json()["errors"][0]["field"], "If-Match", "{}", unchecked.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_edit_at_meta_makes_a_version_stale_and_new_metrics_do_not() {
    let scenario = Scenario::synced().await.unwrap();
    let id = scenario.running_campaign().await.unwrap();
    let path = format!("ad-accounts/{}/campaigns/{id}", scenario.account().unwrap());
    let pause = || Some(json!({"status": "PAUSED"}));
    // Other days are other numbers of the same campaign.
    let month = ask(&scenario, Method::GET, &path, &[], None).await;
    let day =
        ask(&scenario, Method::GET, &format!("{path}?since=2026-11-19&until=2026-11-19"), &[], None).await;
    assert_ne!((tag(&month), &month.text), (tag(&day), &day.text));
    let paused = ask(&scenario, Method::PATCH, &path, &[("if-match", &tag(&day))], pause()).await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    // It answers what GET answers.
    let read = ask(&scenario, Method::GET, &path, &[], None).await;
    assert_eq!(paused.json(), read.json());
    // Somebody renames it in Ads Manager; nothing has been synced since.
    scenario.sim().unwrap().update_node(&id, json!({"name": "Renamed there"}));
    let stale =
        ask(&scenario, Method::PATCH, &path, &[("if-match", &tag(&read))], Some(json!({"status": "ACTIVE"})))
            .await;
    assert_eq!(stale.status, 412, "{}", stale.text);
    let now = ask(&scenario, Method::GET, &path, &[], None).await.json();
    assert_eq!((now["name"].as_str(), now["status"].as_str()), (Some("Renamed there"), Some("PAUSED")));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn cursors_unknown_ids_and_every_mistake_are_named() {
    let scenario = Scenario::synced().await.unwrap();
    let path = format!("ad-accounts/{}", scenario.account().unwrap());
    let campaigns = format!("{path}/campaigns?limit=2");
    let first = ask(&scenario, Method::GET, &campaigns, &[], None).await.json();
    let after = first["after"].as_str().unwrap();
    let fields = async |path: String| {
        let response = ask(&scenario, Method::GET, &path, &[], None).await;
        let errors = response.json()["errors"].clone();
        let errors = errors.as_array().unwrap_or_else(|| panic!("{path}: {}", response.text)).clone();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let more =
        ask(&scenario, Method::GET, &format!("{path}/campaigns?after={after}&limit=5"), &[], None).await;
    assert_eq!(more.status, 200, "another size of pages is the same list");
    for other in ["campaigns?sort=ctr", "campaigns?order=asc", "adsets?sort=spend", "ads?limit=2"] {
        assert_eq!(fields(format!("{path}/{other}&after={after}")).await, ["after"], "{other}");
    }
    assert_eq!(fields(format!("{path}/ads?campaign_id=404")).await, ["campaign_id"]);
    let known = first["data"][0]["id"].as_str().unwrap();
    let days = "since=2026-11-01&until=2026-11-02";
    assert_eq!(fields(format!("{path}/insights?level=campaign&{days}&ids={known},404")).await, ["ids"]);
    let two = format!(
        "{path}/insights?level=campaign&{days}&ids={known}&ids={}",
        first["data"][1]["id"].as_str().unwrap()
    );
    assert_eq!(
        ask(&scenario, Method::GET, &two, &[], None).await.json()["data"].as_array().unwrap().len(),
        2
    );
    assert_eq!(
        fields(format!("{path}/insights?level=planet&limit=0&many=1")).await,
        ["level", "limit", "many", "since"]
    );

    let mistakes =
        json!({"name": 7, "level": "planet", "state": "on", "whne": {}, "action": {"type": "pause"}});
    let refused = ask(&scenario, Method::POST, "rules", &[], Some(mistakes)).await;
    let errors = refused.json()["errors"].as_array().unwrap().clone();
    let mut named: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["level", "name", "state", "when", "whne"], "{}", refused.text);
    for words in ["u64", "unit value", "struct", "string", "sequence", "map", "integer `"] {
        assert!(!refused.text.contains(words), "{words}: {}", refused.text);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn problems_say_what_to_do_next() {
    let scenario = Scenario::synced().await.unwrap();
    let account = scenario.account().unwrap();
    let is = |response: &Response, status: u16, kind: &str| {
        assert_eq!(response.status, status, "{}", response.text);
        assert_eq!(response.json()["type"], format!("urn:adflight:{kind}"), "{}", response.text);
    };
    // How many requests are left is on every answer.
    let rules = ask(&scenario, Method::GET, "rules", &[], None).await;
    assert!(rules.headers["ratelimit-policy"].to_str().unwrap().ends_with(";w=60"), "{:?}", rules.headers);
    assert!(
        rules.headers["ratelimit"].to_str().unwrap().starts_with("\"requests\";r="),
        "{:?}",
        rules.headers
    );
    // An ad has no budget.
    let ads =
        ask(&scenario, Method::GET, &format!("ad-accounts/{account}/ads?limit=1"), &[], None).await.json();
    let ad = format!("ad-accounts/{account}/ads/{}", ads["data"][0]["id"].as_str().unwrap());
    let budget = json!({"daily_budget": {"amount": 5000, "currency": "SGD"}});
    is(&ask(&scenario, Method::PATCH, &ad, &[], Some(budget)).await, 409, "no-budget");
    scenario.select(false).await.unwrap();
    is(
        &ask(&scenario, Method::POST, &format!("ad-accounts/{account}/sync"), &[], None).await,
        409,
        "not-selected",
    );
    scenario.finish().await.unwrap();
}
