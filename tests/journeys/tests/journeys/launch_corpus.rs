//! Launch documents: forty good ones, which launch, and two hundred broken ones, each of which is refused where it is
//! broken, without a call to Meta.

use graph_sim::LOGIN_USER_ID;
use journeys::Scenario;
use serde_json::{Value, json};

use crate::launch_document::{large, media};
use crate::launch_dry_run::dry_run;

/// Objective, destination, goal, and what is promoted.
const KINDS: [(&str, Option<&str>, &str, &str); 16] = [
    ("OUTCOME_AWARENESS", None, "REACH", r#"{"page_id":"PAGE"}"#),
    ("OUTCOME_AWARENESS", None, "THRUPLAY", r#"{"page_id":"PAGE"}"#),
    ("OUTCOME_TRAFFIC", Some("WEBSITE"), "LINK_CLICKS", "null"),
    ("OUTCOME_TRAFFIC", Some("WEBSITE"), "LANDING_PAGE_VIEWS", "null"),
    ("OUTCOME_TRAFFIC", Some("MESSENGER"), "LINK_CLICKS", "null"),
    ("OUTCOME_TRAFFIC", Some("WHATSAPP"), "LINK_CLICKS", r#"{"page_id":"PAGE"}"#),
    ("OUTCOME_ENGAGEMENT", Some("ON_POST"), "POST_ENGAGEMENT", "null"),
    ("OUTCOME_ENGAGEMENT", Some("ON_PAGE"), "PAGE_LIKES", r#"{"page_id":"PAGE"}"#),
    ("OUTCOME_ENGAGEMENT", Some("MESSENGER"), "CONVERSATIONS", r#"{"page_id":"PAGE"}"#),
    ("OUTCOME_ENGAGEMENT", Some("INSTAGRAM_DIRECT"), "CONVERSATIONS", r#"{"page_id":"PAGE"}"#),
    ("OUTCOME_LEADS", Some("ON_AD"), "LEAD_GENERATION", r#"{"page_id":"PAGE"}"#),
    (
        "OUTCOME_LEADS",
        Some("WEBSITE"),
        "OFFSITE_CONVERSIONS",
        r#"{"pixel_id":"1","custom_event_type":"LEAD"}"#,
    ),
    (
        "OUTCOME_SALES",
        Some("WEBSITE"),
        "OFFSITE_CONVERSIONS",
        r#"{"pixel_id":"1","custom_event_type":"PURCHASE"}"#,
    ),
    ("OUTCOME_SALES", None, "VALUE", r#"{"pixel_id":"1","custom_event_type":"PURCHASE"}"#),
    ("OUTCOME_SALES", Some("WHATSAPP"), "CONVERSATIONS", r#"{"page_id":"PAGE"}"#),
    (
        "OUTCOME_APP_PROMOTION",
        Some("APP"),
        "APP_INSTALLS",
        r#"{"application_id":"2","object_store_url":"https://apps.example.com/id2"}"#,
    ),
];

/// What ads show.
const FORMATS: [&str; 5] = [
    r#"{"link":{"page":"PAGE","link":"https://example.com/","message":"m","image":"IMAGE","call_to_action":"LEARN_MORE"}}"#,
    r#"{"link":{"page":"PAGE","link":"https://example.com/","message":"m","video":"VIDEO","headline":"h"}}"#,
    r#"{"link":{"page":"PAGE","link":"https://example.com/","message":"m","cards":[{"image":"IMAGE"},{"image":"IMAGE","headline":"h"}]}}"#,
    r#"{"post_id":"PAGE_77"}"#,
    r#"{"instagram_post":{"media":"17900000000000001","page":"PAGE","instagram_user":"17841400000000001","link":"https://example.com/"}}"#,
];

/// What campaigns of some objectives show: an Instant Experience, and with products a collection.
const INSTANT_EXPERIENCES: [&str; 2] = [
    r#"{"link":{"page":"PAGE","instant_experience":"88","message":"m","image":"IMAGE","product_set":"72"}}"#,
    r#"{"link":{"page":"PAGE","instant_experience":"88","message":"m","video":"VIDEO","call_to_action":"SHOP_NOW"}}"#,
];

/// What ads of a destination show.
fn own_formats(destination: Option<&str>) -> &'static [&'static str] {
    match destination {
        Some("ON_AD") => &[
            r#"{"link":{"page":"PAGE","message":"m","lead_form":"5","image":"IMAGE"}}"#,
            r#"{"link":{"page":"PAGE","message":"m","lead_form":"5","video":"VIDEO"}}"#,
        ],
        Some("MESSENGER" | "WHATSAPP" | "INSTAGRAM_DIRECT") => {
            &[r#"{"link":{"page":"PAGE","message":"m","image":"IMAGE"}}"#]
        }
        Some("ON_POST" | "ON_PAGE") => &[FORMATS[3]],
        _ => &FORMATS,
    }
}

#[tokio::test]
async fn every_objective_destination_and_format_launches_as_it_is_written() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let (image, video) = media(&scenario).await;
    let fill = |text: &str| {
        let text = text.replace("PAGE", &sim.account().page_id).replace("IMAGE", image.as_str());
        serde_json::from_str::<Value>(&text.replace("VIDEO", video.as_str())).unwrap()
    };
    let mut launches: Vec<Value> = Vec::new();
    for (objective, destination, goal, promoted) in KINDS {
        let takes_experiences = ["OUTCOME_AWARENESS", "OUTCOME_TRAFFIC", "OUTCOME_SALES"]
            .contains(&objective)
            && destination.is_none_or(|destination| destination == "WEBSITE");
        let experiences = INSTANT_EXPERIENCES.iter().filter(|_| takes_experiences);
        for format in own_formats(destination).iter().chain(experiences) {
            let document = json!({
                "name": format!("{objective} {}", launches.len()),
                "objective": objective,
                "ad_set": {
                    "daily_budget": {"amount": 9000, "currency": "SGD"},
                    "destination_type": destination,
                    "optimization_goal": goal,
                    "countries": ["MY"],
                    "promoted_object": fill(promoted),
                },
                "ad": {"creative": fill(format)},
            });
            let response = scenario.launch(&format!("good-{}", launches.len()), &document).await.unwrap();
            assert_eq!(response.status, 201, "{document}\n{}", response.text);
            let ids = response.json();
            assert!(ids["differences"].is_null(), "{document}\n{ids}");
            let stored = |id: &str| sim.node(ids[id].as_str().unwrap()).unwrap();
            let ad_set = stored("adset_id");
            assert_eq!(
                (&ad_set["optimization_goal"], &ad_set["daily_budget"]),
                (&json!(goal), &json!("9000"))
            );
            assert_eq!(ad_set["destination_type"].as_str(), destination);
            let ad = stored("ad_id");
            let creative = sim.node(ad["creative"]["id"].as_str().unwrap()).unwrap();
            let action = creative["object_story_spec"]
                .as_object()
                .and_then(|story| story.values().find_map(|data| data.get("call_to_action")).cloned());
            let value = action.map(|action| action["value"].clone()).unwrap_or_default();
            match destination {
                Some("ON_AD") => assert_eq!(value["lead_gen_form_id"], "5", "{creative}"),
                Some("MESSENGER" | "WHATSAPP" | "INSTAGRAM_DIRECT") => {
                    assert_eq!(value["app_destination"].as_str(), destination, "{creative}");
                }
                _ => {}
            }
            if format.contains("instant_experience") {
                assert!(creative.to_string().contains("https://fb.com/canvas_doc/88"), "{creative}");
                let products = format.contains("product_set").then_some("72");
                assert_eq!(creative["product_set_id"].as_str(), products, "{creative}");
            }
            launches.push(json!({"document": document, "ids": ids}));
        }
    }
    println!("{} documents launched.", launches.len());
    assert!(launches.len() >= 40, "{}", launches.len());
    // The SDK sends its token within addresses, where the scan for leaks would find it.
    if !read_by_the_sdk(&scenario, &launches).await {
        scenario.finish().await.unwrap();
    }
}

/// Has Meta's own SDK read what was launched, where its interpreter is named (`cargo xtask peers`). Returns whether it is.
#[expect(clippy::disallowed_methods, reason = "the task that has installed the SDK says where")]
async fn read_by_the_sdk(scenario: &Scenario, launches: &[Value]) -> bool {
    let Some(python) = std::env::var_os("SDK_PYTHON") else { return false };
    let sim = scenario.sim().unwrap();
    let token = sim.issue_token(LOGIN_USER_ID, &["ads_read"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let given = json!({"graph_url": sim.base_url(), "token": token, "launches": launches});
    std::fs::write(file.path(), given.to_string()).unwrap();
    let mut script = tokio::process::Command::new(python);
    let script = script.args(["-B", "../peers/launches.py"]).arg(file.path());
    assert!(script.status().await.unwrap().success(), "the SDK reads something else");
    true
}

/// Where a document is broken, by what, and the field that is named. `null` takes the value away.
fn broken() -> Vec<(&'static str, Value, &'static str)> {
    let long = "x".repeat(351);
    let money = |amount: i64, currency: &str| json!({"amount": amount, "currency": currency});
    let mut all = vec![
        ("/name", json!(""), "name"),
        ("/name", json!("  "), "name"),
        ("/name", json!("a\nb"), "name"),
        ("/name", json!("a\u{7}b"), "name"),
        ("/name", json!(long), "name"),
        ("/name", json!(5), "name"),
        ("/name", Value::Null, "name"),
        ("/objective", json!("OUTCOME_WIN"), "objective"),
        ("/objective", json!("CONVERSIONS"), "objective"),
        ("/objective", json!("outcome_sales"), "objective"),
        ("/objective", Value::Null, "objective"),
        ("/lifetime_budget", money(0, "SGD"), "lifetime_budget.amount"),
        ("/lifetime_budget", money(-5, "SGD"), "lifetime_budget.amount"),
        ("/lifetime_budget", money(2_000_000_000_000, "SGD"), "lifetime_budget.amount"),
        ("/lifetime_budget", money(500_000, "USD"), "lifetime_budget.currency"),
        ("/lifetime_budget", money(500_000, "sgd"), "lifetime_budget.currency"),
        ("/lifetime_budget", json!(5000), "lifetime_budget"),
        ("/lifetime_budget", json!({"amount": 50.5, "currency": "SGD"}), "lifetime_budget.amount"),
        ("/lifetime_budget", json!({"amount": "500", "currency": "SGD"}), "lifetime_budget.amount"),
        ("/lifetime_budget", json!({"amount": 500}), "lifetime_budget.currency"),
        ("/lifetime_budget", Value::Null, "daily_budget"),
        ("/daily_budget", money(500, "SGD"), "lifetime_budget"),
        ("/daily_budget", money(500, "USD"), "daily_budget.currency"),
        ("/spend_cap", money(0, "SGD"), "spend_cap.amount"),
        ("/spend_cap", money(9, "EUR"), "spend_cap.currency"),
        ("/bid_strategy", json!("CHEAPEST"), "bid_strategy"),
        ("/bid_strategy", json!("cost_cap"), "bid_strategy"),
        ("/bid_strategy", json!("LOWEST_COST_WITHOUT_CAP"), "ad_sets[0].bid_amount"),
        ("/bid_strategy", json!("LOWEST_COST_WITH_MIN_ROAS"), "ad_sets[0].min_roas"),
        ("/bid_strategy", Value::Null, "ad_sets[1].bid_amount"),
        ("/special_ad_categories", json!("HOUSING"), "special_ad_categories"),
        ("/special_ad_categories", json!(["housing"]), "special_ad_categories"),
        ("/special_ad_categories", json!(["HOUSING"]), "ad_sets[0].audience.age_min"),
        ("/special_ad_categories", json!(["CREDIT"]), "ad_sets[0].audience.age_max"),
        ("/special_ad_categories", json!(["EMPLOYMENT"]), "ad_sets[0].audience.gender"),
        ("/special_ad_categories", json!(["ISSUES_ELECTIONS_POLITICS"]), "special_ad_category_countries"),
        ("/special_ad_category_countries", json!(["Malaysia"]), "special_ad_category_countries"),
        ("/catalog", json!("my catalog"), "catalog"),
        ("/catalog", json!(""), "catalog"),
        ("/budget", json!(5), "budget"),
        ("/ad_set", json!({"countries": ["MY"]}), "body"),
        ("/ad", json!({"creative": {"creative_id": "1"}}), "body"),
        ("/spend_cap", json!("900"), "spend_cap"),
        ("/special_ad_categories", json!(vec!["NONE"; 251]), "special_ad_categories"),
        ("/special_ad_categories", json!([7]), "special_ad_categories[0]"),
        ("/ad_sets", json!(vec![json!({"countries": ["MY"]}); 51]), "ad_sets"),
        ("/ad_sets/1/ads", json!(vec![json!({"creative": {"creative_id": "1"}}); 51]), "ad_sets[1].ads"),
        ("/ad_sets/1/countries", json!(vec!["MY"; 251]), "ad_sets[1].countries"),
        ("/ad_sets/0/day_parts", json!("always"), "ad_sets[0].day_parts"),
        ("/ad_sets/0/audience", json!([]), "ad_sets[0].audience"),
        ("/status", json!("ACTIVE"), "status"),
        ("/ad_sets", json!([]), "ad_set"),
        ("/ad_sets", Value::Null, "ad_set"),
        ("/ad_sets", json!({}), "ad_sets"),
        ("/ad_sets/0/ads", json!([]), "ad_sets[0].ads"),
        ("/ad_sets/1/ads", Value::Null, "ad_sets[1].ads"),
        ("/ad_sets/0/adz", json!([]), "ad_sets[0].adz"),
        ("/ad_sets/0/name", json!("\t"), "ad_sets[0].name"),
        ("/ad_sets/1/name", json!(long), "ad_sets[1].name"),
        ("/ad_sets/1/daily_budget", money(5, "SGD"), "ad_sets[1].daily_budget"),
        ("/ad_sets/1/lifetime_budget", money(5, "SGD"), "ad_sets[1].lifetime_budget"),
        ("/ad_sets/0/bid_amount", Value::Null, "ad_sets[0].bid_amount"),
        ("/ad_sets/0/bid_amount", money(0, "SGD"), "ad_sets[0].bid_amount.amount"),
        ("/ad_sets/0/bid_amount", money(5, "MYR"), "ad_sets[0].bid_amount.currency"),
        ("/ad_sets/0/min_roas", json!("2"), "ad_sets[0].min_roas"),
        ("/ad_sets/0/start", json!("tomorrow"), "ad_sets[0].start"),
        ("/ad_sets/0/start", json!("2026-12-01T09:00:00[Asia/Tokyo]"), "ad_sets[0].start"),
        ("/ad_sets/0/start", json!("2026-12-01 09:00:00+08"), "ad_sets[0].start"),
        ("/ad_sets/0/start", json!("2026-12-01"), "ad_sets[0].start"),
        ("/ad_sets/0/start", json!("2026-13-01T09:00:00"), "ad_sets[0].start"),
        ("/ad_sets/0/start", json!(1_796_000_000), "ad_sets[0].start"),
        ("/ad_sets/0/start", json!("2027-01-01T00:00:00"), "ad_sets[0].end"),
        ("/ad_sets/0/end", json!("2026-11-01T00:00:00"), "ad_sets[0].end"),
        ("/ad_sets/0/end", json!("2026-11-30T00:00:00"), "ad_sets[0].end"),
        ("/ad_sets/0/end", Value::Null, "ad_sets[0].end"),
        ("/ad_sets/1/end", Value::Null, "ad_sets[1].end"),
        ("/ad_sets/1/end", json!("31.12.2026"), "ad_sets[1].end"),
        ("/ad_sets/0/day_parts/0/days", json!([]), "ad_sets[0].day_parts[0].days"),
        ("/ad_sets/0/day_parts/0/days", json!(["mon"]), "ad_sets[0].day_parts[0].days[0]"),
        ("/ad_sets/0/day_parts/0/until_hour", json!(9), "ad_sets[0].day_parts[0].until_hour"),
        ("/ad_sets/0/day_parts/0/until_hour", json!(25), "ad_sets[0].day_parts[0].until_hour"),
        ("/ad_sets/0/day_parts/0/from_hour", json!(20), "ad_sets[0].day_parts[0].until_hour"),
        ("/ad_sets/0/day_parts/0/from_hour", json!(-1), "ad_sets[0].day_parts[0].from_hour"),
        (
            "/budget_schedules",
            json!([{"start": "2026-12-01T00:00", "end": "2026-12-02T00:00", "multiplier": 2}]),
            "budget_schedules",
        ),
        ("/budget_schedules", json!({"multiplier": 2}), "budget_schedules"),
        (
            "/ad_sets/0/ads/0/creative/link/instant_experience",
            json!("88"),
            "ad_sets[0].ads[0].creative.link.instant_experience",
        ),
        (
            "/ad_sets/0/ads/1/creative/link/instant_experience",
            json!("88"),
            "ad_sets[0].ads[1].creative.link.instant_experience",
        ),
        (
            "/ad_sets/0/ads/0/creative/link/more_messages",
            json!(["Two", "One"]),
            "ad_sets[0].ads[0].creative.link.more_messages",
        ),
        (
            "/ad_sets/0/ads/0/creative/link/more_messages",
            json!(["2", "3", "4", "5", "6"]),
            "ad_sets[0].ads[0].creative.link.more_messages",
        ),
        (
            "/ad_sets/0/ads/0/creative/link/more_headlines",
            json!(["Two"]),
            "ad_sets[0].ads[0].creative.link.more_headlines",
        ),
        (
            "/ad_sets/0/ads/1/creative/link/more_messages",
            json!(["Three"]),
            "ad_sets[0].ads[1].creative.link.more_messages",
        ),
        (
            "/ad_sets/1/budget_schedules",
            json!([{"end": "2026-12-02T00:00"}]),
            "ad_sets[1].budget_schedules[0].start",
        ),
        ("/ad_sets/0/destination_type", json!("ON_AD"), "ad_sets[0].destination_type"),
        ("/ad_sets/0/destination_type", json!("ON_POST"), "ad_sets[0].destination_type"),
        ("/ad_sets/0/destination_type", json!("website"), "ad_sets[0].destination_type"),
        ("/ad_sets/0/optimization_goal", json!("PAGE_LIKES"), "ad_sets[0].optimization_goal"),
        ("/ad_sets/0/optimization_goal", json!("APP_INSTALLS"), "ad_sets[0].optimization_goal"),
        ("/ad_sets/0/optimization_goal", json!("QUALITY_LEAD"), "ad_sets[0].optimization_goal"),
        ("/ad_sets/0/optimization_goal", json!("LEAD_GENERATION"), "ad_sets[0].promoted_object"),
        ("/ad_sets/0/optimization_goal", json!("link clicks"), "ad_sets[0].optimization_goal"),
        ("/ad_sets/0/optimization_goal", json!("LINK_CLICKS"), "ad_sets[0].attribution.click_days"),
        ("/ad_sets/0/billing_event", json!("clicks"), "ad_sets[0].billing_event"),
        ("/ad_sets/0/attribution/click_days", json!(28), "ad_sets[0].attribution.click_days"),
        ("/ad_sets/0/attribution/click_days", json!(0), "ad_sets[0].attribution.click_days"),
        ("/ad_sets/0/attribution/click_days", Value::Null, "ad_sets[0].attribution.click_days"),
        ("/ad_sets/0/attribution/view_days", json!(7), "ad_sets[0].attribution.view_days"),
        ("/ad_sets/0/attribution/engaged_view_days", json!(2), "ad_sets[0].attribution.engaged_view_days"),
        ("/ad_sets/1/countries", json!([]), "ad_sets[1].countries"),
        ("/ad_sets/1/countries", json!(["my"]), "ad_sets[1].countries"),
        ("/ad_sets/1/countries", json!(["MYS"]), "ad_sets[1].countries"),
        ("/ad_sets/1/countries", json!(["MY", 5]), "ad_sets[1].countries[1]"),
        ("/ad_sets/1/countries", json!("MY"), "ad_sets[1].countries"),
        ("/ad_sets/1/countries", Value::Null, "ad_sets[1].countries"),
        ("/ad_sets/0/audience/cities/0/radius_km", json!(5), "ad_sets[0].audience.cities"),
        ("/ad_sets/0/audience/cities/0/radius_km", json!(81), "ad_sets[0].audience.cities"),
        ("/ad_sets/0/audience/cities/0/key", json!("Penang"), "ad_sets[0].audience.cities[0].key"),
        ("/ad_sets/0/audience/cities", json!(["1207"]), "ad_sets[0].audience.cities[0]"),
        ("/ad_sets/0/audience/regions", json!(["Penang"]), "ad_sets[0].audience.regions[0]"),
        ("/ad_sets/0/audience/zips", json!(["94304"]), "ad_sets[0].audience.zips"),
        ("/ad_sets/0/audience/zips", json!(["usa:94304"]), "ad_sets[0].audience.zips"),
        ("/ad_sets/0/audience/excluded_countries", json!(["sg"]), "ad_sets[0].audience.excluded_countries"),
        ("/ad_sets/0/audience/age_min", json!(12), "ad_sets[0].audience.age_min"),
        ("/ad_sets/0/audience/age_min", json!(66), "ad_sets[0].audience.age_min"),
        ("/ad_sets/0/audience/age_min", json!(41), "ad_sets[0].audience.age_max"),
        ("/ad_sets/0/audience/age_max", json!(70), "ad_sets[0].audience.age_max"),
        ("/ad_sets/0/audience/age_max", json!("40"), "ad_sets[0].audience.age_max"),
        ("/ad_sets/0/audience/gender", json!("women"), "ad_sets[0].audience.gender"),
        ("/ad_sets/0/audience/locales", json!(["en"]), "ad_sets[0].audience.locales[0]"),
        ("/ad_sets/0/audience/interests", json!(["Sport"]), "ad_sets[0].audience.interests[0]"),
        (
            "/ad_sets/0/audience/custom_audiences",
            json!(["12"]),
            "ad_sets[0].audience.excluded_custom_audiences",
        ),
        ("/ad_sets/0/audience/custom_audiences", json!("11"), "ad_sets[0].audience.custom_audiences"),
        ("/ad_sets/0/audience/lookalikes", json!(["11"]), "ad_sets[0].audience.lookalikes"),
        ("/ad_sets/0/advantage_audience", json!(true), "ad_sets[0].audience.age_max"),
        ("/ad_sets/0/advantage_audience", json!(1), "ad_sets[0].advantage_audience"),
        ("/ad_sets/1/audience", json!({"age_min": 30}), "ad_sets[1].audience.age_min"),
        (
            "/ad_sets/0/placements/instagram_positions",
            json!(["explore"]),
            "ad_sets[0].placements.instagram_positions",
        ),
        (
            "/ad_sets/0/placements/facebook_positions",
            json!(["feed"]),
            "ad_sets[0].placements.facebook_positions",
        ),
        (
            "/ad_sets/0/placements/publisher_platforms",
            json!(["facebook"]),
            "ad_sets[0].placements.instagram_positions",
        ),
        (
            "/ad_sets/0/placements/publisher_platforms",
            json!(["Instagram"]),
            "ad_sets[0].placements.publisher_platforms",
        ),
        ("/ad_sets/0/placements/user_os", json!(["<b>"]), "ad_sets[0].placements.user_os"),
        ("/ad_sets/0/placements/positions", json!([]), "ad_sets[0].placements.positions"),
        ("/ad_sets/0/promoted_object", Value::Null, "ad_sets[0].promoted_object"),
        (
            "/ad_sets/0/promoted_object",
            json!({"custom_event_type": "PURCHASE"}),
            "ad_sets[0].promoted_object",
        ),
        ("/ad_sets/0/promoted_object/pixel_id", json!(123), "ad_sets[0].promoted_object.pixel_id"),
        ("/ad_sets/0/promoted_object/pixel_id", json!(""), "ad_sets[0].promoted_object.pixel_id"),
        ("/ad_sets/0/promoted_object/Pixel", json!("1"), "ad_sets[0].promoted_object.Pixel"),
        ("/ad_sets/0/dsa", json!({"payor": "A"}), "ad_sets[0].dsa.beneficiary"),
        ("/ad_sets/0/dsa", json!({"payor": " ", "beneficiary": "B"}), "ad_sets[0].dsa.payor"),
        (
            "/ad_sets/0/regional_identities",
            json!({"MARS": {"payer": "1", "beneficiary": "2"}}),
            "ad_sets[0].regional_identities",
        ),
        (
            "/ad_sets/0/regional_identities",
            json!({"TAIWAN_FINSERV": {"payer": "1", "beneficiary": "2"}}),
            "ad_sets[0].regional_identities.TAIWAN_FINSERV",
        ),
        ("/ad_sets/0/ads/0/name", json!("a\rb"), "ad_sets[0].ads[0].name"),
        (
            "/ad_sets/0/ads/0/conversion_domain",
            json!("https://example.com"),
            "ad_sets[0].ads[0].conversion_domain",
        ),
        ("/ad_sets/0/ads/0/url_tags", json!("?utm_source=meta"), "ad_sets[0].ads[0].url_tags"),
        ("/ad_sets/0/ads/0/url_tags", json!("utm_source=my ad"), "ad_sets[0].ads[0].url_tags"),
        ("/ad_sets/0/ads/0/url_tags", json!("utm#1"), "ad_sets[0].ads[0].url_tags"),
        ("/ad_sets/0/ads/0/creative_features", json!(["Everything"]), "ad_sets[0].ads[0].creative_features"),
        ("/ad_sets/0/ads/0/shop_destination", json!("yes"), "ad_sets[0].ads[0].shop_destination"),
        ("/ad_sets/0/ads/0/creative", json!({"creative_id": "1"}), "ad_sets[0].ads[0].url_tags"),
        ("/ad_sets/0/ads/0/status", json!("ACTIVE"), "ad_sets[0].ads[0].status"),
        ("/ad_sets/0/ads/0/creative", Value::Null, "ad_sets[0].ads[0].creative"),
        ("/ad_sets/0/ads/0/creative", json!({}), "ad_sets[0].ads[0].creative"),
        ("/ad_sets/0/ads/0/creative", json!({"post_id": "12"}), "ad_sets[0].ads[0].creative.post_id"),
        ("/ad_sets/0/ads/0/creative", json!({"post_id": "a_b"}), "ad_sets[0].ads[0].creative.post_id"),
        ("/ad_sets/0/ads/0/creative", json!({"creative_id": "x"}), "ad_sets[0].ads[0].creative.creative_id"),
        ("/ad_sets/0/ads/0/creative", json!({"image": "x"}), "ad_sets[0].ads[0].creative"),
        (
            "/ad_sets/0/ads/0/creative",
            json!({"instagram_post": {"media": "1"}}),
            "ad_sets[0].ads[0].creative.instagram_post.page",
        ),
        (
            "/ad_sets/0/ads/0/creative",
            json!({"instagram_post": {"media": "1", "page": "1", "link": "example.com"}}),
            "ad_sets[0].ads[0].creative.instagram_post.link",
        ),
    ];
    let of_link: [(&'static str, Value, &'static str); 24] = [
        ("page", Value::Null, "page"),
        ("page", json!("my page"), "page"),
        ("instagram_user", json!("@me"), "instagram_user"),
        ("link", Value::Null, "link"),
        ("link", json!("example.com"), "link"),
        ("link", json!("ftp://example.com"), "link"),
        ("link", json!("https://exämple.com"), "link"),
        ("link", json!("javascript:alert(1)"), "link"),
        ("message", json!(""), "message"),
        ("message", json!(" \n "), "message"),
        ("message", json!("x".repeat(5001)), "message"),
        ("message", Value::Null, "message"),
        ("headline", json!("a\nb"), "headline"),
        ("headline", json!("x".repeat(513)), "headline"),
        ("description", json!(""), "description"),
        ("display_link", json!("https://example.com/"), "display_link"),
        ("image", json!("not a hash!"), "image"),
        ("video", json!("x"), "video"),
        ("thumbnail_url", json!("https://example.com/a.jpg"), "thumbnail_url"),
        ("call_to_action", json!("shop now"), "call_to_action"),
        ("lead_form", json!("my form"), "lead_form"),
        ("cards", json!([{"image": "a1"}]), "cards"),
        ("cards", json!([{"image": "a1"}, {"headline": "h"}]), "cards[1].image"),
        ("cards", json!([{"image": "a1"}, {"image": "a1", "link": "x"}]), "cards[1].link"),
    ];
    for (part, value, field) in of_link {
        // The documents live as long as the process of this test.
        for ad in ["ad_sets[0].ads[0]", "ad_sets[1].ads[0]"] {
            let place = ad.replace("ad_sets[", "/ad_sets/").replace("].ads[", "/ads/").replace(']', "");
            let pointer = format!("{place}/creative/link/{part}").leak();
            all.push((pointer, value.clone(), format!("{ad}.creative.link.{field}").leak()));
        }
    }
    all
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let (place, name) = pointer.rsplit_once('/').unwrap();
    let place = if place.is_empty() { document } else { document.pointer_mut(place).unwrap() };
    match place {
        Value::Object(fields) if value.is_null() => drop(fields.remove(name)),
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
        other => panic!("{pointer} is in {other}"),
    }
}

#[tokio::test]
async fn every_broken_document_is_refused_where_it_is_broken_without_asking_meta() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let mut good = large(&sim.account().page_id, ["11", "12"]);
    set(&mut good, "/ad_sets/1/ads/1/creative/link/video", json!("77"));
    for card in [0, 1] {
        set(&mut good, &format!("/ad_sets/0/ads/1/creative/link/cards/{card}/image"), json!("a1b2"));
    }
    let path = format!("ad-accounts/{}/campaigns?dry_run=true&ask_meta=false", scenario.account().unwrap());
    let checked = dry_run(&scenario, &path, &good).await;
    assert_eq!(checked["findings"], json!([]), "what is broken below was good");
    let calls = sim.calls();
    let broken = broken();
    println!("{} broken documents.", broken.len());
    assert!(broken.len() >= 200, "{}", broken.len());
    let mut wrong = Vec::new();
    for (number, (pointer, value, field)) in broken.into_iter().enumerate() {
        let mut document = good.clone();
        set(&mut document, pointer, value.clone());
        let response = scenario.launch(&format!("broken-{number}"), &document).await.unwrap();
        let body = response.json();
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = errors.iter().find(|error| error["field"] == field);
        let remedy = named.and_then(|error| error["message"].as_str()).is_some_and(|text| text.len() >= 10);
        if response.status != 400 || !remedy {
            wrong.push(format!("{pointer} = {value}: {field} in {}", response.text));
        }
    }
    assert!(wrong.is_empty(), "{} are not:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(sim.calls(), calls, "Meta was asked");
    scenario.finish().await.unwrap();
}
