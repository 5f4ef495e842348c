//! Objects that Meta no longer lists are fetched by id, and an object that may only be hidden is not taken for deleted.

use connector::Connector;
use domain::entity::{EffectiveStatus, Level};
use domain::id::EntityId;
use domain::job::{Job, SyncCause};
use graph_sim::{
    AccountArgs, Area, ErrorResponse, Fault, FaultKind, FaultPlan, FaultRule, RecordedCall, RequestMatcher,
    ThrottleKind, Trigger,
};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::tenant::tenant;
use runtime::deadline::with_deadline;
use serde_json::json;
use store::entity::StoredEntity;
use sync_entities::SyncEntities;

use crate::watch::{advance, due};

async fn ads(scenario: &Scenario) -> Vec<StoredEntity> {
    let (workspace, account) = (tenant("demo").unwrap(), scenario.account().unwrap().parse().unwrap());
    scenario.system.table.entities(&workspace, &account, Level::Ad).await.unwrap()
}

fn is_deleted(stored: &StoredEntity) -> bool {
    stored.entity.effective_status == Some(EffectiveStatus::Deleted)
}

#[tokio::test]
async fn ads_that_are_no_longer_listed_are_fetched_in_batches() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let before = ads(&scenario).await;
    let listed: Vec<_> = before.iter().filter(|stored| !is_deleted(stored)).collect();
    assert!(listed.len() > 40);
    for stored in &listed {
        sim.update_node(stored.entity.id.as_str(), json!({"status": "DELETED"}));
    }
    // Meta returns an error for one, and does not know another.
    let odd = |index: usize, code, subcode| Fault {
        method: Some(Method::GET.to_string()),
        path_contains: format!("/{}?", listed[index].entity.id),
        times: 1,
        skip: 0,
        kind: FaultKind::ErrorResponse(ErrorResponse::new(code, subcode)),
    };
    sim.fail_next(odd(5, 100, None));
    sim.fail_next(odd(9, 100, Some(33)));
    let seen = sim.requests().len();
    scenario.sync().await.unwrap();

    let after = ads(&scenario).await;
    let now = |index: usize| {
        let id = &listed[index].entity.id;
        after.iter().find(|stored| stored.entity.id == *id).unwrap()
    };
    assert_eq!(now(5), listed[5], "one stays as it was");
    assert!(now(9).hidden && now(9).entity == listed[9].entity, "one is hidden");
    let others = (0..listed.len()).filter(|index| ![5, 9].contains(index));
    assert!(others.clone().all(|index| is_deleted(now(index)) && !now(index).hidden));

    let requests = sim.requests().split_off(seen);
    let batches = requests.iter().filter(|call| call.class.is_empty() && call.edge.is_empty()).count();
    let reads = requests.iter().filter(|call| call.class == "Ad" && call.edge.is_empty()).count();
    assert_eq!(reads, listed.len(), "each is asked for once");
    assert!(batches < 5, "{batches} batches for {reads} ads");
    scenario.finish().await.unwrap();
}

/// An account whose ads Meta lists on six pages: it refuses larger ones.
async fn with_small_pages() -> Scenario {
    let account = AccountArgs { campaigns: 2, adsets: 6, ads: 40, days: 2, ..AccountArgs::default() };
    let scenario = Scenario::of_account(account).await.unwrap();
    scenario.sim().unwrap().set_plan(small_pages(None));
    scenario
}

/// Refuses pages of more than seven objects, and another page as well.
fn small_pages(throttled: Option<(u32, u32)>) -> FaultPlan {
    let rule = |path_contains: String, when, what| {
        let matcher = RequestMatcher { path_contains, ..RequestMatcher::reads(Area::Structure) };
        FaultRule { when, matcher, what }
    };
    let too_large = [500, 250, 125, 62, 31, 15].into_iter().map(|size| {
        let refused = FaultKind::ErrorResponse(ErrorResponse::too_much_data());
        rule(format!("limit={size}"), Trigger::default(), refused)
    });
    let throttle = throttled.map(|(page, minutes)| {
        let throttle = FaultKind::Throttle { limit: ThrottleKind::Management, minutes };
        rule("limit=7".to_owned(), Trigger { skip: page, times: Some(1), ..Trigger::default() }, throttle)
    });
    FaultPlan { seed: 1, rules: too_large.chain(throttle).collect() }
}

