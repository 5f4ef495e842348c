//! A campaign is paused and ended at a local time, whatever Meta does meanwhile.

use std::sync::atomic::Ordering;

use domain::id::{AdAccountId, EntityId};
use domain::job::Job;
use domain::schedule::ScheduledAction;
use graph_sim::{Fault, FaultKind};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use serde_json::{Value, json};
use store::audit::{Actor, AuditEvent};
use store::schedule::{ActivationScope, Schedule, ScheduleState};

use crate::crash::{self, NEVER, dying_manage_campaign};
use crate::launch::advance;

async fn put(scenario: &Scenario, campaign: &str, action: &str, body: Value) -> (u16, Value) {
    let path = format!("campaigns/{campaign}/schedules/{action}");
    let answer = scenario.call_as_owner(Method::PUT, &path, Some(body)).await.unwrap();
    (answer.status.as_u16(), answer.json())
}

async fn list(scenario: &Scenario, query: &str) -> Value {
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/schedules?{query}");
    scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap()
}

fn states(list: &Value) -> Vec<(&str, &str)> {
    let data = list["data"].as_array().unwrap().iter();
    data.map(|one| (one["action"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_campaign_is_paused_on_friday_evening_started_on_monday_and_archived_for_good() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let status = || scenario.sim().unwrap().campaign(&campaign).unwrap()["status"].clone();
    // It is noon on Friday, 20 November, in Singapore.
    for (action, at) in [
        ("pause", "2026-11-20T18:00:00"),
        ("activate", "2026-11-23T08:00:00"),
        ("archive", "2026-11-27T00:00:00"),
    ] {
        let (code, schedule) = put(&scenario, &campaign, action, json!({"at": at})).await;
        assert_eq!((code, &schedule["state"], &schedule["at"]), (200, &json!("scheduled"), &json!(at)));
    }
    advance(&scenario, 5).await;
    assert_eq!(status(), "ACTIVE", "an hour too early");
    advance(&scenario, 2).await;
    assert_eq!(status(), "PAUSED");
    let of_campaign = format!("campaign={campaign}");
    let listed = list(&scenario, &of_campaign).await;
    assert_eq!(states(&listed), [("activate", "scheduled"), ("archive", "scheduled"), ("pause", "done")]);
    let page = list(&scenario, &format!("{of_campaign}&limit=2")).await;
    let rest =
        list(&scenario, &format!("{of_campaign}&limit=2&after={}", page["after"].as_str().unwrap())).await;
    assert_eq!((page["data"].as_array().unwrap().len(), states(&rest)), (2, vec![("pause", "done")]));
    assert_eq!(list(&scenario, "").await, listed, "no other campaign has one");
    assert_eq!(states(&list(&scenario, "campaign=1").await), []);
    advance(&scenario, 62).await;
    assert_eq!(status(), "ACTIVE");
    advance(&scenario, 100).await;
    assert_eq!(status(), "ARCHIVED");
    let events = scenario.api().unwrap().all("audit").await.unwrap();
    let done = events.iter().filter(|event| event["actor"]["kind"] == "schedule" && event["phase"] == "done");
    let actions: Vec<_> = done.map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["campaign.archived", "campaign.activated", "campaign.paused"]);
    // What is over has no more times, and only activations have a scope.
    let (code, problem) = put(&scenario, &campaign, "pause", json!({"at": "now"})).await;
    assert_eq!(code, 409, "{problem}");
    let wrong = json!({"at": "now", "scope": "everything"});
    let (code, problem) = put(&scenario, &campaign, "pause", wrong).await;
    assert_eq!((code, &problem["errors"][0]["field"]), (400, &json!("scope")));
    let (code, _) = put(&scenario, &campaign, "explode", json!({"at": "now"})).await;
    assert_eq!(code, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_pause_is_tried_until_meta_takes_it_and_a_deleted_campaign_has_none() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let sim = scenario.sim().unwrap();
    let (path_contains, kind) = (campaign.clone(), FaultKind::HtmlUnavailable);
    sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 8, skip: 0, kind });
    put(&scenario, &campaign, "pause", json!({"at": "now"})).await;
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(states(&list(&scenario, "").await), [("pause", "running")]);
    for _ in 0..4 {
        advance(&scenario, 1).await;
    }
    assert_eq!(states(&list(&scenario, "").await), [("pause", "done")]);
    assert_eq!(sim.campaign(&campaign).unwrap()["status"], "PAUSED");

    put(&scenario, &campaign, "activate", json!({"at": "2026-12-01T09:00:00"})).await;
    let path = format!("campaigns/{campaign}");
    assert_eq!(scenario.call_as_owner(Method::DELETE, &path, None).await.unwrap().status, 204);
    assert_eq!(states(&list(&scenario, "").await), [("activate", "cancelled"), ("pause", "done")]);
    scenario.finish().await.unwrap();
}

/// A start that Meta held up for hours must not begin what was to be paused in between.
#[tokio::test]
async fn what_waited_longer_than_the_next_time_is_not_done_any_more() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("base", &scenario.launch_document().unwrap()).await.unwrap().json();
    let campaign = launched["campaign_id"].as_str().unwrap();
    let sim = scenario.sim().unwrap();
    let (path_contains, kind) = (launched["ad_id"].as_str().unwrap().to_owned(), FaultKind::HtmlUnavailable);
    sim.fail_next(Fault { method: Some("POST".to_owned()), path_contains, times: 12, skip: 0, kind });
    put(&scenario, campaign, "activate", json!({"at": "2026-11-20T13:00:00"})).await;
    put(&scenario, campaign, "pause", json!({"at": "2026-11-20T15:30:00"})).await;
    for _ in 0..8 {
        advance(&scenario, 1).await;
    }
    let listed = list(&scenario, "").await;
    assert_eq!(states(&listed), [("activate", "failed"), ("pause", "done")], "{listed}");
    assert!(listed["data"][0]["failure"].as_str().unwrap().contains("before the pause"), "{listed}");
    assert_eq!(sim.campaign(campaign).unwrap()["status"], "PAUSED");
    scenario.finish().await.unwrap();
}

