//! Tests of copies, budget schedules, and deletion of many campaigns.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ManualClock, config, generated};

const TARGETING: &str =
    r#"{"geo_locations":{"countries":["SG"]},"targeting_automation":{"advantage_audience":0}}"#;

fn id(made: &Value, field: &str) -> String {
    made[field].as_str().unwrap().to_owned()
}

async fn new_adset(client: &Client, campaign: &str, more: &[(&str, &str)]) -> String {
    let params = [
        ("name", "Set"),
        ("campaign_id", campaign),
        ("billing_event", "IMPRESSIONS"),
        ("optimization_goal", "LINK_CLICKS"),
        ("targeting", TARGETING),
    ];
    id(&client.post(&client.act("adsets"), &[&params[..], more].concat()).await, "id")
}

async fn new_ad(client: &Client, adset: &str) -> String {
    let story = json!({"object_story_id": format!("{}_9", client.sim.account().page_id)}).to_string();
    let params = [("name", "Ad"), ("adset_id", adset), ("creative", &story)];
    id(&client.post(&client.act("ads"), &params).await, "id")
}

#[tokio::test]
async fn a_campaign_is_copied_with_what_is_below_it() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let adset = new_adset(&client, &campaign, &[]).await;
    let ad = new_ad(&client, &adset).await;
    let copies = format!("{campaign}/copies");
    let copied = client.post(&copies, &[("deep_copy", "true")]).await;
    let copy = id(&copied, "copied_campaign_id");
    let objects = copied["ad_object_ids"].as_array().unwrap();
    let sources: Vec<(&str, &str)> = objects
        .iter()
        .map(|object| (object["ad_object_type"].as_str().unwrap(), object["source_id"].as_str().unwrap()))
        .collect();
    assert_eq!(sources, [("campaign", campaign.as_str()), ("ad_set", &adset), ("ad", &ad)]);
    let read = client.get(&copy, &[("fields", "name,status,source_campaign_id,daily_budget")]).await;
    assert_eq!(read["name"], "Made by a test - Copy");
    assert_eq!((&read["source_campaign_id"], &read["daily_budget"]), (&json!(campaign), &json!("5000")));
    let below = client
        .get(
            objects[2]["copied_id"].as_str().unwrap(),
            &[("fields", "name,status,adset_id,campaign_id,creative")],
        )
        .await;
    assert_eq!((&below["name"], &below["status"]), (&json!("Ad"), &json!("PAUSED")));
    assert_eq!((&below["campaign_id"], &below["adset_id"]), (&json!(copy), &objects[1]["copied_id"]));
    assert_eq!(
        below["creative"]["id"],
        client.sim.node(&ad).unwrap()["creative"]["id"],
        "the post keeps its likes"
    );
    let listed = client.get(&copies, &[]).await;
    assert_eq!(listed["data"], json!([{"id": copy}]));

    new_ad(&client, &adset).await;
    let deep = [("deep_copy", "true")];
    assert_eq!(client.error(Method::POST, &copies, &deep).await, (400, 100, Some(1885194)));
    client.post(&copies, &[]).await;
}

