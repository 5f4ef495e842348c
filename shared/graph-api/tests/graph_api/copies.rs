//! Copies of campaigns, ad sets and ads.

use domain::entity::{Entity, Level, Status};
use domain::launch::Step;
use graph_api::GraphError;
use graph_api::copy::{CopyOptions, CopyStatus, RenameStrategy};
use graph_api::launch::{DuplicateAd, DuplicateAdSet, DuplicateSpec};
use graph_sim::{Fault, FaultKind};
use serde_json::json;

use crate::support::{Meta, created, launch_of};

async fn first(meta: &Meta, level: Level) -> Entity {
    let objects = meta.caller().entities(&meta.account(), level).all().await.unwrap();
    objects.into_iter().next().unwrap().into_entity(level)
}

#[tokio::test]
async fn an_ad_is_copied_paused_and_named_as_asked() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let ad = first(&meta, Level::Ad).await;
    let affix = RenameStrategy::Affix { prefix: "Test: ".into(), suffix: " (2)".into(), deep: false };
    let options = CopyOptions { renaming: affix, ..CopyOptions::default() };
    let copied = caller.copy(Level::Ad, &ad.id, &options).await.unwrap();
    let copy = caller.entity(Level::Ad, &copied.id).await.unwrap();
    assert_eq!(copy.name.unwrap(), format!("Test: {} (2)", ad.name.unwrap()));
    assert_eq!((copy.status, copy.adset_id), (Some(Status::Paused), ad.adset_id));
    assert_eq!(copied.objects.len(), 1);
    assert_eq!((&copied.objects[0].source_id, &copied.objects[0].copied_id), (&ad.id, &copied.id));
}

#[tokio::test]
async fn a_campaign_is_copied_step_by_step_and_every_copy_is_found_again() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let is_alive = |entity: &Entity| !matches!(entity.status, Some(Status::Archived | Status::Deleted));
    let ads = caller.entities(&meta.account(), Level::Ad).all().await.unwrap();
    let mut ads = ads.into_iter().map(|ad| ad.into_entity(Level::Ad)).filter(is_alive);
    let ad = ads.next().unwrap();
    let (ad_set, campaign) = (ad.adset_id.clone().unwrap(), ad.campaign_id.clone().unwrap());
    let account = meta.sim.account();
    let document = json!({
        "name": "Any", "objective": "OUTCOME_TRAFFIC", "daily_budget": {"amount": 1, "currency": account.currency},
        "ad_set": {"optimization_goal": "LINK_CLICKS"}, "ad": {"creative": {"creative_id": "1"}},
    });
    let (mut launch, spec) = launch_of(&meta, document);
    let duplicate = DuplicateSpec {
        copy_of: campaign,
        name: "Copy".to_owned(),
        daily_budget: None,
        ad_sets: vec![DuplicateAdSet {
            copy_of: ad_set,
            name: "Set".to_owned(),
            ads: vec![DuplicateAd { copy_of: ad.id.clone(), name: "Ad".to_owned() }],
        }],
    };
    for step in duplicate.steps() {
        assert_eq!(caller.find_copy(&launch, step).await.unwrap(), None);
        let id = caller.copy_step(&launch, &duplicate, step).await.unwrap();
        assert_eq!(caller.find_copy(&launch, step).await.unwrap().as_ref(), Some(&id));
        launch.created.push(created(step, id));
    }
    let copy = caller.entity(Level::Ad, launch.id_of(Step::Ad(0, 0)).unwrap()).await.unwrap();
    assert_eq!((copy.adset_id.as_ref(), copy.status), (launch.id_of(Step::AdSet(0)), Some(Status::Paused)));
    // What a document describes is held against Meta's own least budgets.
    let found = caller.preflight(&meta.account(), &spec, account.currency.parse().unwrap()).await.unwrap();
    assert_eq!(found.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["daily_budget.amount"]);
}

#[tokio::test]
async fn an_ad_set_goes_into_another_campaign() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let ad_set = first(&meta, Level::AdSet).await;
    let campaigns = caller.entities(&meta.account(), Level::Campaign).all().await.unwrap();
    let mut campaigns = campaigns.into_iter().map(|campaign| campaign.into_entity(Level::Campaign));
    // A campaign with a budget of its own, so that the ad set needs none.
    let takes = |campaign: &Entity| {
        let alive = !matches!(campaign.status, Some(Status::Archived | Status::Deleted));
        alive && campaign.daily_budget.is_some() && Some(&campaign.id) != ad_set.campaign_id.as_ref()
    };
    let other = &campaigns.find(takes).unwrap().id;
    let options = CopyOptions {
        into: Some(other.clone()),
        status: CopyStatus::Inherited,
        renaming: RenameStrategy::NoRename,
        deep: false,
    };
    let copied = caller.copy(Level::AdSet, &ad_set.id, &options).await.unwrap();
    let copy = caller.entity(Level::AdSet, &copied.id).await.unwrap();
    assert_eq!((copy.campaign_id.as_ref(), copy.name), (Some(other), ad_set.name));
    assert_eq!(copy.status, ad_set.status);

    let into = CopyOptions { into: Some(other.clone()), ..CopyOptions::default() };
    assert!(matches!(caller.copy(Level::Campaign, other, &into).await, Err(GraphError::InvalidInput(_))));
}

#[tokio::test]
async fn a_deep_copy_of_much_is_too_much_for_one_call() {
    let meta = Meta::start().await;
    let campaign = first(&meta, Level::Campaign).await;
    let deep = CopyOptions { deep: true, ..CopyOptions::default() };
    let answer = meta.caller().copy(Level::Campaign, &campaign.id, &deep).await;
    assert!(matches!(answer, Err(GraphError::RequestTooLarge(_))), "{answer:?}");
}

#[tokio::test]
async fn a_copy_whose_answer_was_lost_is_found_and_not_made_again() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let campaign = first(&meta, Level::Campaign).await;
    meta.sim.fail_next(Fault {
        method: Some("POST".into()),
        path_contains: "/copies".into(),
        times: 1,
        skip: 0,
        kind: FaultKind::LostResponse,
    });
    let answer = caller.copy(Level::Campaign, &campaign.id, &CopyOptions::default()).await;
    assert!(matches!(answer, Err(GraphError::Indeterminate(_))), "{answer:?}");
    let copies = caller.copies(Level::Campaign, &campaign.id).await.unwrap();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].status, Some(Status::Paused));
}
