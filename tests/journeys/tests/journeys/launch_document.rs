//! Launch documents of several ad sets and ads, dry runs, and what is sent for them.

use graph_api::id::{ImageHash, VideoId};
use graph_sim::{Fault, FaultKind, LOGIN_USER_ID};
use http::Method;
use jiff::SignedDuration;
use journeys::{Response, Scenario};
use serde_json::{Value, json};

use crate::launch_dry_run::dry_run;

/// Delivers jobs until a launch is not running any more.
async fn ended(scenario: &Scenario, launched: &Response) -> Value {
    let id = launched.json()["launch_id"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        scenario.system.runner.settle().await.unwrap();
        let shown = scenario.api().unwrap().call(Method::GET, &format!("launches/{id}"), None).await.unwrap();
        if shown["state"] != "running" {
            return shown;
        }
        scenario.system.clock.advance(SignedDuration::from_secs(30));
    }
    panic!("the launch never ends");
}

/// Adds an image and a video to the ad account's library, and returns hash and id.
pub(super) async fn media(scenario: &Scenario) -> (ImageHash, VideoId) {
    let token = scenario.sim().unwrap().issue_token(LOGIN_USER_ID, &["ads_read", "ads_management"]);
    let account = scenario.account().unwrap().parse().unwrap();
    let caller = scenario.system.graph.on_behalf_of(token.into());
    let png: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0\x02\x76\x08";
    let image = caller.add_image(&account, "a.png", png.into()).await.unwrap().hash;
    (image, caller.add_video(&account, "film", b"film".as_slice().into()).await.unwrap())
}

fn node(scenario: &Scenario, launch: &Value, path: &str) -> Value {
    let step = launch["steps"].as_array().unwrap().iter().find(|step| step["path"] == path).unwrap();
    scenario.sim().unwrap().node(step["id"].as_str().unwrap()).unwrap()
}

/// A campaign with everything that a document can say, for one of two audiences and not for the other.
pub(super) fn large(page: &str, [audience, excluded]: [&str; 2]) -> Value {
    let ad = |name: &str, link: Value| json!({"name": name, "url_tags": "utm_source=meta", "creative": {"link": link}});
    let link = json!({"page": page, "link": "https://example.com/a", "message": "One"});
    let cards = json!({
        "page": page, "link": "https://example.com/b", "message": "Two", "display_link": "example.com",
        "call_to_action": "SHOP_NOW",
        "cards": [{"image": "IMAGE", "headline": "A"}, {"image": "IMAGE", "link": "https://example.com/c"}],
    });
    json!({
        "name": "Spring",
        "objective": "OUTCOME_SALES",
        "lifetime_budget": {"amount": 500_000, "currency": "SGD"},
        "bid_strategy": "COST_CAP",
        "spend_cap": {"amount": 900_000, "currency": "SGD"},
        "ad_sets": [
            {
                "name": "Young",
                "bid_amount": {"amount": 900, "currency": "SGD"},
                "start": "2026-12-01T09:00:00",
                "end": "2026-12-31T18:00:00",
                "day_parts": [{"days": ["monday", "sunday"], "from_hour": 9, "until_hour": 18}],
                "destination_type": "WEBSITE",
                "attribution": {"click_days": 7, "view_days": 1},
                "countries": ["MY"],
                "audience": {
                    "cities": [{"key": "1207", "radius_km": 20}],
                    "excluded_regions": ["77"],
                    "age_min": 20, "age_max": 40, "gender": "female", "locales": [6],
                    "interests": ["6003139266461"], "behaviors": ["6002714895372"],
                    "custom_audiences": [audience], "excluded_custom_audiences": [excluded],
                },
                "placements": {
                    "publisher_platforms": ["instagram"], "instagram_positions": ["reels"], "user_os": ["iOS"],
                },
                "promoted_object": {"pixel_id": "123", "custom_event_type": "PURCHASE"},
                "ads": [ad("Picture", link.clone()), ad("Cards", cards)],
            },
            {
                "name": "All",
                "bid_amount": {"amount": 800, "currency": "SGD"},
                "end": "2026-12-31T18:00:00",
                "countries": ["MY"],
                "advantage_audience": true,
                "promoted_object": {"pixel_id": "123", "custom_event_type": "PURCHASE"},
                "ads": [ad("Picture", link), {"creative": {"link": {
                    "page": page, "link": "https://example.com/d", "message": "Film", "video": "VIDEO",
                }}}],
            },
        ],
    })
}

