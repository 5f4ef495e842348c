//! Provokes each kind of error over HTTP and checks how the client handles it.

use std::time::Duration;

use domain::date::DateRange;
use domain::entity::Changes;
use domain::entity::Level;
use domain::id::EntityId;
use graph_api::insights::QueryShape;
use graph_api::{GraphError, ThrottleScope};
use graph_sim::{
    ErrorData, ErrorResponse, ExpectedOutcome, Fault, FaultCase, FaultKind, FaultPlan, ThrottleKind,
};
use jiff::civil::date;
use serde_json::{Value, json};

use crate::rows::{flatten_decoded_row, flatten_graph_row};
use crate::support::{Meta, graph_at};

const RANGE: DateRange = DateRange { since: date(2026, 11, 13), until: date(2026, 11, 19) };

/// Returns the name of the error's variant.
fn name(error: &GraphError) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '(']).next().unwrap().to_owned()
}

fn fail(meta: &Meta, method: &str, times: u32, kind: FaultKind) {
    meta.sim.fail_next(Fault {
        method: Some(method.into()),
        path_contains: "/".into(),
        times,
        skip: 0,
        kind,
    });
}

/// Reads while every read fails in this way. Returns the error, the number of calls, and the time that passed.
async fn refused(kind: FaultKind) -> (GraphError, u64, Duration) {
    let meta = Meta::start().await;
    fail(&meta, "GET", u32::MAX, kind);
    let error = meta.caller().entity(Level::Campaign, &"1".parse().unwrap()).await.unwrap_err();
    (error, meta.sim.calls(), meta.clock.passed())
}

#[tokio::test]
async fn errors_that_only_a_person_can_fix_are_not_retried() {
    for (expected, code, subcode) in [
        ("Reconnect", 190, Some(463)),
        ("Reconnect", 102, None),
        ("NeedPermission", 10, None),
        ("NeedPermission", 200, None),
        ("NeedPermission", 100, Some(1_870_090)),
        ("Blocked", 368, None),
        ("NotFound", 100, Some(33)),
        ("NotFound", 803, None),
        ("InvalidInput", 100, None),
        ("UnsupportedVersion", 2635, None),
    ] {
        let (error, calls, waited) =
            refused(FaultKind::ErrorResponse(ErrorResponse::new(code, subcode))).await;
        assert_eq!(
            (name(&error).as_str(), calls, waited),
            (expected, 1, Duration::ZERO),
            "{code}/{subcode:?}"
        );
    }
}

