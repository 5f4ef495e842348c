//! Tests of changing an account.

use reqwest::Method;
use serde_json::json;

use crate::client::Client;

const TARGETING: &str =
    r#"{"geo_locations":{"countries":["SG"]},"targeting_automation":{"advantage_audience":0}}"#;

async fn new_adset(client: &Client, campaign: &str) -> String {
    let params = [
        ("name", "Set"),
        ("campaign_id", campaign),
        ("billing_event", "IMPRESSIONS"),
        ("optimization_goal", "LINK_CLICKS"),
        ("targeting", TARGETING),
    ];
    client.post(&client.act("adsets"), &params).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_campaign_is_made_started_and_deleted_with_all_below_it() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let stored = client.sim.campaign(&campaign).unwrap();
    assert_eq!(stored["created_time"], "2026-11-20T10:00:00+0800");
    assert_eq!((&stored["daily_budget"], &stored["effective_status"]), (&json!("5000"), &json!("PAUSED")));

    let adset = new_adset(&client, &campaign).await;
    let story = format!("{}_99", client.sim.account().page_id);
    let creative = client.post(&client.act("adcreatives"), &[("object_story_id", &story)]).await;
    let creative = json!({"creative_id": creative["id"]}).to_string();
    let ad = client
        .post(&client.act("ads"), &[("name", "Ad"), ("adset_id", &adset), ("creative", &creative)])
        .await;
    let ad = ad["id"].as_str().unwrap();
    let effective =
        async || client.get(ad, &[("fields", "effective_status")]).await["effective_status"].clone();

    assert_eq!(effective().await, "CAMPAIGN_PAUSED");
    client.post(&campaign, &[("status", "ACTIVE")]).await;
    assert_eq!(effective().await, "ACTIVE");
    client.post(&adset, &[("status", "PAUSED")]).await;
    assert_eq!(effective().await, "ADSET_PAUSED");
    let first = client.get(&client.act("campaigns"), &[("limit", "1")]).await;
    assert_eq!(first["data"][0]["id"], campaign.as_str(), "the newest is listed first");

    client.send(Method::DELETE, &campaign, &[]).await.unwrap();
    assert_eq!(effective().await, "DELETED");
    assert_eq!(client.error(Method::DELETE, &campaign, &[]).await, (400, 100, Some(33)));
    assert_eq!(
        client.error(Method::POST, &campaign, &[("status", "ACTIVE")]).await,
        (400, 100, Some(1487566))
    );
    client.post(&campaign, &[("name", "The name may still change")]).await;
    let (listed, _) = client.all(&client.act("campaigns"), &[]).await;
    assert!(listed.iter().all(|row| row["id"] != campaign.as_str()));
}

#[tokio::test]
async fn an_archived_campaign_can_only_be_deleted() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    client.post(&campaign, &[("status", "ARCHIVED")]).await;
    for change in [("status", "PAUSED"), ("daily_budget", "9000")] {
        assert_eq!(client.error(Method::POST, &campaign, &[change]).await, (400, 100, Some(1487566)));
    }
    client.post(&campaign, &[("status", "DELETED")]).await;
}

#[tokio::test]
async fn the_fifth_budget_change_within_an_hour_is_refused() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let updated = client.sim.campaign(&campaign).unwrap()["updated_time"].clone();
    client.time.advance_minutes(1);
    for budget in ["5100", "5200", "5200", "5300", "5400"] {
        client.post(&campaign, &[("daily_budget", budget)]).await;
    }
    let fifth = [("daily_budget", "5500")];
    assert_eq!(client.error(Method::POST, &campaign, &fifth).await, (400, 613, Some(1487632)));
    client.post(&campaign, &[("name", "Renaming is free")]).await;
    client.time.advance_minutes(60);
    client.post(&campaign, &fifth).await;
    assert_eq!(client.sim.campaign(&campaign).unwrap()["daily_budget"], "5500");

    let other = client.new_campaign().await;
    let before = client.sim.campaign(&other).unwrap()["updated_time"].clone();
    assert_ne!(before, updated);
    client.time.advance_minutes(5);
    client.post(&other, &fifth).await;
    assert_eq!(client.sim.campaign(&other).unwrap()["updated_time"], before, "budgets leave it alone");
}

