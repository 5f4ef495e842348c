//! Ads are seen before they are launched, and when they exist.

use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

async fn preview(scenario: &Scenario, query: &str, document: &Value) -> (u16, Value) {
    let path =
        format!("ad-accounts/{}/previews?ad_format=INSTAGRAM_STANDARD{query}", scenario.account().unwrap());
    let (status, text) =
        scenario.api().unwrap().send(Method::POST, &path, Some(document), &[]).await.unwrap();
    (status.as_u16(), serde_json::from_str(&text).unwrap())
}

async fn page(shown: &Value) -> String {
    reqwest::get(shown["url"].as_str().unwrap()).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn an_ad_is_seen_before_and_after_its_launch() {
    let scenario = Scenario::synced().await.unwrap();
    let mut document = scenario.launch_document().unwrap();
    let mut other = document["ad"].take();
    document.as_object_mut().unwrap().remove("ad");
    let link = json!({"page": scenario.sim().unwrap().account().page_id, "link": "https://example.com", "message": "First words"});
    let first = json!({"creative": {"link": link}});
    other["creative"] = json!({"link": link});
    other["creative"]["link"]["message"] = json!("Other words");
    document["ad_set"]["ads"] = json!([first, other]);
    let writes = || scenario.sim().unwrap().requests().iter().filter(|call| call.method == "POST").count();
    let before = writes();
    let (status, shown) = preview(&scenario, "", &document).await;
    assert_eq!(status, 200, "{shown}");
    assert!(page(&shown).await.contains("First words"));
    let (status, shown) = preview(&scenario, "&ad=ad_sets%5B0%5D.ads%5B1%5D", &document).await;
    assert_eq!(status, 200, "{shown}");
    assert!(page(&shown).await.contains("Other words"));
    // What the ad shows must be right; the rest of the document may still be missing.
    document["name"] = json!("");
    document.as_object_mut().unwrap().remove("daily_budget");
    assert_eq!(preview(&scenario, "", &document).await.0, 200);
    document["ad_set"]["ads"][0]["creative"]["link"]["link"] = json!("example");
    let (status, refused) = preview(&scenario, "", &document).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (400, &json!("ad_set.ads[0].creative.link.link")));
    let (status, refused) = preview(&scenario, "&ad=ad_sets%5B0%5D.ads%5B7%5D", &document).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (400, &json!("ad")), "{refused}");
    // Meta's own words, where it refuses.
    document["ad_set"]["ads"][0]["creative"]["link"]["link"] = json!("https://example.com");
    document["ad_set"]["ads"][0]["creative"]["link"]["page"] = json!("1");
    let (status, refused) = preview(&scenario, "", &document).await;
    assert!(status == 422 && refused["detail"].as_str().unwrap().contains("page"), "{refused}");
    assert_eq!(writes(), before);

    let launched = scenario.launch("seen", &scenario.launch_document().unwrap()).await.unwrap().json();
    let ad = launched["ad_id"].as_str().unwrap();
    let path = format!("ad-accounts/{}/ads/{ad}/preview?ad_format=", scenario.account().unwrap());
    let api = scenario.api().unwrap();
    let (status, text) =
        api.send(Method::GET, &format!("{path}FACEBOOK_STORY_MOBILE"), None, &[]).await.unwrap();
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status.as_u16(), &shown["height"]), (200, &json!(480)));
    assert!(page(&shown).await.contains("FACEBOOK_STORY_MOBILE"));
    let (status, text) = api.send(Method::GET, &format!("{path}BILLBOARD"), None, &[]).await.unwrap();
    assert!(status.as_u16() == 400 && text.contains("ad_format"), "{text}");
}
