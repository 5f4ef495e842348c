//! A campaign is launched, scheduled, changed and deleted.

use domain::job::Job;
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::{Response, Scenario};
use local::tenant::tenant;
use serde_json::{Value, json};

use crate::watch;

fn fault(method: &str, path: &str, kind: FaultKind) -> Fault {
    Fault { method: Some(method.to_owned()), path_contains: path.to_owned(), times: 1, skip: 0, kind }
}

fn id<'a>(response: &'a Value, field: &str) -> &'a str {
    response[field].as_str().unwrap_or_else(|| panic!("{field} in {response}"))
}

/// Returns how many objects of a level the simulated Meta lists with this name.
async fn count_by_name(scenario: &Scenario, level: &str, name: &str) -> usize {
    scenario.sync().await.unwrap();
    let account = scenario.account().unwrap();
    let objects = scenario.api().unwrap().all(&format!("ad-accounts/{account}/{level}")).await.unwrap();
    let ours = |object: &&Value| {
        object["name"].as_str().is_some_and(|known| known.starts_with(name))
            && object["effective_status"] != "DELETED"
    };
    objects.iter().filter(ours).count()
}

#[tokio::test]
async fn a_launch_creates_three_paused_objects_once_per_key() {
    let scenario = Scenario::synced().await.unwrap();
    let document = scenario.launch_document().unwrap();
    let launched = scenario.launch("spring-1", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let body = launched.json();
    assert_eq!(body["state"], "committed");
    let sim = scenario.sim().unwrap();
    for field in ["campaign_id", "adset_id", "ad_id"] {
        assert_eq!(sim.node(id(&body, field)).unwrap()["status"], "PAUSED", "{field}");
    }
    assert_eq!(sim.node(id(&body, "campaign_id")).unwrap()["daily_budget"], "5000");
    for field in ["campaign_id", "adset_id", "ad_id"] {
        assert_eq!(
            sim.node(id(&body, field)).unwrap()["name"],
            "Winter sale",
            "{field}: names are the person's"
        );
    }

    let again = scenario.launch("spring-1", &document).await.unwrap();
    assert_eq!((again.status.as_u16(), again.json()), (201, body.clone()));
    assert_eq!(count_by_name(&scenario, "campaigns", "Winter sale").await, 1);

    let mut other = document.clone();
    other["name"] = json!("Another sale");
    let mismatch = scenario.launch("spring-1", &other).await.unwrap();
    assert_eq!(mismatch.status, 422);
    assert_eq!(mismatch.json()["type"], "urn:adflight:idempotency-key-reused");
    assert!(mismatch.text.contains("Idempotency-Key"), "{}", mismatch.text);

    // It is in the table at once, before any sync.
    let campaign = format!("campaigns/{}", id(&body, "campaign_id"));
    let view = scenario.call_as_owner(Method::GET, &campaign, None).await.unwrap().json();
    assert_eq!((view["status"].as_str(), view["measures"]["spend"].as_str()), (Some("PAUSED"), Some("0")));
    assert_eq!(view["daily_budget"], json!({"amount": 5000, "currency": "SGD"}));
    let launch = format!("/v1/workspaces/demo/launches/{}", id(&body, "launch_id"));
    assert_eq!(launched.headers["location"], launch.as_str());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_documents_of_the_readme_work_as_they_are_written() {
    let readme = std::fs::read_to_string("../../docs/api.md").unwrap();
    let blocks = readme.split("```json\n").skip(1);
    let documents: Vec<Value> =
        blocks.map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap()).collect();
    let [launch, creative, rule, query] = &documents[..] else { panic!("{} documents", documents.len()) };
    // The account of a plain `cargo run`.
    let scenario = Scenario::with_options(local::Options::in_memory()).await.unwrap();
    let api = scenario.api().unwrap();
    api.connect().await.unwrap();
    let launched = scenario.launch("readme", launch).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let mut made = launch.clone();
    made["ad"]["creative"] = creative.clone();
    let launched = scenario.launch("readme-made", &made).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    api.call(Method::POST, "rules", Some(rule)).await.unwrap();
    let mut query = query.clone();
    query["ad_accounts"] = json!([scenario.account().unwrap()]);
    api.call(Method::POST, "query", Some(&query)).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_step_that_fails_undoes_the_ones_before_it() {
    let scenario = Scenario::synced().await.unwrap();
    let mut document = scenario.launch_document().unwrap();
    document["ad"]["creative"] = json!({"creative_id": "999999"});
    let refused = scenario.launch("spring-2", &document).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.json()["type"].as_str()),
        (422, Some("urn:adflight:meta-refused"))
    );
    assert!(refused.text.contains("deleted again"), "{}", refused.text);
    assert_eq!(count_by_name(&scenario, "campaigns", "Winter sale").await, 0);
    assert_eq!(count_by_name(&scenario, "adsets", "Winter sale").await, 0);
    // The failure has left the key free: it fails again as long as the cause is there, and then it launches.
    assert_eq!(scenario.launch("spring-2", &document).await.unwrap().status, 422);
    assert_eq!(count_by_name(&scenario, "campaigns", "Winter sale").await, 0);
    let mended = scenario.launch_document().unwrap();
    let launched = scenario.launch("spring-2", &mended).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(scenario.launch("spring-2", &mended).await.unwrap().json(), launched.json());
    let used = scenario.launch("spring-2", &document).await.unwrap();
    assert_eq!(used.json()["type"], "urn:adflight:idempotency-key-reused", "{}", used.text);
    for level in ["campaigns", "adsets", "ads"] {
        assert_eq!(count_by_name(&scenario, level, "Winter sale").await, 1, "{level}");
    }
    let log = scenario.api().unwrap().all("audit").await.unwrap();
    let of_launches = log.iter().filter(|entry| entry["action"] == "campaign.launched");
    let phases: Vec<_> = of_launches.map(|entry| entry["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["done", "intended", "failed", "intended", "failed", "intended"]);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_refusal_of_meta_that_is_mended_there_launches_under_the_same_key() {
    let scenario = Scenario::synced().await.unwrap();
    // The case W-05: terms that a person accepts at Meta, and presses retry.
    let refused = std::sync::atomic::AtomicBool::new(false);
    scenario.sim().unwrap().edit_answers(move |path, status, body| {
        if path.contains("/adsets")
            && !path.contains('?')
            && !refused.swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            *status = 400;
            let error = json!({
                "message": "Invalid parameter", "code": 100, "error_subcode": 1_815_089,
                "error_user_title": "Terms not accepted", "error_user_msg": "Accept the terms first.",
            });
            *body = json!({"error": error}).to_string();
        }
    });
    let document = scenario.launch_document().unwrap();
    let refused = scenario.launch("terms-1", &document).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("Terms not accepted: Accept the terms first."), "{}", refused.text);
    let launched = scenario.launch("terms-1", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(count_by_name(&scenario, "campaigns", "Winter sale").await, 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_lost_response_creates_no_second_object() {
    for edge in ["campaigns", "adsets", "/ads"] {
        let scenario = Scenario::synced().await.unwrap();
        scenario.sim().unwrap().fail_next(fault("POST", edge, FaultKind::LostResponse));
        let document = scenario.launch_document().unwrap();
        let launched = scenario.launch("spring-3", &document).await.unwrap();
        assert_eq!(launched.status, 201, "{edge}: {}", launched.text);
        for level in ["campaigns", "adsets", "ads"] {
            assert_eq!(
                count_by_name(&scenario, level, "Winter sale").await,
                1,
                "{level} after a lost response of {edge}"
            );
        }
        scenario.finish().await.unwrap();
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_looked_for_at_once_is_found_by_the_next_attempt() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let fault = |method: &str, times, kind| Fault {
        method: Some(method.to_owned()),
        path_contains: "/adsets".to_owned(),
        times,
        skip: 0,
        kind,
    };
    // The response is lost, and so is every answer to where the ad set is.
    sim.fail_next(fault("POST", 1, FaultKind::LostResponse));
    sim.fail_next(fault("GET", 4, FaultKind::Html));
    let document = scenario.launch_document().unwrap();
    let unknown = scenario.launch("spring-found", &document).await.unwrap();
    assert!(unknown.status.is_server_error(), "{} {}", unknown.status, unknown.text);
    let launched = scenario.launch("spring-found", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    for level in ["campaigns", "adsets", "ads"] {
        assert_eq!(count_by_name(&scenario, level, "Winter sale").await, 1, "{level}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_launch_whose_names_are_refused_leaves_nothing_and_its_key_free() {
    let scenario = Scenario::synced().await.unwrap();
    let kind = FaultKind::Error { status: 400, code: 100, subcode: None, headers: Vec::new() };
    // The first call that writes after the three objects are created.
    let fault = Fault { skip: 3, ..fault("POST", "", kind) };
    scenario.sim().unwrap().fail_next(fault);
    let document = scenario.launch_document().unwrap();
    let refused = scenario.launch("spring-names", &document).await.unwrap();
    assert!(refused.status.is_client_error(), "{} {}", refused.status, refused.text);
    for level in ["campaigns", "adsets", "ads"] {
        assert_eq!(count_by_name(&scenario, level, "Winter sale").await, 0, "{level}");
    }
    assert_eq!(scenario.launch("spring-names", &document).await.unwrap().status, 201);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_retryable_refusal_keeps_what_exists_for_the_next_attempt() {
    let scenario = Scenario::synced().await.unwrap();
    let throttled =
        FaultKind::Error { status: 400, code: 80_004, subcode: Some(2_446_079), headers: Vec::new() };
    scenario.sim().unwrap().fail_next(fault("POST", "adsets", throttled));
    let document = scenario.launch_document().unwrap();
    let waits = scenario.launch("spring-4", &document).await.unwrap();
    assert_eq!(waits.status, 429, "{}", waits.text);
    assert_eq!(waits.headers["retry-after"], "300");
    let calls = scenario.sim().unwrap().calls();
    assert_eq!(scenario.launch("spring-4", &document).await.unwrap().status, 429, "not before");
    assert_eq!(scenario.sim().unwrap().calls(), calls, "and nothing was asked of Meta");
    scenario.system.clock.advance(jiff::SignedDuration::from_secs(300));
    let launched = scenario.launch("spring-4", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(count_by_name(&scenario, "campaigns", "Winter sale").await, 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_flagged_launch_is_not_reported_as_done() {
    let scenario = Scenario::synced().await.unwrap();
    let throttled =
        FaultKind::Error { status: 400, code: 80_004, subcode: Some(2_446_079), headers: Vec::new() };
    scenario.sim().unwrap().fail_next(fault("POST", "adsets", throttled));
    let document = scenario.launch_document().unwrap();
    assert_eq!(scenario.launch("spring-10", &document).await.unwrap().status, 429);
    let (table, workspace) = (&scenario.system.table, tenant("demo").unwrap());
    let mut stored = table.launches(&workspace).await.unwrap().remove(0);
    stored.launch.state = domain::launch::LaunchState::NeedsReview;
    table.save_launch(&workspace, &mut stored, scenario.system.clock.now(), None).await.unwrap();

    let calls = scenario.sim().unwrap().calls();
    let again = scenario.launch("spring-10", &document).await.unwrap();
    assert_eq!(again.status, 409, "{}", again.text);
    assert!(again.text.contains(stored.launch.id.as_str()), "{}", again.text);
    assert_eq!(scenario.sim().unwrap().calls(), calls, "nothing more is created");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn documents_with_mistakes_name_every_field_and_create_nothing() {
    let scenario = Scenario::synced().await.unwrap();
    let calls = scenario.sim().unwrap().calls();
    let mut document = scenario.launch_document().unwrap();
    document["daily_budget"]["currency"] = json!("USD");
    document["ad_set"]["countries"] = json!([]);
    let refused = scenario.launch("spring-5", &document).await.unwrap();
    assert_eq!(refused.status, 400);
    let fields: Vec<_> = refused.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fields, ["daily_budget.currency", "ad_set.countries"]);

    document["ad_set"]["countries"] = json!(vec!["SG"; 300]);
    let refused = scenario.launch("spring-5", &document).await.unwrap();
    assert!(refused.text.contains("250 entries"), "{}", refused.text);
    document["ad_set"]["countries"] = json!(vec!["SG"; 20_000]);
    assert_eq!(scenario.launch("spring-5", &document).await.unwrap().json()["errors"][0]["field"], "body");
    document["ad_set"]["countries"] = json!("SG");
    let refused = scenario.launch("spring-5", &document).await.unwrap();
    assert_eq!(refused.json()["errors"][0]["field"], "ad_set.countries", "{}", refused.text);
    document["ad_set"]["countries"] = json!(["SG"]);
    let no_key = scenario.call_as_owner(Method::POST, "campaigns", Some(document)).await.unwrap();
    assert_eq!(no_key.json()["errors"][0]["field"], "Idempotency-Key");
    assert_eq!(scenario.sim().unwrap().calls(), calls, "Meta was not asked");
    scenario.finish().await.unwrap();
}

async fn schedule(scenario: &Scenario, campaign: &str, body: Value) -> Response {
    scenario
        .call_as_owner(Method::PUT, &format!("campaigns/{campaign}/schedules/activate"), Some(body))
        .await
        .unwrap()
}

/// Advances the clock, and waits until due jobs are done.
pub(super) async fn advance(scenario: &Scenario, hours: i64) {
    watch::advance(scenario, SignedDuration::from_hours(hours)).await;
}

#[tokio::test]
async fn a_campaign_is_created_scheduled_and_activated_at_its_local_time() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("spring-6", &scenario.launch_document().unwrap()).await.unwrap().json();
    let campaign = id(&launched, "campaign_id");
    // It is noon on 20 November in Singapore; nine in the morning in New York is ten hours later.
    let at = json!({"at": "2026-11-20T09:00:00", "timezone": "America/New_York"});
    let scheduled = schedule(&scenario, campaign, at).await;
    assert_eq!((scheduled.status.as_u16(), scheduled.json()["state"].as_str()), (200, Some("scheduled")));

    let sim = scenario.sim().unwrap();
    advance(&scenario, 9).await;
    assert_eq!(sim.campaign(campaign).unwrap()["status"], "PAUSED", "an hour too early");
    advance(&scenario, 2).await;
    for field in ["campaign_id", "adset_id", "ad_id"] {
        assert_eq!(sim.node(id(&launched, field)).unwrap()["status"], "ACTIVE", "{field}");
    }
    let view = scenario
        .call_as_owner(Method::GET, &format!("campaigns/{campaign}/schedules/activate"), None)
        .await
        .unwrap();
    assert_eq!(view.json()["state"], "done");
    for (level, field) in [("campaigns", "campaign_id"), ("adsets", "adset_id"), ("ads", "ad_id")] {
        let path = format!("{level}/{}", id(&launched, field));
        let view = scenario.call_as_owner(Method::GET, &path, None).await.unwrap();
        assert_eq!(view.json()["effective_status"], "ACTIVE", "{level}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_activation_that_meta_refuses_is_shown_as_failed() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("spring-9", &scenario.launch_document().unwrap()).await.unwrap().json();
    let campaign = id(&launched, "campaign_id");
    schedule(&scenario, campaign, json!({"at": "2026-11-20T15:00:00"})).await;
    let kind = FaultKind::Error { status: 400, code: 100, subcode: Some(1_885_272), headers: Vec::new() };
    scenario.sim().unwrap().fail_next(fault("POST", campaign, kind));
    advance(&scenario, 4).await;
    let path = format!("campaigns/{campaign}/schedules/activate");
    let view = scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json();
    assert_eq!(view["state"], "failed", "{view}");
    assert!(view["failure"].as_str().unwrap().contains("100/1885272"), "{view}");
    assert_eq!(
        scenario.call_as_owner(Method::DELETE, &path, None).await.unwrap().status,
        404,
        "nothing is left to withdraw"
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_schedule_can_be_moved_and_withdrawn() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("spring-7", &scenario.launch_document().unwrap()).await.unwrap().json();
    let campaign = id(&launched, "campaign_id");
    let path = format!("campaigns/{campaign}/schedules/activate");
    schedule(&scenario, campaign, json!({"at": "2026-11-20T15:00:00"})).await;
    let timers = scenario.system.cloud.timers.all();
    let of_campaign = |timer: &&local::timers::Timer| timer.input.contains(campaign);
    let replaced: Job = serde_json::from_str(&timers.values().find(of_campaign).unwrap().input).unwrap();
    schedule(&scenario, campaign, json!({"at": "2026-11-20T18:00:00"})).await;
    advance(&scenario, 4).await;
    // It may have fired in the moment in which it was replaced.
    scenario.system.cloud.queues.send(&[replaced]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let status = |scenario: &Scenario| scenario.sim().unwrap().campaign(campaign).unwrap()["status"].clone();
    assert_eq!(status(&scenario), "PAUSED", "the first time was replaced");
    assert_eq!(scenario.call_as_owner(Method::DELETE, &path, None).await.unwrap().status, 204);
    advance(&scenario, 4).await;
    assert_eq!(status(&scenario), "PAUSED", "it was withdrawn");
    assert_eq!(scenario.call_as_owner(Method::DELETE, &path, None).await.unwrap().status, 404);
    // Zone names are stored as AWS accepts them.
    let again = json!({"at": "2026-12-01T09:00:00", "timezone": "asia/singapore"});
    assert_eq!(schedule(&scenario, campaign, again).await.json()["timezone"], "Asia/Singapore");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn invalid_times_are_refused() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    for (body, field) in [
        (json!({"at": "2026-11-20T11:00:00"}), "at"),
        (json!({"at": "2027-03-28T02:30:00", "timezone": "Europe/Prague"}), "at"),
        (json!({"at": "2027-01-30T12:00:00+09:00"}), "at"),
        (json!({"at": "2027-01-30T12:00:00Z"}), "at"),
        (json!({"at": "2027-01-30"}), "at"),
        (json!({"at": "2027-01-01T09:00:00", "timezone": "Etc/Unknown"}), "timezone"),
        (json!({"at": "2027-01-01T09:00:00", "timezone": "Moon/Base"}), "timezone"),
        (json!({"at": "tomorrow"}), "at"),
    ] {
        let refused = schedule(&scenario, &campaign, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{}", refused.text);
    }
    assert_eq!(schedule(&scenario, "42", json!({"at": "2027-01-01T09:00:00"})).await.status, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn changes_go_to_meta_first_and_are_shown_as_meta_stores_them() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let path = format!("campaigns/{campaign}");
    let patch = |body| scenario.call_as_owner(Method::PATCH, &path, Some(body));
    let paused = patch(json!({"status": "PAUSED", "name": "Renamed"})).await.unwrap();
    assert_eq!(paused.status, 200, "{}", paused.text);
    let sim = scenario.sim().unwrap();
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "PAUSED");
    assert_eq!(scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()["name"], "Renamed");
    let below = scenario
        .call_as_owner(Method::GET, &format!("adsets?campaign_id={campaign}"), None)
        .await
        .unwrap()
        .json();
    for adset in below["data"].as_array().unwrap() {
        assert_ne!(adset["effective_status"], "ACTIVE", "what is below is shown as it is now: {adset}");
    }

    // When Meta refuses, the table keeps the true state.
    let kind = FaultKind::Error { status: 400, code: 100, subcode: Some(1_885_272), headers: Vec::new() };
    sim.fail_next(fault("POST", &campaign, kind));
    assert_eq!(patch(json!({"status": "ACTIVE"})).await.unwrap().status, 422);
    assert_eq!(scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()["status"], "PAUSED");
    for (body, field) in [
        (json!({}), "body"),
        (json!({"status": "DELETED"}), "status"),
        (json!({"daily_budget": {"amount": 5, "currency": "JPY"}}), "daily_budget.currency"),
        (json!({"daily_budget": 5}), "daily_budget"),
        (json!({"colour": "red"}), "colour"),
        (json!(["by position", "PAUSED", null]), "body"),
    ] {
        let refused = patch(body.clone()).await.unwrap();
        assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{}", refused.text);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn deleting_a_campaign_deletes_its_ad_sets_and_ads() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("spring-8", &scenario.launch_document().unwrap()).await.unwrap().json();
    let campaign = id(&launched, "campaign_id");
    let deleted =
        scenario.call_as_owner(Method::DELETE, &format!("campaigns/{campaign}"), None).await.unwrap();
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    assert_eq!(scenario.sim().unwrap().campaign(campaign).unwrap()["effective_status"], "DELETED");
    for (level, field) in [("campaigns", "campaign_id"), ("adsets", "adset_id"), ("ads", "ad_id")] {
        let path = format!("{level}/{}", id(&launched, field));
        let view = scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json();
        assert_eq!(view["effective_status"], "DELETED", "{level}");
    }
    // A sync, in which it is no longer listed, leaves it deleted.
    scenario.sync().await.unwrap();
    let view =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    assert_eq!(view["effective_status"], "DELETED");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_was_launched_is_read_and_changed_at_each_level() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("spring", &scenario.launch_document().unwrap()).await.unwrap().json();
    let path = format!("launches/{}", id(&launched, "launch_id"));
    assert_eq!(scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap(), launched);
    for (level, field) in [("campaigns", "campaign_id"), ("adsets", "adset_id"), ("ads", "ad_id")] {
        let path = format!("{level}/{}", id(&launched, field));
        let change = json!({"name": "Renamed"});
        let changed = scenario.call_as_owner(Method::PATCH, &path, Some(change)).await.unwrap();
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_eq!(changed.json()["name"], "Renamed");
        let read = scenario.call_as_owner(Method::GET, &path, None).await.unwrap();
        assert_eq!(read.json(), changed.json(), "a change answers what a read does");
        assert_eq!(scenario.sim().unwrap().node(id(&launched, field)).unwrap()["name"], "Renamed");
    }
    scenario.finish().await.unwrap();
}
