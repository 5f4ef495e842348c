//! Tests of report runs.

use graph_sim::{ErrorResponse, ReportError, ReportOutcome, ReportSettings};
use jiff::SignedDuration;
use jiff::civil::date;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ManualClock, config, generated};

const WEEK: [(&str, &str); 4] = [
    ("level", "ad"),
    ("time_increment", "1"),
    ("fields", r#"["ad_id","spend","actions"]"#),
    ("time_range", r#"{"since":"2026-11-09","until":"2026-11-15"}"#),
];
const NOT_READY: (u16, i64, Option<i64>) = (400, 2601, Some(1_815_107));

/// Starts a client of a simulator whose runs complete by the clock, after a minute each.
async fn by_the_clock(outcome_percentages: Vec<(u32, ReportOutcome)>) -> Client {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.reports =
        ReportSettings { duration: SignedDuration::from_mins(20), polls: 0, outcome_percentages };
    Client::with_config(config, time).await.unwrap()
}

async fn order(client: &Client) -> String {
    let run = client.post(&client.act("insights"), &WEEK).await;
    run["report_run_id"].as_str().unwrap().to_owned()
}

/// Returns status and percentage of a run.
async fn poll(client: &Client, run: &str) -> (String, i64) {
    let run = client.get(run, &[]).await;
    (run["async_status"].as_str().unwrap().to_owned(), run["async_percent_completion"].as_i64().unwrap())
}

fn status(status: &str, percent: i64) -> (String, i64) {
    (status.to_owned(), percent)
}

#[tokio::test]
async fn a_run_completes_at_the_third_poll_even_if_no_time_passes() {
    let client = Client::new().await;
    let run = order(&client).await;
    assert_eq!(poll(&client, &run).await, status("Job Not Started", 0));
    assert_eq!(client.error(Method::GET, &format!("{run}/insights"), &[]).await, NOT_READY);
    assert_eq!(poll(&client, &run).await, status("Job Running", 50));
    assert_eq!(poll(&client, &run).await, status("Job Completed", 100));
    let (rows, pages) = client.all(&format!("{run}/insights"), &[("limit", "100")]).await;
    let (same, _) = client.all(&client.act("insights"), &[&WEEK[..], &[("limit", "5000")]].concat()).await;
    assert_eq!((rows.len(), pages), (same.len(), same.len().div_ceil(100)));
    assert_eq!(rows, same);
}

#[tokio::test]
async fn a_run_says_what_it_is_and_goes_by_the_clock() {
    let client = by_the_clock(Vec::new()).await;
    let run = order(&client).await;
    let mut seen = Vec::new();
    for minutes in [0, 3, 7, 9, 1] {
        client.time.advance_minutes(minutes);
        seen.push(poll(&client, &run).await);
    }
    let expected = [
        status("Job Not Started", 0),
        status("Job Started", 0),
        status("Job Running", 50),
        // Not complete yet, whatever the percentage says.
        status("Job Running", 100),
        status("Job Completed", 100),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        client.get(&run, &[]).await,
        json!({
            "id": run, "account_id": client.sim.account().id.trim_start_matches("act_"),
            "async_status": "Job Completed", "async_percent_completion": 100, "is_running": false,
            "is_bookmarked": false, "time_ref": 1_795_140_000, "time_completed": 1_795_141_200,
            "date_start": "2026-11-09", "date_stop": "2026-11-15",
        })
    );
    let some = client.get(&run, &[("fields", "async_status,error_code")]).await;
    assert_eq!(some, json!({"id": run, "async_status": "Job Completed"}));
    assert_eq!(client.error(Method::GET, &run, &[("fields", "foo")]).await, (400, 100, None));
    let runs = client.sim.report_runs();
    assert_eq!((runs.len(), runs[0].polls, runs[0].params["level"].as_str()), (1, 8, "ad"));
    assert_eq!(runs[0].ended_at, Some(runs[0].ordered_at + SignedDuration::from_mins(20)));
    client.time.advance_minutes(30 * 24 * 60);
    assert_eq!(client.error(Method::GET, &run, &[]).await, (400, 100, Some(33)));
}

#[tokio::test]
async fn rows_stay_as_they_were_when_the_run_was_complete() {
    let client = by_the_clock(Vec::new()).await;
    let day = date(2026, 11, 9);
    let row = client.sim.insights_rows(day, day).remove(0);
    let ad = row["ad_id"].as_str().unwrap();
    let spend = async |run: &str| {
        let (rows, _) = client.all(&format!("{run}/insights"), &[("limit", "5000")]).await;
        rows.into_iter().find(|row| row["ad_id"] == ad && row["date_start"] == "2026-11-09").unwrap()["spend"]
            .clone()
    };
    let early = order(&client).await;
    client.time.advance_minutes(20);
    client.sim.restate(ad, day, json!({"spend": "99.5"}));
    let late = order(&client).await;
    client.time.advance_minutes(20);
    assert_eq!((spend(&early).await, spend(&late).await), (row["spend"].clone(), json!("99.5")));
}

#[tokio::test]
async fn runs_may_fail_be_skipped_or_get_stuck() {
    let client = by_the_clock(Vec::new()).await;
    client.sim.queue_report_outcomes(vec![
        ReportOutcome::Failed(ReportError::too_large()),
        ReportOutcome::Skipped,
        ReportOutcome::Stuck { percent: 99 },
    ]);
    let runs = [order(&client).await, order(&client).await, order(&client).await, order(&client).await];
    client.time.advance_minutes(600);
    let mut ends = Vec::new();
    for run in &runs {
        ends.push(poll(&client, run).await);
    }
    let expected = [
        status("Job Failed", 50),
        status("Job Skipped", 0),
        status("Job Running", 99),
        status("Job Completed", 100),
    ];
    assert_eq!(ends, expected);
    let failed = client.get(&runs[0], &[]).await;
    assert_eq!((&failed["error_code"], &failed["error_subcode"]), (&json!(-3), &json!(1_504_045)));
    assert!(failed["error_message"].is_string() && failed["error_user_title"].is_string());
    for run in &runs[..3] {
        assert_eq!(client.error(Method::GET, &format!("{run}/insights"), &[]).await, NOT_READY);
    }
}

#[tokio::test]
async fn a_completed_run_may_hide_its_rows_for_a_while() {
    let client = by_the_clock(Vec::new()).await;
    let unavailable =
        ReportOutcome::RowsDelayed { reads: 1, error_response: ErrorResponse::new(2, None).transient(true) };
    client.sim.queue_report_outcomes(vec![ReportOutcome::rows_delayed(2), unavailable]);
    let (one, two) = (order(&client).await, order(&client).await);
    client.time.advance_minutes(20);
    let rows = |run: &str| format!("{run}/insights");
    for _ in 0..2 {
        assert_eq!(client.error(Method::GET, &rows(&one), &[]).await, NOT_READY);
    }
    assert_eq!(client.error(Method::GET, &rows(&two), &[]).await, (400, 2, None));
    for run in [one, two] {
        assert!(!client.get(&rows(&run), &[]).await["data"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_share_of_all_runs_may_fail() {
    let outcome_percentages =
        vec![(30, ReportOutcome::Failed(ReportError::unexplained())), (20, ReportOutcome::Skipped)];
    let client = by_the_clock(outcome_percentages).await;
    for _ in 0..100 {
        order(&client).await;
    }
    client.time.advance_minutes(20);
    let runs = client.sim.report_runs();
    let count = |status: &str| runs.iter().filter(|run| run.status == status).count();
    let (failed, skipped) = (count("Job Failed"), count("Job Skipped"));
    assert!((20..40).contains(&failed) && (10..30).contains(&skipped), "{failed} {skipped}");
    assert_eq!(failed + skipped + count("Job Completed"), 100);
}

#[tokio::test]
async fn a_summary_holds_only_what_was_ordered() {
    let client = by_the_clock(Vec::new()).await;
    let run = order(&client).await;
    client.time.advance_minutes(20);
    let rows = format!("{run}/insights");
    let with = client.get(&rows, &[("limit", "1"), ("summary", "spend")]).await;
    assert!(with["summary"]["spend"].is_string());
    let response = client.send(Method::GET, &rows, &[("summary", "clicks")]).await.unwrap();
    assert_eq!(response.status(), 400);
    let error: Value = crate::client::json(response).await["error"].clone();
    assert_eq!((&error["code"], &error["is_transient"]), (&json!(100), &json!(true)));
    assert!(error["message"].as_str().unwrap().starts_with("(#100) Cannot include clicks in summary param"));
    // The official SDKs send this with every read.
    assert_eq!(client.get(&rows, &[("summary", "true")]).await.get("summary"), None);
}

#[tokio::test]
async fn only_what_could_be_read_can_be_ordered_and_reading_is_enough() {
    let client = Client::new().await;
    let refused = client.error(Method::POST, &client.act("insights"), &[("breakdowns", "age,country")]).await;
    assert_eq!(refused, (400, 2, Some(1_504_041)));
    let old = [("time_range", r#"{"since":"2020-01-01","until":"2020-01-02"}"#)];
    assert_eq!(client.error(Method::POST, &client.act("insights"), &old).await, (400, 3018, None));
    let reader = Client { token: client.sim.issue_token("8", &["ads_read"]), ..client };
    let campaign = reader.sim.insights_rows(date(2026, 11, 9), date(2026, 11, 9))[0]["campaign_id"].clone();
    let campaign = campaign.as_str().unwrap();
    let run = reader.post(&format!("{campaign}/insights"), &[]).await;
    assert_eq!(reader.sim.report_runs()[0].object, campaign);
    assert_eq!(reader.sim.report_runs()[0].id, run["report_run_id"]);
}
