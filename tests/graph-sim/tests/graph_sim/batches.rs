//! Tests of batches.

use graph_sim::{Fault, FaultKind, spec};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Client, ManualClock, SECRET, config, generated};

/// Sends a batch and returns its responses, with their bodies parsed.
async fn batch(client: &Client, items: &Value, more: &[(&str, &str)]) -> Vec<Value> {
    let items = items.to_string();
    let params: Vec<(&str, &str)> = [("batch", items.as_str())].iter().chain(more).copied().collect();
    let mut answers = client.post("", &params).await;
    for response in answers.as_array_mut().unwrap().iter_mut().filter(|response| !response.is_null()) {
        response["body"] = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    }
    answers.as_array().unwrap().clone()
}

fn codes(answers: &[Value]) -> Vec<Option<u64>> {
    answers.iter().map(|response| response["code"].as_u64()).collect()
}

#[tokio::test]
async fn items_are_answered_in_order_and_fail_alone() {
    let client = Client::new().await;
    let account = client.sim.account().id;
    let campaign = client.new_campaign().await;
    let items = json!([
        {"method": "GET", "relative_url": format!("{account}/ads?limit=2&fields=id%2Cname")},
        {"method": "GET", "relative_url": "/v25.0/me"},
        {"method": "POST", "relative_url": campaign, "body": "name=A+b%26c"},
        {"method": "GET", "relative_url": "v26.0/42"},
        {"method": "DELETE", "relative_url": format!("v26.0/{campaign}")},
    ]);
    let answers = batch(&client, &items, &[]).await;
    assert_eq!(codes(&answers), [200, 200, 200, 400, 200].map(Some));
    assert_eq!(answers[0]["body"]["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&answers[1]["body"]["id"], &answers[3]["body"]["error"]["error_subcode"]),
        (&json!("7"), &json!(33))
    );
    let header = |item: &Value, name: &str| {
        let headers = item["headers"].as_array().unwrap();
        headers
            .iter()
            .find(|header| header["name"] == name)
            .map(|header| header["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(header(&answers[1], "facebook-api-version").unwrap(), "v25.0");
    assert!(header(&answers[0], "x-business-use-case-usage").is_some());
    assert_eq!(client.sim.node(&campaign).unwrap()["name"], "A b&c");

    let plain = batch(&client, &items, &[("include_headers", "false")]).await;
    assert!(plain.iter().all(|response| response.get("headers").is_none()));
    let asked = client.sim.requests();
    assert!(
        asked
            .iter()
            .all(|call| spec::validate(&call.method, &call.class, &call.edge, &call.params).is_empty()
                || call.class.is_empty())
    );
    assert_eq!(asked.iter().filter(|call| call.class == "Campaign").count(), 4, "each item is a call");
}

#[tokio::test]
async fn an_item_uses_the_result_of_another() {
    let client = Client::new().await;
    let account = client.sim.account().id;
    let made =
        "name=Batch&objective=OUTCOME_SALES&status=PAUSED&special_ad_categories=%5B%5D&daily_budget=5000";
    let items = json!([
        {"method": "POST", "name": "new", "relative_url": format!("{account}/campaigns"), "body": made},
        {"method": "GET", "relative_url": "{result=new:$.id}?fields=name"},
        {"method": "GET", "name": "two", "relative_url": format!("{account}/campaigns?limit=2"),
         "omit_response_on_success": false},
        {"method": "GET", "relative_url": format!("{account}/campaigns?fields=id&filtering=\
            [{{\"field\":\"id\",\"operator\":\"IN\",\"value\":[{{result=two:$.data.*.id}}]}}]")},
        {"method": "GET", "name": "none", "relative_url": "42"},
        {"method": "GET", "relative_url": "me", "depends_on": "none"},
        {"method": "GET", "relative_url": "{result=two:$.foo}"},
    ]);
    let answers = batch(&client, &items, &[]).await;
    assert_eq!(codes(&answers), [None, Some(200), Some(200), Some(200), Some(400), None, Some(400)]);
    assert_eq!(answers[1]["body"]["name"], "Batch");
    assert_eq!(answers[3]["body"]["data"], answers[2]["body"]["data"]);
}

#[tokio::test]
async fn a_lost_item_may_have_had_its_effect() {
    let client = Client::new().await;
    let (one, two) = (client.new_campaign().await, client.new_campaign().await);
    let lose = |id: &str, kind| Fault {
        method: Some("POST".into()),
        path_contains: id.into(),
        times: 1,
        skip: 0,
        kind,
    };
    client.sim.fail_next(lose(&one, FaultKind::LostResponse));
    client.sim.fail_next(lose(&two, FaultKind::LostRequest));
    let rename = |id: &str| json!({"method": "POST", "relative_url": id, "body": "name=Renamed"});
    assert_eq!(codes(&batch(&client, &json!([rename(&one), rename(&two)]), &[]).await), [None, None]);
    assert_eq!(client.sim.node(&one).unwrap()["name"], "Renamed");
    assert_eq!(client.sim.node(&two).unwrap()["name"], "Made by a test");
    let again = batch(&client, &json!([rename(&one), rename(&two)]), &[]).await;
    assert_eq!(codes(&again), [Some(200), Some(200)]);
}

#[tokio::test]
async fn batches_have_limits() {
    let mut client = Client::new().await;
    let me = json!({"method": "GET", "relative_url": "me"});
    let fifty = Value::Array(vec![me.clone(); 50]);
    assert_eq!(batch(&client, &fifty, &[]).await.len(), 50);
    let too_many = Value::Array(vec![me; 51]).to_string();
    let response = client.send(Method::POST, "", &[("batch", &too_many)]).await.unwrap();
    assert_eq!(crate::client::json(response).await["error"]["type"], "GraphBatchException");
    assert_eq!(client.error(Method::POST, "", &[("batch", "{")]).await, (400, 100, None));

    let campaign = client.new_campaign().await;
    let targeting =
        r#"{"geo_locations":{"countries":["SG"]},"targeting_automation":{"advantage_audience":0}}"#;
    let body = format!(
        "name=x&campaign_id={campaign}&billing_event=IMPRESSIONS&optimization_goal=LINK_CLICKS&targeting={targeting}"
    );
    let set = json!({"method": "POST", "relative_url": client.act("adsets"), "body": body});
    assert_eq!(codes(&batch(&client, &json!([set, set]), &[]).await), [Some(200), Some(400)]);

    let own = format!("me?access_token={}", client.sim.issue_token("8", &[]));
    let items = json!([{"method": "GET", "relative_url": own}, {"method": "GET", "relative_url": "me"}]);
    let answers = batch(&client, &items, &[]).await;
    assert_eq!((&answers[0]["body"]["id"], &answers[1]["body"]["id"]), (&json!("8"), &json!("7")));
    client.token = String::new();
    let items = items.to_string();
    assert_eq!(client.error(Method::POST, "", &[("batch", &items)]).await, (400, 104, None));
}

#[tokio::test]
async fn each_item_counts_for_the_quota() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.limits.ads_management = 3;
    let client = Client::with_config(config, time).await.unwrap();
    let item = json!({"method": "GET", "relative_url": client.sim.account().id});
    let answers = batch(&client, &Value::Array(vec![item; 4]), &[]).await;
    assert_eq!(codes(&answers), [200, 200, 200, 400].map(Some));
    assert_eq!(answers[3]["body"]["error"]["code"], 80004);
}

#[tokio::test]
async fn one_proof_speaks_for_all_items_with_its_token() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.require_proof = true;
    let client = Client::with_config(config, time).await.unwrap();
    let me = json!({"method": "GET", "relative_url": "me"});
    let inner = json!({"method": "POST", "relative_url": "", "body": format!("batch=[{me}]")});
    let items = json!([me, inner]);
    let text = items.to_string();
    assert_eq!(client.error(Method::POST, "", &[("batch", &text)]).await, (400, 100, None));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(client.token.as_bytes());
    let proof = hex::encode(mac.finalize().into_bytes());
    let answers = batch(&client, &items, &[("appsecret_proof", &proof)]).await;
    assert_eq!(codes(&answers), [Some(200), Some(400)], "and a batch is no item");
}
