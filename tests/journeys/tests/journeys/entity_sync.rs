//! Objects that Meta no longer lists are fetched by id, and an object that may only be hidden is not taken for deleted.

use domain::entity::{EffectiveStatus, Level};
use graph_sim::{ErrorResponse, Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use local::tenant::tenant;
use serde_json::json;
use store::entity::StoredEntity;

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