#[tokio::test]
async fn wrong_campaigns_are_not_made() {
    let client = Client::new().await;
    let campaigns = client.act("campaigns");
    let good = [
        ("name", "x"),
        ("objective", "OUTCOME_SALES"),
        ("special_ad_categories", "[]"),
        ("daily_budget", "5000"),
    ];
    let without = |left_out: &str| good.into_iter().filter(|(name, _)| *name != left_out).collect::<Vec<_>>();
    let with = |name: &'static str, value: &'static str| [without(name), vec![(name, value)]].concat();
    for (params, subcode) in [
        (without("name"), None),
        (without("objective"), None),
        (without("special_ad_categories"), None),
        (without("daily_budget"), Some(4834011)),
        (with("objective", "CONVERSIONS"), None),
        (with("status", "ARCHIVED"), None),
        (with("daily_budget", "12.50"), None),
        (with("daily_budget", "99"), Some(1885272)),
        (with("lifetime_budget", "5000"), None),
    ] {
        assert_eq!(client.error(Method::POST, &campaigns, &params).await, (400, 100, subcode), "{params:?}");
    }
    let checked = client.post(&campaigns, &with("execution_options", "[\"validate_only\"]")).await;
    assert_eq!(checked, json!({"success": true}));
    let (listed, _) = client.all(&campaigns, &[("limit", "500")]).await;
    assert_eq!(listed.len(), 18, "nothing was made");
    client
        .post(
            &campaigns,
            &[&without("daily_budget")[..], &[("is_adset_budget_sharing_enabled", "false")]].concat(),
        )
        .await;
}

#[tokio::test]
async fn wrong_ad_sets_and_ads_are_not_made() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let base = [
        ("name", "x"),
        ("campaign_id", campaign.as_str()),
        ("billing_event", "IMPRESSIONS"),
        ("optimization_goal", "REACH"),
    ];
    let adset = async |more: &[(&str, &str)]| {
        client.error(Method::POST, &client.act("adsets"), &[&base[..], more].concat()).await
    };
    assert_eq!(adset(&[]).await, (400, 100, None));
    let open = r#"{"geo_locations":{"countries":["SG"]}}"#;
    assert_eq!(adset(&[("targeting", open)]).await, (400, 100, Some(1870227)));
    assert_eq!(adset(&[("targeting", TARGETING), ("daily_budget", "500")]).await, (400, 100, Some(1885621)));

    let adset = new_adset(&client, &campaign).await;
    assert_eq!(
        client.error(Method::POST, &adset, &[("daily_budget", "500")]).await,
        (400, 100, Some(1885621))
    );
    for (creative, subcode) in [
        (r#"{"creative_id":"42"}"#, None),
        (r#"{"object_story_id":"42_1"}"#, Some(1885029)),
        (r#"{"object_story_id":"not a post"}"#, None),
    ] {
        let params = [("name", "x"), ("adset_id", adset.as_str()), ("creative", creative)];
        assert_eq!(client.error(Method::POST, &client.act("ads"), &params).await, (400, 100, subcode));
    }
    let story = format!("{{\"object_story_id\":\"{}_1\"}}", client.sim.account().page_id);
    let ad =
        client.post(&client.act("ads"), &[("name", "x"), ("adset_id", &adset), ("creative", &story)]).await;
    let linked = client.get(ad["id"].as_str().unwrap(), &[("fields", "creative{object_story_id}")]).await;
    assert!(story.contains(linked["creative"]["object_story_id"].as_str().unwrap()));
}
