//! Tests of reading accounts and their structure.

use std::collections::BTreeSet;

use graph_sim::PagingQuirks;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ManualClock, config, generated, json as body};

fn ids(rows: &[Value]) -> BTreeSet<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_object_is_on_exactly_one_page() {
    let client = Client::new().await;
    let listed = |status: &Value| !matches!(status.as_str().unwrap(), "ARCHIVED" | "DELETED");
    let (whole, pages) =
        client.all(&client.act("ads"), &[("limit", "500"), ("fields", "effective_status")]).await;
    assert!(pages == 1 && whole.iter().all(|ad| listed(&ad["effective_status"])));
    for limit in [7, 25, 60, whole.len() - 1, whole.len()] {
        let (rows, pages) = client.all(&client.act("ads"), &[("limit", &limit.to_string())]).await;
        assert_eq!((rows.len(), pages), (whole.len(), whole.len().div_ceil(limit)));
        assert_eq!(ids(&rows), ids(&whole));
    }
    assert_eq!(client.error(Method::GET, &client.act("ads"), &[("limit", "501")]).await, (400, 100, None));
    assert_eq!(client.error(Method::GET, &client.act("ads"), &[("after", "x")]).await, (400, 100, None));
}

#[tokio::test]
async fn pages_may_be_short_or_empty_and_still_hold_everything_together() {
    let odd = [
        (PagingQuirks { short: true, ..PagingQuirks::default() }, vec![7, 7, 4]),
        (PagingQuirks { empty_between: true, ..PagingQuirks::default() }, vec![10, 0, 8]),
        (PagingQuirks { empty_last: true, ..PagingQuirks::default() }, vec![10, 8, 0]),
        (PagingQuirks { short: true, empty_between: true, empty_last: true }, vec![7, 0, 7, 0, 4, 0]),
    ];
    for (pages, lengths) in odd {
        let time = ManualClock::new();
        let mut config = config(generated(), &time);
        config.behaviour.pages = pages;
        let client = Client::with_config(config, time).await.unwrap();
        let (mut cursor, mut met, mut found) = (String::new(), Vec::new(), BTreeSet::new());
        loop {
            let page = client.get(&client.act("campaigns"), &[("limit", "10"), ("after", &cursor)]).await;
            let rows = page["data"].as_array().unwrap();
            met.push(rows.len());
            found.extend(rows.iter().map(|row| row["id"].to_string()));
            if page["paging"]["next"].is_null() {
                break;
            }
            cursor = page["paging"]["cursors"]["after"].as_str().unwrap().to_owned();
        }
        assert_eq!((met, found.len()), (lengths, 18), "{pages:?}");
        assert_eq!(client.all(&client.act("campaigns"), &[]).await.0.len(), 18);
    }
}

#[tokio::test]
async fn a_page_leads_back_to_the_one_before() {
    let client = Client::new().await;
    let first = client.get(&client.act("campaigns"), &[("limit", "5")]).await;
    assert!(first["paging"]["previous"].is_null());
    let after = first["paging"]["cursors"]["after"].as_str().unwrap();
    let second = client.get(&client.act("campaigns"), &[("limit", "5"), ("after", after)]).await;
    let before = second["paging"]["cursors"]["before"].as_str().unwrap();
    let back = client.get(&client.act("campaigns"), &[("limit", "5"), ("before", before)]).await;
    assert_eq!(back["data"], first["data"]);
}

#[tokio::test]
async fn one_person_has_three_accounts() {
    let client = Client::new().await;
    let (accounts, pages) =
        client.all("me/adaccounts", &[("limit", "1"), ("fields", "currency,timezone_name")]).await;
    assert_eq!(pages, 3);
    let currencies: Vec<&Value> = accounts.iter().map(|account| &account["currency"]).collect();
    assert_eq!(currencies, [&json!("SGD"), &json!("JPY"), &json!("USD")]);
    let plain = client.get("me/adaccounts", &[("limit", "1")]).await;
    let id = client.sim.account().id;
    assert_eq!(plain["data"][0], json!({"id": id, "account_id": id.trim_start_matches("act_")}));
}