#[tokio::test]
async fn one_document_becomes_several_ad_sets_and_ads_as_it_says() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let (image, video) = media(&scenario).await;
    let audiences = sim.custom_audiences();
    let document = large(&sim.account().page_id, [&audiences[0], &audiences[1]]).to_string();
    let document = document.replace("IMAGE", image.as_str()).replace("VIDEO", video.as_str());
    let document: Value = serde_json::from_str(&document).unwrap();

    let launched = scenario.launch("spring", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(launched.json()["state"], "running", "it goes on after the response");
    let launch = ended(&scenario, &launched).await;
    assert_eq!(launch["state"], "committed", "{launch}");
    let steps = launch["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 7);
    for step in steps {
        assert_eq!(step["state"], "created", "{step}");
        let node = sim.node(step["id"].as_str().unwrap()).unwrap();
        assert_eq!((&node["name"], &node["status"]), (&step["name"], &json!("PAUSED")), "{step}");
    }
    let campaign = node(&scenario, &launch, "campaign");
    assert_eq!(
        [&campaign["lifetime_budget"], &campaign["bid_strategy"], &campaign["spend_cap"]],
        ["500000", "COST_CAP", "900000"]
    );

    let young = node(&scenario, &launch, "ad_sets[0]");
    assert_eq!(
        (&young["bid_amount"], &young["destination_type"]),
        (&json!(900), &json!("WEBSITE")),
        "{young}"
    );
    assert_eq!(young["start_time"], "2026-12-01T09:00:00+0800", "a time of the ad account");
    assert_eq!(
        young["attribution_spec"],
        json!([
            {"event_type": "CLICK_THROUGH", "window_days": 7},
            {"event_type": "VIEW_THROUGH", "window_days": 1},
        ])
    );
    let schedule =
        json!([{"start_minute": 540, "end_minute": 1080, "days": [1, 0], "timezone_type": "ADVERTISER"}]);
    assert_eq!((&young["adset_schedule"], &young["pacing_type"]), (&schedule, &json!(["day_parting"])));
    assert_eq!(
        young["targeting"],
        json!({
            "geo_locations": {
                "countries": ["MY"],
                "cities": [{"key": "1207", "radius": 20, "distance_unit": "kilometer"}],
            },
            "excluded_geo_locations": {"regions": [{"key": "77"}]},
            "age_min": 20, "age_max": 40, "genders": [2], "locales": [6],
            "flexible_spec": [{
                "interests": [{"id": "6003139266461"}], "behaviors": [{"id": "6002714895372"}],
            }],
            "custom_audiences": [{"id": audiences[0]}],
            "excluded_custom_audiences": [{"id": audiences[1]}],
            "publisher_platforms": ["instagram"], "instagram_positions": ["reels"], "user_os": ["iOS"],
            // Meta looks beyond the systems unless it is told not to.
            "targeting_automation": {"advantage_audience": 0, "individual_setting": {"device": 0}},
        })
    );
    let creative = |path: &str| {
        let ad = node(&scenario, &launch, path);
        sim.node(ad["creative"]["id"].as_str().unwrap()).unwrap()
    };
    let cards = creative("ad_sets[0].ads[1]");
    let data = &cards["object_story_spec"]["link_data"];
    assert_eq!((&data["caption"], &data["multi_share_end_card"]), (&json!("example.com"), &json!(false)));
    let links: Vec<_> =
        data["child_attachments"].as_array().unwrap().iter().map(|card| &card["link"]).collect();
    assert_eq!(links, ["https://example.com/b", "https://example.com/c"]);
    assert_eq!(cards["url_tags"], "utm_source=meta");
    // Nothing is on that the document does not ask for.
    assert_eq!(cards["destination_spec"]["destination_type"], "WEBSITE_AND_SHOP_OPT_OUT");
    let features = cards["degrees_of_freedom_spec"]["creative_features_spec"].as_object().unwrap();
    assert!(features.len() >= 4 && features.values().all(|status| status["enroll_status"] == "OPT_OUT"));
    let film = creative("ad_sets[1].ads[1]");
    let data = &film["object_story_spec"]["video_data"];
    assert!(data["image_url"].is_string(), "its own first picture is the cover: {data}");
    assert_eq!(data["call_to_action"]["value"]["link"], "https://example.com/d");

    // The same key launches once, also while the launch goes on.
    let again = scenario.launch("spring", &document).await.unwrap();
    assert_eq!(again.json(), launch);
    scenario.finish().await.unwrap();
}

/// The annotated example, in the account of a plain `cargo run`.
#[tokio::test]
async fn the_example_launches_as_it_is_written() {
    let text = std::fs::read_to_string("../../docs/launch.yaml").unwrap();
    let document: Value = serde_yaml_ng::from_str(&text).unwrap();
    let scenario = Scenario::with_options(local::Options::in_memory()).await.unwrap();
    let api = scenario.api().unwrap();
    api.connect().await.unwrap();
    let path = format!("ad-accounts/{}/campaigns?dry_run=true", scenario.account().unwrap());
    let checked = dry_run(&scenario, &path, &document).await;
    assert_eq!(checked["findings"], json!([]));
    let launched = scenario.launch("example", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let launch = ended(&scenario, &launched).await;
    assert_eq!(launch["state"], "committed", "{launch}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_daily_budget_is_higher_at_the_times_that_the_document_names() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let day = |start: &str, end: &str| json!({"start": start, "end": end});
    let mut friday = day("2026-11-27T00:00:00", "2026-11-28T00:00:00");
    friday["multiplier"] = json!(3);
    let mut monday = day("2026-11-30T18:00:00", "2026-11-30T23:00:00");
    monday["increase"] = json!({"amount": 2500, "currency": "SGD"});
    let mut document = scenario.launch_document().unwrap();
    document["budget_schedules"] = json!([friday, monday]);
    let launched = scenario.launch("friday", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert!(launched.json()["differences"].is_null(), "{}", launched.text);
    let specs = |edge: &str| {
        let calls = sim.requests();
        let created = calls.iter().rev().find(|call| call.method == "POST" && call.edge == edge).unwrap();
        serde_json::from_str::<Value>(&created.params["budget_schedule_specs"]).unwrap()
    };
    // Midnight in Singapore.
    let expected = json!([
        {"time_start": 1_795_708_800, "time_end": 1_795_795_200, "budget_value": 3, "budget_value_type": "MULTIPLIER"},
        {"time_start": 1_796_032_800, "time_end": 1_796_050_800, "budget_value": 2500, "budget_value_type": "ABSOLUTE"},
    ]);
    assert_eq!(specs("campaigns"), expected);
    let campaign = sim.node(launched.json()["campaign_id"].as_str().unwrap()).unwrap();
    assert_eq!(campaign["is_budget_schedule_enabled"], true);
    // A copy has none of them, which is said.
    let campaign = campaign["id"].as_str().unwrap();
    let path = format!("ad-accounts/{}/campaigns/{campaign}/duplicate", scenario.account().unwrap());
    let (api, copy, key) =
        (scenario.api().unwrap(), json!({"name": "Friday again"}), [("idempotency-key", "again")]);
    let copied = api.call_with(Method::POST, &path, Some(&copy), &key).await.unwrap();
    let named: Vec<_> = copied["differences"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(named, ["budget_schedules"], "{copied}");

    // As well of an ad set that holds its budget.
    document["name"] = json!("Own budgets");
    let budget = document["daily_budget"].take();
    let fields = document.as_object_mut().unwrap();
    fields.remove("daily_budget");
    let schedules = fields.remove("budget_schedules").unwrap();
    document["ad_set"]["daily_budget"] = budget;
    document["ad_set"]["budget_schedules"] = schedules;
    // More than Meta's edge shows on a page.
    for day in 1..=31 {
        let (start, end) = (format!("2027-01-{day:02}T01:00:00"), format!("2027-01-{day:02}T09:00:00"));
        let schedules = document["ad_set"]["budget_schedules"].as_array_mut().unwrap();
        schedules.push(json!({"start": start, "end": end, "multiplier": 2}));
    }
    let launched = scenario.launch("own", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert!(launched.json()["differences"].is_null(), "{}", launched.text);
    let sent = specs("adsets");
    assert_eq!((sent.as_array().unwrap().len(), &sent[0], &sent[1]), (33, &expected[0], &expected[1]));

    // What Meta keeps nothing of is said.
    sim.drop_budget_schedules();
    document["name"] = json!("Dropped");
    let launched = scenario.launch("dropped", &document).await.unwrap().json();
    let named: Vec<_> = launched["differences"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(named, ["budget_schedules"], "{launched}");

    // Every mistake has its place.
    let mut wrong = monday.clone();
    wrong["end"] = json!("2026-11-30T20:59:59");
    wrong["increase"]["currency"] = json!("USD");
    friday["multiplier"] = json!(9);
    friday["increase"] = json!({"amount": 1, "currency": "SGD"});
    let twice = json!({"start": "2026-11-27T20:00:00", "end": "2026-12-24T00:00:00", "multiplier": 2});
    document["ad_set"]["end"] = json!("2026-12-23T00:00:00");
    let no_day = day("2026-11-31T00:00:00", "2026-12-02T00:00:00");
    document["ad_set"]["budget_schedules"] = json!([wrong, friday, no_day, twice]);
    let refused = scenario.launch("wrong", &document).await.unwrap();
    let errors = refused.json();
    let fields: Vec<_> =
        errors["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    let expected = [
        "[0].end",
        "[0].increase.currency",
        "[1].increase",
        "[1].multiplier",
        "[2].start",
        "[2].increase",
        "[3].end",
        "[3].start",
    ];
    assert_eq!(fields, expected.map(|field| format!("ad_set.budget_schedules{field}")), "{}", refused.text);
    // Those that are over are not missed in a copy.
    scenario.system.clock.advance(SignedDuration::from_hours(20 * 24));
    let key = [("idempotency-key", "over")];
    let api = scenario.api().unwrap();
    let copied = api.call_with(Method::POST, &path, Some(&copy), &key).await.unwrap();
    assert!(copied["differences"].is_null(), "{copied}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_ad_has_several_texts_of_which_meta_shows_one() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let link = json!({
        "page": sim.account().page_id, "link": "https://example.com/", "call_to_action": "SHOP_NOW",
        "message": "Spring is here.", "more_messages": ["Winter is over.", "New in:\nthe spring collection"],
        "headline": "Spring", "more_headlines": ["New in"], "description": "Free delivery",
    });
    let mut document = scenario.launch_document().unwrap();
    document["ad"]["creative"] = json!({"link": link});
    let launched = scenario.launch("texts", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let launched = launched.json();
    assert!(launched["differences"].is_null(), "{launched}");
    let ad = sim.node(launched["ad_id"].as_str().unwrap()).unwrap();
    let creative = sim.node(ad["creative"]["id"].as_str().unwrap()).unwrap();
    assert_eq!(creative["object_story_spec"]["link_data"]["message"], "Spring is here.");
    let text = |text: &str| json!({"text": text});
    let bodies = ["Spring is here.", "Winter is over.", "New in:\nthe spring collection"].map(text);
    let titles = ["Spring", "New in"].map(text);
    let expected = json!({"bodies": bodies, "titles": titles, "optimization_type": "DEGREES_OF_FREEDOM"});
    assert_eq!(creative["asset_feed_spec"], expected);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_meta_switches_on_by_itself_is_named_before_the_campaign_starts() {
    let scenario = Scenario::synced().await.unwrap();
    scenario.sim().unwrap().enroll_feature("product_extensions");
    scenario.sim().unwrap().enroll_feature("text_overlay_translation");
    let launched = scenario.launch("enrolled", &scenario.launch_document().unwrap()).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let launch = launched.json();
    let differences = launch["differences"].as_array().unwrap();
    let named: Vec<_> = differences
        .iter()
        .map(|one| {
            let field = one["field"].as_str().unwrap().trim_end_matches(".enroll_status");
            (one["path"].as_str().unwrap(), field.rsplit('.').next().unwrap(), one["asked"].as_str().unwrap())
        })
        .collect();
    let ad = "ad_sets[0].ads[0]";
    let expected = [(ad, "product_extensions", "OPT_OUT"), (ad, "text_overlay_translation", "nothing")];
    assert_eq!(named, expected, "{launch}");
    let listed = scenario.api().unwrap().call(Method::GET, "launches", None).await.unwrap();
    assert_eq!(listed["data"][0]["differences"], launch["differences"]);
    scenario.finish().await.unwrap();
}

/// A step far into a launch that Meta refuses: everything before it is deleted, and the step is named.
#[tokio::test]
async fn a_large_launch_that_is_refused_late_leaves_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let (page, audiences) =
        scenario.sim().map(|sim| (sim.account().page_id, sim.custom_audiences())).unwrap();
    let mut document = large(&page, [&audiences[0], &audiences[1]]);
    document["ad_sets"][1]["ads"][1]["creative"] = json!({"creative_id": "999"});
    document["ad_sets"][0]["ads"][1]["creative"] = json!({"post_id": format!("{page}_77")});
    let launched = scenario.launch("late", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let launch = ended(&scenario, &launched).await;
    assert_eq!(launch["state"], "rolled_back", "{launch}");
    assert!(launch["failure"].as_str().unwrap().starts_with("ad_sets[1].ads[1]: "), "{launch}");
    assert!(launch["steps"].as_array().unwrap().iter().all(|step| step["state"] == "planned"), "{launch}");
    scenario.sync().await.unwrap();
    let listed = scenario.call_as_owner(Method::GET, "campaigns?q=Spring", None).await.unwrap().json();
    let left: Vec<_> = listed["data"].as_array().unwrap().iter().collect();
    assert!(left.iter().all(|row| row["effective_status"] == "DELETED"), "{listed}");
    scenario.finish().await.unwrap();
}

/// A request whose outcome is unknown is not sent again while a listing may not show yet what it created.
#[tokio::test]
async fn a_creation_that_no_listing_shows_yet_is_waited_for() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let lost = |skip, kind| Fault {
        method: Some("POST".to_owned()),
        path_contains: "/campaigns".to_owned(),
        times: 1,
        skip,
        kind,
    };
    let document = scenario.launch_document().unwrap();
    // The request never arrives, so that no listing will ever show it.
    sim.fail_next(lost(0, FaultKind::LostRequest));
    let first = scenario.launch("lost", &document).await.unwrap();
    assert_eq!(first.status, 502, "{}", first.text);
    let calls = sim.calls();
    let second = scenario.launch("lost", &document).await.unwrap();
    assert_eq!(second.status, 429, "{}", second.text);
    assert!(second.text.contains("not known yet"), "{}", second.text);
    assert_eq!(sim.calls(), calls + 1, "it was looked for and not sent");
    scenario.system.clock.advance(SignedDuration::from_mins(2));
    let third = scenario.launch("lost", &document).await.unwrap();
    assert_eq!(third.status, 201, "{}", third.text);
    scenario.finish().await.unwrap();
}
