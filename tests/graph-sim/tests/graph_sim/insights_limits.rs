//! Tests of the limits on insights reads, and of the smaller requests that stay within them.

use graph_sim::{Config, InsightsLimits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ManualClock, config, generated};

type Params<'a> = &'a [(&'a str, &'a str)];

const WEEK: Params<'_> = &[
    ("level", "ad"),
    ("time_increment", "1"),
    ("time_range", r#"{"since":"2026-11-09","until":"2026-11-15"}"#),
];

async fn client(limits: InsightsLimits) -> Client {
    let time = ManualClock::new();
    let mut config: Config = config(generated(), &time);
    config.behaviour.insights_limits = limits;
    Client::with_config(config, time).await.unwrap()
}

/// Asserts that the first request exceeds the limits, and the second does not.
async fn helps(limits: InsightsLimits, much: Params<'_>, refused: (u16, i64, Option<i64>), less: Params<'_>) {
    let client = client(limits).await;
    let (much, less) = ([WEEK, much].concat(), [WEEK, less].concat());
    assert_eq!(client.error(Method::GET, &client.act("insights"), &much).await, refused);
    assert!(!client.get(&client.act("insights"), &less).await["data"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_smaller_limit_helps() {
    let limits = InsightsLimits { rows_per_page: Some(200), ..InsightsLimits::default() };
    helps(limits, &[("limit", "500")], (500, 1, None), &[("limit", "200")]).await;
}

#[tokio::test]
async fn only_a_shorter_time_range_helps() {
    let limits = InsightsLimits { days: Some(3), ..InsightsLimits::default() };
    let days = [("time_range", r#"{"since":"2026-11-09","until":"2026-11-11"}"#)];
    helps(limits, &[("limit", "1")], (400, 100, Some(1_504_018)), &days).await;
}

#[tokio::test]
async fn only_one_campaign_at_a_time_helps() {
    let limits = InsightsLimits { campaigns: Some(1), ..InsightsLimits::default() };
    let client = client(limits).await;
    let refused = client.error(Method::GET, &client.act("insights"), WEEK).await;
    assert_eq!(refused, (400, 2, Some(1_504_038)));
    let rows = client.sim.insights_rows("2026-11-09".parse().unwrap(), "2026-11-15".parse().unwrap());
    let campaign = rows[0]["campaign_id"].as_str().unwrap();
    let filtering = json!([
        {"field": "campaign.id", "operator": "EQUAL", "value": campaign},
        {"field": "ad.effective_status", "operator": "NOT_IN", "value": ["DELETED"]},
    ]);
    let filtering = filtering.to_string();
    let own = rows.iter().filter(|row| row["campaign_id"] == campaign).count();
    let params = [WEEK, &[("filtering", &filtering), ("limit", "500")]].concat();
    assert_eq!(client.all(&client.act("insights"), &params).await.0.len(), own);
    let params = [WEEK, &[("limit", "500")]].concat();
    assert_eq!(client.all(&format!("{campaign}/insights"), &params).await.0.len(), own);
}

#[tokio::test]
async fn only_fewer_fields_help() {
    let limits = InsightsLimits { fields: Some(2), ..InsightsLimits::default() };
    let wide = [("fields", "ad_id,spend,clicks")];
    helps(limits, &wide, (500, 1, Some(2_853_001)), &[("fields", "ad_id,spend")]).await;
}

#[tokio::test]
async fn only_a_report_run_helps() {
    let client = client(InsightsLimits { only_reports: true, ..InsightsLimits::default() }).await;
    let refused = client.error(Method::GET, &client.act("insights"), WEEK).await;
    assert_eq!(refused, (400, 100, Some(1_487_534)));
    // The request that Airbyte sends only for its headers has one row.
    assert_eq!(client.get(&client.act("insights"), &[]).await["data"].as_array().map(Vec::len), Some(1));
    let run = client.post(&client.act("insights"), WEEK).await;
    let run = run["report_run_id"].as_str().unwrap();
    while client.get(run, &[]).await["async_status"] != "Job Completed" {}
    let (rows, _): (Vec<Value>, _) = client.all(&format!("{run}/insights"), &[("limit", "500")]).await;
    assert_eq!(
        rows.len(),
        client.sim.insights_rows("2026-11-09".parse().unwrap(), "2026-11-15".parse().unwrap()).len()
    );
}
