//! The system under test: all functions in memory, with a small simulated ad account.

pub mod issuer;
pub mod leak_scanner;
pub mod response_validator;
pub mod totals;

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use graph_sim::{AccountArgs, AccountInfo, GraphSim};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use local::account::Account;
use local::cloud::TABLE;
use local::data::Data;
use local::demo::{ApiClient, WORKSPACE};
use local::observer::{Observation, Observer};
use local::snapshot::Snapshot;
use local::{Options, System};
use runtime::env::Env;
use runtime::random;
use runtime::session::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::audit::{Actor, AuditEvent, EventRecord};
use tokio::sync::OnceCell;
use tracing::dispatcher::DefaultGuard;

use crate::leak_scanner::{LeakChannel, LeakScanner};

/// The day of every scenario: a Friday in a time zone without daylight saving.
pub const TODAY: Date = date(2026, 11, 20);

/// A running system with an HTTP client.
pub struct Scenario {
    /// The system.
    pub system: System,
    /// A client without redirects.
    pub http: reqwest::Client,
    /// Searches for leaked secrets.
    pub scanner: LeakScanner,
    violations: Arc<Mutex<Vec<String>>>,
    _log_guard: Option<DefaultGuard>,
}

/// A response of the API.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Response {
    /// Returns the body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Returns options for a small account whose forty days of data end today.
pub fn options(data: Data) -> Options {
    let account = AccountArgs {
        campaigns: 12,
        adsets: 24,
        ads: 48,
        days: 40,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    Options { data, account: Account::Simulated(account), ..Options::in_memory() }
}

/// Returns an observer that records everything for the leak scanner and validates responses against openapi.yaml.
fn observer(scanner: LeakScanner, violations: Arc<Mutex<Vec<String>>>) -> Observer {
    let recording = Env::optional(RECORDING).map(PathBuf::from);
    Observer(Arc::new(move |observation| {
        let Observation::Response { request, status, headers, body } = observation else {
            return scanner.record_observation(observation);
        };
        let body = &*decoded(headers, body);
        scanner.record_observation(&Observation::Response { request, status: *status, headers, body });
        let (method, path) = (&request.method, request.uri.path());
        let recorded = recording.as_deref().map_or(Ok(()), |file| record(file, method, path, *status, body));
        let result = recorded
            .and_then(|()| response_validator::validate_response(method, path, *status, headers, body));
        if let Err(violation) = result {
            violations.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{violation:#}"));
        }
    }))
}

/// The variable that names the file to which every JSON response is appended; examples of openapi.yaml are chosen from it.
const RECORDING: &str = "RECORD_RESPONSES";

fn record(
    recording: &Path,
    method: &Method,
    path: &str,
    status: StatusCode,
    body: &[u8],
) -> anyhow::Result<()> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return Ok(()) };
    let received = json!({"method": method.as_str(), "path": path, "status": status.as_u16(), "body": body});
    let file = OpenOptions::new().create(true).append(true).open(recording);
    // In one call, so that the lines of stories that run at the same time stay whole.
    let written = file.and_then(|mut file| file.write_all(format!("{received}\n").as_bytes()));
    written.with_context(|| recording.display().to_string())
}

/// Returns a body without its encoding.
fn decoded<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, [u8]> {
    let mut plain = Vec::new();
    let encoding = headers.get(CONTENT_ENCODING).and_then(|encoding| encoding.to_str().ok());
    let read = match encoding {
        Some("gzip") => GzDecoder::new(body).read_to_end(&mut plain),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        _ => return Cow::Borrowed(body),
    };
    // What cannot be read is judged as it is.
    read.map_or(Cow::Borrowed(body), |_| Cow::Owned(plain))
}

/// Returns an event for rows that a story writes by itself.
pub fn test_event(now: Timestamp) -> anyhow::Result<EventRecord> {
    Ok(AuditEvent::new(random::id()?, Actor::Operator, "test", "test".to_owned()).done_at(now))
}

/// Returns a launch document that Meta accepts for an ad account.
pub fn launch_document(account: &AccountInfo) -> Value {
    json!({
        "name": "Winter sale",
        "objective": "OUTCOME_SALES",
        "daily_budget": {"amount": 5000, "currency": account.currency},
        "ad_set": {
            "optimization_goal": "OFFSITE_CONVERSIONS",
            "countries": ["SG"],
            "promoted_object": {"pixel_id": "123", "custom_event_type": "PURCHASE"}
        },
        "ad": {"creative": {"post_id": format!("{}_77", account.page_id)}}
    })
}

