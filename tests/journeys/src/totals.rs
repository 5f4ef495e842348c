//! Compares our insights with those of the simulated Meta, to the cent.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use jiff::civil::Date;
use local::demo::ApiClient;
use rust_decimal::Decimal;
use serde_json::Value;

/// Spend, impressions and clicks by object and day.
pub type Totals = BTreeMap<(String, String), (Decimal, u64, u64)>;

/// Sums Meta's ad rows by the object that `field` names.
pub fn from_meta(rows: &[Value], field: &str) -> anyhow::Result<Totals> {
    let mut totals = Totals::new();
    for row in rows {
        let text = |name: &str| row[name].as_str().with_context(|| format!("{name} in {row}"));
        let id = if field == "account" { "account" } else { text(field)? };
        let sum = totals.entry((id.to_owned(), text("date_start")?.to_owned())).or_default();
        sum.0 += text("spend")?.parse::<Decimal>()?;
        sum.1 += text("impressions")?.parse::<u64>()?;
        sum.2 += text("clicks")?.parse::<u64>()?;
    }
    Ok(totals)
}

/// Returns our API's totals per object and day, and fails when a pair appears twice.
pub async fn from_api(
    api: &ApiClient,
    account: &str,
    level: &str,
    since: Date,
    until: Date,
) -> anyhow::Result<Totals> {
    let path =
        format!("ad-accounts/{account}/insights?level={level}&increment=day&since={since}&until={until}");
    let mut totals = Totals::new();
    for row in api.all(&path).await? {
        let text = |name: &str| row[name].as_str().with_context(|| format!("{name} in {row}"));
        let measures = &row["measures"];
        let count = |name: &str| measures[name].as_u64().with_context(|| format!("{name} in {row}"));
        let spend = measures["spend"].as_str().with_context(|| format!("spend in {row}"))?;
        let id = if level == "account" { "account" } else { text("id")? };
        let key = (id.to_owned(), text("date_start")?.to_owned());
        let sum = (spend.parse()?, count("impressions")?, count("clicks")?);
        ensure!(totals.insert(key, sum).is_none(), "twice: {row}");
        let reach_known = measures.get("reach").is_some();
        ensure!(reach_known == (level == "ad"), "reach is never summed: {row}");
    }
    Ok(totals)
}

/// Fails unless every level has exactly the totals of Meta's ad rows of these days.
pub async fn assert_equal(
    api: &ApiClient,
    account: &str,
    rows: &[Value],
    since: Date,
    until: Date,
) -> anyhow::Result<()> {
    for (level, field) in
        [("ad", "ad_id"), ("adset", "adset_id"), ("campaign", "campaign_id"), ("account", "account")]
    {
        let (actual, expected) =
            (from_api(api, account, level, since, until).await?, from_meta(rows, field)?);
        ensure!(actual == expected, "{level}, {since} to {until}: the API has {actual:?}, Meta {expected:?}");
    }
    Ok(())
}
