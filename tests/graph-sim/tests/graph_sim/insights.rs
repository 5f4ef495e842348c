//! Tests of insights.

use std::collections::BTreeMap;

use graph_sim::{Source, last_recorded_day};
use jiff::civil::date;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ManualClock, config, recorded};

const NOVEMBER: &str = r#"{"since":"2026-11-01","until":"2026-11-20"}"#;

/// Returns the sum of a field in hundredths.
fn cents(rows: &[Value], field: &str) -> i64 {
    rows.iter().map(|row| (row[field].as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as i64).sum()
}

#[tokio::test]
async fn every_row_is_on_exactly_one_page() {
    let client = Client::new().await;
    let daily =
        [("level", "ad"), ("time_increment", "1"), ("time_range", NOVEMBER), ("fields", "ad_id,spend")];
    let oracle = client.sim.insights_rows(date(2026, 11, 1), date(2026, 11, 20));
    let key = |row: &Value| (row["ad_id"].to_string(), row["date_start"].to_string());
    let expected: BTreeMap<_, _> = oracle.iter().map(|row| (key(row), row["spend"].clone())).collect();
    assert_eq!(expected.len(), oracle.len());
    for limit in ["331", "500", "5000"] {
        let (rows, pages) =
            client.all(&client.act("insights"), &[&daily[..], &[("limit", limit)]].concat()).await;
        assert_eq!(pages, oracle.len().div_ceil(limit.parse().unwrap()));
        let seen: BTreeMap<_, _> = rows.iter().map(|row| (key(row), row["spend"].clone())).collect();
        assert_eq!((rows.len(), &seen), (oracle.len(), &expected));
    }
}

#[tokio::test]
async fn wider_rows_are_the_sums_of_narrower_ones() {
    let client = Client::new().await;
    let oracle = client.sim.insights_rows(date(2026, 11, 1), date(2026, 11, 20));
    let fields = "campaign_id,campaign_name,spend,impressions,reach,frequency,actions,purchase_roas,cpm";
    for (level, increment) in [("account", "all_days"), ("campaign", "1"), ("adset", "7"), ("ad", "monthly")]
    {
        let params = [
            ("level", level),
            ("time_increment", increment),
            ("time_range", NOVEMBER),
            ("fields", fields),
            ("limit", "5000"),
        ];
        let (rows, _) = client.all(&client.act("insights"), &params).await;
        for measure in ["spend", "impressions"] {
            assert_eq!(cents(&rows, measure), cents(&oracle, measure), "{measure} by {level}");
        }
        let number = |row: &Value, field: &str| row[field].as_str().unwrap().parse::<f64>().unwrap();
        for row in &rows {
            assert!(number(row, "reach") <= number(row, "impressions"), "{row}");
            assert!(
                (number(row, "impressions") / number(row, "reach") - number(row, "frequency")).abs() < 1e-5
            );
            assert_eq!(row.get("campaign_name").is_some(), level != "account");
        }
    }
    let campaign = oracle[0]["campaign_id"].as_str().unwrap();
    let own = client.get(&format!("{campaign}/insights"), &[("time_range", NOVEMBER)]).await;
    let rows: Vec<Value> = oracle.iter().filter(|row| row["campaign_id"] == campaign).cloned().collect();
    assert_eq!(own["data"][0]["impressions"], (cents(&rows, "impressions") / 100).to_string());
    assert_eq!(own["data"][0]["date_stop"], "2026-11-20");
}

#[tokio::test]
async fn ranges_and_names_are_checked() {
    let client = Client::new().await;
    let insights = client.act("insights");
    for (param, value, code) in [
        ("time_range", r#"{"since":"2026-11-02","until":"2026-11-01"}"#, 100),
        ("time_range", r#"{"since":"yesterday","until":"2026-11-01"}"#, 100),
        ("time_range", r#"{"since":"2023-10-19","until":"2026-11-01"}"#, 3018),
        ("date_preset", "lifetime", 100),
        ("time_increment", "91", 100),
        ("level", "creative", 100),
        ("fields", "spend,foo", 100),
        ("breakdowns", "image_asset", 100),
        ("sort", "spend", 100),
        ("filtering", r#"[{"field":"ad.foo","operator":"IN","value":["1"]}]"#, 100),
        ("limit", "5001", 100),
    ] {
        assert_eq!(
            client.error(Method::GET, &insights, &[(param, value)]).await,
            (400, code, None),
            "{param} {value}"
        );
    }
    let empty = client.get("act_1000000000000071/insights", &[]).await;
    assert_eq!(empty, json!({"data": []}));
}

#[tokio::test]
async fn a_restated_row_replaces_the_old_one() {
    let client = Client::new().await;
    let day = date(2026, 11, 3);
    let old = client.sim.insights_rows(day, day).remove(0);
    let ad = old["ad_id"].as_str().unwrap();
    client.sim.restate(ad, day, json!({"spend": "99.5", "purchase_roas": null}));
    let fields = old.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(",");
    let range = r#"{"since":"2026-11-03","until":"2026-11-03"}"#;
    let params = [("time_range", range), ("time_increment", "1"), ("fields", fields.as_str())];
    let new = client.get(&format!("{ad}/insights"), &params).await["data"][0].clone();
    assert_eq!((&new["spend"], &new["impressions"]), (&json!("99.5"), &old["impressions"]));
    assert!(new.get("purchase_roas").is_none());
    assert_eq!(new, client.sim.insights_rows(day, day).remove(0));
}

#[tokio::test]
async fn a_recorded_account_answers_what_was_recorded() {
    let Some(folder) = recorded() else { return };
    let text = std::fs::read_to_string(folder.join("insights_ad_day.json")).unwrap();
    let recorded: Value = serde_json::from_str(&text).unwrap();
    let recorded = recorded["data"].as_array().unwrap();
    assert_eq!(last_recorded_day(&folder).unwrap(), date(2026, 6, 1));

    let time = ManualClock::new();
    let client =
        Client::with_config(config(Source::EventRecord { folder, timezone: None }, &time), time.clone())
            .await
            .unwrap();
    assert_eq!(client.sim.account().timezone, "Europe/Prague");
    for (edge, count) in [("campaigns", 64), ("adsets", 134), ("ads", 337)] {
        assert_eq!(client.all(&client.act(edge), &[("limit", "100")]).await.0.len(), count);
    }
    let range = r#"{"since":"2026-05-03","until":"2026-06-01"}"#;
    let fields = "ad_id,ad_name,adset_id,adset_name,campaign_id,campaign_name,clicks,frequency,impressions,reach,spend,actions";
    let daily = [
        ("level", "ad"),
        ("time_increment", "1"),
        ("time_range", range),
        ("fields", fields),
        ("limit", "500"),
    ];
    let (rows, _) = client.all(&client.act("insights"), &daily).await;
    let text =
        |rows: &[Value]| rows.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((rows.len(), text(&rows)), (769, text(recorded)));
    assert_eq!(text(&client.sim.insights_rows(date(2026, 5, 3), date(2026, 6, 1))), text(recorded));

    let sums =
        [("level", "campaign"), ("time_range", range), ("fields", "spend,clicks,reach,account_currency,cpc")];
    let (sums, _) = client.all(&client.act("insights"), &sums).await;
    assert_eq!(sums.len(), 9);
    assert_eq!(
        (cents(&sums, "spend"), cents(&sums, "clicks")),
        (cents(recorded, "spend"), cents(recorded, "clicks"))
    );
    assert!(sums.iter().all(|row| row.get("reach").is_none() && row["account_currency"] == "EUR"));

    let ad = "120245885143290604";
    let of_ad = client.get(ad, &[("fields", "effective_status,campaign_id,updated_time")]).await;
    assert_eq!((&of_ad["effective_status"], of_ad.get("updated_time")), (&json!("ACTIVE"), None));
    client.post(of_ad["campaign_id"].as_str().unwrap(), &[("status", "PAUSED")]).await;
    assert_eq!(client.sim.node(ad).unwrap()["effective_status"], "CAMPAIGN_PAUSED");
}
