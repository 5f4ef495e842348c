//! Duplicates of campaigns: whole and paused, or nothing, and once, whatever dies or gets lost.

use std::sync::atomic::Ordering;

use domain::entity::{Entity, Level, Status};
use domain::id::EntityId;
use graph_sim::{AccountArgs, ErrorResponse, Fault, FaultKind, LOGIN_USER_ID};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use manage_campaign::ManageCampaign;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::crash::{self, NEVER, dying_manage_campaign};

async fn scenario() -> Scenario {
    let args = AccountArgs { campaigns: 3, adsets: 9, ads: 18, days: 2, ..AccountArgs::default() };
    Scenario::of_account(args).await.unwrap()
}

/// What Meta has of a level below a campaign, without archived ones.
pub(crate) async fn below(scenario: &Scenario, level: Level, campaign: &EntityId) -> Vec<Entity> {
    let token = scenario.sim().unwrap().issue_token(LOGIN_USER_ID, &["ads_read", "ads_management"]);
    let (caller, account) = (scenario.system.graph.on_behalf_of(token.into()), scenario.account().unwrap());
    let pages = caller.entities_below(&account.parse().unwrap(), level, (Level::Campaign, campaign));
    let found = pages.all().await.unwrap().into_iter().map(|found| found.into_entity(level));
    found.filter(|found| found.status != Some(Status::Archived)).collect()
}

/// The campaigns whose names begin so.
async fn named(scenario: &Scenario, name: &str) -> Vec<Entity> {
    let token = scenario.sim().unwrap().issue_token(LOGIN_USER_ID, &["ads_read", "ads_management"]);
    let (caller, account) = (scenario.system.graph.on_behalf_of(token.into()), scenario.account().unwrap());
    caller.entities_named(&account.parse().unwrap(), Level::Campaign, name).await.unwrap()
}

/// A campaign with a daily budget of its own, and with ad sets and ads.
async fn source(scenario: &Scenario) -> EntityId {
    let account = scenario.account().unwrap();
    let campaigns = scenario.api().unwrap().all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    for campaign in campaigns.iter().filter(|campaign| campaign["effective_status"] != "ARCHIVED") {
        let id: EntityId = campaign["id"].as_str().unwrap().parse().unwrap();
        let (ad_sets, ads) =
            (below(scenario, Level::AdSet, &id).await, below(scenario, Level::Ad, &id).await);
        if campaign["daily_budget"].is_object() && ad_sets.len() > 1 && ads.len() > 2 {
            return id;
        }
    }
    panic!("no campaign has a budget, ad sets and ads")
}

