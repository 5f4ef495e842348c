//! The stage on which the stories play: the whole system in memory, with a small simulated ad account.

pub mod canary;
pub mod described;
pub mod issuer;
pub mod numbers;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use graph_sim::{AccountArgs, AccountInfo, GraphSim};
use http::{HeaderMap, Method, StatusCode};
use jiff::civil::{Date, date};
use local::account::Account;
use local::cloud::TABLE;
use local::data::Data;
use local::hearing::{Heard, Hearing};
use local::main_job::{Api, WORKSPACE};
use local::{Options, System};
use runtime::session::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing::dispatcher::DefaultGuard;

use crate::canary::{Canaries, Place};

/// The day on which every story plays: a Friday in a time zone without daylight saving.
pub const TODAY: Date = date(2026, 11, 20);

/// A running system and a way to talk to it.
pub struct Story {
    /// The system.
    pub system: System,
    http: reqwest::Client,
    /// What must not leave it.
    pub canaries: Canaries,
    undescribed: Arc<Mutex<Vec<String>>>,
    _listening: Option<DefaultGuard>,
}

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Options for a small account whose forty days of numbers end today.
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

/// The canaries hear everything; answers are held to openapi.yaml.
fn hearing(canaries: Canaries, undescribed: Arc<Mutex<Vec<String>>>) -> Hearing {
    Hearing(Arc::new(move |heard| {
        canaries.passes(heard);
        let Heard::Answer { request, status, headers, body } = heard else { return };
        let held = described::hold(&request.method, request.uri.path(), *status, headers, body);
        if let Err(wrong) = held {
            undescribed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{wrong:#}"));
        }
    }))
}

/// A launch document that Meta accepts for an ad account.
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

impl Story {
    /// The system, not connected yet.
    pub async fn begin() -> anyhow::Result<Self> {
        Self::on(options(Data::Memory)).await
    }

    /// The system with these options.
    pub async fn on(options: Options) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).tls_certs_only([]);
        let http = http.build()?;
        let canaries = Canaries::default();
        let _listening = canaries.listen();
        let undescribed = Arc::<Mutex<Vec<String>>>::default();
        let hearing = hearing(canaries.clone(), undescribed.clone());
        let system = System::start(Options { hearing: Some(hearing), ..options }).await?;
        canaries.add("the app's secret", system.secrets.app_secret.expose_secret());
        canaries.add("the verify token", system.secrets.verify_token.expose_secret());
        canaries.add("the issuer's key", system.issuer().seed().expose_secret());
        if let Some(sim) = system.sim() {
            let canaries = canaries.clone();
            sim.listen(move |url| canaries.hear_graph(url));
        }
        Ok(Self { system, http, canaries, undescribed, _listening })
    }

    /// Every answer was as openapi.yaml says.
    fn assert_described(&self) -> anyhow::Result<()> {
        let undescribed = self.undescribed.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(undescribed.is_empty(), "not as openapi.yaml says: {undescribed:#?}");
        Ok(())
    }

    /// Ends the story: every answer was as openapi.yaml says, and nothing secret has left the system on its way, nor
    /// lies open in its table.
    pub async fn end(self) -> anyhow::Result<()> {
        self.assert_described()?;
        let mut start = None;
        loop {
            let page = self.system.cloud.dynamodb.scan().table_name(TABLE).set_exclusive_start_key(start);
            let page = page.send().await?;
            self.canaries.hear(Place::Table, format!("{:?}", page.items()));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        self.system.stop().await;
        self.canaries.assert_silent(&[Place::Call, Place::Table])
    }

    /// The system, connected and synced, without any rule.
    pub async fn synced() -> anyhow::Result<Self> {
        let story = Self::begin().await?;
        story.connect_and_sync().await?;
        Ok(story)
    }

    /// Connects, selects the account, and waits for what follows.
    pub async fn connect_and_sync(&self) -> anyhow::Result<()> {
        self.api()?.connect().await?;
        self.select(true).await?;
        self.system.runner.settle().await
    }

    /// The simulated Meta.
    pub fn sim(&self) -> anyhow::Result<&GraphSim> {
        self.system.sim().context("no simulator")
    }

    /// The simulated ad account's id.
    pub fn account(&self) -> anyhow::Result<String> {
        Ok(self.sim()?.account().id)
    }

    /// The API as an owner of the demonstration workspace.
    pub fn api(&self) -> anyhow::Result<Api> {
        Api::new(&self.system, WORKSPACE, Role::Owner)
    }

    /// Says whether the account is synced.
    pub async fn select(&self, selected: bool) -> anyhow::Result<Value> {
        let path = format!("ad-accounts/{}/selection", self.account()?);
        self.api()?.call(Method::PUT, &path, Some(&json!({"selected": selected}))).await
    }

    /// Asks for a sync and waits for what follows.
    pub async fn sync(&self) -> anyhow::Result<()> {
        self.owner(Method::POST, "sync", None).await?;
        self.system.runner.settle().await
    }

    /// Calls a path below the ad account as an owner.
    pub async fn owner(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Answer> {
        let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{}/{path}", self.account()?);
        let token = self.system.token(WORKSPACE, Role::Owner)?;
        self.send(method, &path, Some(&token), &[], body.map(|body| body.to_string())).await
    }

    /// [`Self::owner`] with an idempotency key.
    pub async fn launch(&self, key: &str, body: &Value) -> anyhow::Result<Answer> {
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
    ) -> anyhow::Result<Answer> {
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
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let answer = Answer { status, headers, text: answer.text().await? };
        self.assert_described()?;
        Ok(answer)
    }

    /// Delivers a webhook as Meta does, signed.
    pub async fn deliver(&self, body: &str) -> anyhow::Result<Answer> {
        let signature = self.sim()?.webhook_signature(body);
        let headers = [("x-hub-signature-256", signature.as_str())];
        self.send(Method::POST, "/v1/webhooks/meta", None, &headers, Some(body.to_owned())).await
    }

    /// A launch document that Meta accepts.
    pub fn launch_document(&self) -> anyhow::Result<Value> {
        Ok(launch_document(&self.sim()?.account()))
    }

    /// The id of a campaign that runs and delivered yesterday.
    pub async fn running_campaign(&self) -> anyhow::Result<String> {
        let list =
            self.owner(Method::GET, "campaigns?sort=spend&effective_status=ACTIVE&limit=1", None).await?;
        Ok(list.json()["data"][0]["id"].as_str().context("no campaign runs")?.to_owned())
    }
}