#[tokio::test]
async fn copies_are_named_and_started_as_the_caller_says() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let adset = new_adset(&client, &campaign, &[]).await;
    let ad = new_ad(&client, &adset).await;
    let rename = r#"{"rename_strategy":"DEEP_RENAME","rename_prefix":"New ","rename_suffix":"!"}"#;
    let params =
        [("deep_copy", "true"), ("rename_options", rename), ("status_option", "INHERITED_FROM_SOURCE")];
    let copied = client.post(&format!("{adset}/copies"), &params).await;
    let names: Vec<Value> = copied["ad_object_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| client.sim.node(object["copied_id"].as_str().unwrap()).unwrap()["name"].clone())
        .collect();
    assert_eq!(names, ["New Set!", "New Ad!"]);
    assert_eq!(client.sim.node(&id(&copied, "copied_adset_id")).unwrap()["status"], "ACTIVE");

    let other = new_adset(&client, &campaign, &[]).await;
    let story = json!({"object_story_id": format!("{}_10", client.sim.account().page_id)}).to_string();
    let params = [
        ("adset_id", other.as_str()),
        ("creative_parameters", &story),
        ("rename_options", r#"{"rename_strategy":"NO_RENAME"}"#),
    ];
    let copied = client.post(&format!("{ad}/copies"), &params).await;
    let copy = client
        .get(&id(&copied, "copied_ad_id"), &[("fields", "name,adset_id,creative{object_story_id}")])
        .await;
    assert_eq!((&copy["name"], &copy["adset_id"]), (&json!("Ad"), &json!(other)));
    assert!(story.contains(copy["creative"]["object_story_id"].as_str().unwrap()));
    let odd = [("rename_options", r#"{"rename_strategy":"SHOUT"}"#)];
    assert_eq!(client.error(Method::POST, &format!("{ad}/copies"), &odd).await, (400, 100, None));
}

#[tokio::test]
async fn a_copy_of_what_has_ended_begins_now() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let adset = new_adset(&client, &campaign, &[("end_time", "2026-11-22T10:00:00+0800")]).await;
    client.time.advance_minutes(5 * 24 * 60);
    let copied = client.post(&format!("{adset}/copies"), &[]).await;
    let copy = client.sim.node(&id(&copied, "copied_adset_id")).unwrap();
    assert_eq!(
        (&copy["start_time"], &copy["end_time"]),
        (&json!("2026-11-25T10:00:00+0800"), &json!("2026-11-27T10:00:00+0800"))
    );
}

#[tokio::test]
async fn a_budget_can_be_higher_for_some_hours() {
    let client = Client::new().await;
    let campaign = client.new_campaign().await;
    let edge = format!("{campaign}/budget_schedules");
    // 2026-11-21, midnight in Singapore.
    let start = 1_795_190_400_i64;
    let schedule = |hours: i64, value: &str, kind: &str| {
        let (from, to) = (start.to_string(), (start + hours * 3_600).to_string());
        [
            ("time_start", from),
            ("time_end", to),
            ("budget_value", value.to_owned()),
            ("budget_value_type", kind.to_owned()),
        ]
    };
    let pairs = |form: &[(&'static str, String)]| form.to_vec();
    for (hours, value, kind) in
        [(2, "2", "MULTIPLIER"), (3, "9", "MULTIPLIER"), (3, "35001", "ABSOLUTE"), (3, "2", "DOUBLE")]
    {
        let form = pairs(&schedule(hours, value, kind));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(client.error(Method::POST, &edge, &form).await, (400, 100, None), "{form:?}");
    }
    let form = schedule(3, "35000", "ABSOLUTE");
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = id(&client.post(&edge, &form).await, "id");
    let listed =
        client.get(&edge, &[("fields", "budget_value,budget_value_type,time_start,ad_object_id")]).await;
    let expected = json!([{"id": made, "budget_value": 35000, "budget_value_type": "ABSOLUTE",
                           "time_start": "2026-11-21T00:00:00+0800", "ad_object_id": campaign}]);
    assert_eq!(listed["data"], expected);
    client.post(&made, &[("budget_value", "30000")]).await;
    assert_eq!(client.sim.node(&made).unwrap()["budget_value"], 30000);
    for _ in 1..50 {
        client.post(&edge, &form).await;
    }
    assert_eq!(client.error(Method::POST, &edge, &form).await, (400, 100, None), "fifty are the most");
    client.send(Method::DELETE, &made, &[]).await.unwrap();
    assert_eq!(client.sim.node(&made), None);
}

#[tokio::test]
async fn many_campaigns_are_deleted_at_once() {
    let client = Client::new().await;
    let edge = client.act("campaigns");
    assert_eq!(client.error(Method::DELETE, &edge, &[]).await, (400, 100, None));
    let oldest = [("delete_strategy", "DELETE_OLDEST"), ("object_count", "3")];
    let deleted: Value = serde_json::from_str(
        &client.send(Method::DELETE, &edge, &oldest).await.unwrap().text().await.unwrap(),
    )
    .unwrap();
    assert_eq!(deleted["objects_left_to_delete_count"], 17);
    let ids = deleted["deleted_object_ids"].as_array().unwrap();
    assert_eq!(ids.len(), 3);
    let created = |id: &Value| {
        client.sim.campaign(id.as_str().unwrap()).unwrap()["created_time"].as_str().unwrap().to_owned()
    };
    assert!(created(&ids[0]) <= created(&ids[1]) && created(&ids[1]) <= created(&ids[2]));
    let archived =
        [("delete_strategy", "DELETE_ARCHIVED_BEFORE"), ("before_date", "2026-11-20T00:00:00+0800")];
    client.send(Method::DELETE, &edge, &archived).await.unwrap();
    let listed = client.get(&edge, &[("effective_status", "[\"ARCHIVED\"]")]).await;
    assert_eq!(listed["data"], json!([]));
}

#[tokio::test]
async fn an_account_holds_so_much_and_no_more() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.writing.max_objects_per_kind = 21;
    let client = Client::with_config(config, time).await.unwrap();
    let first = client.new_campaign().await;
    let copies = format!("{first}/copies");
    assert_eq!(client.error(Method::POST, &copies, &[]).await, (400, 100, None));
    client.send(Method::DELETE, &first, &[]).await.unwrap();
    client.new_campaign().await;
}
