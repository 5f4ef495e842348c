//! Insights of an account that is too large for one response, in every way in which Meta limits queries.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::date::DateRange;
use domain::entity::Changes;
use domain::entity::{Level, Status};
use domain::metrics::InsightsRow;
use domain::totals::DayTotals;
use graph_api::insights::PURCHASE_KEYS;
use graph_api::insights::{InsightsReader, QueryShape, ReportRun};
use graph_api::{GraphError, UserClient};
use graph_sim::{Fault, FaultKind, InsightsLimits, ReportError, ReportOutcome, ReportSettings};
use jiff::civil::date;
use jiff::{SignedDuration, ToSpan};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::rows::{Row, flatten_decoded_row, flatten_graph_row};
use crate::support::Meta;

/// Twelve days, of which the last is over.
const RANGE: DateRange = DateRange { since: date(2026, 11, 8), until: date(2026, 11, 19) };

/// Starts a Meta whose account has campaigns that were archived and deleted after they had delivered.
async fn account(limits: InsightsLimits, reports: ReportSettings) -> Meta {
    let meta = Meta::with(|config| {
        config.behaviour.insights_limits = limits;
        config.behaviour.reports = reports;
    })
    .await;
    let rows = meta.sim.insights_rows(RANGE.since, RANGE.until);
    let (first, last) = (&rows[0]["campaign_id"], &rows[rows.len() - 1]["campaign_id"]);
    assert_ne!(first, last);
    meta.caller().remove(&first.as_str().unwrap().parse().unwrap()).await.unwrap();
    let archived = Changes { status: Some(Status::Archived), ..Changes::default() };
    meta.caller().change(&last.as_str().unwrap().parse().unwrap(), &archived).await.unwrap();
    meta
}

/// Returns the rows to be read, sorted.
fn facts(meta: &Meta) -> Vec<Row> {
    let mut rows: Vec<Row> =
        meta.sim.insights_rows(RANGE.since, RANGE.until).iter().map(flatten_graph_row).collect();
    rows.sort();
    rows
}