#[tokio::test]
async fn fields_are_projected() {
    let client = Client::new().await;
    let wanted = [("fields", "name,campaign{name,stop_time},adset{id},creative"), ("limit", "1")];
    let page = client.get(&client.act("ads"), &wanted).await;
    let ad = page["data"][0].as_object().unwrap();
    assert_eq!(
        ad.keys().collect::<BTreeSet<_>>(),
        BTreeSet::from(["id", "name", "campaign", "adset", "creative"].map(String::from).each_ref())
    );
    let campaign = client.sim.campaign(ad["campaign"]["id"].as_str().unwrap()).unwrap();
    assert_eq!(
        ad["campaign"],
        json!({"id": campaign["id"], "name": campaign["name"]}),
        "absent values stay away"
    );
    assert_eq!(client.get(ad["id"].as_str().unwrap(), &[]).await, json!({"id": ad["id"]}));

    let response = client.send(Method::GET, &client.act("campaigns"), &[("fields", "id,foo")]).await.unwrap();
    assert_eq!(response.status(), 400);
    let body = body(response).await;
    assert_eq!(
        body["error"]["message"],
        "(#100) Tried accessing nonexisting field (foo) on node type (Campaign)"
    );
}

#[tokio::test]
async fn listings_are_narrowed() {
    let client = Client::new().await;
    let campaigns = client.act("campaigns");
    let (all, _) = client.all(&campaigns, &[]).await;
    let (archived, _) = client.all(&campaigns, &[("effective_status", "[\"ARCHIVED\"]")]).await;
    assert_eq!((all.len(), archived.len()), (18, 2));
    assert!(ids(&all).is_disjoint(&ids(&archived)));
    assert_eq!(
        client.error(Method::GET, &campaigns, &[("effective_status", "[\"DELETED\"]")]).await,
        (400, 100, None)
    );
    let some: Vec<&str> = ids(&all).into_iter().take(3).collect();
    let filter = json!([{"field": "id", "operator": "IN", "value": some}]).to_string();
    let (found, _) = client.all(&campaigns, &[("filtering", &filter)]).await;
    assert_eq!(ids(&found), some.iter().copied().collect());

    let filter = json!([{"field": "campaign.id", "operator": "EQUAL", "value": some[0]}]).to_string();
    let (by_filter, _) = client.all(&client.act("ads"), &[("filtering", &filter)]).await;
    let (by_edge, _) = client.all(&format!("{}/ads", some[0]), &[]).await;
    assert!(!by_edge.is_empty() && ids(&by_filter) == ids(&by_edge));

    let now = "1795140000";
    let filter = json!([{"field": "updated_time", "operator": "GREATER_THAN", "value": now}]).to_string();
    client.time.advance_minutes(1);
    client.post(some[1], &[("name", "New name")]).await;
    let (changed, _) = client.all(&campaigns, &[("filtering", &filter), ("fields", "name")]).await;
    assert_eq!(changed, [json!({"id": some[1], "name": "New name"})]);
}

#[tokio::test]
async fn what_graph_does_not_have_is_refused() {
    let client = Client::new().await;
    for path in ["act_42", "42", "act_42/campaigns", "42/insights"] {
        assert_eq!(client.error(Method::GET, path, &[]).await, (400, 100, Some(33)));
    }
    assert_eq!(client.error(Method::GET, &client.act("likes"), &[]).await, (400, 100, None));
    assert_eq!(client.error(Method::GET, "me", &[("ids", "1,2")]).await, (500, 100, None));
    assert_eq!(client.error(Method::GET, "me", &[("date_format", "U")]).await, (400, 100, None));

    let bare = client.http.get(format!("{}/me", client.sim.base_url())).bearer_auth(&client.token);
    let bare = bare.send().await.unwrap();
    assert_eq!(
        (bare.status().as_u16(), &bare.headers()["facebook-api-version"]),
        (200, &"v26.0".parse().unwrap())
    );

    assert_eq!(client.sim.ignored_params(), 0);
    client.get(&client.act("ads"), &[("limitt", "3")]).await;
    assert_eq!(client.sim.ignored_params(), 1);
}