#[tokio::test]
async fn transient_errors_are_tried_four_times_with_growing_pauses() {
    for kind in [
        FaultKind::ErrorResponse(ErrorResponse::new(2, None).status(500).transient(true)),
        FaultKind::ErrorResponse(ErrorResponse::new(2, None).status(200)),
        FaultKind::PlainUnavailable,
        FaultKind::Html,
        FaultKind::LostResponse,
    ] {
        let (error, calls, waited) = refused(kind.clone()).await;
        assert_eq!((name(&error).as_str(), calls), ("Transient", 4), "{kind:?}");
        // 200, 400 and 800 milliseconds, each extended by jitter to at most twice as much.
        assert!((1_400..=2_800).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[tokio::test]
async fn a_throttled_call_is_not_retried() {
    for (limit, scope, seconds) in [
        (ThrottleKind::Account, ThrottleScope::Account, 120),
        (ThrottleKind::Burst, ThrottleScope::Account, 120),
        (ThrottleKind::Management, ThrottleScope::UseCase, 120),
        (ThrottleKind::App, ThrottleScope::App, 300),
    ] {
        let (error, calls, waited) = refused(FaultKind::Throttle { limit, minutes: 2 }).await;
        let GraphError::RateLimited { after, scope: of, .. } = error else { panic!("{error:?}") };
        assert_eq!((after, of), (Duration::from_secs(seconds), scope), "{limit:?}");
        assert_eq!((calls, waited), (1, Duration::ZERO), "{limit:?}");
    }
}

#[tokio::test]
async fn an_app_that_is_throttled_calls_for_nobody_until_the_time_is_over() {
    let meta = Meta::start().await;
    fail(&meta, "GET", 1, FaultKind::Throttle { limit: ThrottleKind::App, minutes: 1 });
    let somebody = meta.caller();
    let error = somebody.permissions().await.unwrap_err();
    let other = meta.graph.on_behalf_of(meta.sim.issue_token("8", &["ads_read"]).into());
    meta.clock.pass(Duration::from_secs(299));
    assert_eq!(
        (name(&error), name(&other.permissions().await.unwrap_err())),
        ("RateLimited".into(), "RateLimited".into())
    );
    assert_eq!(meta.sim.calls(), 1);
    meta.clock.pass(Duration::from_secs(1));
    other.permissions().await.unwrap();
}

#[tokio::test]
async fn too_large_or_interrupted_requests_say_how_to_continue() {
    for kind in [FaultKind::ErrorResponse(ErrorResponse::too_much_data()), FaultKind::TooLarge] {
        let (error, calls, _) = refused(kind).await;
        assert_eq!((name(&error).as_str(), calls), ("RequestTooLarge", 1));
    }
    let data = Some(ErrorData::Object(json!({"start_offset": "52428800"})));
    let cut = ErrorResponse { error_data: data, ..ErrorResponse::new(6000, Some(1_363_037)) };
    let (error, calls, _) = refused(FaultKind::ErrorResponse(cut)).await;
    assert!(matches!(error, GraphError::UploadInterrupted { at: 52_428_800, .. }) && calls == 1, "{error:?}");
}

const CAMPAIGN: [(&str, &str); 6] = [
    ("name", "Made once"),
    ("objective", "OUTCOME_SALES"),
    ("status", "PAUSED"),
    ("special_ad_categories", "[]"),
    ("daily_budget", "5000"),
    ("bid_strategy", "LOWEST_COST_WITHOUT_CAP"),
];

/// Creates a campaign while this fault occurs once. Returns the error, the number of calls, and the number of campaigns
/// created.
async fn create(kind: FaultKind) -> (Option<String>, u64, usize) {
    let meta = Meta::start().await;
    fail(&meta, "POST", 1, kind);
    let path = format!("{}/campaigns", meta.account());
    let outcome = meta.caller().create::<Value>(&path, &CAMPAIGN).await;
    let calls = meta.sim.calls();
    let all = meta.caller().entities(&meta.account(), Level::Campaign).all().await.unwrap();
    (outcome.err().as_ref().map(name), calls, all.len() - 5)
}

#[tokio::test]
async fn a_create_is_sent_once_whatever_comes_back() {
    let unknown = || Some("Indeterminate".to_owned());
    let busy = ErrorResponse::new(2, None).status(500).transient(true);
    for (kind, expected, made) in [
        (FaultKind::LostResponse, unknown(), 1),
        (FaultKind::Truncated, unknown(), 1),
        (FaultKind::LostRequest, unknown(), 0),
        (FaultKind::Html, unknown(), 0),
        (FaultKind::ErrorResponse(busy), unknown(), 0),
        (FaultKind::TooLarge, Some("RequestTooLarge".to_owned()), 0),
        (FaultKind::ErrorResponse(ErrorResponse::new(100, None)), Some("InvalidInput".to_owned()), 0),
        (
            FaultKind::Throttle { limit: ThrottleKind::Management, minutes: 1 },
            Some("RateLimited".to_owned()),
            0,
        ),
        (FaultKind::Delay { millis: 5 }, None, 1),
    ] {
        assert_eq!(create(kind.clone()).await, (expected, 1, made), "{kind:?}");
    }
}

#[tokio::test]
async fn without_time_nothing_is_sent_and_a_cut_short_read_is_no_reason_to_ask_for_less() {
    let meta = Meta::start().await;
    let (now, path) = (meta.clock.now(), format!("{}/insights", meta.account()));
    let before = meta.sim.calls();
    let late = meta.caller().with_deadline(now).get::<Value>(&path, &[]).await.unwrap_err();
    assert_eq!((name(&late).as_str(), meta.sim.calls() - before), ("RateLimited", 0));
    fail(&meta, "GET", 1, FaultKind::Delay { millis: 500 });
    let soon = now + jiff::SignedDuration::from_millis(100);
    let hurried = meta.caller().with_deadline(soon).get::<Value>(&path, &[]).await.unwrap_err();
    assert_eq!(name(&hurried), "Transient");
}

#[tokio::test]
async fn a_create_that_was_not_delivered_may_be_sent_again() {
    let meta = Meta::start().await;
    let path = format!("{}/campaigns", meta.account());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let caller = graph_at(format!("http://{nobody}"), &meta.clock, "v26.0").on_behalf_of("token".into());
    let error = caller.create::<Value>(&path, &CAMPAIGN).await.unwrap_err();
    assert_eq!(name(&error), "Transient");
}

#[tokio::test]
async fn settings_and_removals_are_repeated() {
    let meta = Meta::start().await;
    let pages = meta.caller().entities(&meta.account(), Level::Campaign).all().await.unwrap();
    let campaign: EntityId = pages.into_iter().next().unwrap().into_entity(Level::Campaign).id;
    for kind in [FaultKind::LostResponse, FaultKind::LostRequest, FaultKind::Html, FaultKind::Truncated] {
        let before = meta.sim.calls();
        fail(&meta, "POST", 1, kind.clone());
        let name = Changes { name: Some("Renamed".to_owned()), ..Changes::default() };
        meta.caller().change(&campaign, &name).await.unwrap();
        assert_eq!(meta.sim.calls() - before, 2, "{kind:?}");
    }
    fail(&meta, "DELETE", 1, FaultKind::LostResponse);
    meta.caller().remove(&campaign).await.unwrap();
    meta.caller().remove(&campaign).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_another_shape_says_where() {
    let meta = Meta::start().await;
    let error = meta.caller().get::<Vec<String>>("me", &[]).await.unwrap_err();
    assert_eq!(name(&error), "UnexpectedShape");
    let error = meta.caller().get::<std::collections::BTreeMap<String, u8>>("me", &[]).await.unwrap_err();
    let GraphError::UnexpectedShape { at, .. } = error else { panic!("{error:?}") };
    assert!(at == "id" || at == "name", "{at}");
}

/// Reads ads and insights through a fault. Returns how the read ended, or `None` when it completed.
async fn read_through(meta: &Meta) -> Option<ExpectedOutcome> {
    let caller = meta.caller();
    let (mut ads, mut pages) = (0, caller.entities(&meta.account(), Level::Ad).with_page_size(10));
    let shape = QueryShape { rows: 20, ..QueryShape::default() };
    let (mut rows, mut days) = (Vec::new(), caller.insights(&meta.account(), RANGE, shape));
    let (mut listed, mut counted) = (false, false);
    while !(listed && counted) {
        let outcome = if listed {
            days.next().await.map(|more| match more {
                Some(more) => rows.extend(more.iter().map(flatten_decoded_row)),
                None => counted = true,
            })
        } else {
            pages.next().await.map(|more| match more {
                Some(more) => ads += more.len(),
                None => listed = true,
            })
        };
        match outcome {
            Ok(()) | Err(GraphError::Transient(_)) => {}
            Err(GraphError::RateLimited { after, .. }) => meta.clock.pass(after),
            Err(GraphError::Reconnect(details)) if details.needs_user_action() => {
                return Some(ExpectedOutcome::Permission);
            }
            Err(GraphError::Reconnect(_)) => return Some(ExpectedOutcome::Reconnect),
            Err(GraphError::NeedPermission(_)) => return Some(ExpectedOutcome::Permission),
            Err(GraphError::UnsupportedVersion(_)) => return Some(ExpectedOutcome::Version),
            Err(error) => panic!("{error}"),
        }
    }
    let mut facts: Vec<_> =
        meta.sim.insights_rows(RANGE.since, RANGE.until).iter().map(flatten_graph_row).collect();
    facts.sort();
    rows.sort();
    assert_eq!(rows, facts);
    assert!(ads >= 20, "{ads}");
    None
}

#[tokio::test]
async fn a_read_ends_as_it_should_after_every_single_fault() {
    for FaultCase { name, plan, expected } in FaultPlan::all_cases() {
        let meta = Meta::with(|config| config.faults = plan).await;
        let expected = Some(expected).filter(|expected| *expected != ExpectedOutcome::Complete);
        assert_eq!(read_through(&meta).await, expected, "{name}");
    }
}
