//! What the system tells of itself: one story under one correlation id, one canonical line per unit of work, and
//! never a secret or what somebody wrote.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ads::job::{Job, Queue};
use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::canary::keep_company;
use journeys::{Story, options};
use local::Options;
use local::data::Data;
use local::main_job::WORKSPACE;
use reqwest::Url;
use runtime::queue::dead_letters;
use runtime::session::Role;
use runtime::telemetry::{Metric, json_lines};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use crate::connect::{begin_login, come_back};

/// Hears the lines of this test as the cloud would: everything of it runs on this one thread.
struct Heard {
    lines: Arc<Mutex<Vec<String>>>,
    _listening: DefaultGuard,
}

impl Heard {
    fn listen(level: &str) -> Self {
        keep_company();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let print = move |line: &str| heard.lock().unwrap().push(line.to_owned());
        // The simulator is no part of what is shipped.
        let subscriber = json_lines(&format!("{level},graph_sim=off"), print);
        Self { lines, _listening: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines since the last time.
    fn take(&self) -> Vec<Value> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The canonical ones among some lines.
fn canonical(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line.get("_aws").is_some()).collect()
}

/// How often a job or route is named by canonical lines.
fn times(lines: &[Value], what: &str) -> usize {
    canonical(lines).iter().filter(|line| line["what"] == what).count()
}

fn sum(lines: &[Value], metric: Metric) -> u64 {
    canonical(lines).iter().filter_map(|line| line.get(metric.name())?.as_u64()).sum()
}

const SYNC: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync";

#[tokio::test]
async fn everything_that_a_request_causes_tells_the_same_story() {
    let heard = Heard::listen("info");
    let story = Story::synced().await.unwrap();
    let first = heard.take();
    assert_eq!(sum(&first, Metric::GraphCalls), story.system.graph.calls(), "each call belongs to a unit");
    assert!(sum(&first, Metric::FactsWritten) > 0);

    let calls = story.system.graph.calls();
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}/sync", story.account().unwrap());
    let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
    let given = [("x-correlation-id", "front-end-42")];
    let answer = story.send(Method::POST, &path, Some(&token), &given, None).await.unwrap();
    assert_eq!(answer.headers["x-correlation-id"], "front-end-42");
    story.system.runner.settle().await.unwrap();

    let lines = heard.take();
    for line in &lines {
        assert_eq!(line["correlation"], "front-end-42", "{line}");
    }
    let calls = story.system.graph.calls() - calls;
    assert_eq!(sum(&lines, Metric::GraphCalls), calls);
    assert_eq!((times(&lines, SYNC), times(&lines, "sync_account")), (1, 1));
    let weeks = times(&lines, "sync_chunk");
    assert!(weeks > 1, "{lines:?}");
    assert!(times(&lines, "evaluate_rules") >= 1);
    assert!(lines.len() > canonical(&lines).len(), "sentences carry it too");
    let request = canonical(&lines).into_iter().find(|line| line["kind"] == "request").unwrap();
    assert_eq!(
        ["function", "method", "status", "workspace", "ad_account", "outcome"]
            .map(|name| request[name].clone()),
        [
            json!("sync-entities"),
            json!("POST"),
            json!(202),
            json!(WORKSPACE),
            json!(story.account().unwrap()),
            json!("done")
        ]
    );
    let messages: Vec<_> = canonical(&lines).into_iter().filter(|line| line["kind"] == "message").collect();
    let ids: BTreeSet<_> = messages.iter().map(|line| line["message_id"].to_string()).collect();
    assert_eq!(ids.len(), messages.len(), "one line for each message");
    for line in messages {
        assert_eq!((&line["outcome"], &line["attempt"]), (&json!("done"), &json!(1)), "{line}");
        assert_eq!(line["ad_account"], story.account().unwrap());
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_webhook_and_what_it_causes_tell_the_same_story() {
    let story = Story::synced().await.unwrap();
    let heard = Heard::listen("info");
    let campaign = story.running_campaign().await.unwrap();
    heard.take();
    let value = json!({"id": campaign, "level": "CAMPAIGN"});
    let changes = json!([{"field": "with_issues_ad_objects", "value": value}]);
    let body =
        json!({"object": "ad_account", "entry": [{"id": "0", "time": 1, "changes": changes}]}).to_string();
    let answer = story.deliver(&body).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let lines = heard.take();
    let told: Vec<_> = canonical(&lines)
        .into_iter()
        .map(|line| (line["function"].as_str().unwrap(), line["what"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("webhook-ingest", "/v1/webhooks/meta"),
            ("webhook-ingest", "webhook_change"),
            ("sync-entities", "sync_object")
        ]
    );
    let correlation = answer.headers["x-correlation-id"].to_str().unwrap();
    assert!(lines.iter().all(|line| line["correlation"] == correlation), "{lines:?}");

    let wrong = [("x-hub-signature-256", "sha256=00")];
    let path = "/v1/webhooks/meta";
    let refused = story.send(Method::POST, path, None, &wrong, Some(body)).await.unwrap();
    let lines = heard.take();
    let [line] = &lines[..] else { panic!("a refusal is told once: {lines:?}") };
    assert_eq!(line["SignatureFailures"], 1);
    assert_eq!((&line["outcome"], &line["problem"]), (&json!("refused"), &json!("forbidden")));
    assert!(line.get("workspace").is_none() && line.get("Failures").is_none());
    assert_eq!(refused.json()["correlation"], line["correlation"], "the problem names what to ask for");
    story.end().await.unwrap();
}

#[tokio::test]
async fn jobs_that_fail_say_how_they_end() {
    let heard = Heard::listen("info");
    let story = Story::on(Options { visibility_seconds: 1, ..options(Data::Memory) }).await.unwrap();
    let sim = story.sim().unwrap();
    let fault = |path: &str, times, kind| Fault {
        method: Some("GET".to_owned()),
        path_contains: path.to_owned(),
        times,
        skip: 0,
        kind,
    };
    // Of five deliveries with four tries each at least one runs into these, and at least one does not, however
    // they overlap.
    sim.fail_next(fault("/campaigns", 16, FaultKind::Html));
    story.api().unwrap().connect().await.unwrap();
    story.select(true).await.unwrap();
    let selected = heard.take();
    let selected = canonical(&selected).last().unwrap()["correlation"].clone();
    let mut lines = Vec::new();
    let ended = |lines: &[Value], outcome: &str| -> Vec<Value> {
        let of_job = canonical(lines).into_iter().filter(|line| line["what"] == "sync_account");
        of_job.filter(|line| line["outcome"] == outcome).cloned().collect()
    };
    let mut synced = async || {
        while ended(&lines, "done").is_empty() {
            story.system.runner.settle().await.unwrap();
            lines.extend(heard.take());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), synced()).await.unwrap();
    let (failed, done) = (ended(&lines, "again"), ended(&lines, "done"));
    assert!(
        failed.iter().all(|line| line["Failures"] == 1 && line["problem"] == "unavailable"),
        "{failed:?}"
    );
    assert!(done.iter().all(|line| line.get("Failures").is_none()), "{done:?}");
    let attempts: BTreeSet<_> =
        [&failed[..], &done].concat().iter().map(|line| line["attempt"].as_u64()).collect();
    assert!(attempts.contains(&Some(1)) && attempts.contains(&Some(2)), "{attempts:?}");
    for line in lines.iter().filter(|line| line.get("function").is_some()) {
        assert_eq!(line["correlation"], selected, "a message that comes again goes on: {line}");
    }
    let told: Vec<_> = lines.iter().filter(|line| line.get("failure").is_some()).collect();
    assert_eq!(told.len(), failed.len(), "a failure is told once: {told:?}");
    assert!(!told.is_empty());

    // A job that waits is sent anew, and takes the story along.
    let usage = r#"{"1":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":1}]}"#;
    let headers = vec![("x-business-use-case-usage".to_owned(), usage.to_owned())];
    let kind = FaultKind::Error { status: 400, code: 80_000, subcode: Some(2_446_079), headers };
    sim.fail_next(fault("insights", 1, kind));
    story.sync().await.unwrap();
    let lines = heard.take();
    let waits = canonical(&lines).into_iter().find(|line| line["outcome"] == "waits").unwrap();
    assert_eq!((&waits["problem"], &waits["Waits"]), (&json!("throttled"), &json!(1)));
    assert!(waits.get("Failures").is_none(), "waiting is no failure");
    story.end().await.unwrap();
}

#[tokio::test]
async fn what_nobody_can_do_lies_beside_its_queue_under_its_story() {
    let heard = Heard::listen("info");
    let story = Story::begin().await.unwrap();
    let cloud = &story.system.cloud;
    let queue = &cloud.queues.address(Queue::SyncEntities.name()).unwrap().url;
    let account = r#""workspace":"demo","ad_account":"act_1""#;
    let elsewheres = format!(r#"{{"job":"evaluate_rules",{account}}}"#);
    for body in ["not a job", &elsewheres] {
        cloud.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    }
    story.system.runner.settle().await.unwrap();
    let lines = heard.take();
    let mut told: Vec<_> = canonical(&lines)
        .into_iter()
        .filter(|line| line["function"] == "sync-entities")
        .map(|line| {
            assert_eq!(line["correlation"], line["message_id"], "nobody gave it a story, so it begins one");
            assert_eq!(
                (&line["outcome"], &line["DeadLettered"]),
                (&json!("dead_lettered"), &json!(1)),
                "{line}"
            );
            (line["what"].as_str().unwrap(), line["problem"].as_str(), line["correlation"].as_str().unwrap())
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told.iter().map(|told| told.0).collect::<Vec<_>>(), ["evaluate_rules", "unreadable"]);
    assert_eq!(told.iter().map(|told| told.1).collect::<Vec<_>>(), [Some("internal"), None]);

    let dead = &cloud.queues.address(&dead_letters(Queue::SyncEntities)).unwrap().url;
    let dead = cloud.sqs.receive_message().queue_url(dead).max_number_of_messages(10);
    let dead = dead.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
    let attribute = |message: &aws_sdk_sqs::types::Message, name| {
        message.message_attributes.as_ref()?.get(name)?.string_value.clone()
    };
    let stories: BTreeSet<_> = dead.iter().filter_map(|message| attribute(message, "correlation")).collect();
    assert_eq!(stories, told.iter().map(|told| told.2.to_owned()).collect());
    assert!(dead.iter().all(|message| attribute(message, "reason").is_some()));
    story.end().await.unwrap();
}

#[tokio::test]
async fn the_look_over_all_accounts_is_measured_also_when_all_is_well() {
    let story = Story::synced().await.unwrap();
    let heard = Heard::listen("info");
    story.system.cloud.queues.send(&[Job::WatchAccounts]).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let lines = heard.take();
    let look = canonical(&lines).into_iter().find(|line| line["what"] == "watch_accounts").unwrap();
    for metric in [Metric::StaleAccounts, Metric::ExpiringTokens, Metric::NeedsReconnect] {
        assert_eq!(look[metric.name()], 0, "{metric:?}");
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn no_line_holds_a_secret_or_what_somebody_wrote() {
    let heard = Heard::listen("trace");
    let story = Story::begin().await.unwrap();
    let mut secrets: Vec<String> = Vec::new();

    // A login: its state, its code, its cookie.
    let (dialog, cookie) = begin_login(&story).await;
    let callback = story.api().unwrap().press_continue(&dialog).await.unwrap();
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    secrets.extend(callback.parse::<Url>().unwrap().query_pairs().map(|(_, value)| value.into_owned()));
    assert_eq!(come_back(&story, &callback, &cookie).await.0, 200);
    assert_eq!(come_back(&story, &callback, &cookie).await.0, 409, "and once more in vain");
    story.select(true).await.unwrap();
    story.system.runner.settle().await.unwrap();

    let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
    let account = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}", story.account().unwrap());
    let get = async |path: String, token: &str, headers: &[(&str, &str)]| {
        story.send(Method::GET, &path, Some(token), headers, None).await.unwrap().status.as_u16()
    };
    let unsafe_id = [("x-correlation-id", "canary in a header")];
    assert_eq!(get(format!("{account}/insights?level=canary-query"), &token, &unsafe_id).await, 400);
    assert_eq!(get(format!("{account}/campaigns/canary-path"), &token, &[]).await, 404);
    assert_eq!(get("/v1/workspaces/canary-workspace/rules".to_owned(), &token, &[]).await, 404);
    assert_eq!(get("/v1/workspaces/demo/rules".to_owned(), "canary.to.ken", &[]).await, 401);
    let mut launch = story.launch_document().unwrap();
    launch["name"] = "canary launch".into();
    assert_eq!(story.launch("canary-key", &launch).await.unwrap().status, 201);
    launch["objective"] = "canary objective".into();
    assert_eq!(story.launch("canary-other-key", &launch).await.unwrap().status, 400);

    let verify = story.system.secrets.verify_token.expose_secret();
    let handshake = format!("/v1/webhooks/meta?hub.mode=subscribe&hub.challenge=1&hub.verify_token={verify}");
    assert_eq!(get(handshake, "canary.to.ken", &[]).await, 200);
    let campaign = story.running_campaign().await.unwrap();
    let value = json!({"id": campaign, "level": "CAMPAIGN", "error_summary": "canary summary"});
    let changes = json!([{"field": "with_issues_ad_objects", "value": value}]);
    let body =
        json!({"object": "ad_account", "entry": [{"id": "0", "time": 1, "changes": changes}]}).to_string();
    assert_eq!(story.deliver(&body).await.unwrap().status, 200);
    assert_eq!(story.deliver("canary: not json").await.unwrap().status, 400);
    let cloud = &story.system.cloud;
    let queue = &cloud.queues.address(Queue::SyncEntities.name()).unwrap().url;
    for body in ["canary: not a job", r#"{"job":"canary"}"#] {
        cloud.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    }
    story.system.runner.settle().await.unwrap();

    let lines = heard.take();
    for what in [
        "/v1/auth/meta/callback",
        "/v1/webhooks/meta",
        "unreadable",
        "sync_chunk",
        SYNC.trim_end_matches("/sync"),
    ] {
        let told = lines.iter().any(|line| line["what"].as_str().is_some_and(|told| told.starts_with(what)));
        assert!(told, "{what} was done");
    }
    assert!(lines.iter().any(|line| line["message"] == "Graph answered."), "the lowest levels are heard");
    secrets.extend([token, verify.to_owned()]);
    secrets.push(story.system.secrets.app_secret.expose_secret().to_owned());
    // Tokens of the simulator, sealed tokens, session tokens, names of its campaigns.
    secrets.extend(["canary", "EAAS", "v1.k1.", "eyJ", "Espresso"].map(str::to_owned));
    for line in &lines {
        let text = line.to_string();
        for secret in secrets.iter().filter(|secret| secret.len() > 3) {
            assert!(!text.contains(secret.as_str()), "{secret} in {line}");
        }
    }
    story.end().await.unwrap();
}