#[tokio::test]
async fn edges_nest_with_pages_of_their_own() {
    let client = Client::new().await;
    let inner = r#"ads.limit(1).filtering([{"field":"ad.status","operator":"EQUAL","value":"ACTIVE"}]){id,campaign{name}}"#;
    let fields = format!("name,adsets.limit(2){{id,{inner}}},insights.date_preset(yesterday){{spend}}");
    let (campaigns, _) = client.all(&client.act("campaigns"), &[("fields", &fields), ("limit", "5")]).await;
    let with_more =
        campaigns.iter().find(|campaign| campaign["adsets"]["paging"]["next"].is_string()).unwrap();
    assert_eq!(with_more["adsets"]["data"].as_array().unwrap().len(), 2);
    let next = with_more["adsets"]["paging"]["next"].as_str().unwrap();
    let more = body(client.http.get(next).send().await.unwrap()).await;
    assert!(more["data"][0]["ads"]["data"][0]["campaign"]["name"] == with_more["name"], "{more}");
    assert!(campaigns.iter().any(|campaign| campaign["insights"]["data"][0]["spend"].is_string()));
    assert!(campaigns.iter().any(|campaign| campaign.get("insights").is_none()), "no delivery, no key");

    let too_much = [("fields", "ads.limit(500){id}"), ("limit", "200")];
    assert_eq!(client.error(Method::GET, &client.act("campaigns"), &too_much).await, (500, 1, None));
}

#[tokio::test]
async fn listings_are_counted_and_compared() {
    let client = Client::new().await;
    let filter = |field: &str, operator: &str, value: Value| {
        json!([{"field": field, "operator": operator, "value": value}]).to_string()
    };
    let count = async |edge: &str, filtering: String| {
        let asked = [("limit", "1"), ("summary", "true"), ("filtering", &filtering)];
        client.get(&client.act(edge), &asked).await["summary"]["total_count"].as_u64().unwrap()
    };
    let ads = count("ads", "[]".into()).await;
    let running = filter("campaign.effective_status", "IN", json!(["ACTIVE"]));
    let stopped = filter("campaign.effective_status", "NOT_IN", json!(["ACTIVE"]));
    let (running, stopped) = (count("ads", running).await, count("ads", stopped).await);
    assert!(running > 0 && stopped > 0 && running + stopped == ads, "{running} {stopped} {ads}");
    let budgets = count("campaigns", filter("daily_budget", "GREATER_THAN", json!(10_000))).await;
    assert!(budgets > 0 && budgets < 18, "{budgets}");
    assert_eq!(count("ads", filter("ad.created_time", "LESS_THAN", json!(1_700_000_000))).await, 0);
    let ended = client.get(&client.act("adsets"), &[("limit", "1")]).await["data"][0]["id"].take();
    client.sim.update_node(ended.as_str().unwrap(), json!({ "end_time": "2026-11-01T00:00:00+0800" }));
    let (over, _) = client.all(&client.act("adsets"), &[("is_completed", "true")]).await;
    let (on, _) = client.all(&client.act("adsets"), &[("is_completed", "false")]).await;
    assert_eq!(over, [json!({ "id": ended })]);
    assert!(on.len() > 40 && !ids(&on).contains(ended.as_str().unwrap()));
    let odd = filter("delivery", "EQUAL", json!("x"));
    assert_eq!(client.error(Method::GET, &client.act("ads"), &[("filtering", &odd)]).await, (400, 100, None));
}