/// Pages of seven objects that were asked for.
fn pages(scenario: &Scenario) -> usize {
    let is_page = |call: &RecordedCall| {
        call.edge != "insights" && call.params.get("limit").is_some_and(|limit| limit == "7")
    };
    scenario.sim().unwrap().requests().iter().filter(|call| is_page(call)).count()
}

/// An ad that was renamed at Meta, and another one that was deleted; both are to be found by the next sync.
struct Changed {
    renamed: EntityId,
    deleted: EntityId,
    name: String,
}

impl Changed {
    async fn at_meta(scenario: &Scenario, round: usize) -> Self {
        let sim = scenario.sim().unwrap();
        let before: Vec<_> = ads(scenario).await.into_iter().filter(|stored| !is_deleted(stored)).collect();
        let (renamed, deleted) = (before[0].entity.id.clone(), before[before.len() - 1].entity.id.clone());
        let name = format!("Round {round}");
        sim.update_node(renamed.as_str(), json!({"name": name}));
        sim.update_node(deleted.as_str(), json!({"status": "DELETED"}));
        Self { renamed, deleted, name }
    }

    async fn is_found(&self, scenario: &Scenario) {
        let after = ads(scenario).await;
        let now = |id: &EntityId| after.iter().find(|stored| stored.entity.id == *id).unwrap();
        assert_eq!(now(&self.renamed).entity.name.as_ref(), Some(&self.name));
        assert!(is_deleted(now(&self.deleted)) && !now(&self.deleted).hidden, "{}", self.name);
    }
}

#[tokio::test]
async fn a_sync_that_ends_at_any_page_goes_on_with_the_next_one() {
    let scenario = with_small_pages().await;
    let sim = scenario.sim().unwrap();
    scenario.sync().await.unwrap();
    let all = pages(&scenario);
    assert!(all > 6, "{all} pages");
    // Each round leaves an ad less, and in the end a page.
    for page in 0..all - 1 {
        let changed = Changed::at_meta(&scenario, page).await;
        sim.set_plan(small_pages(Some((page as u32, 16))));
        let before = pages(&scenario);
        scenario.sync().await.unwrap();
        assert_eq!(pages(&scenario) - before, page + 1, "it stopped there");
        sim.set_plan(small_pages(None));
        advance(&scenario, SignedDuration::from_mins(18)).await;
        changed.is_found(&scenario).await;
        let asked = pages(&scenario) - before;
        assert!(asked <= all + 1, "page {page}: {asked} of {all} pages were asked for");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_too_large_for_one_invocation_is_read_by_several() {
    let scenario = with_small_pages().await;
    let changed = Changed::at_meta(&scenario, 1).await;
    // Each page takes a hundred seconds, of the five minutes that an invocation has.
    let (clock, before) = (scenario.system.clock.clone(), pages(&scenario));
    scenario.sim().unwrap().edit_answers(move |path, _, _| {
        if path.contains("limit=7") && !path.contains("insights") {
            clock.advance(SignedDuration::from_secs(100));
        }
    });
    let access = Connector::new(
        scenario.system.table.clone(),
        scenario.system.graph.clone(),
        scenario.system.cloud.keyring.clone(),
    );
    let function = SyncEntities::new(access, scenario.system.host.clone());
    let entry = due(&scenario).await.remove(0);
    let (workspace, ad_account, cause) = (entry.workspace, entry.ad_account, SyncCause::Request);
    let end = scenario.system.clock.now() + SignedDuration::from_secs(300);
    let job = Job::SyncAccount { workspace, ad_account, cause };
    with_deadline(end, function.process(job)).await.unwrap();
    // The next invocation has its job.
    scenario.system.runner.settle().await.unwrap();
    changed.is_found(&scenario).await;
    assert!(pages(&scenario) - before <= 9, "{} pages", pages(&scenario) - before);
    scenario.finish().await.unwrap();
}
