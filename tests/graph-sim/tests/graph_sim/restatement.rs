//! Tests of numbers that grow after their day.

use std::collections::{BTreeMap, BTreeSet};

use graph_sim::{ReportSettings, Source};
use jiff::SignedDuration;
use jiff::civil::{Date, date};
use serde_json::Value;

use crate::client::{Client, ManualClock, config, generated};

const DAY: i64 = 24 * 60;
const TODAY: Date = date(2026, 11, 20);

async fn client() -> Client {
    let time = ManualClock::new();
    let mut source = generated();
    if let Source::Generated(generator) = &mut source {
        generator.restates = true;
    }
    let mut config = config(source, &time);
    config.behaviour.reports =
        ReportSettings { duration: SignedDuration::from_mins(1), polls: 0, outcome_percentages: Vec::new() };
    Client::with_config(config, time).await.unwrap()
}

/// Returns the day's rows, by ad.
fn rows(client: &Client, day: Date) -> BTreeMap<String, Value> {
    let rows = client.sim.insights_rows(day, day);
    rows.into_iter().map(|row| (row["ad_id"].as_str().unwrap().to_owned(), row)).collect()
}

fn sum(rows: &BTreeMap<String, Value>, field: &str) -> f64 {
    rows.values().map(|row| row[field].as_str().unwrap().parse::<f64>().unwrap()).sum()
}

fn kinds(rows: &BTreeMap<String, Value>) -> usize {
    rows.values().filter_map(|row| row["actions"].as_array()).map(Vec::len).sum()
}

#[tokio::test]
async fn a_day_grows_for_weeks_and_then_stays() {
    let client = client().await;
    // Ten in the morning.
    let mut before = rows(&client, TODAY);
    let morning = sum(&before, "impressions");
    for minutes in [15, 6 * 60, DAY, 2 * DAY, 10 * DAY, 16 * DAY] {
        client.time.advance_minutes(minutes);
        let now = rows(&client, TODAY);
        assert!(sum(&now, "spend") >= sum(&before, "spend") * 0.999 && kinds(&now) >= kinds(&before));
        before = now;
    }
    assert!(sum(&before, "impressions") > 2.0 * morning);
    client.time.advance_minutes(30 * DAY);
    assert_eq!(rows(&client, TODAY), before);
}

#[tokio::test]
async fn actions_come_late_and_some_rows_go_again() {
    let client = client().await;
    let yesterday = date(2026, 11, 19);
    let early = rows(&client, yesterday);
    client.time.advance_minutes(30 * DAY);
    let late = rows(&client, yesterday);
    assert!(kinds(&late) > kinds(&early));
    let ids = |rows: &BTreeMap<String, Value>| rows.keys().cloned().collect::<BTreeSet<_>>();
    let gone: Vec<_> = ids(&early).difference(&ids(&late)).cloned().collect();
    assert!(!gone.is_empty() && gone.len() < early.len() / 10, "{gone:?}");
    // Without restatement a day is final at once, with the same numbers it ends with under restatement.
    assert_eq!(rows(&Client::new().await, yesterday), late);
}

#[tokio::test]
async fn all_ways_of_reading_agree_at_any_moment() {
    let client = client().await;
    let range = r#"{"since":"2026-11-18","until":"2026-11-20"}"#;
    for minutes in [0, 200, 2 * DAY] {
        client.time.advance_minutes(minutes);
        let oracle = client.sim.insights_rows(date(2026, 11, 18), TODAY);
        let daily = [
            ("level", "ad"),
            ("time_increment", "1"),
            ("time_range", range),
            ("fields", "ad_id,spend"),
            ("limit", "5000"),
        ];
        let (read, _) = client.all(&client.act("insights"), &daily).await;
        assert_eq!(read.len(), oracle.len());
        assert!(read.iter().zip(&oracle).all(|(read, oracle)| read["spend"] == oracle["spend"]));
        let cents = |rows: &[Value]| {
            let each = rows.iter().map(|row| row["spend"].as_str().unwrap().parse::<f64>().unwrap());
            (each.sum::<f64>() * 100.0).round()
        };
        for params in [&[][..], &[("breakdowns", "age")], &[("level", "campaign")]] {
            let params = [&[("time_range", range), ("fields", "spend"), ("limit", "5000")], params].concat();
            assert_eq!(
                cents(&client.all(&client.act("insights"), &params).await.0),
                cents(&oracle),
                "{params:?}"
            );
        }
        let run = client.post(&client.act("insights"), &daily).await;
        client.time.advance_minutes(1);
        let run = format!("{}/insights", run["report_run_id"].as_str().unwrap());
        assert_eq!(client.all(&run, &[("limit", "500")]).await.0, read);
    }
}