#[tokio::test]
async fn creatives_pages_and_the_business_have_edges() {
    let mut client = Client::new().await;
    let ad = client.get(&client.act("ads"), &[("limit", "1"), ("fields", "adset_id,creative")]).await["data"]
        [0]
    .take();
    let (id, adset) = (ad["id"].as_str().unwrap(), ad["adset_id"].as_str().unwrap());
    let of_ad = client.get(&format!("{id}/adcreatives"), &[("fields", "object_type")]).await;
    assert_eq!(of_ad["data"][0]["id"], ad["creative"]["id"]);
    let preview = client.get(&format!("{id}/previews"), &[("ad_format", "MOBILE_FEED_STANDARD")]).await;
    assert!(preview["data"][0]["body"].as_str().unwrap().starts_with("<iframe "), "{preview}");
    let (of_set, _) = client.all(&format!("{adset}/adcreatives"), &[]).await;
    assert!(ids(&of_set).contains(ad["creative"]["id"].as_str().unwrap()));

    let pages = client.get("me/accounts", &[("fields", "id,name")]).await;
    let page = client.get(pages["data"][0]["id"].as_str().unwrap(), &[("fields", "name,category")]).await;
    assert_eq!(page["name"], "Simulated Page");
    assert_eq!(client.error(Method::GET, "me/businesses", &[]).await, (403, 200, None));
    client.token = client.sim.issue_token("7", &["ads_read", "business_management"]);
    let business = client.get("me/businesses", &[]).await["data"][0]["id"].take();
    let owned = client.get(&format!("{}/owned_ad_accounts", business.as_str().unwrap()), &[]).await;
    assert_eq!(owned["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_log_tells_of_a_budget_that_updated_time_conceals() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    client.time.advance_minutes(10);
    client.post(&campaign, &[("daily_budget", "7500")]).await;
    client.sim.update_node(&campaign, json!({ "status": "ACTIVE" }));
    let (log, _) = client
        .all(&client.act("activities"), &[("fields", "event_type,event_time,object_id,extra_data")])
        .await;
    let events: Vec<&str> = log.iter().map(|entry| entry["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["update_campaign_run_status", "update_campaign_budget", "create_campaign_group"]);
    assert_eq!(
        (&log[1]["object_id"], &log[1]["event_time"]),
        (&json!(campaign), &json!("2026-11-20T02:10:00+0000"))
    );
    let extra: Value = serde_json::from_str(log[1]["extra_data"].as_str().unwrap()).unwrap();
    let (old, new) = (&extra["old_value"]["old_value"], &extra["new_value"]["new_value"]);
    assert_eq!((old, new, &extra["new_value"]["currency"]), (&json!(5000), &json!(7500), &json!("SGD")));
    client.time.advance_minutes(8 * 24 * 60);
    assert_eq!(
        client.get(&client.act("activities"), &[]).await,
        json!({ "data": [] }),
        "a week is told unasked"
    );
    assert_eq!(client.all(&client.act("activities"), &[("since", "2026-11-01")]).await.0.len(), 3);
}

#[tokio::test]
async fn an_account_says_where_and_whose_it_is() {
    let client = Client::new().await;
    let account = client
        .get(&client.sim.account().id, &[("fields", "timezone_offset_hours_utc,owner,business{id}")])
        .await;
    assert_eq!(
        (&account["timezone_offset_hours_utc"], &account["owner"]),
        (&json!(8), &account["business"]["id"])
    );
    let person = client.get("me/business_users", &[]).await["data"][0].take();
    let business = person["business"]["id"].as_str().unwrap();
    let assigned = client.get(&client.act("assigned_users"), &[("business", business)]).await;
    assert_eq!(assigned["data"][0]["id"], person["id"]);
    assert!(assigned["data"][0]["tasks"].as_array().unwrap().contains(&json!("MANAGE")));
}