fn names(entities: &[Entity]) -> Vec<&str> {
    let mut names: Vec<_> = entities.iter().map(|entity| entity.name.as_deref().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The names of the ad sets of ads, which tell which ad is where.
fn places(ad_sets: &[Entity], ads: &[Entity]) -> Vec<(String, String)> {
    let name_of = |id: &EntityId| {
        let ad_set = ad_sets.iter().find(|ad_set| ad_set.id == *id).unwrap();
        ad_set.name.clone().unwrap()
    };
    let place = |ad: &Entity| (name_of(ad.adset_id.as_ref().unwrap()), ad.name.clone().unwrap());
    let mut places: Vec<_> = ads.iter().map(place).collect();
    places.sort_unstable();
    places
}

async fn assert_copied(scenario: &Scenario, source: &EntityId, copy: &EntityId) {
    let (ad_sets, copied) =
        (below(scenario, Level::AdSet, source).await, below(scenario, Level::AdSet, copy).await);
    assert_eq!(names(&copied), names(&ad_sets));
    let (ads, copied_ads) =
        (below(scenario, Level::Ad, source).await, below(scenario, Level::Ad, copy).await);
    assert_eq!(places(&copied, &copied_ads), places(&ad_sets, &ads));
    for entity in copied.iter().chain(&copied_ads) {
        assert_eq!(entity.status, Some(Status::Paused), "{entity:?}");
    }
}

#[tokio::test]
async fn a_campaign_is_copied_with_what_is_below_it_and_another_budget() {
    let scenario = scenario().await;
    let (account, api, source) =
        (scenario.account().unwrap(), scenario.api().unwrap(), source(&scenario).await);
    let path = format!("ad-accounts/{account}/campaigns/{source}/duplicate");
    let body = json!({"name": "Copy for spring", "daily_budget": {"amount": 4321, "currency": "SGD"}});
    let key = [("idempotency-key", "spring")];
    let begun = api.call_with(Method::POST, &path, Some(&body), &key).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let launch = format!("launches/{}", begun["launch_id"].as_str().unwrap());
    let ended = api.call(Method::GET, &launch, None).await.unwrap();
    assert_eq!((&ended["state"], &ended["name"]), (&json!("committed"), &json!("Copy for spring")));
    assert!(ended["steps"].as_array().unwrap().iter().all(|step| step["state"] == "created"), "{ended}");
    let copy: EntityId = ended["campaign_id"].as_str().unwrap().parse().unwrap();
    let node = scenario.sim().unwrap().node(copy.as_str()).unwrap();
    assert_eq!(
        (&node["name"], &node["daily_budget"], &node["status"]),
        (&json!("Copy for spring"), &json!("4321"), &json!("PAUSED"))
    );
    assert_copied(&scenario, &source, &copy).await;
    // What was copied is in the lists at once, and the same key copies nothing again.
    let list = api.all(&format!("ad-accounts/{account}/campaigns")).await.unwrap();
    assert!(list.iter().any(|campaign| campaign["name"] == "Copy for spring"));
    let again = api.call_with(Method::POST, &path, Some(&body), &key).await.unwrap();
    assert_eq!(again["launch_id"], begun["launch_id"]);
    assert_eq!(named(&scenario, "Copy for spring").await.len(), 1);

    // One ad set of it alone; and what cannot be copied is named.
    let one = &below(&scenario, Level::AdSet, &source).await[0];
    let body = json!({"name": "One ad set", "ad_sets": [one.id]});
    let key = [("idempotency-key", "one")];
    let begun = api.call_with(Method::POST, &path, Some(&body), &key).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let copy = begun["campaign_id"].as_str().map_or_else(|| panic!("{begun}"), |id| id.parse().unwrap());
    assert_eq!(names(&below(&scenario, Level::AdSet, &copy).await), [one.name.as_deref().unwrap()]);
    let wrong =
        json!({"name": "a\nb", "ad_sets": [one.id, "42"], "daily_budget": {"amount": 1, "currency": "EUR"}});
    let (status, text) =
        api.send(Method::POST, &path, Some(&wrong), &[("idempotency-key", "x")]).await.unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap();
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().filter_map(|error| error["field"].as_str()).collect();
    assert_eq!((status.as_u16(), fields), (400, vec!["name", "daily_budget.currency", "ad_sets[1]"]));
    scenario.finish().await.unwrap();
}

/// Requests a copy as a client does, and returns its status.
async fn request(scenario: &Scenario, function: &ManageCampaign, source: &EntityId, name: &str) -> u16 {
    let account = scenario.account().unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{account}/campaigns/{source}/duplicate");
    let token = scenario.system.token(WORKSPACE, Role::Editor).unwrap();
    let one = &below(scenario, Level::AdSet, source).await[0];
    let request = http::Request::post(&path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", name.replace(' ', "-"))
        .body(json!({"name": name, "ad_sets": [one.id]}).to_string().into())
        .unwrap();
    function.handle(request).await.status().as_u16()
}

/// Lets leases end and listings show what exists, and requests the copy until that is final.
async fn end(scenario: &Scenario, source: &EntityId, name: &str) -> u16 {
    let whole = dying_manage_campaign(scenario, NEVER, false).0;
    let mut last = 0;
    for _ in 0..4 {
        scenario.system.clock.advance(SignedDuration::from_mins(6));
        last = request(scenario, &whole, source, name).await;
        if [201, 422].contains(&last) {
            break;
        }
    }
    last
}

#[tokio::test]
async fn a_copy_that_dies_at_any_call_to_the_table_ends_whole_and_once() {
    let scenario = scenario().await;
    let source = source(&scenario).await;
    let (whole, calls) = dying_manage_campaign(&scenario, NEVER, false);
    assert_eq!(request(&scenario, &whole, &source, "Whole.").await, 201);
    let points = calls.load(Ordering::SeqCst);
    for at in crash::points(points) {
        for with_effect in [false, true] {
            let name = format!("Point {at} {with_effect}.");
            request(
                &scenario,
                &dying_manage_campaign(&scenario, at..=i64::MAX, with_effect).0,
                &source,
                &name,
            )
            .await;
            assert_eq!(end(&scenario, &source, &name).await, 201, "{name}");
            let copies = named(&scenario, &name).await;
            assert_eq!(copies.len(), 1, "{name}");
            let marked = named(&scenario, " [").await;
            assert!(marked.is_empty(), "{name}: {:?}", names(&marked));
            assert_eq!(below(&scenario, Level::AdSet, &copies[0].id).await.len(), 1, "{name}");
        }
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_copy_whose_answers_are_lost_ends_once_and_one_that_is_refused_leaves_nothing() {
    let scenario = scenario().await;
    let source = source(&scenario).await;
    let whole = dying_manage_campaign(&scenario, NEVER, false).0;
    for skip in 0..3 {
        for kind in [FaultKind::LostResponse, FaultKind::LostRequest] {
            let name = format!("Lost {skip} {kind:?}.");
            scenario.sim().unwrap().fail_next(Fault {
                method: Some("POST".to_owned()),
                path_contains: "/copies".to_owned(),
                times: 1,
                skip,
                kind,
            });
            request(&scenario, &whole, &source, &name).await;
            assert_eq!(end(&scenario, &source, &name).await, 201, "{name}");
            let copies = named(&scenario, &name).await;
            assert_eq!(copies.len(), 1, "{name}");
            assert_eq!(below(&scenario, Level::AdSet, &copies[0].id).await.len(), 1, "{name}");
        }
    }
    scenario.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: "/copies".to_owned(),
        times: 1,
        skip: 2,
        kind: FaultKind::ErrorResponse(ErrorResponse::new(100, None)),
    });
    assert_eq!(request(&scenario, &whole, &source, "Refused.").await, 422);
    assert!(named(&scenario, "Refused.").await.is_empty());
    assert!(named(&scenario, " [").await.is_empty());
    scenario.finish().await.unwrap();
}
