//! A bulk change is stopped: what Meta has not taken stays as it is.

use graph_sim::{AccountArgs, Fault, FaultKind, ThrottleKind};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use serde_json::json;

use crate::bulk::{args, at_meta, budgets, by_percent, done, post, states};

#[tokio::test]
async fn what_is_not_changed_when_somebody_stops_stays_as_it_is() {
    let many = AccountArgs { ads: 90, ..args() };
    let scenario = Scenario::of_account(many).await.unwrap();
    let account = scenario.account().unwrap();
    let ads = scenario.api().unwrap().all(&format!("ad-accounts/{account}/ads")).await.unwrap();
    let alive = ads.iter().filter(|ad| ad["effective_status"] != "ARCHIVED");
    let names: Vec<_> = alive
        .map(|ad| (ad["id"].as_str().unwrap().to_owned(), ad["name"].as_str().unwrap().to_owned()))
        .collect();
    assert!(names.len() > 60, "{}", names.len());
    // Of the second forty Meta wants us to wait.
    scenario.sim().unwrap().fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: names[45].0.clone(),
        times: 1,
        skip: 0,
        kind: FaultKind::Throttle { limit: ThrottleKind::Management, minutes: 30 },
    });
    let ids: Vec<&String> = names.iter().map(|(id, _)| id).collect();
    let set = json!({"changes": [{"level": "ad", "ids": ids, "set": {"name": {"prefix": "New "}}}]});
    let begun = post(&scenario, "", Some(&set)).await;
    scenario.system.runner.settle().await.unwrap();
    let id = begun["id"].as_str().unwrap();
    let path = format!("ad-accounts/{account}/bulk-changes/{id}");
    let waits = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
    assert_eq!(waits["state"], "running", "{}", waits["counts"]);
    post(&scenario, &format!("/{id}/stop"), None).await;
    // Twice is once. What Meta has not taken is settled at once, although Meta wants us to wait.
    post(&scenario, &format!("/{id}/stop"), None).await;
    scenario.system.runner.settle().await.unwrap();
    let api = scenario.api().unwrap();
    let soon = api.call(Method::GET, &path, None).await.unwrap();
    assert!(soon["counts"]["stopped"].as_u64().unwrap() > 2, "{}", soon["counts"]);
    let entries = api.call(Method::GET, "audit?limit=200", None).await.unwrap();
    let stops =
        entries["data"].as_array().unwrap().iter().filter(|one| one["action"] == "bulk_change.stopped");
    assert_eq!(stops.count(), 1);
    // What Meta confirmed before it wanted us to wait is read when it answers again.
    scenario.system.clock.advance(SignedDuration::from_mins(31));
    let ended = done(&scenario, &begun).await;
    let count = |name: &str| usize::try_from(ended["counts"][name].as_u64().unwrap()).unwrap();
    assert!(count("done") >= 40 && count("stopped") > 0, "{}", ended["counts"]);
    assert_eq!(count("done") + count("stopped"), names.len(), "{}", ended["counts"]);
    for (object, (id, before)) in ended["objects"].as_array().unwrap().iter().zip(&names) {
        let is_changed = object["state"] == "done";
        let expected = if is_changed { format!("New {before}") } else { before.clone() };
        assert_eq!(at_meta(&scenario, id, "name"), expected, "{object}");
    }
    // What was changed is taken back.
    let undone = post(&scenario, &format!("/{id}/undo"), None).await;
    let undone = done(&scenario, &undone).await;
    assert_eq!(undone["counts"]["done"], ended["counts"]["done"], "{}", undone["counts"]);
    for (id, before) in &names {
        assert_eq!(at_meta(&scenario, id, "name"), *before);
    }
    // Nothing more is stopped of one that is done.
    let over = post(&scenario, &format!("/{id}/stop"), None).await;
    assert_eq!((&over["state"], &over["counts"]), (&json!("done"), &ended["counts"]));
    scenario.finish().await.unwrap();
}

/// An answer that is lost before a stop: what Meta shows decides, and what it does not show in time stays unknown.
#[tokio::test]
async fn what_was_sent_before_a_stop_is_looked_up() {
    let scenario = Scenario::of_account(args()).await.unwrap();
    let before = budgets(&scenario).await;
    let ids: Vec<&str> = before.iter().take(4).map(|(id, _)| id.as_str()).collect();
    // The first is changed and nobody says so, the second is not.
    for (id, kind) in [(ids[0], FaultKind::LostResponse), (ids[1], FaultKind::LostRequest)] {
        let (method, path_contains) = (Some("POST".to_owned()), id.to_owned());
        scenario.sim().unwrap().fail_next(Fault { method, path_contains, times: 9, skip: 0, kind });
    }
    let begun = post(&scenario, "", Some(&by_percent(&ids, -10))).await;
    scenario.system.runner.settle().await.unwrap();
    let id = begun["id"].as_str().unwrap();
    post(&scenario, &format!("/{id}/stop"), None).await;
    scenario.system.runner.settle().await.unwrap();
    let path = format!("ad-accounts/{}/bulk-changes/{id}", scenario.account().unwrap());
    let soon = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
    assert_eq!(
        (&soon["state"], &soon["counts"]["stopped"]),
        (&json!("running"), &json!(0)),
        "{}",
        soon["counts"]
    );
    let ended = done(&scenario, &begun).await;
    assert_eq!(states(&ended), ["done", "unknown", "done", "done"], "{ended}");
    let (first, second) =
        (at_meta(&scenario, ids[0], "daily_budget"), at_meta(&scenario, ids[1], "daily_budget"));
    assert_eq!(first, ((before[0].1 * 90 + 50).div_euclid(100)).to_string());
    assert_eq!(second, before[1].1.to_string());
    scenario.finish().await.unwrap();
}