impl Scenario {
    /// Starts the system without a connection.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with_options(options(Data::Memory)).await
    }

    /// Starts the system with these options.
    pub async fn with_options(options: Options) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).tls_certs_only([]);
        let http = http.build()?;
        let scanner = LeakScanner::default();
        let _log_guard = scanner.capture_logs();
        let violations = Arc::<Mutex<Vec<String>>>::default();
        let observer = observer(scanner.clone(), violations.clone());
        let system = System::start(Options { observer: Some(observer), ..options }).await?;
        scanner.add_secret("the app's secret", system.secrets.app_secret.expose_secret());
        scanner.add_secret("the verify token", system.secrets.verify_token.expose_secret());
        scanner.add_secret("the issuer's key", system.issuer().seed().expose_secret());
        if let Some(sim) = system.sim() {
            let scanner = scanner.clone();
            sim.on_graph_call(move |url| scanner.record_graph_url(url));
        }
        Ok(Self { system, http, scanner, violations, _log_guard })
    }

    /// Fails unless every response was as openapi.yaml says.
    fn assert_no_violations(&self) -> anyhow::Result<()> {
        let violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(violations.is_empty(), "not as openapi.yaml says: {violations:#?}");
        Ok(())
    }

    /// Finishes the scenario, and fails unless every response was as openapi.yaml says, no secret has left the system,
    /// and none is in its table in plain text.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.assert_no_violations()?;
        let mut start = None;
        loop {
            let page = self.system.cloud.dynamodb.scan().table_name(TABLE).set_exclusive_start_key(start);
            let page = page.send().await?;
            self.scanner.record(LeakChannel::Table, format!("{:?}", page.items()));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        self.system.stop().await;
        self.scanner.assert_no_leaks(&[LeakChannel::AwsCall, LeakChannel::Table])
    }

    /// Starts the system, connected and synced, without any rule.
    ///
    /// The account is synced once per process; each scenario starts from a copy.
    pub async fn synced() -> anyhow::Result<Self> {
        static SYNCED: OnceCell<(Arc<Snapshot>, LeakScanner)> = OnceCell::const_new();
        let sync = async || {
            let scenario = Self::newly_synced().await?;
            let (snapshot, scanner) = (scenario.system.snapshot()?, scenario.scanner.clone());
            scenario.finish().await?;
            anyhow::Ok((Arc::new(snapshot), scanner))
        };
        let (snapshot, scanner) = SYNCED.get_or_try_init(sync).await?;
        let scenario =
            Self::with_options(Options { snapshot: Some(snapshot.clone()), ..options(Data::Memory) });
        let scenario = scenario.await?;
        scenario.scanner.add_secrets_of(scanner);
        Ok(scenario)
    }

    /// [`Self::synced`] without a copy, for scenarios that look at the sync itself or at the schedules that it sets.
    pub async fn newly_synced() -> anyhow::Result<Self> {
        let scenario = Self::start().await?;
        scenario.connect_and_sync().await?;
        Ok(scenario)
    }

    /// [`Self::newly_synced`] with another simulated account.
    pub async fn of_account(account: AccountArgs) -> anyhow::Result<Self> {
        let account = Account::Simulated(AccountArgs { today: Some(TODAY), ..account });
        let scenario = Self::with_options(Options { account, ..options(Data::Memory) }).await?;
        scenario.connect_and_sync().await?;
        Ok(scenario)
    }

    /// [`Self::of_account`] with two ads, which is synced in moments.
    pub async fn smallest() -> anyhow::Result<Self> {
        let smallest = AccountArgs { campaigns: 2, adsets: 2, ads: 2, days: 8, ..AccountArgs::default() };
        Self::of_account(smallest).await
    }

    /// Connects, selects the account, and waits for the resulting jobs.
    pub async fn connect_and_sync(&self) -> anyhow::Result<()> {
        self.api()?.connect().await?;
        self.select(true).await?;
        self.system.runner.settle().await
    }

    /// Returns the simulated Meta.
    pub fn sim(&self) -> anyhow::Result<&GraphSim> {
        self.system.sim().context("no simulator")
    }

    /// Returns the simulated ad account's id.
    pub fn account(&self) -> anyhow::Result<String> {
        Ok(self.sim()?.account().id)
    }

    /// Returns a client of the API with the session of the demonstration workspace's owner.
    pub fn api(&self) -> anyhow::Result<ApiClient> {
        ApiClient::new(&self.system, WORKSPACE, Role::Owner)
    }

    /// Selects or deselects the ad account.
    pub async fn select(&self, selected: bool) -> anyhow::Result<Value> {
        let path = format!("ad-accounts/{}/selection", self.account()?);
        self.api()?.call(Method::PUT, &path, Some(&json!({"selected": selected}))).await
    }

    /// Requests a sync and waits for the resulting jobs.
    pub async fn sync(&self) -> anyhow::Result<()> {
        self.call_as_owner(Method::POST, "sync", None).await?;
        self.system.runner.settle().await
    }

    /// Calls a path below the ad account as an owner.
    pub async fn call_as_owner(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Response> {
        let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}/{path}", self.account()?);
        let token = self.system.token(WORKSPACE, Role::Owner)?;
        self.send(method, &path, Some(&token), &[], body.map(|body| body.to_string())).await
    }

    /// [`Self::call_as_owner`] for a launch, with an idempotency key.
    pub async fn launch(&self, key: &str, body: &Value) -> anyhow::Result<Response> {
        let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}/campaigns", self.account()?);
        let token = self.system.token(WORKSPACE, Role::Owner)?;
        self.send(Method::POST, &path, Some(&token), &[("idempotency-key", key)], Some(body.to_string()))
            .await
    }

    /// Sends any request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> anyhow::Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.system.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let response = Response { status, headers, text: response.text().await? };
        self.assert_no_violations()?;
        Ok(response)
    }

    /// Delivers a webhook as Meta does, signed.
    pub async fn deliver(&self, body: &str) -> anyhow::Result<Response> {
        let signature = self.sim()?.webhook_signature(body);
        let headers = [("x-hub-signature-256", signature.as_str())];
        self.send(Method::POST, "/v1/webhooks/meta", None, &headers, Some(body.to_owned())).await
    }

    /// Returns a launch document that Meta accepts.
    pub fn launch_document(&self) -> anyhow::Result<Value> {
        Ok(launch_document(&self.sim()?.account()))
    }

    /// Returns the id of an active campaign that delivered yesterday.
    pub async fn running_campaign(&self) -> anyhow::Result<String> {
        let list = self
            .call_as_owner(Method::GET, "campaigns?sort=spend&effective_status=ACTIVE&limit=1", None)
            .await?;
        Ok(list.json()["data"][0]["id"].as_str().context("no campaign runs")?.to_owned())
    }
}
