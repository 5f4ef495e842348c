//! Meta says 190 for more than dead tokens, and an ad account may be reached by several people.

use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

async fn connections(scenario: &Scenario) -> Vec<Value> {
    let view = scenario.api().unwrap().call(Method::GET, "connections", None).await.unwrap();
    view["data"].as_array().unwrap().clone()
}

async fn our_account(scenario: &Scenario) -> Value {
    let view = scenario.api().unwrap().call(Method::GET, "ad-accounts", None).await.unwrap();
    let id = scenario.account().unwrap();
    view["data"].as_array().unwrap().iter().find(|account| account["id"] == id.as_str()).unwrap().clone()
}

/// The case W-35.
#[tokio::test]
async fn a_190_of_another_kind_ends_no_consent() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let path = format!("campaigns/{campaign}");
    let refuse = |subcode: Option<i64>| {
        let campaign = format!("/{campaign}");
        scenario.sim().unwrap().edit_answers(move |path_of_call, status, body| {
            if path_of_call.split('?').next().is_some_and(|path_of_call| path_of_call.ends_with(&campaign)) {
                *status = 400;
                let error = json!({
                    "message": "User access token is not supported here", "type": "OAuthException",
                    "code": 190, "error_subcode": subcode,
                });
                *body = json!({"error": error}).to_string();
            }
        });
    };
    for subcode in [Some(2_069_032), None, Some(461)] {
        refuse(subcode);
        let change = Some(json!({"status": "PAUSED"}));
        let refused = scenario.call_as_owner(Method::PATCH, &path, change).await.unwrap();
        assert_eq!(refused.json()["type"], "urn:adflight:meta-permission", "{}", refused.text);
        assert!(refused.text.contains("User access token is not supported here"), "{}", refused.text);
        assert_eq!(connections(&scenario).await[0]["state"], "connected", "{subcode:?}");
    }
    // One that Meta documents as the end.
    refuse(Some(463));
    let change = Some(json!({"status": "PAUSED"}));
    let refused = scenario.call_as_owner(Method::PATCH, &path, change).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["type"]), (409, &json!("urn:adflight:reconnect")));
    assert_eq!(connections(&scenario).await[0]["state"], "needs_reconnect");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_falls_back_to_another_living_connection_and_returns() {
    let scenario = Scenario::synced().await.unwrap();
    let (api, sim) = (scenario.api().unwrap(), scenario.sim().unwrap());
    let own = our_account(&scenario).await["connection"].clone();
    let user = sim.create_system_user("900000000000001");
    let token = sim.issue_system_token(&user, &["ads_read", "ads_management", "business_management"]);
    let other =
        api.call(Method::POST, "connections/meta/token", Some(&json!({"token": token}))).await.unwrap();
    // The person comes back: the account is theirs again, and the system user reaches it as well.
    api.connect().await.unwrap();
    assert_eq!(our_account(&scenario).await["connection"], own);

    sim.revoke_tokens_of(graph_sim::LOGIN_USER_ID, 460);
    scenario.sync().await.unwrap();
    let account = our_account(&scenario).await;
    assert_eq!((&account["connection"], &account["fallback_connection"]), (&own, &other["id"]), "{account}");
    let campaign = scenario.running_campaign().await.unwrap();
    let changed = scenario
        .call_as_owner(Method::PATCH, &format!("campaigns/{campaign}"), Some(json!({"status": "PAUSED"})))
        .await
        .unwrap();
    assert_eq!(changed.status, 200, "{}", changed.text);

    api.connect().await.unwrap();
    let account = our_account(&scenario).await;
    assert_eq!((&account["connection"], account.get("fallback_connection")), (&own, None));
    scenario.finish().await.unwrap();
}
