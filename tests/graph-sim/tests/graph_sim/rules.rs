//! Tests of the writes that Meta rejects: rules between parameters, each with its code.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, json};

type Form = Vec<(String, String)>;

/// Builds a form of text and JSON values.
fn form(values: Value) -> Form {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.as_object().unwrap().clone().into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// Returns a form with some values changed; null removes one.
fn with(form: &Form, changes: Value) -> Form {
    let mut changed = form.clone();
    let changes = changes.as_object().unwrap().clone();
    changed.retain(|(name, _)| !changes.contains_key(name));
    let given = changes.into_iter().filter(|(_, value)| !value.is_null());
    changed.extend(self::form(given.collect()));
    changed
}

/// Returns code and subcode of the error, if there is one.
async fn error_codes(client: &Client, path: &str, form: &Form) -> Option<(i64, Option<i64>)> {
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = json(client.send(Method::POST, path, &pairs).await.unwrap()).await;
    let error = body.get("error")?;
    if error.get("error_subcode").is_some() && error["code"] == 100 {
        assert!(error["error_user_title"].is_string() && error["error_user_msg"].is_string(), "{error}");
    }
    Some((error["code"].as_i64().unwrap(), error["error_subcode"].as_i64()))
}

async fn make(client: &Client, edge: &str, form: &Form) -> String {
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.post(&client.act(edge), &pairs).await["id"].as_str().unwrap().to_owned()
}

fn campaign(objective: &str) -> Form {
    form(json!({
        "name": "Campaign",
        "objective": objective,
        "status": "PAUSED",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": false,
    }))
}

fn adset(campaign: &str) -> Form {
    form(json!({
        "name": "Set",
        "campaign_id": campaign,
        "billing_event": "IMPRESSIONS",
        "optimization_goal": "LINK_CLICKS",
        "daily_budget": "2000",
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "targeting": targeting(&json!({"countries": ["SG"]})),
    }))
}

fn targeting(places: &Value) -> Value {
    json!({"geo_locations": places, "targeting_automation": {"advantage_audience": 0}})
}

#[tokio::test]
async fn ad_sets_follow_every_rule() {
    let client = Client::new().await;
    let campaign = make(&client, "campaigns", &campaign("OUTCOME_SALES")).await;
    let good = adset(&campaign);
    let pixel = json!({"pixel_id": "1", "custom_event_type": "PURCHASE"});
    let clicks = |days: &[i64]| -> Value {
        days.iter().map(|days| json!({"event_type": "CLICK_THROUGH", "window_days": days})).collect()
    };
    let german = targeting(&json!({"countries": ["DE"]}));
    for (changes, subcode) in [
        (json!({"billing_event": null}), None),
        (json!({"optimization_goal": "CLICKS_AND_BRICKS"}), None),
        (json!({"name": "x".repeat(401)}), None),
        (json!({"status": "DELETED"}), None),
        (json!({"campaign_id": "42"}), None),
        (
            json!({"targeting": targeting(&json!({"countries": ["SG"], "location_types": ["home"]}))}),
            Some(1870199),
        ),
        (json!({"targeting": {"geo_locations": {"countries": ["SG"]}}}), Some(1870227)),
        (
            json!({"targeting": {"geo_locations": {"countries": ["SG"]}, "age_min": 30,
                   "targeting_automation": {"advantage_audience": 1}}}),
            Some(1870249),
        ),
        (json!({"targeting": german}), Some(3858079)),
        (json!({"targeting": german, "dsa_payor": "Us"}), Some(3858081)),
        (json!({"targeting": targeting(&json!({"country_groups": ["worldwide"]}))}), Some(3858079)),
        (json!({"daily_budget": null}), None),
        (json!({"daily_budget": "99"}), Some(1487901)),
        (json!({"daily_budget": null, "lifetime_budget": "90000"}), None),
        (json!({"end_time": "2026-11-20T09:59:59+0800"}), Some(1487033)),
        (json!({"end_time": "2026-11-20T22:00:00+0800"}), None),
        (
            json!({"start_time": "2026-12-02T00:00:00+0800", "end_time": "2026-12-01T00:00:00+0800"}),
            Some(1487033),
        ),
        (json!({"adset_schedule": [{"start_minute": 0, "end_minute": 60, "days": [1]}]}), None),
        (json!({"bid_strategy": null}), Some(1815857)),
        (json!({"bid_strategy": "COST_CAP"}), Some(1815857)),
        (json!({"bid_amount": "100"}), Some(1885204)),
        (json!({"bid_strategy": "LOWEST_COST_WITH_MIN_ROAS"}), None),
        (json!({"daily_spend_cap": "1000"}), None),
        (json!({"optimization_goal": "APP_INSTALLS"}), Some(2490408)),
        (json!({"destination_type": "ON_AD"}), Some(2446509)),
        (json!({"optimization_goal": "OFFSITE_CONVERSIONS"}), None),
        (json!({"optimization_goal": "OFFSITE_CONVERSIONS", "promoted_object": {"pixel_id": "1"}}), None),
        (json!({"attribution_spec": clicks(&[7])}), Some(1885501)),
        (
            json!({"optimization_goal": "OFFSITE_CONVERSIONS", "promoted_object": pixel, "attribution_spec": clicks(&[28])}),
            Some(1885501),
        ),
    ] {
        let wrong = with(&good, changes);
        assert_eq!(
            error_codes(&client, &client.act("adsets"), &wrong).await,
            Some((100, subcode)),
            "{wrong:?}"
        );
    }
    for changes in [
        json!({}),
        json!({"targeting": german, "dsa_payor": "Us", "dsa_beneficiary": "Them"}),
        json!({"bid_strategy": null, "bid_amount": "100"}),
        json!({"bid_strategy": "LOWEST_COST_WITH_MIN_ROAS", "bid_constraints": {"roas_average_floor": 15000}}),
        json!({"end_time": "2026-11-21T10:00:00+0800"}),
        json!({"daily_budget": null, "lifetime_budget": "90000", "end_time": "2026-12-01T00:00:00+0800",
               "pacing_type": ["day_parting"],
               "adset_schedule": [{"start_minute": 0, "end_minute": 60, "days": [1]}]}),
        json!({"optimization_goal": "OFFSITE_CONVERSIONS", "promoted_object": pixel, "attribution_spec": clicks(&[7])}),
    ] {
        make(&client, "adsets", &with(&good, changes)).await;
    }
}

#[tokio::test]
async fn a_missing_payor_is_blamed_in_a_text_and_a_low_budget_in_an_object() {
    let client = Client::new().await;
    let campaign = make(&client, "campaigns", &campaign("OUTCOME_TRAFFIC")).await;
    let error = async |changes: Value| {
        let form = with(&adset(&campaign), changes);
        let pairs: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        json(client.send(Method::POST, &client.act("adsets"), &pairs).await.unwrap()).await["error"].take()
    };
    let payor = error(json!({"targeting": targeting(&json!({"countries": ["FR"]}))})).await;
    assert_eq!(payor["error_data"], r#"{"blame_field_specs":[["dsa_payor"]]}"#);
    assert_eq!(payor["type"], "FacebookApiException");
    let budget = error(json!({"daily_budget": "1"})).await;
    assert_eq!(budget["error_data"], json!({"blame_field_specs": [["daily_budget"]]}));
}

#[tokio::test]
async fn an_account_can_name_payor_and_beneficiary_for_all_its_ad_sets() {
    let client = Client::new().await;
    let account = client.sim.account().id;
    let half = form(json!({"default_dsa_payor": "We"}));
    assert_eq!(error_codes(&client, &account, &half).await, Some((100, None)));
    client.post(&account, &[("default_dsa_payor", "We"), ("default_dsa_beneficiary", "You")]).await;
    let campaign = make(&client, "campaigns", &campaign("OUTCOME_TRAFFIC")).await;
    let european = json!({"targeting": targeting(&json!({"countries": ["CZ"]}))});
    let id = make(&client, "adsets", &with(&adset(&campaign), european)).await;
    assert_eq!(client.sim.node(&id).unwrap()["dsa_beneficiary"], "You");
    let elsewhere = with(&adset(&campaign), json!({"dsa_payor": "X", "dsa_beneficiary": "Y"}));
    let id = make(&client, "adsets", &elsewhere).await;
    assert!(client.sim.node(&id).unwrap().get("dsa_payor").is_none(), "kept for Europe only");
    let named = client.get(&client.act("dsa_recommendations"), &[("fields", "recommendations")]).await;
    assert_eq!(named["data"][0]["recommendations"][0], "You");
}

#[tokio::test]
async fn conversion_events_belong_to_objectives() {
    let client = Client::new().await;
    for (objective, event, subcode) in [
        ("OUTCOME_LEADS", "PURCHASE", Some(2446814)),
        ("OUTCOME_TRAFFIC", "LEAD", Some(2446814)),
        ("OUTCOME_LEADS", "LEAD", None),
        ("OUTCOME_SALES", "PURCHASE", None),
    ] {
        let campaign = make(&client, "campaigns", &campaign(objective)).await;
        let promoted = json!({"promoted_object": {"pixel_id": "1", "custom_event_type": event}});
        let codes = error_codes(&client, &client.act("adsets"), &with(&adset(&campaign), promoted)).await;
        assert_eq!(codes, subcode.map(|subcode| (100, Some(subcode))), "{objective} {event}");
    }
}

#[tokio::test]
async fn special_categories_forbid_choosing_people() {
    let client = Client::new().await;
    let housing = with(
        &campaign("OUTCOME_TRAFFIC"),
        json!({"special_ad_categories": ["HOUSING"], "special_ad_category_country": ["US"]}),
    );
    let id = make(&client, "campaigns", &housing).await;
    for choice in [
        json!({"age_min": 30}),
        json!({"genders": [2]}),
        json!({"geo_locations": {"zips": [{"key": "US:1"}]}}),
    ] {
        let mut targeting = targeting(&json!({"countries": ["SG"]}));
        targeting.as_object_mut().unwrap().extend(choice.as_object().unwrap().clone());
        let chosen = with(&adset(&id), json!({"targeting": targeting}));
        assert_eq!(error_codes(&client, &client.act("adsets"), &chosen).await, Some((100, None)), "{choice}");
    }
    make(&client, "adsets", &adset(&id)).await;
    let both = with(&housing, json!({"special_ad_categories": ["NONE", "HOUSING"]}));
    assert_eq!(error_codes(&client, &client.act("campaigns"), &both).await, Some((100, None)));
}

#[tokio::test]
async fn campaigns_follow_the_rules_of_money() {
    let client = Client::new().await;
    let good = campaign("OUTCOME_SALES");
    for (changes, subcode) in [
        (json!({"is_adset_budget_sharing_enabled": null}), Some(4834011)),
        (json!({"objective": "LINK_CLICKS"}), None),
        (json!({"spend_cap": "9999"}), Some(2446307)),
        (json!({"bid_strategy": "COST_CAP"}), None),
        (json!({"daily_budget": "5000", "lifetime_budget": "5000"}), None),
        (json!({"execution_options": ["include_recommendations"]}), None),
    ] {
        let wrong = with(&good, changes);
        assert_eq!(
            error_codes(&client, &client.act("campaigns"), &wrong).await,
            Some((100, subcode)),
            "{wrong:?}"
        );
    }
    let capped = make(&client, "campaigns", &with(&good, json!({"spend_cap": "10000"}))).await;
    assert_eq!(client.sim.campaign(&capped).unwrap()["spend_cap"], "10000", "minor units both ways");
    client.post(&capped, &[("spend_cap", "922337203685478")]).await;
    assert!(client.sim.campaign(&capped).unwrap().get("spend_cap").is_none());
    let budgeted = make(&client, "campaigns", &with(&good, json!({"daily_budget": "9600"}))).await;
    let strategy = client.sim.campaign(&budgeted).unwrap()["bid_strategy"].clone();
    assert_eq!(strategy, "LOWEST_COST_WITH_BID_CAP", "who names none gets the one that demands bids");
    let fall = form(json!({"daily_budget": "100"}));
    assert_eq!(error_codes(&client, &budgeted, &with(&fall, json!({}))).await, None);
    client.time.advance_minutes(61);
    client.post(&budgeted, &[("daily_budget", "960000")]).await;
    assert_eq!(error_codes(&client, &budgeted, &fall).await, Some((100, Some(1885650))));
}

#[tokio::test]
async fn a_budget_moves_between_a_campaign_and_its_ad_sets() {
    let client = Client::new().await;
    let id = make(&client, "campaigns", &campaign("OUTCOME_SALES")).await;
    let (one, two) = (make(&client, "adsets", &adset(&id)).await, make(&client, "adsets", &adset(&id)).await);
    client.post(&id, &[("daily_budget", "7000"), ("bid_strategy", "LOWEST_COST_WITHOUT_CAP")]).await;
    assert!(client.sim.node(&one).unwrap().get("daily_budget").is_none());
    let own = form(json!({"daily_budget": "3000"}));
    assert_eq!(error_codes(&client, &one, &own).await, Some((100, Some(1885621))));

    let for_one = json!([{"adset_id": one, "daily_budget": 3000}]);
    let half = form(json!({"adset_budgets": for_one}));
    assert_eq!(error_codes(&client, &id, &half).await, Some((100, None)), "every ad set needs one");
    let both = json!([{"adset_id": one, "daily_budget": 3000}, {"adset_id": two, "daily_budget": 4000}]);
    client.post(&id, &[("adset_budgets", &both.to_string())]).await;
    assert!(client.sim.campaign(&id).unwrap().get("daily_budget").is_none());
    assert_eq!(client.sim.node(&two).unwrap()["daily_budget"], "4000");

    client.post(&id, &[("daily_budget", "7000"), ("bid_strategy", "LOWEST_COST_WITHOUT_CAP")]).await;
    let bids = json!({&one: 150, &two: 160}).to_string();
    client.post(&id, &[("bid_strategy", "COST_CAP"), ("adset_bid_amounts", &bids)]).await;
    assert_eq!(client.sim.node(&one).unwrap()["bid_amount"], 150);
}

#[tokio::test]
async fn what_has_ended_is_edited_no_more() {
    let client = Client::new().await;
    let id = make(&client, "campaigns", &campaign("OUTCOME_TRAFFIC")).await;
    let ending = with(&adset(&id), json!({"end_time": "2026-11-22T10:00:00+0800"}));
    let set = make(&client, "adsets", &ending).await;
    let story = format!("{}_1", client.sim.account().page_id);
    let ad = form(json!({"name": "Ad", "adset_id": set, "creative": {"object_story_id": story}}));
    let ad = make(&client, "ads", &ad).await;
    client.time.advance_minutes(3 * 24 * 60);
    let budget = form(json!({"daily_budget": "3000"}));
    assert_eq!(error_codes(&client, &set, &budget).await, Some((100, Some(1487007))));
    client.post(&set, &[("name", "Renamed"), ("status", "PAUSED")]).await;
    client.post(&set, &[("daily_budget", "3000"), ("end_time", "0")]).await;
    assert!(client.sim.node(&set).unwrap().get("end_time").is_none());

    client.post(&set, &[("status", "ARCHIVED")]).await;
    assert_eq!(error_codes(&client, &set, &budget).await, Some((100, Some(1487056))));
    let creative = form(json!({"creative": {"object_story_id": story}}));
    assert_eq!(error_codes(&client, &ad, &creative).await, Some((100, Some(1885088))));
    let another = form(json!({"name": "Ad", "adset_id": set, "creative": {"object_story_id": story}}));
    assert_eq!(error_codes(&client, &client.act("ads"), &another).await, Some((100, Some(1487056))));
    client.post(&set, &[("status", "DELETED")]).await;
    let back = form(json!({"status": "PAUSED"}));
    assert_eq!(error_codes(&client, &set, &back).await, Some((100, Some(1487056))));
}

#[tokio::test]
async fn creatives_follow_their_rules_and_stay_as_they_are() {
    let client = Client::new().await;
    let page = client.sim.account().page_id;
    let link = json!({"link": "https://shop.example/", "call_to_action": {"type": "SHOP_NOW"}});
    for (creative, subcode) in [
        (json!({"name": "nothing to show"}), None),
        (json!({"object_story_spec": {"page_id": "42", "link_data": link}}), Some(1885029)),
        (json!({"object_story_spec": {"page_id": page, "video_data": {"video_id": "42"}}}), None),
        (
            json!({"object_story_spec": {"page_id": page, "link_data": {"link": "l", "image_hash": "abc"}}}),
            None,
        ),
        (
            json!({"object_story_spec": {"page_id": page, "link_data": {"link": "l", "call_to_action": {"type": "RUN"}}}}),
            Some(1373054),
        ),
        (
            json!({"object_story_id": format!("{page}_1"),
                   "degrees_of_freedom_spec": {"creative_features_spec": {"standard_enhancements": {"enroll_status": "OPT_IN"}}}}),
            Some(3858504),
        ),
        (
            json!({"object_story_spec": {"page_id": page}, "asset_feed_spec": {"titles": [{"text": "a"}, {"text": "a"}]}}),
            Some(1815629),
        ),
    ] {
        let codes = error_codes(&client, &client.act("adcreatives"), &form(creative.clone())).await;
        assert_eq!(codes, Some((100, subcode)), "{creative}");
    }
    let checked = form(
        json!({"object_story_spec": {"page_id": page, "link_data": link}, "execution_options": ["validate_only"]}),
    );
    assert_eq!(error_codes(&client, &client.act("adcreatives"), &checked).await, None);
    let id = make(&client, "adcreatives", &with(&checked, json!({"execution_options": null}))).await;
    client.post(&id, &[("name", "Renamed")]).await;
    let other = form(json!({"object_story_id": format!("{page}_2")}));
    assert_eq!(error_codes(&client, &id, &other).await, Some((100, None)));
}

#[tokio::test]
async fn an_ad_shows_the_page_and_leads_where_its_ad_set_wants() {
    let client = Client::new().await;
    let id = make(&client, "campaigns", &campaign("OUTCOME_TRAFFIC")).await;
    let page = client.sim.account().page_id;
    let set = make(&client, "adsets", &adset(&id)).await;
    let ad = |set: &str, story: Value| {
        form(json!({"name": "Ad", "adset_id": set, "creative": {"object_story_spec": story}}))
    };
    let nowhere = ad(&set, json!({"page_id": page, "link_data": {"message": "Look"}}));
    assert_eq!(error_codes(&client, &client.act("ads"), &nowhere).await, Some((100, Some(2446383))));
    let somewhere = ad(&set, json!({"page_id": page, "link_data": {"link": "https://shop.example/"}}));
    let made = make(&client, "ads", &somewhere).await;
    let set = make(&client, "adsets", &with(&adset(&id), json!({"promoted_object": {"page_id": "7"}}))).await;
    let foreign = ad(&set, json!({"page_id": page, "link_data": {"link": "https://shop.example/"}}));
    assert_eq!(error_codes(&client, &client.act("ads"), &foreign).await, Some((100, Some(1885029))));
    for path in [id.as_str(), &set, &made] {
        let checked = client
            .post(path, &[("name", "Only looked at"), ("execution_options", "[\"validate_only\"]")])
            .await;
        assert_eq!(checked, json!({"success": true}));
        assert_ne!(client.sim.node(path).unwrap()["name"], "Only looked at");
    }
}

#[tokio::test]
async fn what_is_missing_is_told_before_what_is_wrong_and_that_before_rules() {
    let client = Client::new().await;
    let campaign = make(&client, "campaigns", &campaign("OUTCOME_TRAFFIC")).await;
    let message = async |changes: Value| {
        let form = with(&adset(&campaign), changes);
        let pairs: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = json(client.send(Method::POST, &client.act("adsets"), &pairs).await.unwrap()).await;
        body["error"]["message"].as_str().unwrap().to_owned()
    };
    let worldwide = targeting(&json!({"country_groups": ["worldwide"]}));
    let all = json!({"billing_event": null, "daily_budget": "12.5", "targeting": worldwide});
    assert_eq!(message(all.clone()).await, "(#100) The parameter billing_event is required");
    let mut form = all.as_object().unwrap().clone();
    form.remove("billing_event");
    assert_eq!(
        message(Value::Object(form.clone())).await,
        "(#100) Param daily_budget must be an unsigned integer"
    );
    form.remove("daily_budget");
    assert_eq!(message(Value::Object(form)).await, "Invalid parameter");
}

#[tokio::test]
async fn what_graph_would_ignore_is_not_kept() {
    let client = Client::new().await;
    let id = client.new_campaign().await;
    client.post(&id, &[("name", "Renamed"), ("advantage_state_info", "{\"advantage_state\":\"X\"}")]).await;
    let stored = client.sim.campaign(&id).unwrap();
    assert_eq!((&stored["name"], stored.get("advantage_state_info")), (&json!("Renamed"), None));
    assert_eq!(client.sim.ignored_params(), 1);
}
