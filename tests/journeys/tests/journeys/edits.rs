//! Changes of bids, dates, caps and URL parameters, one by one and many at once, and back.

use domain::role::Role;
use graph_sim::{AccountArgs, Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use local::demo::ApiClient;
use serde_json::{Value, json};

use crate::bulk::{done, post};

async fn start() -> (Scenario, ApiClient, String) {
    let args = AccountArgs { campaigns: 8, adsets: 16, ads: 16, days: 2, ..AccountArgs::default() };
    let scenario = Scenario::of_account(args).await.unwrap();
    let (api, account) = (scenario.api().unwrap(), scenario.account().unwrap());
    (scenario, api, format!("ad-accounts/{account}"))
}

/// Entities of a level that can be changed.
async fn alive(api: &ApiClient, list: &str) -> Vec<Value> {
    let mut all = api.all(list).await.unwrap();
    all.retain(|entity| !["ARCHIVED", "DELETED"].contains(&entity["effective_status"].as_str().unwrap()));
    all
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

/// Reads the version that a client has seen.
async fn version(scenario: &Scenario, path: &str) -> String {
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    let path = format!("/v1/workspaces/demo/{path}");
    let read = scenario.send(Method::GET, &path, Some(&token), &[], None).await.unwrap();
    read.headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn bids_and_dates_of_an_ad_set_are_what_was_asked_for() {
    let (scenario, api, account) = start().await;
    let ad_sets = alive(&api, &format!("{account}/adsets")).await;
    let ad_set = ad_sets.iter().find(|ad_set| ad_set["daily_budget"].is_object()).unwrap();
    let (id, path) = (text(ad_set, "id"), format!("{account}/adsets/{}", text(ad_set, "id")));
    let change = async |change: Value| api.call(Method::PATCH, &path, Some(&change)).await.unwrap();
    let at_meta = |field: &str| scenario.sim().unwrap().node(id).unwrap()[field].clone();

    let shown = change(json!({
        "bid_strategy": "COST_CAP", "bid_amount": {"amount": 450, "currency": "SGD"}, "end": "2027-01-31T18:00:00",
    }))
    .await;
    assert_eq!(
        (&shown["bid_strategy"], &shown["bid_amount"]["amount"], &shown["end"]),
        (&json!("COST_CAP"), &json!(450), &json!("2027-01-31T10:00:00Z"))
    );
    assert_eq!((at_meta("bid_amount"), at_meta("end_time")), (json!(450), json!("2027-01-31T18:00:00+0800")));
    // A bid belongs to its strategy.
    let shown = change(json!({"bid_strategy": "LOWEST_COST_WITHOUT_CAP", "end": null})).await;
    assert_eq!((&shown["bid_amount"], &shown["end"]), (&Value::Null, &Value::Null));
    assert_eq!((at_meta("bid_amount"), at_meta("end_time")), (Value::Null, Value::Null));
    let shown = change(json!({"bid_strategy": "LOWEST_COST_WITH_MIN_ROAS", "min_roas": "1.25"})).await;
    assert_eq!(
        (&shown["min_roas"], &at_meta("bid_constraints")["roas_average_floor"]),
        (&json!("1.25"), &json!(12_500))
    );

    // A value that is made of the one before is made of what Meta has, and once.
    scenario.sim().unwrap().update_node(id, json!({"daily_budget": "30000"}));
    let raise = json!({"daily_budget": {"by_percent": 20}});
    let key = ("idempotency-key", "raise");
    let (status, problem) = api.send(Method::PATCH, &path, Some(&raise), &[key]).await.unwrap();
    assert!(status == 400 && problem.contains("If-Match"), "{problem}");
    change(json!({"end": null})).await;
    let version = version(&scenario, &path).await;
    let on_version = [key, ("if-match", version.as_str())];
    // What was changed cannot be read, and the client repeats its request as it was told to.
    let unread = |id: &str| Fault {
        method: Some("GET".to_owned()),
        path_contains: id.to_owned(),
        times: 4,
        skip: 1,
        kind: FaultKind::Html,
    };
    scenario.sim().unwrap().fail_next(unread(id));
    let (status, problem) = api.send(Method::PATCH, &path, Some(&raise), &on_version).await.unwrap();
    assert!(status == 502 && problem.contains("unknown-outcome"), "{problem}");
    assert_eq!(at_meta("daily_budget"), json!("36000"));
    let (status, problem) = api.send(Method::PATCH, &path, Some(&raise), &on_version).await.unwrap();
    assert!(status == 412 && problem.contains("stale-version"), "{problem}");
    assert_eq!(at_meta("daily_budget"), json!("36000"), "it was made once");

    let calls = scenario.sim().unwrap().calls();
    let wrong = json!({
        "bid_amount": {"amount": 450, "currency": "USD"}, "min_roas": "0", "start": "2026-12-01T09:00:00",
        "end": "2026-11-31T00:00:00", "url_tags": "?a=b", "spend_cap": {"amount": 0, "currency": "SGD"},
    });
    let refused = async |wrong: &Value| {
        let (status, problem) = api.send(Method::PATCH, &path, Some(wrong), &[]).await.unwrap();
        assert_eq!(status, 400, "{problem}");
        let problem: Value = serde_json::from_str(&problem).unwrap();
        let errors = problem["errors"].as_array().unwrap().iter();
        errors.map(|error| text(error, "field").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(refused(&wrong).await, ["spend_cap.amount", "bid_amount.currency", "end"]);
    assert_eq!(scenario.sim().unwrap().calls(), calls);
    let wrong = json!({
        "bid_amount": {"amount": 450, "currency": "SGD"}, "min_roas": "0", "start": "2026-12-01T09:00:00",
        "end": "2026-11-01T00:00:00", "spend_cap": null,
    });
    let fields = ["spend_cap", "bid_amount", "min_roas", "start", "end"];
    assert_eq!(refused(&wrong).await, fields);
    assert_eq!(refused(&json!({})).await, ["body"], "nothing to set");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn other_url_parameters_leave_the_post_as_it_is() {
    let (scenario, api, account) = start().await;
    let sim = scenario.sim().unwrap();
    let ads = alive(&api, &format!("{account}/ads")).await;
    let (ad, other) = (text(&ads[0], "id"), text(&ads[1], "id"));
    let creative = |ad: &str| sim.node(sim.node(ad).unwrap()["creative"]["id"].as_str().unwrap()).unwrap();
    let before = creative(ad);
    let path = format!("{account}/ads/{ad}");
    let tags = "utm_source=meta&utm_campaign={{campaign.name}}";
    api.call(Method::PATCH, &path, Some(&json!({"url_tags": tags}))).await.unwrap();
    let after = creative(ad);
    assert_ne!(after["id"], before["id"]);
    assert_eq!((&after["url_tags"], &after["name"]), (&json!(tags), &before["name"]));
    let post = |creative: &Value| creative["effective_object_story_id"].clone();
    assert!(post(&before).is_string(), "{before}");
    assert_eq!(post(&after), post(&before));

    // Many at once: the preview shows what each one has, and the undo gives it back.
    let set =
        json!({"changes": [{"level": "ad", "ids": [ad, other], "set": {"url_tags": "utm_medium=paid"}}]});
    let preview = self::post(&scenario, "?dry_run=true", Some(&set)).await;
    let had: Vec<_> =
        preview["objects"].as_array().unwrap().iter().map(|one| &one["before"]["url_tags"]).collect();
    assert_eq!(had, [&json!(tags), &Value::Null], "{preview}");
    let changed = done(&scenario, &self::post(&scenario, "", Some(&set)).await).await;
    assert_eq!(changed["counts"]["done"], 2, "{changed}");
    assert_eq!(
        [ad, other].map(|ad| creative(ad)["url_tags"].clone()),
        ["utm_medium=paid", "utm_medium=paid"]
    );
    let undo = format!("/{}/undo", text(&changed, "id"));
    let undone = done(&scenario, &self::post(&scenario, &undo, None).await).await;
    assert_eq!(undone["counts"]["done"], 2, "{undone}");
    assert_eq!([ad, other].map(|ad| creative(ad)["url_tags"].clone()), [json!(tags), Value::Null]);
    assert_eq!(post(&creative(ad)), post(&before));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn many_ad_sets_get_an_end_and_a_campaign_a_cap_and_an_undo_takes_them_away() {
    let (scenario, api, account) = start().await;
    let sim = scenario.sim().unwrap();
    let ad_sets = alive(&api, &format!("{account}/adsets")).await;
    let daily = ad_sets.iter().filter(|ad_set| ad_set["daily_budget"].is_object());
    let ids: Vec<&str> = daily.map(|ad_set| text(ad_set, "id")).take(3).collect();
    let campaigns = alive(&api, &format!("{account}/campaigns")).await;
    let campaign = text(&campaigns[0], "id");
    let cap = json!({"amount": 500_000, "currency": "SGD"});
    let set = json!({"changes": [
        {"level": "adset", "ids": ids, "set": {"end": "2026-12-24T18:00:00"}},
        {"level": "campaign", "ids": [campaign], "set": {"spend_cap": cap}},
    ]});
    let changed = done(&scenario, &post(&scenario, "", Some(&set)).await).await;
    assert_eq!(changed["counts"]["done"], ids.len() + 1, "{changed}");
    assert_eq!(changed["objects"][0]["before"], json!({"end": null}));
    for id in &ids {
        assert_eq!(sim.node(id).unwrap()["end_time"], "2026-12-24T18:00:00+0800");
    }
    let path = format!("{account}/campaigns/{campaign}");
    assert_eq!(api.call(Method::GET, &path, None).await.unwrap()["spend_cap"], cap);
    let undo = format!("/{}/undo", text(&changed, "id"));
    let undone = done(&scenario, &post(&scenario, &undo, None).await).await;
    assert_eq!(undone["counts"]["done"], ids.len() + 1, "{undone}");
    assert!(ids.iter().all(|id| sim.node(id).unwrap()["end_time"].is_null()));
    assert!(api.call(Method::GET, &path, None).await.unwrap()["spend_cap"].is_null());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn one_value_of_an_audience_is_changed_and_the_rest_stays() {
    let (scenario, api, account) = start().await;
    let sim = scenario.sim().unwrap();
    let audiences = sim.custom_audiences();
    let [visitors, buyers, similar] = &audiences[..] else { panic!("{audiences:?}") };
    let ad_sets = alive(&api, &format!("{account}/adsets")).await;
    let [first, second] = [0, 1].map(|place: usize| text(&ad_sets[place], "id"));
    let targeting = |id: &str| sim.node(id).unwrap()["targeting"].clone();
    let shown = json!({
        "geo_locations": {"countries": ["MY"], "location_types": ["home", "recent"]}, "age_min": 21, "age_max": 65,
        "flexible_spec": [{"interests": [{"id": "6003107902433", "name": "Football"}]}],
        "custom_audiences": [{"id": visitors, "name": "Visitors"}], "brand_safety_content_filter_levels": ["FEED_RELAXED"],
        "targeting_automation": {"advantage_audience": 0},
    });
    sim.update_node(first, json!({"targeting": shown}));
    let path = format!("{account}/adsets/{first}");
    let change = json!({
        "countries": ["MY", "AU"], "audience": {"age_min": 25, "excluded_custom_audiences": [buyers], "interests": []},
        "placements": {"publisher_platforms": ["instagram"], "instagram_positions": ["reels", "story"]},
    });
    api.call(Method::PATCH, &path, Some(&change)).await.unwrap();
    let expected = json!({
        "geo_locations": {"countries": ["AU", "MY"]}, "age_min": 25, "age_max": 65,
        "custom_audiences": [{"id": visitors, "name": "Visitors"}], "excluded_custom_audiences": [{"id": buyers}],
        "brand_safety_content_filter_levels": ["FEED_RELAXED"], "targeting_automation": {"advantage_audience": 0},
        "publisher_platforms": ["instagram"], "instagram_positions": ["reels", "story"],
    });
    assert_eq!(targeting(first), expected);
    let events = api.all("audit").await.unwrap();
    let event = events.iter().find(|event| event["action"] == "adset.changed").unwrap();
    assert_eq!(event["before"]["targeting"]["flexible_spec.0.interests"], json!([{"id": "6003107902433"}]));

    // One audience is excluded from many ad sets, each of which keeps its own; and back.
    let before = [first, second].map(&targeting);
    let set = json!({"excluded_custom_audiences": [similar]});
    let set = json!({"changes": [{"level": "adset", "ids": [first, second], "set": {"audience": set}}]});
    let preview = post(&scenario, "?dry_run=true", Some(&set)).await;
    let excluded = |values: &Value| values["targeting"]["excluded_custom_audiences"].clone();
    let had: Vec<_> =
        preview["objects"].as_array().unwrap().iter().map(|one| excluded(&one["before"])).collect();
    assert_eq!(had, [json!([{"id": buyers}]), Value::Null]);
    let changed = done(&scenario, &post(&scenario, "", Some(&set)).await).await;
    assert_eq!(changed["counts"]["done"], 2, "{changed}");
    for id in [first, second] {
        assert_eq!(targeting(id)["excluded_custom_audiences"], json!([{"id": similar}]));
    }
    let undo = format!("/{}/undo", text(&changed, "id"));
    let undone = done(&scenario, &post(&scenario, &undo, None).await).await;
    assert_eq!(undone["counts"]["done"], 2, "{undone}");
    assert_eq!([first, second].map(&targeting), before);

    let wrong = json!({
        "countries": ["Malaysia"], "audience": {"age_max": 70}, "placements": {"facebook_positions": ["video_feeds"]},
    });
    let (status, problem) = api.send(Method::PATCH, &path, Some(&wrong), &[]).await.unwrap();
    let problem: Value = serde_json::from_str(&problem).unwrap();
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| text(error, "field")).collect();
    let expected =
        ["countries", "audience.age_max", "placements.facebook_positions", "placements.facebook_positions"];
    assert_eq!((status.as_u16(), &fields[..]), (400, &expected[..]));
    let nowhere = json!({"countries": []});
    let (status, problem) = api.send(Method::PATCH, &path, Some(&nowhere), &[]).await.unwrap();
    assert!(status == 400 && problem.contains("must leave a country"), "{problem}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn ads_get_the_creative_of_another_one_and_their_own_back() {
    let (scenario, api, account) = start().await;
    let sim = scenario.sim().unwrap();
    let ads = alive(&api, &format!("{account}/ads")).await;
    let [first, second, third] = [0, 1, 2].map(|place: usize| text(&ads[place], "id"));
    let creative = |ad: &str| sim.node(ad).unwrap()["creative"]["id"].clone();
    let before = [first, second, third].map(&creative);
    let set =
        json!({"changes": [{"level": "ad", "ids": [first, second], "set": {"creative_id": before[2]}}]});
    let changed = done(&scenario, &post(&scenario, "", Some(&set)).await).await;
    assert_eq!(changed["counts"]["done"], 2, "{changed}");
    assert_eq!([first, second].map(&creative), [before[2].clone(), before[2].clone()]);
    let undo = format!("/{}/undo", text(&changed, "id"));
    done(&scenario, &post(&scenario, &undo, None).await).await;
    assert_eq!([first, second, third].map(&creative), before);
    // One that is not there is refused by Meta, in its words.
    let unknown = json!({"creative_id": "4242"});
    let (status, problem) =
        api.send(Method::PATCH, &format!("{account}/ads/{first}"), Some(&unknown), &[]).await.unwrap();
    assert!(status == 422 && problem.contains("creative"), "{status} {problem}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn ads_that_exist_get_a_creative_that_is_made_for_them() {
    let (scenario, api, account) = start().await;
    let sim = scenario.sim().unwrap();
    let ads = alive(&api, &format!("{account}/ads")).await;
    let ids: Vec<&str> = ads.iter().take(3).map(|ad| text(ad, "id")).collect();
    let before: Vec<Value> = ids.iter().map(|id| sim.node(id).unwrap()["creative"]["id"].clone()).collect();
    let page = sim.account().page_id;
    let link = json!({"page": page, "link": "https://example.com/summer", "message": "Summer is here."});
    let new = json!({"name": "Summer", "creative": {"link": link}, "url_tags": "utm_source=meta"});
    let make = async |key: &str, body: &Value| {
        let key = [("idempotency-key", key)];
        let path = format!("{account}/creatives");
        let (status, answer) = api.send(Method::POST, &path, Some(body), &key).await.unwrap();
        (status.as_u16(), serde_json::from_str::<Value>(&answer).unwrap())
    };
    let (status, made) = make("summer", &new).await;
    assert_eq!((status, &made["differences"]), (201, &Value::Null), "{made}");
    // Once for its key.
    assert_eq!(make("summer", &new).await.1["id"], made["id"]);
    let stored = sim.node(text(&made, "id")).unwrap();
    assert_eq!((&stored["name"], &stored["url_tags"]), (&json!("Summer"), &json!("utm_source=meta")));
    assert_eq!(stored["destination_spec"]["destination_type"], "WEBSITE_AND_SHOP_OPT_OUT");

    // Every ad shows it, and its own again after an undo.
    let set = json!({"changes": [{"level": "ad", "ids": ids, "set": {"creative_id": made["id"]}}]});
    let begun = post(&scenario, "", Some(&set)).await;
    let ended = done(&scenario, &begun).await;
    assert_eq!(ended["counts"]["done"], ids.len(), "{ended}");
    for id in &ids {
        assert_eq!(sim.node(id).unwrap()["creative"]["id"], made["id"]);
    }
    let undo = post(&scenario, &format!("/{}/undo", text(&begun, "id")), None).await;
    done(&scenario, &undo).await;
    let after: Vec<Value> = ids.iter().map(|id| sim.node(id).unwrap()["creative"]["id"].clone()).collect();
    assert_eq!(after, before);

    // Every mistake has its place; what Meta refuses is said in its words, and leaves the key free.
    let mut wrong = new.clone();
    wrong["name"] = json!("");
    wrong["url_tags"] = json!("?a=b");
    wrong["destination_type"] = json!("messenger");
    wrong["creative"]["link"]["link"] = json!("example");
    let (status, refused) = make("wrong", &wrong).await;
    let fields: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|one| text(one, "field")).collect();
    assert_eq!((status, fields), (400, vec!["name", "destination_type", "url_tags", "creative.link.link"]));
    let (status, refused) =
        make("known", &json!({"name": "Known", "creative": {"creative_id": text(&made, "id")}})).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (400, &json!("creative")));
    let mut foreign = new.clone();
    foreign["creative"]["link"]["page"] = json!("1");
    let (status, refused) = make("foreign", &foreign).await;
    assert!(status == 422 && text(&refused, "detail").contains("page"), "{refused}");
    assert_eq!(make("foreign", &new).await.0, 201);
    scenario.finish().await.unwrap();
}
