//! Ad sets and ads are added to what exists, all of them or none; what was there before is never touched.

use domain::entity::Level;
use domain::id::EntityId;
use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

use crate::duplicate::below;

async fn add(scenario: &Scenario, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let path = format!("ad-accounts/{}/{path}", scenario.account().unwrap());
    let key = [("idempotency-key", key)];
    let (status, text) = scenario.api().unwrap().send(Method::POST, &path, Some(body), &key).await.unwrap();
    (status.as_u16(), serde_json::from_str(&text).unwrap())
}

/// The ad set and the ad of a document, without a budget of the ad set.
fn parts(scenario: &Scenario) -> (Value, Value) {
    let document = scenario.launch_document().unwrap();
    (document["ad_set"].clone(), document["ad"].clone())
}

/// The ad sets of a campaign, and the ads of an ad set of it, at Meta.
async fn at_meta(scenario: &Scenario, campaign: &str, ad_set: &str) -> (usize, Vec<String>) {
    let campaign: EntityId = campaign.parse().unwrap();
    let ad_sets = below(scenario, Level::AdSet, &campaign).await.len();
    let ads = below(scenario, Level::Ad, &campaign).await.into_iter();
    let of_it = ads.filter(|ad| ad.adset_id.as_ref().is_some_and(|id| id.as_str() == ad_set));
    (ad_sets, of_it.map(|ad| ad.name.unwrap_or_default()).collect())
}

#[tokio::test]
async fn ad_sets_and_ads_join_a_campaign_that_exists() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let launched = scenario.launch("base", &scenario.launch_document().unwrap()).await.unwrap().json();
    let [campaign, ad_set] = ["campaign_id", "adset_id"].map(|id| launched[id].as_str().unwrap());
    let (mut new_set, ad) = parts(&scenario);
    let mut other = ad.clone();
    other["name"] = json!("Another film");
    new_set["name"] = json!("Added");
    new_set["ads"] = json!([ad, other]);
    let body = json!({"ad_sets": [new_set]});
    let (status, checked) =
        add(&scenario, &format!("campaigns/{campaign}/adsets?dry_run=true"), "dry", &body).await;
    assert_eq!((status, &checked["launchable"]), (200, &json!(true)), "{checked}");
    let steps: Vec<_> = checked["requests"].as_array().unwrap().iter().map(|one| &one["step"]).collect();
    assert_eq!(steps, ["ad_sets[0]", "ad_sets[0].ads[0]", "ad_sets[0].ads[1]"]);
    let (status, added) = add(&scenario, &format!("campaigns/{campaign}/adsets"), "added", &body).await;
    assert_eq!(status, 201, "{added}");
    assert_eq!((&added["campaign_id"], &added["differences"]), (&json!(campaign), &Value::Null));
    let new = sim.node(added["adset_id"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&new["name"], &new["status"], &new["campaign_id"]),
        (&json!("Added"), &json!("PAUSED"), &json!(campaign))
    );
    let (ad_sets, ads) = at_meta(&scenario, campaign, new["id"].as_str().unwrap()).await;
    assert_eq!((ad_sets, ads.len()), (2, 2));
    // Once for its key.
    let (status, again) = add(&scenario, &format!("campaigns/{campaign}/adsets"), "added", &body).await;
    assert_eq!((status, &again["adset_id"]), (201, &added["adset_id"]));

    let path = format!("adsets/{ad_set}/ads");
    let (status, checked) =
        add(&scenario, &format!("{path}?dry_run=true"), "dry-ads", &json!({"ads": [other]})).await;
    assert_eq!(
        (status, &checked["requests"][0]["parameters"]["adset_id"]),
        (200, &json!(ad_set)),
        "{checked}"
    );
    let (status, added) = add(&scenario, &path, "ads", &json!({"ads": [other]})).await;
    assert_eq!((status, &added["adset_id"]), (201, &json!(ad_set)), "{added}");
    let (_, ads) = at_meta(&scenario, campaign, ad_set).await;
    assert!(ads.len() == 2 && ads.iter().any(|name| name == "Another film"), "{ads:?}");

    // Every mistake has its place, and Meta adds nothing to what is over.
    let mut wrong = other.clone();
    wrong["name"] = json!("");
    wrong["creative"] = json!({"post_id": "12"});
    let (status, problem) = add(&scenario, &path, "wrong", &json!({"ads": [other, wrong]})).await;
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!((status, fields), (400, vec![&json!("ads[1].name"), &json!("ads[1].creative.post_id")]));
    let (status, problem) =
        add(&scenario, &format!("campaigns/{campaign}/adsets"), "none", &json!({"ad_sets": []})).await;
    assert_eq!(status, 400, "{problem}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_addition_that_meta_refuses_late_leaves_what_was_there_before() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let launched = scenario.launch("base", &scenario.launch_document().unwrap()).await.unwrap().json();
    let [campaign, ad_set, ad] =
        ["campaign_id", "adset_id", "ad_id"].map(|id| launched[id].as_str().unwrap());
    let (mut new_set, new_ad) = parts(&scenario);
    new_set["ads"] = json!([new_ad, new_ad]);
    let refusal = |skip| Fault {
        method: Some("POST".to_owned()),
        path_contains: "/ads".to_owned(),
        times: 1,
        skip,
        kind: FaultKind::ErrorResponse(graph_sim::ErrorResponse::new(100, None)),
    };
    let before = [campaign, ad_set, ad].map(|id| sim.node(id).unwrap());
    sim.fail_next(refusal(2));
    let (status, problem) =
        add(&scenario, &format!("campaigns/{campaign}/adsets"), "late", &json!({"ad_sets": [new_set]})).await;
    assert_eq!(status, 422, "{problem}");
    sim.fail_next(refusal(1));
    let (status, problem) =
        add(&scenario, &format!("adsets/{ad_set}/ads"), "late-ads", &json!({"ads": [new_ad, new_ad]})).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!([campaign, ad_set, ad].map(|id| sim.node(id).unwrap()), before);
    let (ad_sets, ads) = at_meta(&scenario, campaign, ad_set).await;
    assert_eq!((ad_sets, ads.len()), (1, 1));
    scenario.finish().await.unwrap();
}
