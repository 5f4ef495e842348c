//! Observability: one correlation id per request, one canonical line per unit of work, and never a secret or user
//! input.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::job::{Job, Queue};
use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::leak_scanner::force_per_thread_dispatch;
use journeys::{Scenario, options};
use local::Options;
use local::data::Data;
use local::demo::WORKSPACE;
use reqwest::Url;
use runtime::queue::dead_letter_queue_name;
use runtime::session::Role;
use runtime::telemetry::{TelemetryMetric, json_lines};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::due::DUE_SHARDS;
use tracing::subscriber::DefaultGuard;

use crate::connect::{begin_login, complete_login};

/// Captures the log lines of this test as the cloud would: everything in it runs on this one thread.
struct LogCapture {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl LogCapture {
    fn start(level: &str) -> Self {
        force_per_thread_dispatch();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let print = move |line: &str| sink.lock().unwrap().push(line.to_owned());
        // The simulator is not part of the product.
        let subscriber = json_lines(&format!("{level},graph_sim=off"), print);
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Returns the lines since the last call.
    fn drain(&self) -> Vec<Value> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Returns the canonical lines.
fn canonical(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line.get("_aws").is_some()).collect()
}

/// Returns how many canonical lines name this job or route.
fn count_of(lines: &[Value], what: &str) -> usize {
    canonical(lines).iter().filter(|line| line["operation"] == what).count()
}

fn sum(lines: &[Value], metric: TelemetryMetric) -> u64 {
    canonical(lines).iter().filter_map(|line| line.get(metric.name())?.as_u64()).sum()
}

const SYNC: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync";

#[tokio::test]
async fn everything_that_a_request_causes_carries_its_correlation_id() {
    let logs = LogCapture::start("info");
    let scenario = Scenario::newly_synced().await.unwrap();
    let first = logs.drain();
    assert_eq!(
        sum(&first, TelemetryMetric::GraphCalls),
        scenario.system.graph.calls(),
        "each call belongs to a unit"
    );
    assert!(sum(&first, TelemetryMetric::FactsWritten) > 0);

    let calls = scenario.system.graph.calls();
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}/sync", scenario.account().unwrap());
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let given = [("x-correlation-id", "front-end-42")];
    let response = scenario.send(Method::POST, &path, Some(&token), &given, None).await.unwrap();
    assert_eq!(response.headers["x-correlation-id"], "front-end-42");
    scenario.system.runner.settle().await.unwrap();

