//! Creates, finds, changes and deletes objects.

use domain::entity::{Changes, EffectiveStatus, Level, Status};
use domain::id::EntityId;
use domain::launch::{Launch, Step};
use graph_api::launch::{LaunchPlan, LaunchSpec};
use graph_api::regulation::{Identities, Regulation};
use graph_api::{GraphError, ThrottleScope};
use graph_sim::{Fault, FaultKind, Limits, Tier};
use serde_json::{Value, json};

use crate::support::{Meta, created, launch_of};

fn launch(meta: &Meta) -> (Launch, LaunchSpec) {
    let account = meta.sim.account();
    let spec = json!({
        "name": "Winter sale",
        "objective": "OUTCOME_SALES",
        "daily_budget": {"amount": 5000, "currency": account.currency},
        "ad_set": {
            "optimization_goal": "OFFSITE_CONVERSIONS",
            "countries": ["SG"],
            "promoted_object": {"pixel_id": "123", "custom_event_type": "PURCHASE"}
        },
        "ad": {"creative": {"post_id": format!("{}_77", account.page_id)}}
    });
    launch_of(meta, spec)
}

#[tokio::test]
async fn what_a_launch_creates_is_paused_found_by_name_and_deleted_once() {
    let meta = Meta::start().await;
    let (caller, (mut launch, spec)) = (meta.caller(), launch(&meta));
    for step in spec.steps() {
        let id = caller.create_step(&launch, &spec, step).await.unwrap();
        launch.created.push(created(step, id));
    }
    for created in &launch.created {
        let object = caller.entity(created.step.level(), &created.id).await.unwrap();
        assert_eq!(object.status, Some(Status::Paused));
        assert_eq!(caller.find_step(&launch, &spec, created.step).await.unwrap().as_ref(), Some(&created.id));
        let marked = caller.find_marked(&launch, created.step.level()).await.unwrap();
        assert_eq!(marked.as_slice(), std::slice::from_ref(&created.id));
    }
    let campaign = launch.created[0].id.clone();
    let below = caller.entities_below(&launch.ad_account, Level::Ad, (Level::Campaign, &campaign));
    assert_eq!(below.all().await.unwrap().len(), 1);
    let named = caller.entities_named(&launch.ad_account, Level::Campaign, "Winter sale").await.unwrap();
    assert_eq!(named.len(), 1);
    caller.remove(&campaign).await.unwrap();
    caller.remove(&campaign).await.unwrap();
    let gone = caller.entity(Level::Campaign, &campaign).await;
    let deleted = |status: Option<EffectiveStatus>| status == Some(EffectiveStatus::Deleted);
    assert!(matches!(&gone, Err(GraphError::NotFound(_))) || deleted(gone.unwrap().effective_status));
}

#[tokio::test]
async fn what_exists_is_described_as_a_document_would_and_held_against_it() {
    let meta = Meta::start().await;
    let (caller, (mut launch, spec)) = (meta.caller(), launch(&meta));
    for step in spec.steps() {
        let id = caller.create_step(&launch, &spec, step).await.unwrap();
        launch.created.push(created(step, id));
    }
    let [campaign, ad_set] = [0, 1].map(|number: usize| &launch.created[number].id);
    let described =
        caller.describe_campaign(campaign, meta.sim.account().currency.parse().unwrap()).await.unwrap();
    assert_eq!((&described.objective, described.daily_budget), (&spec.objective, spec.daily_budget));
    let described = caller.describe_ad_set(ad_set).await.unwrap();
    assert_eq!(described.promoted_object, spec.ad_sets[0].promoted_object);
    let plan = LaunchPlan::Document(Box::new(spec));
    assert_eq!(caller.launch_differences(&launch, &plan).await.unwrap(), []);
    meta.sim.update_node(ad_set.as_str(), json!({"optimization_goal": "LINK_CLICKS"}));
    let found = caller.launch_differences(&launch, &plan).await.unwrap();
    let found: Vec<_> = found.iter().map(|one| (one.step, &*one.field, &*one.asked, &*one.shown)).collect();
    assert_eq!(found, [(Step::AdSet(0), "optimization_goal", "OFFSITE_CONVERSIONS", "LINK_CLICKS")]);
}

#[tokio::test]
async fn an_audience_in_the_eu_wants_to_know_who_stands_behind_the_ads() {
    let meta = Meta::start().await;
    let (caller, (mut launch, mut spec)) = (meta.caller(), launch(&meta));
    spec.ad_sets[0].countries = vec!["DE".to_owned()];
    let id = caller.create_step(&launch, &spec, Step::Campaign).await.unwrap();
    launch.created.push(created(Step::Campaign, id));
    let refused = caller.create_step(&launch, &spec, Step::AdSet(0)).await;
    let Err(GraphError::InvalidInput(details)) = refused else { panic!("{refused:?}") };
    assert_eq!(details.blamed_fields, ["dsa_payor"], "the person is told which field");
    let payor = "Winter GmbH".to_owned();
    spec.ad_sets[0].dsa = Some(graph_api::regulation::Dsa { beneficiary: payor.clone(), payor });
    caller.create_step(&launch, &spec, Step::AdSet(0)).await.unwrap();
}