/// What the processes of the story below run, each time anew.
struct Runs<'a> {
    scenario: &'a Scenario,
    ad_account: AdAccountId,
    campaign: EntityId,
    /// The ad set and the ads.
    below: Vec<String>,
}

impl Runs<'_> {
    fn status(&self, id: &str) -> Value {
        self.scenario.sim().unwrap().node(id).unwrap()["status"].clone()
    }

    /// Has everything paused, and an activation or a pause due that no timer delivers.
    async fn due(&self, action: ScheduledAction, number: i64) -> Job {
        let table = &self.scenario.system.table;
        let workspace = local::tenant::tenant(WORKSPACE).unwrap();
        let sim = self.scenario.sim().unwrap();
        let status = if action == ScheduledAction::Activate { "PAUSED" } else { "ACTIVE" };
        for id in self.below.iter().map(String::as_str).chain([self.campaign.as_str()]) {
            sim.update_node(id, json!({"status": status}));
        }
        let before = table.schedule(&workspace, &self.ad_account, &self.campaign, action).await.unwrap();
        let timer = format!("{action}-{number}");
        let schedule = Schedule {
            campaign: self.campaign.clone(),
            action,
            at: "2026-11-20T12:00:00".parse().unwrap(),
            timezone: "Asia/Singapore".to_owned(),
            version: before.as_ref().map_or(1, |before| before.version + 1),
            timer: timer.clone(),
            scope: (action == ScheduledAction::Activate).then_some(ActivationScope::Everything),
            state: ScheduleState::Scheduled,
            failure: None,
            problems: Vec::new(),
        };
        let actor = Actor::Person { subject: "ann".to_owned() };
        let target = format!("campaign/{}", self.campaign);
        let event = AuditEvent::new(format!("event-{timer}"), actor, "campaign.scheduled", target);
        let event = event.in_account(&self.ad_account).done_at(self.scenario.system.clock.now());
        table
            .upsert_schedule(&workspace, &self.ad_account, &schedule, before.as_ref(), Some(&event))
            .await
            .unwrap();
        let (ad_account, campaign) = (self.ad_account.clone(), self.campaign.clone());
        Job::RunSchedule { workspace, ad_account, campaign, action, timer }
    }
}

#[tokio::test]
async fn what_is_scheduled_ends_done_and_logged_once_wherever_a_process_dies() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("base", &scenario.launch_document().unwrap()).await.unwrap().json();
    let id = |field: &str| launched[field].as_str().unwrap().to_owned();
    let runs = Runs {
        scenario: &scenario,
        ad_account: scenario.account().unwrap().parse().unwrap(),
        campaign: id("campaign_id").parse().unwrap(),
        below: vec![id("adset_id"), id("ad_id")],
    };
    let mut number = 0;
    for (action, status) in [(ScheduledAction::Activate, "ACTIVE"), (ScheduledAction::Pause, "PAUSED")] {
        let (whole, calls) = dying_manage_campaign(&scenario, NEVER, false);
        whole.process(runs.due(action, 0).await).await.unwrap();
        let points = calls.load(Ordering::SeqCst);
        assert!(points > 8, "{points}");
        for at in crash::points(points) {
            // The process dies there, or the call alone fails and the process goes on.
            for (until, with_effect) in [(i64::MAX, false), (i64::MAX, true), (at, false), (at, true)] {
                number += 1;
                let job = runs.due(action, number).await;
                let _ =
                    dying_manage_campaign(&scenario, at..=until, with_effect).0.process(job.clone()).await;
                let what = format!("{action} at {at} to {until} {with_effect}");
                // The message is delivered again, and what it leaves goes on by timers: a quota lease that died with its
                // process, for one, ends by itself.
                let mut shown = Value::Null;
                for _ in 0..10 {
                    scenario.system.clock.advance(SignedDuration::from_secs(70));
                    scenario.system.runner.settle().await.unwrap();
                    whole.process(job.clone()).await.unwrap();
                    let listed = list(&scenario, "").await;
                    let of_action = |one: &&Value| one["action"] == action.as_str();
                    shown = listed["data"].as_array().unwrap().iter().find(of_action).unwrap().clone();
                    if shown["state"] != "running" {
                        break;
                    }
                }
                assert_eq!(
                    (&shown["state"], &shown["failure"]),
                    (&json!("done"), &Value::Null),
                    "{what}: {shown}"
                );
                assert_eq!(runs.status(runs.campaign.as_str()), status, "{what}");
                for id in &runs.below {
                    assert_eq!(
                        runs.status(id),
                        "ACTIVE",
                        "{what}: what is below a paused campaign stays as it is"
                    );
                }
            }
        }
    }
    let events = scenario.api().unwrap().all("audit").await.unwrap();
    let scheduled = events.iter().filter(|event| event["actor"]["kind"] == "schedule");
    for phase in ["intended", "done"] {
        let of_phase = scheduled.clone().filter(|event| event["phase"] == phase);
        assert_eq!(of_phase.count() as i64, number + 2, "{phase}");
    }
    assert_eq!(scheduled.count() as i64, 2 * (number + 2), "none has failed");
    scenario.finish().await.unwrap();
}
