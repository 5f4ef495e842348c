//! Datasets by people, placement and hour: measured when somebody asks for them, and fresh from then on.

use domain::dataset::Dataset;
use http::Method;
use journeys::{Scenario, TODAY};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::queries::ask;

const SUMMED: [&str; 6] = ["spend", "impressions", "clicks", "purchases", "purchase_value", "thruplays"];

/// Asks for a week of the account, split by these dimensions.
async fn week(scenario: &Scenario, dimensions: &[&str], filters: Value) -> Value {
    let document = json!({
        "level": "account", "measures": SUMMED, "dimensions": dimensions, "filters": filters,
        "range": {"since": "2026-11-10", "until": "2026-11-16"}, "limit": 500,
    });
    let answer = ask(scenario, &document).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn measure(scenario: &Scenario, datasets: &[Dataset]) {
    let body = json!({"since": "2026-11-09", "until": "2026-11-16", "datasets": datasets});
    let accepted = scenario.call_as_owner(Method::POST, "sync", Some(body)).await.unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    scenario.system.runner.settle().await.unwrap();
}

#[tokio::test]
async fn every_breakdown_comes_to_what_is_not_split() {
    let scenario = Scenario::synced().await.unwrap();
    let whole = week(&scenario, &[], json!([])).await;
    let before = week(&scenario, &["age", "gender"], json!([])).await;
    assert_eq!(before["data"], json!([]));
    assert_eq!(
        before["ad_accounts"][0]["incomplete_days"][0]["state"], "unavailable",
        "nobody has asked for it"
    );

    let datasets =
        [Dataset::AGE_GENDER, Dataset::PLACEMENT, Dataset::COUNTRY, Dataset::DEVICE, Dataset::HOUR];
    measure(&scenario, &datasets).await;
    for dimensions in [
        &["age", "gender"][..],
        &["gender"],
        &["publisher_platform", "platform_position"],
        &["country"],
        &["device_platform"],
        &["hour_of_day"],
    ] {
        let split = week(&scenario, dimensions, json!([])).await;
        assert!(split["data"].as_array().unwrap().len() > 1, "{split}");
        assert_eq!(split["ad_accounts"][0]["incomplete_days"], json!([]), "{dimensions:?}");
        for name in SUMMED {
            let (of_parts, of_whole) =
                (&split["totals"]["measures"][name], &whole["totals"]["measures"][name]);
            // What happens outside of Meta's apps is not known by hour.
            let is_unknown = ["purchases", "purchase_value", "thruplays"].contains(&name);
            if dimensions == ["hour_of_day"] && is_unknown {
                assert!(of_parts.is_null(), "unknown, which is not zero: {of_parts}");
            } else {
                assert_eq!(of_parts, of_whole, "{name} by {dimensions:?}");
            }
        }
    }

    // Hours in the order of time, which come to their days.
    let by_hour = week(&scenario, &["day", "hour_of_day"], json!([])).await;
    let by_hour = by_hour["data"].as_array().unwrap();
    let dimensions = |row: &Value| {
        let text = |name: &str| row["dimensions"][name].as_str().unwrap().to_owned();
        (text("day"), text("hour_of_day"))
    };
    assert!(by_hour.is_sorted_by_key(dimensions), "{by_hour:?}");
    for day in week(&scenario, &["day"], json!([])).await["data"].as_array().unwrap() {
        let of_day = by_hour.iter().filter(|row| row["dimensions"]["day"] == day["dimensions"]["day"]);
        let spend = |row: &Value| row["measures"]["spend"].as_str().unwrap().parse::<Decimal>().unwrap();
        assert_eq!(of_day.map(spend).sum::<Decimal>(), spend(day), "{day}");
    }

    // A filter without a dimension reads the same dataset.
    let female = json!([{"field": "gender", "op": "in", "value": ["female"]}]);
    let filtered = week(&scenario, &[], female).await;
    let by_gender = week(&scenario, &["gender"], json!([])).await;
    let row =
        by_gender["data"].as_array().unwrap().iter().find(|row| row["dimensions"]["gender"] == "female");
    assert_eq!(filtered["totals"]["measures"], row.unwrap()["measures"]);

    // Campaigns by age come to the account by age.
    let mut document = json!({
        "level": "campaign", "measures": ["spend"], "dimensions": ["age"], "limit": 500,
        "range": {"since": "2026-11-10", "until": "2026-11-16"},
        "filters": [{"field": "age", "op": "not_in", "value": ["65+"]}],
    });
    let of_campaigns = ask(&scenario, &document).await.json();
    document["level"] = json!("account");
    let of_account = ask(&scenario, &document).await.json();
    assert_eq!(of_campaigns["totals"]["measures"], of_account["totals"]["measures"]);
    assert!(of_campaigns["data"].as_array().unwrap().len() > of_account["data"].as_array().unwrap().len());

    // Age and country are of different datasets, which cannot be put together.
    document["dimensions"] = json!(["age", "country"]);
    let refused = ask(&scenario, &document).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["errors"][0]["field"].as_str()),
        (400, Some("dimensions"))
    );

    // From now on they are kept fresh: the days since the first that was asked for.
    scenario.sync().await.unwrap();
    let workspace = local::tenant::tenant("demo").unwrap();
    let account = scenario.account().unwrap().parse().unwrap();
    let chunks = scenario.system.table.chunks(&workspace, &account).await.unwrap();
    for dataset in datasets {
        let of_dataset: Vec<_> = chunks.iter().filter(|chunk| chunk.dataset == dataset).collect();
        assert!(of_dataset.iter().any(|chunk| chunk.measured_at(TODAY).is_some()), "{}", dataset.name);
        assert_eq!(of_dataset.len(), 2, "{}: two weeks, and none before them", dataset.name);
    }
    assert!(chunks.iter().all(|chunk| !Dataset::MARKET.eq(&chunk.dataset)), "nobody has asked for markets");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_the_advertiser_has_not_switched_on_is_unknown_and_not_zero() {
    let scenario = Scenario::synced().await.unwrap();
    let by_device = async |scenario: &Scenario| week(scenario, &["impression_device"], json!([])).await;
    // Without the opt-in Meta answers no rows.
    scenario.sim().unwrap().edit_answers(|path, _, body| {
        if path.contains("impression_device") {
            let mut answer: Value = serde_json::from_str(body).unwrap();
            answer["data"] = json!([]);
            *body = answer.to_string();
        }
    });
    measure(&scenario, &[Dataset::IMPRESSION_DEVICE]).await;
    let answer = by_device(&scenario).await;
    assert_eq!(answer["ad_accounts"][0]["incomplete_days"][0]["state"], "not_enabled");
    let filtered = json!([{"field": "impression_device", "op": "in", "value": ["iphone"]}]);
    let filtered = week(&scenario, &[], filtered).await;
    assert_eq!(filtered["data"][0]["measures"], json!({}), "no zeros: {filtered}");

    // An administrator switches it on in Ads Manager.
    scenario.sim().unwrap().edit_answers(|_, _, _| {});
    measure(&scenario, &[Dataset::IMPRESSION_DEVICE]).await;
    let answer = by_device(&scenario).await;
    assert_eq!(answer["ad_accounts"][0]["incomplete_days"], json!([]));
    assert_eq!(answer["totals"]["measures"], week(&scenario, &[], json!([])).await["totals"]["measures"]);
    scenario.finish().await.unwrap();
}
