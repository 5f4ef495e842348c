//! Batches, and the result of each of their items.

use std::sync::Arc;
use std::time::Duration;

use domain::entity::Level;
use domain::id::EntityId;
use graph_api::batch::Item;
use graph_api::limit::{AccountLimits, QuotaShare};
use graph_api::usage::UseCase;
use graph_api::{GraphError, QuotaLease, ThrottleScope};
use graph_sim::{Area, ErrorResponse, Fault, FaultKind, FaultPlan, RequestMatcher, ThrottleKind, Trigger};
use serde::Deserialize;

use crate::support::Meta;

#[derive(Debug, Deserialize)]
struct Made {
    id: EntityId,
}

async fn ad_ids(meta: &Meta) -> Vec<EntityId> {
    let ads = meta.caller().entities(&meta.account(), Level::Ad).all().await.unwrap();
    ads.into_iter().map(|ad| ad.into_entity(Level::Ad).id).collect()
}

fn new_campaign(meta: &Meta, name: &str) -> Item {
    let params = [
        ("name", name),
        ("objective", "OUTCOME_TRAFFIC"),
        ("status", "PAUSED"),
        ("special_ad_categories", "[]"),
        ("daily_budget", "5000"),
        ("bid_strategy", "LOWEST_COST_WITHOUT_CAP"),
    ];
    let params = params.map(|(name, value)| (name, value.to_owned()));
    Item::create(format!("{}/campaigns", meta.account()), params.to_vec())
}

fn fault(method: &str, path_contains: &str, kind: FaultKind) -> Fault {
    Fault { method: Some(method.into()), path_contains: path_contains.into(), times: 1, skip: 0, kind }
}

#[tokio::test]
async fn objects_are_read_fifty_at_a_time_and_missing_ones_fail_alone() {
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    let unknown: EntityId = "42".parse().unwrap();
    let asked: Vec<EntityId> = ads.iter().cloned().cycle().take(100).chain([unknown.clone()]).collect();
    let before = meta.graph.calls();
    let answers = meta.caller().entities_by_id(Level::Ad, &asked).await;
    assert_eq!(meta.graph.calls() - before, 3);
    assert!(answers.iter().map(|(id, _)| id).eq(&asked));
    for (id, answer) in &answers[..100] {
        let alone = meta.sim.node(id.as_str()).unwrap();
        assert_eq!(answer.as_ref().unwrap().name.as_deref(), alone["name"].as_str());
    }
    assert!(matches!(answers[100].1, Err(GraphError::NotFound(_))));
}

