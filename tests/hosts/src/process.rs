//! A helper program that is spoken to line by line and ends with the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The workspace's folder.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// A program that answers each line of JSON on its input with one on its output. It must end when its input
/// does: the system closes that for us, also when the test is killed.
pub struct Helper {
    name: String,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts a program. What it writes to its error output goes where that of the test goes.
    pub fn start(name: &str, mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self { name: name.to_owned(), child, input, output })
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next line that the program says.
    pub async fn hear(&mut self, patience: Duration) -> anyhow::Result<Value> {
        let line = timeout(patience, self.output.next_line()).await;
        let line = line.with_context(|| format!("{} says nothing", self.name))??;
        let Some(line) = line else { bail!("{} has ended: {:?}", self.name, self.child.wait().await?) };
        serde_json::from_str(&line).with_context(|| format!("{} says {line}", self.name))
    }

    /// Says a line.
    pub async fn say(&mut self, value: &Value) -> anyhow::Result<()> {
        let line = format!("{value}\n");
        self.input.write_all(line.as_bytes()).await.with_context(|| format!("{} does not listen", self.name))
    }

    /// Says a line and waits for the answer.
    pub async fn ask(&mut self, value: &Value, patience: Duration) -> anyhow::Result<Value> {
        self.say(value).await?;
        self.hear(patience).await
    }

    /// Closes the program's input and waits until it has ended.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.input);
        let status = timeout(Duration::from_secs(20), self.child.wait()).await;
        let status = status.with_context(|| format!("{} does not stop", self.name))??;
        if !status.success() {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }
}
