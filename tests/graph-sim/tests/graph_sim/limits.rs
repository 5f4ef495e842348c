//! Tests of exhausted quotas and of the usage headers.

use graph_sim::{Limits, Tier, UseCase};
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, ManualClock, config, generated};

async fn client(limits: Limits) -> Client {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.limits = limits;
    Client::with_config(config, time).await.unwrap()
}

async fn header(client: &Client, path: &str, name: &str) -> Value {
    let response = client.send(Method::GET, path, &[]).await.unwrap();
    serde_json::from_str(response.headers()[name].to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_account_of_the_limited_tier_closes_for_five_minutes() {
    let client = client(Limits::of(Tier::Limited)).await;
    let account = client.sim.account().id;
    for _ in 0..19 {
        client.new_campaign().await;
    }
    for _ in 0..3 {
        client.get(&account, &[]).await;
    }
    assert_eq!(client.sim.usage(&account, UseCase::AdsManagement).score_percent, 100.0);
    assert_eq!(client.error(Method::GET, &account, &[]).await, (400, 17, Some(2446079)));
    assert_eq!(client.error(Method::GET, &account, &[]).await, (400, 613, Some(1487742)));
    let usage = header(&client, &account, "x-ad-account-usage").await;
    assert_eq!((&usage["acc_id_util_pct"], &usage["reset_time_duration"]), (&100.0.into(), &300.into()));
    assert_eq!(usage["ads_api_access_tier"], "development_access");
    // Another account is not affected, and the rejected calls did not count.
    client.get("act_1000000000000071", &[]).await;
    client.time.advance_minutes(5);
    client.get(&account, &[]).await;
    assert_eq!((client.sim.throttled(), client.sim.usage(&account, UseCase::AdsManagement).calls), (3, 23));
}

#[tokio::test]
async fn every_answer_of_an_account_carries_its_usage() {
    let client = client(Limits { ads_insights: 4, ..Limits::default() }).await;
    let insights = client.act("insights");
    let share = header(&client, &insights, "x-fb-ads-insights-throttle").await;
    assert_eq!(share["acc_id_util_pct"], 25);
    // A failed call counts, and its headers report so.
    let failed = client.send(Method::GET, &insights, &[("level", "bogus")]).await.unwrap();
    assert_eq!(failed.status(), 400);
    for name in
        ["x-app-usage", "x-business-use-case-usage", "x-ad-account-usage", "x-fb-ads-insights-throttle"]
    {
        assert!(failed.headers().contains_key(name), "{name}");
    }
    client.time.advance_minutes(20);
    for _ in 0..2 {
        client.get(&insights, &[]).await;
    }
    assert_eq!(client.error(Method::GET, &insights, &[]).await, (400, 80000, Some(2446079)));
    let usage = client.sim.usage(&client.sim.account().id, UseCase::AdsInsights);
    assert_eq!((usage.calls, usage.limit, usage.minutes_to_wait), (4, 4, 40));
    client.time.advance_minutes(40);
    client.get(&insights, &[]).await;
}

#[tokio::test]
async fn the_fifth_change_of_a_budget_closes_it_for_an_hour() {
    let client = client(Limits::default()).await;
    let campaign = client.new_campaign().await;
    for budget in ["5001", "5002", "5003", "5004"] {
        client.post(&campaign, &[("daily_budget", budget)]).await;
    }
    client.time.advance_minutes(59);
    let refused = (400, 613, Some(1487632));
    assert_eq!(client.error(Method::POST, &campaign, &[("daily_budget", "5005")]).await, refused);
    // The four changes are old enough now, but the rejected call itself has locked the campaign.
    client.time.advance_minutes(2);
    assert_eq!(client.error(Method::POST, &campaign, &[("daily_budget", "5005")]).await, refused);
    client.time.advance_minutes(58);
    client.post(&campaign, &[("daily_budget", "5005")]).await;
    assert_eq!(client.sim.throttled(), 2);
}

#[tokio::test]
async fn an_app_without_enough_users_is_throttled_as_a_whole() {
    let client = client(Limits { daily_users: Some(0), ..Limits::default() }).await;
    assert_eq!(client.error(Method::GET, "me", &[]).await, (400, 4, None));
}

#[tokio::test]
async fn an_accounts_spend_cap_has_ten_changes_a_day() {
    let client = client(Limits::default()).await;
    let account = client.sim.account().id;
    for cap in 0..10 {
        client.post(&account, &[("spend_cap", &format!("{}", 900_000 + cap))]).await;
    }
    let eleventh = [("spend_cap", "950000")];
    assert_eq!(client.error(Method::POST, &account, &eleventh).await, (400, 17, Some(1885172)));
    client.time.advance_minutes(24 * 60);
    client.post(&account, &eleventh).await;
}