#[tokio::test]
async fn what_reads_or_sets_is_sent_again_and_what_creates_is_not() {
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    let account = meta.account();
    meta.sim.fail_next(fault("GET", ads[0].as_str(), FaultKind::LostResponse));
    meta.sim.fail_next(fault("POST", ads[1].as_str(), FaultKind::LostRequest));
    meta.sim.fail_next(fault("POST", "/campaigns", FaultKind::LostResponse));
    let passing = ErrorResponse::new(2, None).status(500).transient(true);
    meta.sim.fail_next(fault("DELETE", ads[2].as_str(), FaultKind::ErrorResponse(passing)));
    let items = [
        Item::get(ads[0].as_str(), vec![("fields", "id,name".to_owned())]),
        Item::update(ads[1].as_str(), vec![("name", "A new & better name".to_owned())]),
        Item::delete(ads[2].as_str()),
        new_campaign(&meta, "Made once"),
    ];
    let before = meta.graph.calls();
    let answers = meta.caller().batch::<serde_json::Value>(&items).await;
    assert_eq!(answers[0].as_ref().unwrap()["id"], ads[0].as_str());
    assert!(answers[1].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(matches!(answers[3], Err(GraphError::Indeterminate(_))), "{:?}", answers[3]);
    assert_eq!((meta.graph.calls() - before, meta.sim.faults_injected()), (2, 4));
    assert_eq!(meta.sim.node(ads[1].as_str()).unwrap()["name"], "A new & better name");
    assert_eq!(meta.sim.node(ads[2].as_str()).unwrap()["status"], "DELETED");
    let made = meta.caller().entities_named(&account, Level::Campaign, "Made once").await.unwrap();
    assert_eq!(made.len(), 1, "it was made, and not made again");
}

/// An update whose answer is lost may have been made, whatever Meta says to the next try.
#[tokio::test]
async fn what_meta_says_after_a_lost_answer_does_not_mean_that_nothing_was_written() {
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    let throttle = || FaultKind::Throttle { limit: ThrottleKind::Management, minutes: 5 };
    meta.sim.fail_next(fault("POST", ads[0].as_str(), FaultKind::LostResponse));
    meta.sim.fail_next(fault("POST", ads[0].as_str(), throttle()));
    let items = [Item::update(ads[0].as_str(), vec![("name", "Written".to_owned())])];
    let answers = meta.caller().batch::<serde_json::Value>(&items).await;
    assert!(matches!(answers[0], Err(GraphError::Transient(_))), "{answers:?}");
    assert_eq!(meta.sim.node(ads[0].as_str()).unwrap()["name"], "Written");
    // As well of a call of its own, and where the repetition is refused; and one that was only refused was not made.
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    meta.sim.fail_next(fault("POST", ads[1].as_str(), FaultKind::LostResponse));
    let refused = FaultKind::ErrorResponse(ErrorResponse::new(100, None));
    meta.sim.fail_next(fault("POST", ads[1].as_str(), refused));
    let alone = meta.caller().update(ads[1].as_str(), &[("name", "Written")]).await;
    assert!(matches!(alone, Err(GraphError::Transient(_))), "{alone:?}");
    assert_eq!(meta.sim.node(ads[1].as_str()).unwrap()["name"], "Written");
    let meta = Meta::start().await;
    meta.sim.fail_next(fault("POST", ads[0].as_str(), throttle()));
    let answers = meta.caller().batch::<serde_json::Value>(&items).await;
    assert!(matches!(answers[0], Err(GraphError::RateLimited { .. })), "{answers:?}");
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_fails_for_each_item_in_its_own_way() {
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    let whole = RequestMatcher { area: Some(Area::Batch), ..RequestMatcher::default() };
    meta.sim.set_plan(FaultPlan::single(Trigger::nth(1), whole.clone(), FaultKind::LostResponse));
    let items = [Item::get(ads[0].as_str(), Vec::new()), new_campaign(&meta, "Lost with its batch")];
    let answers = meta.caller().batch::<Made>(&items).await;
    assert_eq!(answers[0].as_ref().unwrap().id, ads[0]);
    assert!(matches!(answers[1], Err(GraphError::Indeterminate(_))), "{:?}", answers[1]);

    let dead = FaultKind::ErrorResponse(ErrorResponse::token(460));
    meta.sim.set_plan(FaultPlan::single(Trigger::default(), whole, dead));
    for (_, answer) in meta.caller().entities_by_id(Level::Ad, &ads).await {
        assert!(matches!(answer, Err(GraphError::Reconnect(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn ad_sets_of_one_campaign_are_made_in_batches_of_their_own() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let campaigns = caller.batch::<Made>(&[new_campaign(&meta, "one"), new_campaign(&meta, "other")]).await;
    let [one, other] = [&campaigns[0], &campaigns[1]].map(|made| made.as_ref().unwrap().id.to_string());
    let ad_set = |campaign: &str, name: &str| {
        let targeting =
            r#"{"geo_locations":{"countries":["SG"]},"targeting_automation":{"advantage_audience":0}}"#;
        let params = [
            ("name", name),
            ("campaign_id", campaign),
            ("status", "PAUSED"),
            ("billing_event", "IMPRESSIONS"),
            ("optimization_goal", "LINK_CLICKS"),
            ("targeting", targeting),
        ];
        let params = params.map(|(name, value)| (name, value.to_owned()));
        Item::create(format!("{}/adsets", meta.account()), params.to_vec())
    };
    let before = meta.graph.calls();
    let items = [ad_set(&one, "1"), ad_set(&one, "2"), ad_set(&other, "3"), ad_set(&one, "4")];
    let made = caller.batch::<Made>(&items).await;
    let name = |made: &Result<Made, GraphError>| meta.sim.node(made.as_ref().unwrap().id.as_str()).unwrap();
    let names: Vec<_> = made.iter().map(|made| name(made)["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["1", "2", "3", "4"]);
    assert_eq!(meta.graph.calls() - before, 3);
}

#[tokio::test]
async fn an_item_costs_as_much_as_a_call() {
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    let quota_lease = Arc::new(QuotaLease::default());
    let now = meta.graph.now();
    let mut limits = AccountLimits::default();
    quota_lease.put(Ok(limits.lease(UseCase::AdsManagement, QuotaShare::Whole, 1, 6, now).unwrap()));
    let caller = meta.caller().with_quota_lease(Arc::clone(&quota_lease));
    let answers = caller.entities_by_id(Level::Ad, &ads[..10]).await;
    let waits = |answer: &Result<_, GraphError>| {
        matches!(answer, Err(GraphError::RateLimited { scope: ThrottleScope::Action, .. }))
    };
    assert!(answers[..6].iter().all(|(_, answer)| answer.is_ok()));
    assert!(answers[6..].iter().all(|(_, answer)| waits(answer)), "{answers:?}");
    let (_, spent) = quota_lease.take().unwrap();
    assert_eq!(spent.points, 6);
    assert!(spent.usage.percent(UseCase::AdsManagement).is_some(), "items carry the headers of quotas");
    assert!(spent.unreported < spent.points);
}

#[tokio::test]
async fn a_throttled_item_waits_as_its_own_headers_say() {
    let meta = Meta::start().await;
    let ads = ad_ids(&meta).await;
    let throttle = |limit| FaultKind::Throttle { limit, minutes: 7 };
    meta.sim.fail_next(fault("GET", ads[1].as_str(), throttle(ThrottleKind::Management)));
    let answers = meta.caller().entities_by_id(Level::Ad, &ads[..3]).await;
    assert!(answers[0].1.is_ok() && answers[2].1.is_ok());
    let Err(GraphError::RateLimited { after, scope, .. }) = &answers[1].1 else { panic!("{:?}", answers[1]) };
    assert_eq!((*after, *scope), (Duration::from_secs(420), ThrottleScope::UseCase));

    // While the app is throttled, nothing is sent.
    meta.sim.fail_next(fault("GET", ads[0].as_str(), throttle(ThrottleKind::App)));
    assert!(meta.caller().entities_by_id(Level::Ad, &ads[..1]).await[0].1.is_err());
    let before = meta.graph.calls();
    let answers = meta.caller().entities_by_id(Level::Ad, &ads).await;
    let blocked = |answer: &Result<_, GraphError>| {
        matches!(answer, Err(GraphError::RateLimited { scope: ThrottleScope::App, .. }))
    };
    assert!(answers.iter().all(|(_, answer)| blocked(answer)));
    assert_eq!(meta.graph.calls(), before);
}