    // The outbox publishes events of many requests at a time.
    let mut lines = logs.drain();
    lines.retain(|line| line["operation"] != "publish");
    for line in &lines {
        assert_eq!(line["correlation"], "front-end-42", "{line}");
    }
    let calls = scenario.system.graph.calls() - calls;
    assert_eq!(sum(&lines, TelemetryMetric::GraphCalls), calls);
    assert_eq!((count_of(&lines, SYNC), count_of(&lines, "sync_account")), (1, 1));
    let chunks = count_of(&lines, "sync_chunk");
    assert!(chunks > 1, "{lines:?}");
    assert!(count_of(&lines, "evaluate_rules") >= 1);
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
            json!(scenario.account().unwrap()),
            json!("done")
        ]
    );
    let messages: Vec<_> = canonical(&lines).into_iter().filter(|line| line["kind"] == "message").collect();
    let ids: BTreeSet<_> = messages.iter().map(|line| line["message_id"].to_string()).collect();
    assert_eq!(ids.len(), messages.len(), "one line for each message");
    for line in messages {
        assert_eq!((&line["outcome"], &line["attempt"]), (&json!("done"), &json!(1)), "{line}");
        assert_eq!(line["ad_account"], scenario.account().unwrap());
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_webhook_and_what_it_causes_share_one_correlation_id() {
    let scenario = Scenario::synced().await.unwrap();
    let logs = LogCapture::start("info");
    let campaign = scenario.running_campaign().await.unwrap();
    logs.drain();
    let value = json!({"id": campaign, "level": "CAMPAIGN"});
    let changes = json!([{"field": "with_issues_ad_objects", "value": value}]);
    let body =
        json!({"object": "ad_account", "entry": [{"id": "0", "time": 1, "changes": changes}]}).to_string();
    let response = scenario.deliver(&body).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let lines = logs.drain();
    // Events of what was done before may be published meanwhile.
    let correlation = response.headers["x-correlation-id"].to_str().unwrap();
    let reported: Vec<_> = canonical(&lines)
        .into_iter()
        .filter(|line| line["correlation"] == correlation)
        .map(|line| (line["function"].as_str().unwrap(), line["operation"].as_str().unwrap()))
        .collect();
    assert_eq!(
        reported,
        [
            ("webhook-ingest", "/v1/webhooks/meta"),
            ("webhook-ingest", "webhook_changes"),
            ("sync-entities", "sync_changed_entities")
        ]
    );

    let wrong = [("x-hub-signature-256", "sha256=00")];
    let path = "/v1/webhooks/meta";
    let refused = scenario.send(Method::POST, path, None, &wrong, Some(body)).await.unwrap();
    let lines = logs.drain();
    let lines: Vec<_> = lines.iter().filter(|line| line["function"] == "webhook-ingest").collect();
    let [line] = &lines[..] else { panic!("a refusal is reported once: {lines:?}") };
    assert_eq!(line["SignatureFailures"], 1);
    assert_eq!((&line["outcome"], &line["problem"]), (&json!("rejected"), &json!("forbidden")));
    assert!(line.get("workspace").is_none() && line.get("Failures").is_none());
    assert_eq!(refused.json()["correlation"], line["correlation"], "the problem names what to ask for");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn failed_jobs_log_their_outcome() {
    let logs = LogCapture::start("info");
    let scenario =
        Scenario::with_options(Options { visibility_seconds: 1, ..options(Data::Memory) }).await.unwrap();
    let sim = scenario.sim().unwrap();
    let fault = |path: &str, times, kind| Fault {
        method: Some("GET".to_owned()),
        path_contains: path.to_owned(),
        times,
        skip: 0,
        kind,
    };
    // Of five deliveries with four attempts each at least one meets these faults, and at least one does not, however
    // they overlap.
    sim.fail_next(fault("/campaigns", 16, FaultKind::Html));
    scenario.api().unwrap().connect().await.unwrap();
    scenario.select(true).await.unwrap();
    let selected = logs.drain();
    let selected = canonical(&selected).last().unwrap()["correlation"].clone();
    let mut lines = Vec::new();
    let ended = |lines: &[Value], outcome: &str| -> Vec<Value> {
        let of_job = canonical(lines).into_iter().filter(|line| line["operation"] == "sync_account");
        of_job.filter(|line| line["outcome"] == outcome).cloned().collect()
    };
    let mut synced = async || {
        while ended(&lines, "done").is_empty() {
            scenario.system.runner.settle().await.unwrap();
            lines.extend(logs.drain());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), synced()).await.unwrap();
    let (failed, done) = (ended(&lines, "will_retry"), ended(&lines, "done"));
    assert!(
        failed.iter().all(|line| line["Failures"] == 1 && line["problem"] == "unavailable"),
        "{failed:?}"
    );
    assert!(done.iter().all(|line| line.get("Failures").is_none()), "{done:?}");
    let attempts: BTreeSet<_> =
        [&failed[..], &done].concat().iter().map(|line| line["attempt"].as_u64()).collect();
    assert!(attempts.contains(&Some(1)) && attempts.contains(&Some(2)), "{attempts:?}");
    let of_functions = lines.iter().filter(|line| line.get("function").is_some());
    for line in of_functions.filter(|line| line["operation"] != "publish") {
        assert_eq!(line["correlation"], selected, "a message that comes again goes on: {line}");
    }
    // The queue of this host may report, too, that a message came again while it was worked on.
    let of_functions = lines.iter().filter(|line| line.get("function").is_some());
    let reported: Vec<_> = of_functions.filter(|line| line.get("error").is_some()).collect();
    assert_eq!(reported.len(), failed.len(), "a failure is reported once: {reported:?}");
    assert!(!reported.is_empty());

    // A job that waits is sent again and keeps its correlation id.
    let usage = r#"{"1":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":1}]}"#;
    let headers = vec![("x-business-use-case-usage".to_owned(), usage.to_owned())];
    let kind = FaultKind::Error { status: 400, code: 80_000, subcode: Some(2_446_079), headers };
    sim.fail_next(fault("insights", 1, kind));
    scenario.sync().await.unwrap();
    let lines = logs.drain();
    let waits = canonical(&lines).into_iter().find(|line| line["outcome"] == "deferred").unwrap();
    assert_eq!((&waits["problem"], &waits["Deferred"]), (&json!("throttled"), &json!(1)));
    assert!(waits.get("Failures").is_none(), "waiting is no failure");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_message_that_cannot_be_processed_is_dead_lettered_with_its_correlation_id() {
    let logs = LogCapture::start("info");
    let scenario = Scenario::start().await.unwrap();
    let cloud = &scenario.system.cloud;
    let queue = &cloud.queues.address(Queue::SyncEntities.name()).unwrap().url;
    let account = r#""workspace":"demo","ad_account":"act_1""#;
    let elsewheres = format!(r#"{{"job":"evaluate_rules",{account}}}"#);
    for body in ["not a job", &elsewheres] {
        cloud.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    }
    scenario.system.runner.settle().await.unwrap();
    let lines = logs.drain();
    let mut reported: Vec<_> = canonical(&lines)
        .into_iter()
        .filter(|line| line["function"] == "sync-entities")
        .map(|line| {
            assert_eq!(
                line["correlation"], line["message_id"],
                "a message without a correlation id starts its own"
            );
            assert_eq!(
                (&line["outcome"], &line["DeadLettered"]),
                (&json!("dead_lettered"), &json!(1)),
                "{line}"
            );
            (
                line["operation"].as_str().unwrap(),
                line["problem"].as_str(),
                line["correlation"].as_str().unwrap(),
            )
        })
        .collect();
    reported.sort_unstable();
    assert_eq!(
        reported.iter().map(|reported| reported.0).collect::<Vec<_>>(),
        ["evaluate_rules", "unreadable"]
    );
    assert_eq!(reported.iter().map(|reported| reported.1).collect::<Vec<_>>(), [Some("internal"), None]);

    let dead = &cloud.queues.address(&dead_letter_queue_name(Queue::SyncEntities)).unwrap().url;
    let dead = cloud.sqs.receive_message().queue_url(dead).max_number_of_messages(10);
    let dead = dead.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
    let attribute = |message: &aws_sdk_sqs::types::Message, name| {
        message.message_attributes.as_ref()?.get(name)?.string_value.clone()
    };
    let correlations: BTreeSet<_> =
        dead.iter().filter_map(|message| attribute(message, "correlation")).collect();
    assert_eq!(correlations, reported.iter().map(|reported| reported.2.to_owned()).collect());
    assert!(dead.iter().all(|message| attribute(message, "reason").is_some()));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_account_watch_emits_its_metrics_also_when_all_is_well() {
    let scenario = Scenario::synced().await.unwrap();
    let logs = LogCapture::start("info");
    scenario.system.cloud.queues.send(&[Job::WatchAccounts { shard: None }]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let lines = logs.drain();
    let mut watch = canonical(&lines);
    watch.retain(|line| line["operation"] == "watch_accounts");
    let shards = usize::from(DUE_SHARDS);
    for (metric, count) in [
        (TelemetryMetric::VersionProblems, 1),
        (TelemetryMetric::StaleAccounts, shards),
        (TelemetryMetric::ExpiringTokens, shards),
        (TelemetryMetric::NeedsReconnect, shards),
    ] {
        assert_eq!(watch.iter().filter(|line| line[metric.name()] == 0).count(), count, "{metric:?}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn no_log_line_holds_a_secret_or_user_input() {
    let logs = LogCapture::start("trace");
    let scenario = Scenario::start().await.unwrap();
    let mut secrets: Vec<String> = Vec::new();

    // A login: its state, its code, its cookie.
    let (dialog, cookie) = begin_login(&scenario).await;
    let callback = scenario.api().unwrap().confirm_dialog(&dialog).await.unwrap();
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    secrets.extend(callback.parse::<Url>().unwrap().query_pairs().map(|(_, value)| value.into_owned()));
    assert_eq!(complete_login(&scenario, &callback, &cookie).await.0, 200);
    assert_eq!(complete_login(&scenario, &callback, &cookie).await.0, 409, "and once more in vain");
    scenario.select(true).await.unwrap();
    scenario.system.runner.settle().await.unwrap();

    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let account = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}", scenario.account().unwrap());
    let get = async |path: String, token: &str, headers: &[(&str, &str)]| {
        scenario.send(Method::GET, &path, Some(token), headers, None).await.unwrap().status.as_u16()
    };
    let unsafe_id = [("x-correlation-id", "canary in a header")];
    assert_eq!(get(format!("{account}/insights?level=canary-query"), &token, &unsafe_id).await, 400);
    assert_eq!(get(format!("{account}/campaigns/canary-path"), &token, &[]).await, 404);
    assert_eq!(get("/v1/workspaces/canary-workspace/rules".to_owned(), &token, &[]).await, 404);
    assert_eq!(get("/v1/workspaces/demo/rules".to_owned(), "canary.to.ken", &[]).await, 401);
    let mut launch = scenario.launch_document().unwrap();
    launch["name"] = "canary launch".into();
    assert_eq!(scenario.launch("canary-key", &launch).await.unwrap().status, 201);
    launch["objective"] = "canary objective".into();
    assert_eq!(scenario.launch("canary-other-key", &launch).await.unwrap().status, 400);

    let verify = scenario.system.secrets.verify_token.expose_secret();
    let handshake = format!("/v1/webhooks/meta?hub.mode=subscribe&hub.challenge=1&hub.verify_token={verify}");
    assert_eq!(get(handshake, "canary.to.ken", &[]).await, 200);
    let campaign = scenario.running_campaign().await.unwrap();
    let value = json!({"id": campaign, "level": "CAMPAIGN", "error_summary": "canary summary"});
    let changes = json!([{"field": "with_issues_ad_objects", "value": value}]);
    let body =
        json!({"object": "ad_account", "entry": [{"id": "0", "time": 1, "changes": changes}]}).to_string();
    assert_eq!(scenario.deliver(&body).await.unwrap().status, 200);
    assert_eq!(scenario.deliver("canary: not json").await.unwrap().status, 400);
    let cloud = &scenario.system.cloud;
    let queue = &cloud.queues.address(Queue::SyncEntities.name()).unwrap().url;
    for body in ["canary: not a job", r#"{"job":"canary"}"#] {
        cloud.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    }
    scenario.system.runner.settle().await.unwrap();

    let lines = logs.drain();
    for what in [
        "/v1/auth/meta/callback",
        "/v1/webhooks/meta",
        "unreadable",
        "sync_chunk",
        SYNC.trim_end_matches("/sync"),
    ] {
        let reported = lines
            .iter()
            .any(|line| line["operation"].as_str().is_some_and(|reported| reported.starts_with(what)));
        assert!(reported, "{what} was done");
    }
    assert!(lines.iter().any(|line| line["message"] == "Graph answered."), "the lowest levels are captured");
    secrets.extend([token, verify.to_owned()]);
    secrets.push(scenario.system.secrets.app_secret.expose_secret().to_owned());
    // Tokens of the simulator, sealed tokens, session tokens, names of its campaigns.
    secrets.extend(["canary", "EAAS", "v1.k1.", "eyJ", "Espresso"].map(str::to_owned));
    for line in &lines {
        let text = line.to_string();
        for secret in secrets.iter().filter(|secret| secret.len() > 3) {
            assert!(!text.contains(secret.as_str()), "{secret} in {line}");
        }
    }
    scenario.finish().await.unwrap();
}
