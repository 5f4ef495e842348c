//! What Meta no longer lists is asked for by its id, and nothing is taken for deleted that may only be hidden.

use ads::object::{EffectiveStatus, Level};
use graph_sim::{Fault, FaultKind, Refusal};
use http::Method;
use journeys::Story;
use local::system::tenant;
use serde_json::json;
use store::object::KeptObject;

async fn ads(story: &Story) -> Vec<KeptObject> {
    let (workspace, account) = (tenant("demo").unwrap(), story.account().unwrap().parse().unwrap());
    story.system.table.objects(&workspace, &account, Level::Ad).await.unwrap()
}

fn is_deleted(kept: &KeptObject) -> bool {
    kept.object.effective_status == Some(EffectiveStatus::Deleted)
}

#[tokio::test]
async fn ads_that_are_listed_no_more_are_asked_for_in_batches() {
    let story = Story::synced().await.unwrap();
    let sim = story.sim().unwrap();
    let before = ads(&story).await;
    let listed: Vec<_> = before.iter().filter(|kept| !is_deleted(kept)).collect();
    assert!(listed.len() > 40);
    for kept in &listed {
        sim.update_node(kept.object.id.as_str(), json!({"status": "DELETED"}));
    }
    // Meta does not talk about one, and does not know another.
    let odd = |index: usize, code, subcode| Fault {
        method: Some(Method::GET.to_string()),
        path_contains: format!("/{}?", listed[index].object.id),
        times: 1,
        skip: 0,
        kind: FaultKind::Refusal(Refusal::new(code, subcode)),
    };
    sim.fail_next(odd(5, 100, None));
    sim.fail_next(odd(9, 100, Some(33)));
    let seen = sim.requests().len();
    story.sync().await.unwrap();

    let after = ads(&story).await;
    let now = |index: usize| {
        let id = &listed[index].object.id;
        after.iter().find(|kept| kept.object.id == *id).unwrap()
    };
    assert_eq!(now(5), listed[5], "one stays as it was");
    assert!(now(9).hidden && now(9).object == listed[9].object, "one is hidden");
    let others = (0..listed.len()).filter(|index| ![5, 9].contains(index));
    assert!(others.clone().all(|index| is_deleted(now(index)) && !now(index).hidden));

    let requests = sim.requests().split_off(seen);
    let batches = requests.iter().filter(|call| call.class.is_empty() && call.edge.is_empty()).count();
    let reads = requests.iter().filter(|call| call.class == "Ad" && call.edge.is_empty()).count();
    assert_eq!(reads, listed.len(), "each is asked for once");
    assert!(batches < 5, "{batches} batches for {reads} ads");
    story.end().await.unwrap();
}
