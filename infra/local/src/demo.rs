//! The main workflow, driven over HTTP from outside as a front end and a browser would: connect, select, wait for the
//! sync, query the insights.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use domain::job::Queue;
use graph_sim::GraphSim;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::Url;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::system::System;
use crate::tenant::tenant;

/// The workspace of the demonstration.
pub const WORKSPACE: &str = "demo";

/// Time between looks at a sync: a long one must not use up the requests of the workspace.
const LOOK_INTERVAL: Duration = Duration::from_millis(150);

/// The progress of the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoStage {
    /// Logging in at Meta.
    Connecting,
    /// Reading campaigns, ad sets and ads.
    Entities,
    /// Measuring chunks.
    Chunks {
        /// Chunks measured so far.
        done: u64,
        /// Chunks in total.
        total: u64,
    },
    /// Evaluating rules.
    Rules,
    /// Processing a webhook from Meta.
    Webhook,
}

/// A client of a system's API, with a session in one workspace.
pub struct ApiClient {
    url: String,
    workspace: String,
    http: reqwest::Client,
    token: String,
}

impl ApiClient {
    /// Creates a client of this system's API for this workspace.
    pub fn new(system: &System, workspace: &str, role: Role) -> anyhow::Result<Self> {
        Self::at(system.url(), workspace, system.token(workspace, role)?)
    }

