//! Measures a Lambda program before its first event and while it is warm, beside an empty program on the same runtime
//! library.
//!
//! This program serves the Runtime API, and the parts of AWS that the programs call while they start, so the time until
//! the first poll is theirs alone and not an emulator's. The programs take turns, so that noise on the machine affects
//! all of them.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hosts::deployment::FUNCTIONS;
use hosts::process::root;
use local::issuer::Issuer;
use runtime::session::Role;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// Starts of each program.
const START_COUNT: usize = 30;

/// Events before a program counts as warm.
const WARMUP_EVENTS: usize = 20;

/// The timeout of every step of a program.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

const EMPTY: &str = "empty";

/// A program's calls to the Runtime API.
enum RuntimeCall {
    Polled(Instant),
    Responded(Bytes),
}

#[derive(Clone)]
struct RuntimeApi {
    calls: UnboundedSender<RuntimeCall>,
    events: Arc<Mutex<UnboundedReceiver<String>>>,
    keyring: Arc<str>,
}

struct Bench {
    calls: UnboundedReceiver<RuntimeCall>,
    events: UnboundedSender<String>,
    address: String,
    issuer: Issuer,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut bench = Bench::begin().await?;
    let empty = root().join("target/bundle/empty-lambda");
    let bundle = |name: &str| root().join("target/lambda").join(name).join("bootstrap");
    let mut programs: Vec<(&str, PathBuf)> = vec![(EMPTY, empty)];
    programs.extend(FUNCTIONS.map(|name| (name, bundle(name))));

    let mut starts = vec![Vec::with_capacity(START_COUNT); programs.len()];
    // The first round only loads the programs into the page cache.
    for round in 0..=START_COUNT {
        for ((name, path), took) in programs.iter().zip(&mut starts) {
            let ms = bench.start(name, path).await?;
            if round > 0 {
                took.push(ms);
            }
        }
    }
    println!(
        "{START_COUNT} starts each, process start to the first poll of the Runtime API; memory after {WARMUP_EVENTS} events"
    );
    println!(
        "{:<20}{:>9}{:>9}{:>9}{:>11}{:>13}",
        "", "p50 ms", "p99 ms", "x empty", "memory MB", "program MB"
    );
    let of_empty = percentile(&mut starts[0], 50);
    for ((name, path), took) in programs.iter().zip(&mut starts) {
        let (p50, p99) = (percentile(took, 50), percentile(took, 99));
        let memory = bench.memory(name, path).await?;
        let size = fs::metadata(path)?.len() as f64 / 1e6;
        println!("{name:<20}{p50:>9.1}{p99:>9.1}{:>9.2}{memory:>11.1}{size:>13.1}", p50 / of_empty);
    }
    Ok(())
}

fn percentile(sorted: &mut [f64], percent: usize) -> f64 {
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or(f64::NAN)
}

impl Bench {
    async fn begin() -> anyhow::Result<Self> {
        let (sender, calls) = unbounded_channel();
        let (events, event_queue) = unbounded_channel();
        let state = RuntimeApi {
            calls: sender,
            events: Arc::new(Mutex::new(event_queue)),
            keyring: json!({"current": "k1", "k1": "00".repeat(32)}).to_string().into(),
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .fallback(aws)
            .with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(axum::serve(listener, router).into_future());
        let issuer = Issuer::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "http://127.0.0.1")?;
        Ok(Self { calls, events, address, issuer })
    }

