//! Tests of amounts in currencies with and without cents.

use graph_sim::{Generator, Source};
use jiff::civil::date;
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, ManualClock, config};

/// Starts a client of an account in this currency.
async fn of(currency: &str) -> Client {
    let time = ManualClock::new();
    let generator = Generator { currency: currency.to_owned(), ..Generator::new(date(2026, 11, 20)) };
    Client::with_config(config(Source::Generated(generator), &time), time).await.unwrap()
}

/// Writes a spending limit in major units and returns it as read back.
async fn spend_cap(client: &Client, major: &str) -> Value {
    let account = client.sim.account().id;
    client.post(&account, &[("spend_cap", major)]).await;
    client.get(&account, &[("fields", "spend_cap")]).await["spend_cap"].take()
}

async fn least(client: &Client) -> i64 {
    let currency = client.sim.account().currency;
    let fields = [("fields", "currency,min_daily_budget_imp")];
    let (rows, _) = client.all(&client.act("minimum_budgets"), &fields).await;
    assert!(rows.iter().all(|row| row.get("id").is_none()), "rows are no objects");
    let row = rows.iter().find(|row| row["currency"] == currency.as_str()).unwrap();
    row["min_daily_budget_imp"].as_i64().unwrap()
}

async fn refuses_less_than_the_least(client: &Client) {
    let least = least(client).await;
    let adset = new_campaign(client, &(least - 1).to_string()).await;
    assert_eq!(adset, Err((400, 100, Some(1885272))));
    assert_eq!(new_campaign(client, &least.to_string()).await, Ok(()));
}

async fn new_campaign(client: &Client, daily_budget: &str) -> Result<(), (u16, i64, Option<i64>)> {
    let params = [
        ("name", "x"),
        ("objective", "OUTCOME_SALES"),
        ("special_ad_categories", "[]"),
        ("daily_budget", daily_budget),
    ];
    if client.send(Method::POST, &client.act("campaigns"), &params).await.unwrap().status().is_success() {
        return Ok(());
    }
    Err(client.error(Method::POST, &client.act("campaigns"), &params).await)
}

#[tokio::test]
async fn dollars_have_cents() {
    let client = of("SGD").await;
    assert_eq!(spend_cap(&client, "1000.5").await, "100050");
    refuses_less_than_the_least(&client).await;
    let account = client.sim.account().id;
    client.post(&account, &[("spend_cap_action", "delete")]).await;
    assert_eq!(client.sim.node(&account).unwrap()["spend_cap"], "0");
}

#[tokio::test]
async fn yen_have_none() {
    let client = of("JPY").await;
    assert_eq!(spend_cap(&client, "120000").await, "120000");
    let account = client.sim.account().id;
    assert_eq!(client.error(Method::POST, &account, &[("spend_cap", "0.5")]).await, (400, 100, None));
    refuses_less_than_the_least(&client).await;
}

#[tokio::test]
async fn forints_and_rupiahs_have_none_here_though_iso_4217_gives_them_some() {
    for currency in ["HUF", "IDR"] {
        let client = of(currency).await;
        assert_eq!(spend_cap(&client, "250000").await, "250000");
        refuses_less_than_the_least(&client).await;
    }
}

#[tokio::test]
async fn jordanian_dinars_have_hundredths_here_though_iso_4217_gives_them_thousandths() {
    let client = of("JOD").await;
    assert_eq!(spend_cap(&client, "12.34").await, "1234");
    let account = client.sim.account().id;
    assert_eq!(client.error(Method::POST, &account, &[("spend_cap", "12.345")]).await, (400, 100, None));
    refuses_less_than_the_least(&client).await;
}