    /// Creates a client of the API at a URL without a trailing slash, for the workspace of a session token.
    pub fn at(url: &str, workspace: &str, token: String) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if !url.starts_with("https:") {
            // Reading every root certificate would take longer than most calls.
            http = http.tls_certs_only([]);
        }
        let http = http.build()?;
        Ok(Self { url: url.to_owned(), workspace: workspace.to_owned(), http, token })
    }

    /// Returns the URL of a path below the workspace.
    fn workspace_url(&self, path: &str) -> String {
        format!("{}/v1/workspaces/{}/{path}", self.url, self.workspace)
    }

    /// Returns the session token in use.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls a path below the workspace and returns its JSON; an error names status and problem.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.call_with(method, path, body, &[]).await
    }

    /// [`Self::call`] with additional headers.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        let (status, text) = self.send(method, path, body, headers).await?;
        ensure!(status.is_success(), "{path} answered {status}: {text}");
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Calls a path below the workspace and returns status and body.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request = self
            .http
            .request(method, self.workspace_url(path))
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Sends bytes to a path below the workspace and returns status and body.
    pub async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        bytes: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let request = self.http.request(method, self.workspace_url(path));
        let request = request.bearer_auth(&self.token).header("content-type", "application/octet-stream");
        let answer = request.body(bytes).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Delivers a change of a campaign as Meta does: signed, from outside, without a session.
    pub async fn receive_webhook(
        &self,
        sim: &GraphSim,
        campaign: &Value,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let value = json!({"id": campaign, "level": "CAMPAIGN", "status_name": "Active"});
        let changes = json!([{"field": "in_process_ad_objects", "value": value}]);
        let entry = json!([{"id": "0", "time": now.as_second(), "changes": changes}]);
        let body = json!({"object": "ad_account", "entry": entry}).to_string();
        let request = self.http.post(format!("{}/v1/webhooks/meta", self.url));
        let signed = request.header("x-hub-signature-256", sim.webhook_signature(&body));
        let status = signed.body(body).send().await?.status();
        ensure!(status == StatusCode::OK, "the webhook answered {status}");
        Ok(())
    }

    /// Adds a rule under a key; returns `false` when that key was used and the rule has been changed since.
    async fn create_rule(&self, key: &str, rule: &Value) -> anyhow::Result<bool> {
        let added = self.call_with(Method::POST, "rules", Some(rule), &[("idempotency-key", key)]).await;
        match added {
            Err(error) if error.to_string().contains("answered 409") => Ok(false),
            added => added.map(|_| true),
        }
    }

    /// Returns every row of a list.
    pub async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = self.call(Method::GET, &format!("{path}{joint}limit=500{after}"), None).await?;
            rows.extend(page["data"].as_array().cloned().unwrap_or_default());
            match page["after"].as_str() {
                Some(cursor) => after = format!("&after={cursor}"),
                None => return Ok(rows),
            }
        }
    }

    /// Logs in at the simulated Meta as a person would: authorize, press "Continue", come back.
    pub async fn connect(&self) -> anyhow::Result<Value> {
        let (dialog, cookie) = self.begin_login().await?;
        let callback = self.confirm_dialog(&dialog).await?;
        self.follow_callback(&callback, &cookie).await
    }

    /// Begins a login and returns the dialog's address and the browser's cookie.
    pub async fn begin_login(&self) -> anyhow::Result<(Url, String)> {
        // The API may listen elsewhere than at its public address, such as in an emulator.
        let start_url: Url = self.authorize().await?.parse()?;
        let query = start_url.query().context("start_url has no ticket")?;
        let start_url = format!("{}{}?{query}", self.url, start_url.path());
        let page = self.http.get(&start_url).send().await?;
        ensure!(page.status() == StatusCode::OK, "start_url answered {}", page.status());
        let cookie = cookie_of(&page)?;
        // The browser does not come from a page of the front end, so it is asked whether to go on.
        let question = page.text().await?;
        let link = question.split_once("confirmation=").and_then(|(_, rest)| rest.split_once('"'));
        let (confirmation, _) = link.context("the page has no link to Meta")?;
        let go_on = format!("{start_url}&confirmation={confirmation}");
        let redirected = self.http.get(go_on).header(COOKIE, cookie).send().await?;
        let location = redirected.headers().get(LOCATION);
        let location =
            location.ok_or_else(|| anyhow!("the link to Meta answered {}", redirected.status()))?;
        Ok((Url::parse(location.to_str()?)?, cookie_of(&redirected)?))
    }

    /// Returns the `start_url` of a new login.
    async fn authorize(&self) -> anyhow::Result<String> {
        let authorize = self.http.post(self.workspace_url("connections/meta/authorize"));
        let authorize = authorize.header(AUTHORIZATION, format!("Bearer {}", self.token));
        let answer = authorize.send().await?;
        ensure!(
            answer.status() == StatusCode::OK,
            "authorize answered {}: {}",
            answer.status(),
            answer.text().await?
        );
        let begun: Value = serde_json::from_str(&answer.text().await?)?;
        Ok(begun["start_url"].as_str().context("no start_url")?.to_owned())
    }

    /// Presses "Continue" in the simulator's dialog and returns the URL of its redirect.
    pub async fn confirm_dialog(&self, dialog: &Url) -> anyhow::Result<String> {
        let mut form: HashMap<String, String> = dialog.query_pairs().into_owned().collect();
        form.insert("decision".to_owned(), "continue".to_owned());
        let decided = self.http.post(dialog.join("/dialog/oauth/decision")?).form(&form).send().await?;
        let location = decided.headers().get(LOCATION);
        let location = location.ok_or_else(|| anyhow!("the login dialog answered {}", decided.status()))?;
        Ok(location.to_str()?.to_owned())
    }

    /// Follows Meta's redirect back to us in the browser that began the login.
    pub async fn follow_callback(&self, callback: &str, cookie: &str) -> anyhow::Result<Value> {
        let request = self.http.get(callback).header(COOKIE, cookie).header(ACCEPT, "application/json");
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == StatusCode::OK, "the callback answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// Returns the cookie that a response sets.
fn cookie_of(response: &reqwest::Response) -> anyhow::Result<String> {
    let cookie = response.headers().get(SET_COOKIE).context("no cookie was set")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Runs the main workflow on the simulated account: until the sync, what it causes, and a webhook are done.
pub async fn run(system: &System, api: &ApiClient, mut show: impl FnMut(DemoStage)) -> anyhow::Result<()> {
    let sim = system.sim().context("the main job needs a simulated account")?;
    let account = sim.account().id;
    if !is_selected(api, &account).await? {
        show(DemoStage::Connecting);
        api.connect().await?;
        for (name, rule) in sample_rules(&account) {
            let added = api.create_rule(&format!("{name}-{account}"), &rule).await?;
            tracing::debug!(name, added, "Asked for a sample rule.");
        }
        let path = format!("ad-accounts/{account}/selection");
        api.call(Method::PUT, &path, Some(&json!({"selected": true}))).await?;
    }
    wait_for_sync(system, api, &account, &mut show).await?;
    show(DemoStage::Webhook);
    if let Some(campaign) = api.all(&format!("ad-accounts/{account}/campaigns")).await?.first() {
        api.receive_webhook(sim, &campaign["id"], system.clock.now()).await?;
    }
    system.runner.settle().await
}

/// Returns whether an earlier run on this data has connected and selected the account, with a token that works.
async fn is_selected(api: &ApiClient, account: &str) -> anyhow::Result<bool> {
    let accounts = api.call(Method::GET, &format!("ad-accounts?q={account}"), None).await?;
    let ours = accounts["data"].as_array().and_then(|all| all.iter().find(|known| known["id"] == account));
    let Some(connection) =
        ours.filter(|ours| ours["selected"] == true).and_then(|ours| ours["connection"].as_str())
    else {
        return Ok(false);
    };
    let connection = api.call(Method::GET, &format!("connections/{connection}"), None).await?;
    Ok(connection["state"] == "connected")
}

async fn wait_for_sync(
    system: &System,
    api: &ApiClient,
    account: &str,
    show: &mut impl FnMut(DemoStage),
) -> anyhow::Result<()> {
    let before = system.snapshots.get(&(tenant(WORKSPACE)?, account.parse()?));
    let synced_before = before.and_then(|before| before.entities_synced_at);
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    let mut last_idle = None;
    loop {
        ticks.tick().await;
        let progress = api.call(Method::GET, &format!("ad-accounts/{account}/sync"), None).await?;
        let synced: Option<jiff::Timestamp> =
            progress["entities_synced_at"].as_str().map(str::parse).transpose()?;
        let entities_done = synced.is_some() && synced != synced_before;
        let count = |state: &str| progress["chunks"][state].as_u64().unwrap_or(0);
        let open = count("planned") + count("running");
        let done = count("done") + count("failed");
        match (entities_done, open) {
            (false, _) => show(DemoStage::Entities),
            (true, 1..) => show(DemoStage::Chunks { done, total: done + open }),
            (true, 0) => {
                show(DemoStage::Rules);
                system.runner.settle().await?;
                return Ok(());
            }
        }
        let mut outstanding = 0;
        for queue in [Queue::SyncEntities, Queue::SyncMetricsChunk] {
            outstanding += system.runner.outstanding(queue).await?;
        }
        // Nothing is in the queues now, and nothing was when the same progress was read last: the messages were
        // dead-lettered.
        if outstanding == 0 && last_idle == Some((synced, done, open)) {
            bail!("the sync was given up after several tries; the log above says why");
        }
        last_idle = (outstanding == 0).then_some((synced, done, open));
    }
}

/// Returns two sample rules. Their ids follow from the keys, so they are added once.
fn sample_rules(account: &str) -> [(&'static str, Value); 2] {
    let low_return = json!({
        "name": "Tell me about campaigns that return less than four times their spend",
        "ad_account": account,
        "level": "campaign",
        "when": {"measure": "roas", "window": "last_7_days", "operator": "below", "value": "4"},
        "guard": {"min_impressions": 1000},
        "action": {"type": "notify"},
    });
    let dear_purchases = json!({
        "name": "Pause ads whose purchases cost more than 40 in the account's currency",
        "ad_account": account,
        "level": "ad",
        "when": {"measure": "cost_per_purchase", "window": "last_7_days", "operator": "above", "value": "40"},
        "guard": {"min_spend": "50", "min_impressions": 1000},
        "action": {"type": "pause"},
    });
    [("sample-low-return", low_return), ("sample-dear-purchases", dear_purchases)]
}