/// Reads the remaining rows with a client that waits as long as errors require.
async fn rest(meta: &Meta, days: &mut InsightsReader) -> Vec<InsightsRow> {
    let mut rows = Vec::new();
    loop {
        match days.next().await {
            Ok(None) => return rows,
            Ok(Some(more)) => rows.extend(more),
            Err(GraphError::RateLimited { after, .. }) => meta.clock.pass(after),
            Err(GraphError::Transient(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads all rows in this query shape. Returns them sorted, the final query shape, and the number of calls.
async fn read(meta: &Meta, shape: QueryShape) -> (Vec<Row>, QueryShape, u64) {
    let before = meta.sim.calls();
    let mut days = meta.caller().insights(&meta.account(), RANGE, shape);
    let mut rows: Vec<Row> = rest(meta, &mut days).await.iter().map(flatten_decoded_row).collect();
    rows.sort();
    (rows, days.query_shape(), meta.sim.calls() - before)
}

/// Checks that an account with these limits is read completely and without duplicates, and with fewer calls when the
/// resulting query shape is reused. Returns that query shape.
async fn is_read_whole(limits: InsightsLimits, reports: ReportSettings) -> QueryShape {
    let meta = account(limits, reports).await;
    let (rows, shape, calls) = read(&meta, QueryShape::default()).await;
    assert_eq!(rows, facts(&meta), "{limits:?}");
    let (again, same, fewer) = read(&meta, shape).await;
    assert_eq!((again, same), (rows, shape), "{limits:?}");
    assert!(fewer < calls, "{limits:?}: {fewer} calls after {calls}");
    shape
}

#[tokio::test]
async fn an_ordinary_account_is_one_answer_with_its_archived_and_deleted_ads() {
    let meta = account(InsightsLimits::default(), ReportSettings::default()).await;
    let (rows, shape, calls) = read(&meta, QueryShape::default()).await;
    assert_eq!(rows, facts(&meta));
    assert_eq!((shape, calls), (QueryShape::default(), 1));
    let campaigns = meta.caller().entities(&meta.account(), Level::Campaign).all().await.unwrap();
    let listed: Vec<_> =
        campaigns.into_iter().map(|campaign| campaign.into_entity(Level::Campaign).id.to_string()).collect();
    assert!(rows.iter().any(|row| !listed.contains(&row["campaign_id"])), "numbers of a deleted campaign");
}

#[tokio::test]
async fn pages_that_are_too_large_become_shorter_ranges_and_smaller_pages() {
    let limits = InsightsLimits { rows_per_page: Some(20), ..InsightsLimits::default() };
    let shape = is_read_whole(limits, ReportSettings::default()).await;
    assert!(shape.rows <= 20 && !shape.as_report && !shape.by_campaign, "{shape:?}");
}

#[tokio::test]
async fn pages_that_stay_too_large_become_one_campaign_at_a_time() {
    let limits = InsightsLimits { rows_per_page: Some(4), ..InsightsLimits::default() };
    is_read_whole(limits, ReportSettings::default()).await;
}

#[tokio::test]
async fn queries_that_run_out_of_time_become_reports() {
    for limits in [
        InsightsLimits { days: Some(3), ..InsightsLimits::default() },
        InsightsLimits { campaigns: Some(1), ..InsightsLimits::default() },
        InsightsLimits { only_reports: true, ..InsightsLimits::default() },
    ] {
        let shape = is_read_whole(limits, ReportSettings::default()).await;
        assert!(shape.as_report && !shape.split_fields, "{limits:?}: {shape:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_for_a_report_is_read_in_two_halves() {
    let limits = InsightsLimits { fields: Some(13), ..InsightsLimits::default() };
    let reports = ReportSettings {
        outcome_percentages: vec![(100, ReportOutcome::Failed(ReportError::too_large()))],
        ..ReportSettings::default()
    };
    let shape = is_read_whole(limits, reports).await;
    assert!(shape.split_fields, "{shape:?}");
}

/// A page that comes too late after others came is no reason to ask for less.
#[tokio::test]
async fn a_page_that_is_late_in_the_middle_is_asked_for_again() {
    let meta = account(InsightsLimits::default(), ReportSettings::default()).await;
    let shape = QueryShape { rows: 20, ..QueryShape::default() };
    let (rows, _, calls) = read(&meta, shape).await;
    let kind = FaultKind::Error { status: 400, code: 2, subcode: Some(1_504_018), headers: Vec::new() };
    let path_contains = "insights".to_owned();
    meta.sim.fail_next(Fault { method: Some("GET".to_owned()), path_contains, times: 1, skip: 3, kind });
    let (again, shape, with_late) = read(&meta, shape).await;
    assert!(again == rows && !shape.as_report, "{shape:?}");
    assert_eq!(with_late, calls + 1);
}

/// Meta has computed a report by the time at which it is read: that a page of it is late is no reason to ask for less.
#[tokio::test]
async fn a_late_page_of_a_complete_report_is_asked_for_again() {
    let meta = account(InsightsLimits::default(), ReportSettings::default()).await;
    let shape = QueryShape { as_report: true, ..QueryShape::default() };
    let (rows, _, calls) = read(&meta, shape).await;
    let kind = FaultKind::Error { status: 400, code: 2, subcode: Some(1_504_018), headers: Vec::new() };
    let path_contains = "insights".to_owned();
    meta.sim.fail_next(Fault { method: Some("GET".to_owned()), path_contains, times: 2, skip: 0, kind });
    let (again, shape, with_late) = read(&meta, shape).await;
    assert!(again == rows && shape.as_report && !shape.split_fields, "{shape:?}");
    assert_eq!(with_late, calls + 2);
}

/// People are counted for each object and period, also where Meta wants a report for it.
#[tokio::test]
async fn reach_is_counted_for_each_period_and_the_same_by_a_report() {
    let periods = [RANGE, DateRange { since: date(2026, 11, 16), until: date(2026, 11, 19) }];
    let mut counts = Vec::new();
    for limits in
        [InsightsLimits::default(), InsightsLimits { only_reports: true, ..InsightsLimits::default() }]
    {
        let meta = account(limits, ReportSettings::default()).await;
        let mut rows = meta.caller().reach(&meta.account(), Level::Campaign, &periods).await.unwrap();
        rows.sort_by_key(|row| (row.period.since, row.id.clone().map(|id| id.to_string())));
        assert!(rows.iter().all(|row| periods.contains(&row.period) && row.reach > 0 && row.id.is_some()));
        let of_both = periods.map(|period| rows.iter().filter(|row| row.period == period).count());
        assert!(of_both.iter().all(|count| *count > 1), "{of_both:?}");
        let account = meta.caller().reach(&meta.account(), Level::Account, &periods).await.unwrap();
        assert_eq!(account.iter().filter(|row| row.id.is_none()).count(), 2, "{account:?}");
        counts.push(rows);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn an_accounts_own_totals_are_the_sums_of_its_ads_by_day() {
    let meta = account(InsightsLimits::default(), ReportSettings::default()).await;
    let mut sums = BTreeMap::<_, DayTotals>::new();
    let mut ads = meta.caller().insights(&meta.account(), RANGE, QueryShape::default());
    for InsightsRow { facts, .. } in rest(&meta, &mut ads).await {
        let sum = sums.entry(facts.day).or_default();
        sum.impressions += facts.measures.impressions;
        sum.clicks += facts.measures.clicks;
        sum.spend += facts.measures.spend;
    }
    let days = meta.caller().account_days(&meta.account(), RANGE).await.unwrap();
    let days: BTreeMap<_, _> = days.into_iter().map(|day| (day.day, day.totals)).collect();
    assert!(days.len() > 5, "{days:?}");
    assert_eq!(days, sums);
}

/// Campaigns that are read one by one include archived ones, and the numbers of a deleted one are not lost.
#[tokio::test]
async fn campaigns_read_one_by_one_come_to_the_sum_of_the_account() {
    let meta = account(InsightsLimits::default(), ReportSettings::default()).await;
    let shape = QueryShape { by_campaign: true, ..QueryShape::default() };
    assert_eq!(read(&meta, shape).await.0, facts(&meta));
    assert_eq!(meta.sim.report_runs().len(), 1, "one report for what the deleted campaign had");
}

#[tokio::test]
async fn a_report_is_read_whatever_becomes_of_its_runs() {
    let only_reports = InsightsLimits { only_reports: true, ..InsightsLimits::default() };
    for outcomes in [
        vec![ReportOutcome::Failed(ReportError::unexplained())],
        vec![
            ReportOutcome::Failed(ReportError::too_large()),
            ReportOutcome::Failed(ReportError::too_large()),
        ],
        vec![ReportOutcome::Skipped, ReportOutcome::Skipped],
        vec![ReportOutcome::Stuck { percent: 99 }],
        vec![ReportOutcome::Stuck { percent: 100 }],
        vec![ReportOutcome::rows_delayed(1)],
        vec![ReportOutcome::rows_delayed(30)],
    ] {
        let meta = account(only_reports, ReportSettings::default()).await;
        meta.sim.queue_report_outcomes(outcomes.clone());
        let shape = QueryShape { as_report: true, ..QueryShape::default() };
        assert_eq!(read(&meta, shape).await.0, facts(&meta), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_report_that_is_not_ready_in_time_is_waited_for() {
    let slow =
        ReportSettings { duration: SignedDuration::from_mins(3), polls: 0, ..ReportSettings::default() };
    let meta = account(InsightsLimits { only_reports: true, ..InsightsLimits::default() }, slow).await;
    let until = meta.clock.now() + SignedDuration::from_secs(60);
    let mut days = meta.caller().with_deadline(until).insights(&meta.account(), RANGE, QueryShape::default());
    let outcome = days.next().await;
    assert!(matches!(outcome, Err(GraphError::RateLimited { .. })), "{outcome:?}");
    assert!(meta.clock.passed() <= Duration::from_secs(60), "the deadline was kept");
    // The next invocation resumes the same run.
    let own = days.pending_reports().to_vec();
    let earlier = DateRange { since: RANGE.since - 7.days(), until: RANGE.since - 1.day() };
    let other = ReportRun { range: earlier, ..own[0].clone() };
    let old = ReportRun { started_at: meta.clock.now() - SignedDuration::from_hours(3), ..own[0].clone() };
    let runs = [vec![other, old], own].concat();
    let mut days = meta.caller().insights(&meta.account(), RANGE, days.query_shape()).resume(runs);
    assert_eq!(days.pending_reports().len(), 1, "neither another reader's nor one that tells old numbers");
    let mut rows: Vec<Row> = rest(&meta, &mut days).await.iter().map(flatten_decoded_row).collect();
    rows.sort();
    assert_eq!(rows, facts(&meta));
    assert_eq!(meta.sim.report_runs().len(), 1);
}

#[tokio::test]
async fn each_action_is_known_under_the_windows_that_were_asked_for() {
    let meta = Meta::start().await;
    let mut days = meta.caller().insights(&meta.account(), RANGE, QueryShape::default());
    let rows: BTreeMap<_, _> = rest(&meta, &mut days)
        .await
        .into_iter()
        .map(|day| ((day.ad.to_string(), day.facts.day.to_string()), day))
        .collect();
    let windows = ["1d_click", "7d_click", "28d_click", "1d_view"];
    let mut compared = 0;
    for row in raw(&meta.caller(), &meta, &json!(windows).to_string()).await {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let measures = &rows[&(text("ad_id"), text("date_start"))].facts.measures;
        let purchase = PURCHASE_KEYS.iter().find_map(|key| entry(&row["actions"], key));
        for window in windows {
            let given = purchase.and_then(|purchase| number(&purchase[window]));
            let known = measures.by_window.get(window).and_then(|conversions| conversions.purchases);
            assert_eq!(known, given, "{window} of {row}");
            compared += u32::from(given.is_some());
        }
    }
    assert!(compared > 20, "{compared}");
}

/// Returns the rows as Graph writes them.
async fn raw(caller: &UserClient, meta: &Meta, windows: &str) -> Vec<Value> {
    let range = json!({"since": RANGE.since, "until": RANGE.until}).to_string();
    let params = [
        ("level", "ad"),
        ("time_increment", "1"),
        ("time_range", range.as_str()),
        ("action_attribution_windows", windows),
        ("fields", "ad_id,actions"),
        ("limit", "5000"),
    ];
    let page: Value = caller.get(&format!("{}/insights", meta.account()), &params).await.unwrap();
    page["data"].as_array().unwrap().clone()
}

fn entry<'a>(list: &'a Value, action: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|item| item["action_type"] == action)
}

fn number(value: &Value) -> Option<Decimal> {
    value.as_str()?.parse().ok()
}
