//! What a person asks goes first: background work leaves a part of each quota.

use graph_api::limit::{AccountLimits, QuotaConsumption, QuotaShare};
use graph_api::usage::UseCase;
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use serde_json::{Value, json};
use store::limit_scope::LimitScope;

/// Spends all that background work may of the quotas of a new app.
async fn spend_background_share(scenario: &Scenario) {
    let account = scenario.account().unwrap().parse().unwrap();
    let app = &scenario.system.graph.config().app_id;
    let now = scenario.system.clock.now();
    let spend = |limits: &mut AccountLimits| {
        *limits = AccountLimits::default();
        while let Ok(lease) = limits.lease(UseCase::AdsManagement, QuotaShare::Background, 1, 30, now) {
            let spent =
                QuotaConsumption { points: lease.points, unreported: lease.points, ..Default::default() };
            limits.settle(&lease, &spent, now);
        }
    };
    scenario.system.table.modify_limit(app, LimitScope::Account(&account), now, spend).await.unwrap();
}

/// Returns the ads of the simulated account.
async fn ads(scenario: &Scenario) -> Vec<Value> {
    let path = format!("ad-accounts/{}/ads", scenario.account().unwrap());
    scenario.api().unwrap().all(&path).await.unwrap()
}

/// The case W-24: Meta puts what it has gathered into one delivery.
#[tokio::test]
async fn a_burst_of_changes_is_read_together() {
    let scenario = Scenario::synced().await.unwrap();
    let ads = ads(&scenario).await;
    let changes: Vec<_> = (0..1000)
        .map(|number| {
            let value = json!({"id": ads[number % 10]["id"], "level": "AD", "status_name": number});
            json!({"field": "in_process_ad_objects", "value": value})
        })
        .collect();
    let body =
        json!({"object": "ad_account", "entry": [{"id": "0", "time": 1, "changes": changes}]}).to_string();
    let (calls, begun) = (scenario.sim().unwrap().calls(), scenario.system.clock.now());
    let response = scenario.deliver(&body).await.unwrap();
    assert_eq!((response.status.as_u16(), response.json()), (200, json!({"accepted": 1000, "set_aside": 0})));
    scenario.system.runner.settle().await.unwrap();
    let reads = scenario.sim().unwrap().calls() - calls;
    println!("1,000 changes of 10 ads caused {reads} reads.");
    // One call for those that came before it, and after a rest one for the others: a machine that takes longer than a rest
    // of two seconds to accept them has more of both.
    let most = || 2 + scenario.system.clock.now().duration_since(begun).as_secs().unsigned_abs() / 2;
    assert!((1..=most()).contains(&reads), "{reads}");
    // The same delivery again has no effect.
    scenario.deliver(&body).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert!(scenario.sim().unwrap().calls() - calls <= most());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_persons_pause_is_taken_at_once_while_syncs_wait_for_quota() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    spend_background_share(&scenario).await;
    let calls = scenario.sim().unwrap().calls();
    for time in 1..=100 {
        let value = json!({"id": campaign, "level": "CAMPAIGN", "status_name": time});
        let changes = json!([{"field": "in_process_ad_objects", "value": value}]);
        let body = json!({"object": "ad_account", "entry": [{"id": "0", "time": time, "changes": changes}]});
        assert_eq!(scenario.deliver(&body.to_string()).await.unwrap().status, 200);
    }
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(scenario.sim().unwrap().calls(), calls, "no read in the background takes what is kept");

    let asked = scenario.system.clock.now();
    let change = Some(json!({"status": "PAUSED"}));
    let paused =
        scenario.call_as_owner(Method::PATCH, &format!("campaigns/{campaign}"), change).await.unwrap();
    assert_eq!(paused.status, 200, "{}", paused.text);
    println!(
        "A pause after 100 webhooks on the smallest tier: {} ms.",
        scenario.system.clock.now().duration_since(asked).as_millis()
    );
    assert_eq!(scenario.sim().unwrap().campaign(&campaign).unwrap()["status"], "PAUSED");

    // Meta forgets the calls, and what waited is read.
    scenario.system.clock.advance(SignedDuration::from_mins(6));
    scenario.sim().unwrap().update_node(&campaign, json!({"name": "Seen later"}));
    scenario.sync().await.unwrap();
    let view =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    assert_eq!(view["name"], "Seen later");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn pictures_of_ads_take_nothing_of_what_is_kept_for_changes() {
    let scenario = Scenario::synced().await.unwrap();
    let ads = ads(&scenario).await;
    let ids: Vec<_> = ads.iter().take(50).map(|ad| ad["id"].as_str().unwrap()).collect();
    let path = format!("thumbnails?ids={}", ids.join(","));
    let owner = &scenario;
    let get = |path: String| async move { owner.call_as_owner(Method::GET, &path, None).await.unwrap() };

    let shown = get(path.clone()).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let data = shown.json()["data"].as_array().unwrap().clone();
    assert_eq!(data.len(), ids.len());
    assert!(data.iter().all(|one| one["image"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR")));
    assert_eq!(get(format!("thumbnails?ids={}", ids[0])).await.json()["data"][0]["id"], ids[0]);
    // An id that is nobody's ad has no picture.
    assert_eq!(get("thumbnails?ids=1".to_owned()).await.json(), json!({"data": []}));
    for wrong in ["thumbnails".to_owned(), format!("thumbnails?ids={}", vec!["1"; 51].join(","))] {
        let refused = get(wrong).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (400, &json!("ids")));
    }

    spend_background_share(&scenario).await;
    let calls = scenario.sim().unwrap().calls();
    let refused = get(path).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(scenario.sim().unwrap().calls(), calls);
    scenario.finish().await.unwrap();
}
