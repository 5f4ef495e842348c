//! A deployed Adflight, the simulated Meta that it calls, and its users.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use graph_sim::{AccountArgs, App, Config, GraphSim};
use http::Method;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use journeys::leak_scanner::{LeakChannel, LeakScanner};
use local::demo::ApiClient;
use local::issuer::Issuer;
use reqwest::Url;
use runtime::Clock;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::deployment::{Deployment, FUNCTIONS};
use crate::ministack::{IamMode, MiniStack};
use crate::template;

/// The workspace of the scenarios.
pub const WORKSPACE: &str = "demo";

/// The origins of the front ends that may call the API.
pub const ORIGINS: [&str; 2] = ["https://app.example.com", "https://staging.example.com"];

const APP_ID: &str = "100000000000001";
/// The secret with which the simulated Meta signs.
pub const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The seed of the team's own issuer: base64url of 32 bytes.
const ISSUER_SEED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The timeout of every condition: real hosts run in real time, and the machine may be busy.
const CONDITION_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A deployment with the simulated Meta and an issuer of sessions.
pub struct TestEnvironment {
    /// The emulator.
    pub ministack: &'static MiniStack,
    /// The deployed stack.
    pub deployment: Deployment,
    /// The simulated Meta.
    pub sim: GraphSim,
    /// The verify token of webhook subscriptions.
    pub verify_token: String,
    /// Searches for leaked secrets.
    pub scanner: LeakScanner,
    clock: Clock,
    issuer: Issuer,
}

/// Returns the ad account of the scenarios: small, with a month of data.
pub fn account() -> AccountArgs {
    AccountArgs { campaigns: 6, adsets: 12, ads: 24, days: 30, ..AccountArgs::default() }
}

/// Returns twelve digits derived from a name.
fn aws_account(stack: &str) -> String {
    let sum = stack.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_000);
    format!("1{sum:011}")
}

