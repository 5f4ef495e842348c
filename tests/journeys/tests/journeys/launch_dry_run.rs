//! Dry runs of launches: what is wrong with a document, and what would be sent.

use graph_sim::{ErrorResponse, Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

use crate::defaults::set_defaults;
use crate::launch_document::media;

/// Checks a document without launching it.
pub(super) async fn dry_run(scenario: &Scenario, path: &str, document: &Value) -> Value {
    let key = [("idempotency-key", "dry-run")];
    scenario.api().unwrap().call_with(Method::POST, path, Some(document), &key).await.unwrap()
}

#[tokio::test]
async fn a_dry_run_says_what_is_wrong_and_what_would_be_sent_and_creates_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let page = sim.account().page_id;
    assert_eq!(set_defaults(&scenario, &json!({"page": page, "pixel": "123"})).await.status, 200);
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/campaigns?dry_run=true");
    // Ten lines are a campaign for sales: the rest comes from objective and ad account.
    let document = json!({
        "name": "Ten lines",
        "objective": "OUTCOME_SALES",
        "daily_budget": {"amount": 5000, "currency": "SGD"},
        "ad_set": {"countries": ["MY"], "promoted_object": {"custom_event_type": "PURCHASE"}},
        "ad": {"creative": {"link": {"link": "https://example.com/", "message": "Hello"}}},
    });
    let calls = sim.calls();
    let checked = dry_run(&scenario, &path, &document).await;
    assert_eq!((&checked["launchable"], &checked["findings"]), (&json!(true), &json!([])), "{checked}");
    assert_eq!(sim.calls(), calls + 2, "Meta said its least budget and validated the campaign");
    let requests = checked["requests"].as_array().unwrap();
    let steps: Vec<_> = requests.iter().map(|request| &request["step"]).collect();
    assert_eq!(steps, ["campaign", "ad_sets[0]", "ad_sets[0].ads[0]"]);
    assert_eq!(requests[1]["path"], format!("{account}/adsets"));
    let parameters = &requests[1]["parameters"];
    assert_eq!(
        [&parameters["campaign_id"], &parameters["optimization_goal"]],
        ["{campaign}", "OFFSITE_CONVERSIONS"]
    );
    assert!(parameters["promoted_object"].as_str().unwrap().contains(r#""pixel_id":"123""#), "{parameters}");

    let mut wrong = document.clone();
    wrong["ad_set"]["end"] = json!("2020-01-01T00:00:00");
    wrong["ad_set"]["bid_amount"] = json!({"amount": 1, "currency": "SGD"});
    let calls = sim.calls();
    let checked = dry_run(&scenario, &path, &wrong).await;
    assert_eq!(checked["launchable"], false);
    let fields: Vec<_> =
        checked["findings"].as_array().unwrap().iter().map(|finding| &finding["field"]).collect();
    assert_eq!(fields, ["ad_set.bid_amount", "ad_set.end"]);
    assert_eq!(sim.calls(), calls, "what is known to be wrong is not asked");

    // What only Meta knows: a budget below its minimum.
    let mut small = document.clone();
    small["daily_budget"]["amount"] = json!(1);
    let checked = dry_run(&scenario, &path, &small).await;
    assert_eq!(
        (&checked["launchable"], &checked["findings"][0]["field"]),
        (&json!(false), &json!("daily_budget.amount"))
    );
    sim.fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: "/campaigns".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::ErrorResponse(ErrorResponse::new(100, None)),
    });
    let refused = dry_run(&scenario, &path, &document).await;
    assert_eq!(refused["findings"][0]["field"], "campaign");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_finds_what_the_account_lacks_and_budgets_that_meta_does_not_take() {
    let scenario = Scenario::smallest().await.unwrap();
    let (image, video) = media(&scenario).await;
    let page = scenario.sim().unwrap().account().page_id;
    let document = |budget: i64, image: &str, video: &str| {
        let link = json!({"page": page, "link": "https://example.com", "message": "One"});
        let cards = json!([{"image": image, "headline": "A"}, {"video": video, "headline": "B"}]);
        let with = |name: &str, value: Value| {
            let mut link = link.clone();
            link[name] = value;
            json!({"creative": {"link": link}})
        };
        json!({
            "name": "Autumn", "objective": "OUTCOME_TRAFFIC", "daily_budget": {"amount": budget, "currency": "SGD"},
            "ad_set": {"countries": ["SG"], "ads": [with("video", json!(video)), with("cards", cards)]},
        })
    };
    let path = format!("ad-accounts/{}/campaigns?dry_run=true", scenario.account().unwrap());
    let found = dry_run(&scenario, &path, &document(1, "abc", "42")).await;
    let findings: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["field"].as_str().unwrap(), one["message"].as_str().unwrap()))
        .collect();
    let least = scenario.sim().unwrap().requests().iter().any(|call| call.edge == "minimum_budgets");
    assert!(
        least
            && findings[0].0 == "daily_budget.amount"
            && findings[0].1.contains("or more: Meta's least of a day in SGD"),
        "{found}"
    );
    let no_video = "is no video of this ad account; upload it first";
    assert_eq!(
        findings[1..],
        [
            ("ad_set.ads[1].creative.link.cards[0].image", "is no image of this ad account; upload it first"),
            ("ad_set.ads[0].creative.link.video", no_video),
            ("ad_set.ads[1].creative.link.cards[1].video", no_video),
        ]
    );
    let right = dry_run(&scenario, &path, &document(5_000, image.as_str(), video.as_str())).await;
    assert_eq!((&right["launchable"], &right["findings"]), (&json!(true), &json!([])));

    let mut document = document(5_000, image.as_str(), video.as_str());
    let audiences = format!("ad-accounts/{}/audiences", scenario.account().unwrap());
    let listed = scenario.api().unwrap().call(Method::GET, &audiences, None).await.unwrap()["data"].take();
    assert_eq!(
        listed[1],
        json!({
            "id": scenario.sim().unwrap().custom_audiences()[1], "name": "Like the customers of last year",
            "subtype": "LOOKALIKE", "people_from": 189_000, "people_to": 231_000, "ready": true,
        })
    );
    assert_eq!(
        (&listed[2]["ready"], &listed[2]["problem"], &listed[2]["people_from"]),
        (&json!(false), &json!("This audience is too small."), &Value::Null)
    );
    document["ad_set"]["audience"] =
        json!({"custom_audiences": [listed[0]["id"], "999"], "excluded_custom_audiences": [listed[2]["id"]]});
    let unknown = dry_run(&scenario, &path, &document).await;
    let finding = &unknown["findings"][0];
    assert_eq!(finding["field"], "ad_set.audience.custom_audiences[1]", "{unknown}");
    assert!(finding["message"].as_str().unwrap().contains("names 999"), "{unknown}");
    assert_eq!(unknown["findings"].as_array().unwrap().len(), 1, "{unknown}");
    scenario.finish().await.unwrap();
}
