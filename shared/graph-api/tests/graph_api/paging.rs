//! Paging, for every way in which Meta splits pages and with faults in between.

use std::cell::RefCell;

use domain::entity::{EffectiveStatus, Level};
use graph_api::GraphError;
use graph_sim::{
    ErrorResponse, FaultKind, FaultPlan, FaultRule, PagingQuirks, RequestMatcher, ThrottleKind, Trigger,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::Meta;

/// One way to read a listing.
#[derive(Debug, Clone)]
struct Case {
    /// The index of the combination of paging quirks.
    manner: usize,
    /// The page size at the start.
    size: u32,
    faults: Vec<(u32, FaultKind)>,
    /// For each page or error, whether another reader continues after it, and its page size.
    handovers: Vec<Option<u32>>,
}

/// Faults that are transient or that a smaller page avoids.
fn faults() -> impl Strategy<Value = FaultKind> {
    let busy = ErrorResponse::new(2, None).status(500).transient(true);
    prop::sample::select(vec![
        FaultKind::ErrorResponse(busy.clone()),
        FaultKind::ErrorResponse(busy.status(200)),
        FaultKind::ErrorResponse(ErrorResponse::too_much_data()),
        FaultKind::ErrorResponse(ErrorResponse::new(100, Some(1_487_534))),
        FaultKind::PlainUnavailable,
        FaultKind::Html,
        FaultKind::HtmlUnavailable,
        FaultKind::TooLarge,
        FaultKind::Truncated,
        FaultKind::LostResponse,
        FaultKind::LostRequest,
        FaultKind::RepeatedPage,
        FaultKind::Throttle { limit: ThrottleKind::Management, minutes: 1 },
    ])
}

fn cases() -> impl Strategy<Value = Case> {
    let faults = prop::collection::vec((1u32..12, faults()), 0..6);
    let handovers = prop::collection::vec(prop::option::weighted(0.3, 0u32..40), 0..8);
    (0usize..8, 0u32..40, faults, handovers).prop_map(|(manner, size, faults, handovers)| Case {
        manner,
        size,
        faults,
        handovers,
    })
}

/// Starts one Meta for each combination of paging quirks.
async fn metas() -> Vec<Meta> {
    let mut metas = Vec::new();
    for bits in 0..8 {
        let has = |bit: u8| bits & bit != 0;
        let pages = PagingQuirks { short: has(1), empty_between: has(2), empty_last: has(4) };
        metas.push(Meta::with(|config| config.behaviour.pages = pages).await);
    }
    metas
}

/// Returns the ids of the account's ads in order, from a single page.
async fn listing(meta: &Meta) -> Vec<String> {
    let statuses: Vec<_> = EffectiveStatus::KNOWN.iter().filter(|status| **status != "DELETED").collect();
    let statuses = json!(statuses).to_string();
    let params = [("fields", "id"), ("effective_status", statuses.as_str()), ("limit", "500")];
    let page: Value = meta.caller().get(&format!("{}/ads", meta.account()), &params).await.unwrap();
    page["data"].as_array().unwrap().iter().map(|ad| ad["id"].as_str().unwrap().to_owned()).collect()
}

/// Reads the ids with a client that handles each error as it requires.
async fn read(meta: &Meta, case: &Case) -> Vec<String> {
    let rule = |(n, what): &(u32, FaultKind)| {
        let place = RequestMatcher { path_contains: "/ads".into(), ..RequestMatcher::default() };
        FaultRule { when: Trigger::nth(*n), matcher: place, what: what.clone() }
    };
    meta.sim.set_plan(FaultPlan { seed: 0, rules: case.faults.iter().map(rule).collect() });
    let begin = || meta.caller().entities(&meta.account(), Level::Ad);
    let mut pages = begin().with_page_size(case.size);
    let mut handovers = case.handovers.iter();
    let mut ids = Vec::new();
    loop {
        match pages.next().await {
            Ok(None) => return ids,
            Ok(Some(rows)) => {
                ids.extend(rows.into_iter().map(|row| row.into_entity(Level::Ad).id.to_string()));
            }
            Err(GraphError::RateLimited { after, .. }) => meta.clock.pass(after),
            Err(GraphError::Transient(_) | GraphError::RequestTooLarge(_)) => {}
            Err(error) => panic!("{error}"),
        }
        if let Some(Some(size)) = handovers.next()
            && !pages.has_ended()
        {
            pages = begin().with_page_size(*size).after(pages.cursor().map(str::to_owned));
        }
    }
}

#[test]
fn every_row_comes_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let metas = runtime.block_on(metas());
    let all = runtime.block_on(listing(&metas[0]));
    assert!(all.len() >= 20, "{}", all.len());
    let struck = RefCell::new(0);
    let config = Config { cases: 250, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&cases(), |case| {
        let meta = &metas[case.manner];
        let before = meta.sim.faults_injected();
        prop_assert_eq!(&runtime.block_on(read(meta, &case)), &all);
        *struck.borrow_mut() += meta.sim.faults_injected() - before;
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(struck.take() > 100, "the faults were met");
}

#[tokio::test]
async fn a_page_that_was_made_smaller_grows_again() {
    let meta = Meta::start().await;
    let few = FaultKind::ErrorResponse(ErrorResponse::too_much_data());
    meta.sim.set_plan(FaultPlan::single(
        Trigger { times: Some(6), ..Trigger::default() },
        RequestMatcher::default(),
        few,
    ));
    let mut pages = meta.caller().entities(&meta.account(), Level::Ad);
    assert_eq!(pages.next().await.unwrap().map(|rows| rows.len()), Some(7));
    assert_eq!((pages.size(), meta.graph.calls()), (7, 7));
    assert!(meta.clock.passed().is_zero(), "asking for less needs no pause");
}
