//! A plain HTTP client of a simulator whose clock is moved manually.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use graph_sim::{App, Config, Generator, GraphSim, Source, StartError};
use jiff::Timestamp;
use jiff::civil::date;
use reqwest::{Method, Response};
use serde_json::Value;

pub(crate) const APP_ID: &str = "1234567890";
pub(crate) const SECRET: &str = "app secret";
/// 2026-11-20, 10:00 in Singapore.
const START: i64 = 1_795_140_000;

/// A clock that tests move.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub(crate) fn advance_minutes(&self, minutes: i64) {
        self.0.fetch_add(minutes * 60, Ordering::SeqCst);
    }
}

pub(crate) fn config(source: Source, time: &ManualClock) -> Config {
    let time = time.clone();
    let app = App { app_id: APP_ID.into(), app_secret: SECRET.into(), redirect_uris: Vec::new() };
    let clock = Arc::new(move || Timestamp::from_second(time.0.load(Ordering::SeqCst)).unwrap());
    Config::new(source, app, clock)
}

pub(crate) fn generated() -> Source {
    Source::Generated(Generator::new(date(2026, 11, 20)))
}

/// Returns the folder of responses recorded outside of the project; tests that need them are skipped when it is
/// missing.
pub(crate) fn recorded() -> Option<PathBuf> {
    let folder = PathBuf::from("../../../shared/recordings/keboola");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("Skipped: {} is missing.", folder.display());
    None
}

pub(crate) struct Client {
    pub(crate) sim: GraphSim,
    pub(crate) time: ManualClock,
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
}

impl Client {
    /// Starts a client of the default generated account, with all permissions.
    pub(crate) async fn new() -> Self {
        let time = ManualClock::new();
        Self::with_config(config(generated(), &time), time).await.unwrap()
    }

    pub(crate) async fn with_config(config: Config, time: ManualClock) -> Result<Self, StartError> {
        let sim = GraphSim::start(config).await?;
        let token = sim.issue_token("7", &["ads_read", "ads_management"]);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Ok(Self { sim, time, token, http })
    }

    pub(crate) fn act(&self, edge: &str) -> String {
        format!("{}/{edge}", self.sim.account().id)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<Response, reqwest::Error> {
        let request = self.http.request(method.clone(), format!("{}/v26.0/{path}", self.sim.base_url()));
        let request = request.bearer_auth(&self.token);
        let request = if method == Method::POST { request.form(params) } else { request.query(params) };
        request.send().await
    }

    /// Returns the body of a call that must succeed.
    pub(crate) async fn get(&self, path: &str, params: &[(&str, &str)]) -> Value {
        success(self.send(Method::GET, path, params).await.unwrap()).await
    }

    /// Returns the body of a call that must succeed.
    pub(crate) async fn post(&self, path: &str, params: &[(&str, &str)]) -> Value {
        success(self.send(Method::POST, path, params).await.unwrap()).await
    }

    /// Returns status, code and subcode of a call that must fail.
    pub(crate) async fn error(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
    ) -> (u16, i64, Option<i64>) {
        let response = self.send(method, path, params).await.unwrap();
        let status = response.status().as_u16();
        let body = json(response).await;
        let error = &body["error"];
        assert!(error["fbtrace_id"].is_string() && error["message"].is_string(), "{status} {body}");
        (status, error["code"].as_i64().unwrap(), error["error_subcode"].as_i64())
    }

    /// Returns all rows of a listing, following `paging.next`, and the number of pages.
    pub(crate) async fn all(&self, path: &str, params: &[(&str, &str)]) -> (Vec<Value>, usize) {
        let mut body = self.get(path, params).await;
        let (mut rows, mut pages) = (Vec::new(), 1);
        loop {
            rows.extend(body["data"].as_array().unwrap().iter().cloned());
            let Some(next) = body["paging"]["next"].as_str() else { return (rows, pages) };
            assert!(next.starts_with(&self.sim.base_url()) && next.contains("access_token="), "{next}");
            body = success(self.http.get(next).send().await.unwrap()).await;
            pages += 1;
        }
    }

    /// Creates a paused campaign with its own budget and returns its id.
    pub(crate) async fn new_campaign(&self) -> String {
        let made = self
            .post(
                &self.act("campaigns"),
                &[
                    ("name", "Made by a test"),
                    ("objective", "OUTCOME_SALES"),
                    ("status", "PAUSED"),
                    ("special_ad_categories", "[]"),
                    ("daily_budget", "5000"),
                    ("bid_strategy", "LOWEST_COST_WITHOUT_CAP"),
                ],
            )
            .await;
        assert_eq!(made["success"], true);
        made["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn success(response: Response) -> Value {
    let status = response.status();
    let body = json(response).await;
    assert!(status.is_success(), "{status} {body}");
    body
}
