//! A launch whose process dies, or whose calls to Meta are lost, ends whole or leaves nothing, whichever call it is.

use std::sync::atomic::Ordering;

use domain::entity::{Level, Status};
use graph_sim::{Fault, FaultKind, LOGIN_USER_ID};
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use manage_campaign::ManageCampaign;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::crash::{self, NEVER, dying_manage_campaign};

/// Two ad sets with three ads; with `refused` Meta refuses the last one.
fn document(scenario: &Scenario, name: &str, refused: bool) -> Value {
    let mut document = scenario.launch_document().unwrap();
    document["name"] = json!(name);
    let ad = document.as_object_mut().unwrap().remove("ad").unwrap();
    let ad_set = document.as_object_mut().unwrap().remove("ad_set").unwrap();
    document["ad_sets"] = json!([ad_set, ad_set]);
    document["ad_sets"][0]["ads"] = json!([ad, ad]);
    document["ad_sets"][1]["ads"] =
        json!([if refused { json!({"creative": {"creative_id": "9"}}) } else { ad }]);
    document
}

/// Requests the launch, as a client does until it has an answer that is final, and returns its status.
async fn request(scenario: &Scenario, function: &ManageCampaign, document: &Value) -> u16 {
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}/campaigns", scenario.account().unwrap());
    let token = scenario.system.token(WORKSPACE, Role::Editor).unwrap();
    let request = http::Request::post(&path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", document["name"].as_str().unwrap())
        .body(document.to_string().into())
        .unwrap();
    function.handle(request).await.status().as_u16()
}

/// Returns how many campaigns, ad sets and ads with this name exist at Meta, all of which must be paused.
async fn at_meta(scenario: &Scenario, name: &str) -> [usize; 3] {
    let token = scenario.sim().unwrap().issue_token(LOGIN_USER_ID, &["ads_read", "ads_management"]);
    let (caller, account) = (scenario.system.graph.on_behalf_of(token.into()), scenario.account().unwrap());
    let account = account.parse().unwrap();
    let mut counts = [0; 3];
    for (count, level) in counts.iter_mut().zip([Level::Campaign, Level::AdSet, Level::Ad]) {
        let found = caller.entities_named(&account, level, name).await.unwrap();
        let ours =
            found.iter().filter(|entity| entity.name.as_deref().unwrap().starts_with(&format!("{name}.")));
        for entity in ours {
            assert_eq!(entity.status, Some(Status::Paused), "{name}: {entity:?}");
            *count += 1;
        }
    }
    counts
}

/// Lets leases end and listings show what exists, and requests the launch until that is final.
async fn end(scenario: &Scenario, document: &Value, refused: bool) {
    let name = document["name"].as_str().unwrap();
    let whole = dying_manage_campaign(scenario, NEVER, false).0;
    let mut last = 0;
    for _ in 0..4 {
        scenario.system.clock.advance(SignedDuration::from_mins(6));
        last = request(scenario, &whole, document).await;
        if [201, 422].contains(&last) {
            break;
        }
    }
    assert_eq!(last, if refused { 422 } else { 201 }, "{name}");
    let expected = if refused { [0, 0, 0] } else { [1, 2, 3] };
    assert_eq!(at_meta(scenario, name.trim_end_matches('.')).await, expected, "{name}");
}

#[tokio::test]
async fn a_launch_that_dies_at_any_call_to_the_table_ends_whole_or_leaves_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let mut points = 0;
    for refused in [false, true] {
        let (whole, calls) = dying_manage_campaign(&scenario, NEVER, false);
        let undisturbed = document(&scenario, &format!("whole-{refused}."), refused);
        request(&scenario, &whole, &undisturbed).await;
        end(&scenario, &undisturbed, refused).await;
        for at in (1..=calls.load(Ordering::SeqCst)).step_by(crash::stride(4)) {
            let both = if crash::stride(4) == 1 { vec![false, true] } else { vec![(at / 4) % 2 == 0] };
            for with_effect in both {
                let document = document(&scenario, &format!("at-{at}-{with_effect}-{refused}."), refused);
                let dying = dying_manage_campaign(&scenario, at..=i64::MAX, with_effect).0;
                request(&scenario, &dying, &document).await;
                end(&scenario, &document, refused).await;
                points += 1;
            }
        }
    }
    println!("{points} points.");
    assert!(points > 15, "{points}");
    scenario.finish().await.unwrap();
}

/// The process dies, and dies again while it goes on.
#[tokio::test]
async fn a_launch_that_dies_twice_ends_whole_or_leaves_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let (mut pairs, wide) = (0, crash::stride(4) * 3);
    for refused in [false, true] {
        let (whole, calls) = dying_manage_campaign(&scenario, NEVER, false);
        request(&scenario, &whole, &document(&scenario, &format!("pairs-{refused}."), refused)).await;
        let all = calls.load(Ordering::SeqCst);
        for first in (1..=all).step_by(wide) {
            for second in (1..=all).step_by(wide) {
                let document = document(&scenario, &format!("at-{first}-{second}-{refused}."), refused);
                for (at, with_effect) in [(first, second % 2 == 0), (second, first % 2 == 0)] {
                    let dying = dying_manage_campaign(&scenario, at..=i64::MAX, with_effect).0;
                    request(&scenario, &dying, &document).await;
                    scenario.system.clock.advance(SignedDuration::from_mins(6));
                }
                end(&scenario, &document, refused).await;
                pairs += 1;
            }
        }
    }
    println!("{pairs} pairs.");
    assert!(pairs > 15, "{pairs}");
    scenario.finish().await.unwrap();
}

/// Requests that never arrive, and responses that never come back.
#[tokio::test]
async fn a_launch_whose_calls_to_meta_are_lost_ends_whole_or_leaves_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let mut struck = 0;
    for refused in [false, true] {
        // Six creations, and then as many names, or deletions.
        let posts = if refused { 6 } else { 12 };
        for skip in (0..posts).step_by(if crash::stride(4) == 1 { 1 } else { 2 }) {
            for kind in [FaultKind::LostRequest, FaultKind::LostResponse] {
                let name = format!("lost-{skip}-{kind:?}-{refused}.");
                let before = sim.faults_injected();
                let document = document(&scenario, &name, refused);
                let path_contains = String::new();
                sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 1, skip, kind });
                request(&scenario, &dying_manage_campaign(&scenario, NEVER, false).0, &document).await;
                struck += sim.faults_injected() - before;
                end(&scenario, &document, refused).await;
            }
        }
    }
    println!("{struck} faults.");
    assert!(struck > 10, "{struck}");
    scenario.finish().await.unwrap();
}