    /// Returns the milliseconds from the process's start to its first poll.
    async fn start(&mut self, name: &str, path: &Path) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut child = self.spawn(name, path)?;
        let RuntimeCall::Polled(at) = self.next_call(name).await? else {
            anyhow::bail!("{name} answers unasked")
        };
        child.kill().await?;
        Ok(at.duration_since(began).as_secs_f64() * 1e3)
    }

    /// Returns the resident memory of a warm program, in MB.
    async fn memory(&mut self, name: &str, path: &Path) -> anyhow::Result<f64> {
        let mut child = self.spawn(name, path)?;
        for _ in 0..WARMUP_EVENTS {
            ensure!(matches!(self.next_call(name).await?, RuntimeCall::Polled(_)), "{name} answers unasked");
            self.events.send(self.event(name)?)?;
            let RuntimeCall::Responded(response) = self.next_call(name).await? else {
                anyhow::bail!("{name} gives no response")
            };
            check(name, &response)?;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id().context("no pid")?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
        child.kill().await?;
        // Discards the poll after the last response.
        while self.calls.try_recv().is_ok() {}
        Ok(kb / 1024.0)
    }

    fn spawn(&self, name: &str, path: &Path) -> anyhow::Result<Child> {
        let sessions = self.issuer.config();
        let here = format!("http://{}", self.address);
        let mut command = Command::new(path);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command.envs([
            ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("AWS_ENDPOINT_URL", &here),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("TABLE_NAME", "bench"),
            ("QUEUE_BASE_URL", "http://127.0.0.1/bench-"),
            ("QUEUE_BASE_ARN", "arn:aws:sqs:us-east-1:000000000000:bench-"),
            ("SCHEDULE_GROUP", "bench"),
            ("SCHEDULE_ROLE_ARN", "arn:aws:iam::000000000000:role/bench"),
            ("KEYRING_SECRET_ID", "keyring"),
            ("META_APP_SECRET_ID", "app"),
            ("META_APP_ID", "1"),
            ("SESSION_ISSUER", &sessions.issuer),
            ("SESSION_CLAIMS", "trusted"),
            ("SESSION_AUDIENCE", &sessions.audience),
            ("REQUESTS_PER_MINUTE", "1000000"),
            ("SESSION_JWKS", sessions.jwks.as_deref().unwrap_or_default()),
        ]);
        command
            .spawn()
            .with_context(|| format!("{} cannot be started; cargo xtask build makes it", path.display()))
    }

    async fn next_call(&mut self, name: &str) -> anyhow::Result<RuntimeCall> {
        let call = timeout(STEP_TIMEOUT, self.calls.recv()).await;
        call.with_context(|| format!("{name} says nothing"))?.context("the Runtime API is gone")
    }

    /// Returns an event that makes the function verify a session or take a message, and read the table.
    fn event(&self, name: &str) -> anyhow::Result<String> {
        let message = |job: Value| {
            json!({"Records": [{"messageId": "m", "receiptHandle": "r", "body": job.to_string(), "attributes": {},
                "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench"}]})
        };
        let (account, tail) = ("/v1/workspaces/demo/ad-accounts/act_1/", "since=2026-11-01&until=2026-11-19");
        let event = match name {
            EMPTY => json!({}),
            "auth-meta" => self.request("/v1/workspaces/demo/connections/c1", "")?,
            "query-insights" => {
                self.request(&format!("{account}insights"), &format!("level=campaign&{tail}"))?
            }
            "manage-campaign" => self.request(&format!("{account}campaigns"), tail)?,
            "workspaces" => self.request("/v1/workspaces/demo/members", "")?,
            "live-updates" => self.request("/v1/workspaces/demo/events", "")?,
            "sync-entities" => self.request(&format!("{account}sync"), "")?,
            "webhook-ingest" => {
                message(json!({"job": "webhook_changes", "changes": [{"digest": "d", "object": "ad_account",
                "field": "with_issues_ad_objects", "time": 1, "subject": {"account": "act_1"}}]}))
            }
            "evaluate-rules" => {
                message(json!({"job": "evaluate_rules", "workspace": "demo", "ad_account": "act_1"}))
            }
            _ => message(
                json!({"job": "sync_chunk", "workspace": "demo", "ad_account": "act_1", "week": "2026-W46"}),
            ),
        };
        Ok(event.to_string())
    }

    fn request(&self, path: &str, query: &str) -> anyhow::Result<Value> {
        let claims = self.issuer.claims("demo", Role::Viewer, runtime::Clock::system().now())?;
        let token = format!("Bearer {}", self.issuer.sign(&claims)?);
        Ok(json!({"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": {"authorization": token, "host": "bench"}, "isBase64Encoded": false,
            "requestContext": {"accountId": "1", "apiId": "1", "domainName": "bench", "domainPrefix": "b",
                "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"},
                "requestId": "r", "routeKey": "$default", "stage": "$default", "time": "t", "timeEpoch": 1}}))
    }
}

/// Fails unless the response is the one for an empty table; otherwise the memory would be that of an error.
fn check(name: &str, response: &[u8]) -> anyhow::Result<()> {
    let response: Value = serde_json::from_slice(response)?;
    let is_expected = match response.get("statusCode") {
        Some(status) => *status == if ["workspaces", "live-updates"].contains(&name) { 200 } else { 404 },
        None => name == EMPTY || response["batchItemFailures"] == json!([]),
    };
    ensure!(is_expected, "{name} answers {response}");
    Ok(())
}

async fn next(State(api): State<RuntimeApi>) -> Response {
    let _receiver_is_gone = api.calls.send(RuntimeCall::Polled(Instant::now()));
    let Some(event) = api.events.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let header = HeaderName::from_static;
    let headers = [
        (header("lambda-runtime-aws-request-id"), "156cb537-e2d4-11e8-9b34-d36013741fb9"),
        (header("lambda-runtime-deadline-ms"), "32503680000000"),
        (
            header("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:us-east-1:000000000000:function:bench",
        ),
        (header("content-type"), "application/json"),
    ];
    (headers, event).into_response()
}

async fn respond(State(api): State<RuntimeApi>, body: Bytes) -> StatusCode {
    let _receiver_is_gone = api.calls.send(RuntimeCall::Responded(body));
    StatusCode::ACCEPTED
}

/// Serves AWS as it is on the first day: two secrets and an empty table.
async fn aws(State(api): State<RuntimeApi>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let json = |status: StatusCode, value: Value| {
        let kind = [(HeaderName::from_static("content-type"), "application/x-amz-json-1.1")];
        (status, kind, value.to_string()).into_response()
    };
    match target.rsplit('.').next().unwrap_or_default() {
        "GetSecretValue" => {
            let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = match wanted["SecretId"].as_str() {
                Some("keyring") => api.keyring.to_string(),
                _ => json!({"app_secret": "bench", "verify_token": "bench"}).to_string(),
            };
            json(StatusCode::OK, json!({"Name": wanted["SecretId"], "SecretString": text}))
        }
        "UpdateItem" => json(StatusCode::OK, json!({"Attributes": {"full_at": {"N": "0"}}})),
        "GetItem" => json(StatusCode::OK, json!({})),
        "Query" => json(StatusCode::OK, json!({"Items": [], "Count": 0, "ScannedCount": 0})),
        "SendMessageBatch" => json(StatusCode::OK, json!({"Successful": [], "Failed": []})),
        _ => json(
            StatusCode::NOT_FOUND,
            json!({"__type": "ResourceNotFoundException", "Message": "nothing here"}),
        ),
    }
}