#[tokio::test]
async fn verified_identities_go_with_the_categories_that_they_are_for() {
    let meta = Meta::with(|config| config.behaviour.writing.require_regional_identities = true).await;
    let (caller, (mut launch, mut spec)) = (meta.caller(), launch(&meta));
    spec.ad_sets[0].countries = ["TW", "SG", "TH", "BR", "AU", "IN"].map(str::to_owned).to_vec();
    spec.special_ad_categories = vec!["FINANCIAL_PRODUCTS_SERVICES".to_owned()];
    let id = caller.create_step(&launch, &spec, Step::Campaign).await.unwrap();
    launch.created.push(created(Step::Campaign, id));
    let campaign = meta.sim.node(launch.created[0].id.as_str()).unwrap();
    assert_eq!(campaign["special_ad_category_country"], json!(spec.ad_sets[0].countries));
    let refused = caller.validate_step(&launch, &spec, Step::AdSet(0)).await;
    let Err(GraphError::InvalidInput(details)) = refused else { panic!("{refused:?}") };
    assert_eq!((details.code, details.subcode), (100, Some(3_858_495)));
    let identities = Identities { payer: "41".parse().unwrap(), beneficiary: "42".parse().unwrap() };
    spec.ad_sets[0].regional_identities =
        Regulation::ALL.into_iter().map(|regulation| (regulation, identities.clone())).collect();
    let id = caller.create_step(&launch, &spec, Step::AdSet(0)).await.unwrap();
    let ad_set = meta.sim.node(id.as_str()).unwrap();
    assert_eq!(ad_set["regional_regulated_categories"], json!(Regulation::ALL));
    let named = ad_set["regional_regulation_identities"].as_object().unwrap();
    assert_eq!(named.len(), 12, "Thailand and Brazil share theirs");
    assert_eq!(
        (&named["universal_payer"], &named["india_finserv_beneficiary"]),
        (&json!("41"), &json!("42"))
    );
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_not_sent_again() {
    let meta = Meta::start().await;
    let (caller, (launch, spec)) = (meta.caller(), launch(&meta));
    meta.sim.fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: "/campaigns".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::LostResponse,
    });
    let calls = meta.sim.calls();
    let lost = caller.create_step(&launch, &spec, Step::Campaign).await;
    assert!(matches!(lost, Err(GraphError::Indeterminate(_))), "{lost:?}");
    assert_eq!(meta.sim.calls() - calls, 1);
    assert!(caller.find_step(&launch, &spec, Step::Campaign).await.unwrap().is_some(), "it had happened");
}

#[tokio::test]
async fn a_fifth_change_of_a_budget_within_the_hour_waits_for_an_hour_and_holds_up_nothing_else() {
    let limited = |config: &mut graph_sim::Config| config.limits = Limits::of(Tier::Full);
    let meta = Meta::with(limited).await;
    let caller = meta.caller();
    let adsets = caller.entities(&meta.account(), Level::AdSet).all().await.unwrap();
    let mut adsets = adsets.into_iter().map(|adset| adset.into_entity(Level::AdSet));
    let adset = adsets.find(|adset| adset.daily_budget.is_some()).unwrap();
    let budget = |cents| Changes { daily_budget: Some(cents), ..Changes::default() };
    for cents in [5001, 5002, 5003, 5004] {
        caller.change(&adset.id, &budget(cents)).await.unwrap();
    }
    let fifth = caller.change(&adset.id, &budget(5005)).await;
    let Err(GraphError::RateLimited { after, scope: ThrottleScope::Action, .. }) = fifth else {
        panic!("{fifth:?}")
    };
    assert_eq!(after.as_secs(), 3600);
    caller
        .change(&adset.id, &Changes { name: Some("renamed".to_owned()), ..Changes::default() })
        .await
        .unwrap();
    meta.clock.pass(after);
    caller.change(&adset.id, &budget(5005)).await.unwrap();
}

#[tokio::test]
async fn several_changes_go_together_and_each_has_its_own_answer() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let campaigns = caller.entities(&meta.account(), Level::Campaign).all().await.unwrap();
    let mut ids: Vec<EntityId> =
        campaigns.into_iter().map(|campaign| campaign.into_entity(Level::Campaign).id).collect();
    ids.insert(1, "42".parse().unwrap());
    let name = |id: &EntityId| Changes { name: Some(format!("New {id}")), ..Changes::default() };
    let changes: Vec<_> = ids.iter().map(|id| (id.clone(), name(id))).collect();
    let exchanges = meta.graph.calls();
    let answers = caller.change_all(&changes).await;
    assert_eq!(meta.graph.calls() - exchanges, 1);
    for (number, (id, answer)) in ids.iter().zip(answers).enumerate() {
        assert_eq!(answer.is_ok(), number != 1, "{id}: {answer:?}");
        if number != 1 {
            assert_eq!(meta.sim.node(id.as_str()).unwrap()["name"], format!("New {id}"));
        }
    }
}

#[tokio::test]
async fn the_plain_calls_are_there_for_whatever_else_is_wanted() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account().to_string());
    let form = [("name", "By hand"), ("objective", "OUTCOME_TRAFFIC"), ("status", "PAUSED")];
    let more = [("special_ad_categories", "[]"), ("is_adset_budget_sharing_enabled", "false")];
    let form = [&form[..], &more[..]].concat();
    let created: Value = caller.create(&format!("{account}/campaigns"), &form).await.unwrap();
    let id = created["id"].as_str().unwrap();
    caller.update(id, &[("name", "By another hand")]).await.unwrap();
    let read: Value = caller.get(id, &[("fields", "name")]).await.unwrap();
    assert_eq!(read["name"], "By another hand");
    caller.delete(id, &[]).await.unwrap();
}