impl TestEnvironment {
    /// Deploys the template as a stack of this name into an AWS account of its own, with a simulator of a small ad
    /// account. Scenarios run side by side, so each needs its own name.
    pub async fn deploy(mode: IamMode, stack: &str) -> anyhow::Result<Self> {
        let ministack = MiniStack::shared(mode).await?;
        let clock = Clock::system();
        let issuer = Issuer::new(ISSUER_SEED, "http://127.0.0.1")?;
        let app =
            App { app_id: APP_ID.to_owned(), app_secret: APP_SECRET.to_owned(), redirect_uris: Vec::new() };
        let sim_clock = clock.clone();
        let now = Arc::new(move || sim_clock.now());
        let sim = GraphSim::start(Config::new(account().source(clock.now())?, app, now)).await?;
        let (meta, sessions) = (sim.base_url(), issuer.config());
        let parameters = [
            ("MetaAppId", APP_ID),
            ("MetaGraphUrl", &meta),
            ("MetaDialogUrl", &meta),
            ("SessionIssuer", &sessions.issuer),
            ("SessionClaims", "trusted"),
            ("SessionAudience", &sessions.audience),
            ("SessionJwks", sessions.jwks.as_deref().unwrap_or_default()),
            // The scenarios poll often.
            ("RequestsPerMinute", "60000"),
            // The lowest log level, so that leaked secrets are found at every level.
            ("LogLevel", "debug"),
            ("AuditRootDays", "1"),
            ("AllowedOrigins", &ORIGINS.join(",")),
            ("Architecture", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }),
        ];
        let account = ministack.account(&aws_account(stack));
        let deployment = Deployment::create(account, stack, &template::text()?, &parameters).await?;
        // An operator does this after the first deployment.
        sim.allow_redirect(deployment.output("LoginRedirect")?);
        let verify_token = deployment.put_app_secret(APP_SECRET).await?;
        let scanner = LeakScanner::default();
        scanner.add_secret("the app's secret", APP_SECRET);
        scanner.add_secret("the verify token", &verify_token);
        scanner.add_secret("the issuer's key", ISSUER_SEED);
        let keyring = json!({"SecretId": deployment.output("KeyringSecretName")?});
        let keyring = deployment.account.call("secretsmanager", "get_secret_value", keyring).await?;
        scanner.add_keyring(keyring["SecretString"].as_str().context("no keyring")?);
        let recorder = scanner.clone();
        sim.on_graph_call(move |url| recorder.record_graph_url(url));
        Ok(Self { ministack, deployment, sim, verify_token, scanner, clock, issuer })
    }

    /// Ends the scenario, and fails when a secret is in the functions' logs, in sent messages, in the table, in
    /// schedules, or in URLs of calls to Meta.
    pub async fn finish(&self) -> anyhow::Result<()> {
        for function in FUNCTIONS {
            for line in self.deployment.lines(function).await? {
                self.scanner.record(LeakChannel::LogLine, line);
            }
        }
        // The emulator's own log has all sent messages, those of other scenarios too, and the output of programs that
        // crashed.
        let own = format!("Sent in {}: ", self.deployment.account.id);
        let log = self.ministack.log()?;
        let lines = log.lines().filter(|line| !line.contains("Sent in ") || line.contains(&own));
        self.scanner.record(LeakChannel::Queue, lines.collect::<Vec<_>>().join("\n"));
        for schedule in self.deployment.schedules(self.deployment.resource("Schedules")?).await? {
            self.scanner.record(LeakChannel::Queue, schedule.to_string());
        }
        let mut scan = json!({"TableName": self.deployment.output("TableName")?});
        loop {
            let mut page = self.deployment.account.call("dynamodb", "scan", scan.clone()).await?;
            self.scanner.record(LeakChannel::Table, page["Items"].to_string());
            match page["LastEvaluatedKey"].take() {
                Value::Null => break,
                last => scan["ExclusiveStartKey"] = last,
            }
        }
        self.scanner.assert_no_leaks(&[LeakChannel::LogLine, LeakChannel::Queue, LeakChannel::Table])
    }

    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns today's date in the ad account.
    pub fn today(&self) -> anyhow::Result<Date> {
        let zone = TimeZone::get(&self.sim.account().timezone)?;
        Ok(self.now().to_zoned(zone).date())
    }

    /// Returns a client of the API with the session of a workspace's owner.
    pub fn api(&self, workspace: &str) -> anyhow::Result<ApiClient> {
        let claims = self.issuer.claims(workspace, Role::Owner, self.now())?;
        ApiClient::at(&self.deployment.url, workspace, self.issuer.sign(&claims)?)
    }

    /// Returns the path of the ad account, with a trailing slash.
    pub fn ad_account(&self) -> String {
        format!("ad-accounts/{}/", self.sim.account().id)
    }

    /// Logs in at the simulated Meta. The redirect names the address that AWS gives the API, where the emulator does
    /// not listen, so the callback is sent to the emulator's address instead.
    pub async fn connect(&self, api: &ApiClient) -> anyhow::Result<Value> {
        let (dialog, cookie) = api.begin_login().await?;
        let callback = api.confirm_dialog(&dialog).await?;
        self.scanner.add_secret("a login's cookie", cookie.split_once('=').context("no cookie")?.1);
        for (name, secret) in callback.parse::<Url>()?.query_pairs() {
            self.scanner
                .add_secret(if name == "state" { "a login's state" } else { "a login's code" }, &secret);
        }
        let known = self.deployment.output("ApiUrl")?;
        let path = callback.strip_prefix(known).with_context(|| format!("{callback} is not at {known}"))?;
        api.follow_callback(&format!("{}{path}", self.deployment.url), &cookie).await
    }

    /// Selects or deselects the ad account.
    pub async fn select(&self, api: &ApiClient, selected: bool) -> anyhow::Result<()> {
        let path = format!("{}selection", self.ad_account());
        api.call(Method::PUT, &path, Some(&json!({"selected": selected}))).await.map(drop)
    }

    /// Returns the progress of the sync.
    pub async fn progress(&self, api: &ApiClient) -> anyhow::Result<Value> {
        api.call(Method::GET, &format!("{}sync", self.ad_account()), None).await
    }

    /// Waits until every planned chunk of the ad account is measured.
    pub async fn wait_until_measured(&self, api: &ApiClient) -> anyhow::Result<Value> {
        self.until("every chunk is measured", async || {
            let progress = self.progress(api).await?;
            let count = |state: &str| progress["chunks"][state].as_u64().unwrap_or(0);
            ensure!(count("failed") == 0, "a chunk failed: {progress}");
            let done = count("done") > 0 && count("planned") + count("running") == 0;
            Ok(if done { Ok(progress) } else { Err(progress) })
        })
        .await
    }

    /// Waits until no queue holds a visible message or one in process.
    pub async fn wait_until_idle(&self) -> anyhow::Result<()> {
        self.until("the queues are empty", async || {
            for queue in self.deployment.queues() {
                if self.deployment.messages(queue).await? > 0 {
                    return Ok(Err(self.deployment.queue(queue).await?));
                }
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Polls until a condition holds; the inner error is shown when the timeout is over.
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Result<T, Value>>,
    ) -> anyhow::Result<T> {
        let end = self.now() + CONDITION_TIMEOUT;
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        loop {
            ticks.tick().await;
            match look().await? {
                Ok(found) => return Ok(found),
                Err(seen) if self.now() > end => bail!("not in time: {what}; last seen: {seen}"),
                Err(_) => {}
            }
        }
    }
}
