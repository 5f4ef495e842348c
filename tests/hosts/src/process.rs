//! A child program that exchanges JSON lines with the test and ends with it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The time that a program has to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the workspace's folder.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// A program that answers each line of JSON on its input with one on its output. It must end when its input is closed:
/// the operating system closes it also when the test is killed. Scenarios on different runtimes may share one.
pub struct ChildProgram {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: UnboundedReceiver<String>,
}

impl ChildProgram {
    /// Starts a program. Its standard error is that of the test, unless the command says otherwise.
    pub fn start(name: &str, mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (sender, lines) = unbounded_channel();
        // A thread, because a pipe of tokio belongs to the runtime of the scenario that created it.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Self { name: name.to_owned(), child, input, lines })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line of the program's output.
    pub async fn receive(&mut self, max_wait: Duration) -> anyhow::Result<Value> {
        let line = timeout(max_wait, self.lines.recv()).await;
        let line = line.with_context(|| format!("{} says nothing", self.name))?;
        let Some(line) = line else { bail!("{} has ended: {}", self.name, self.child.wait()?) };
        serde_json::from_str(&line).with_context(|| format!("{} says {line}", self.name))
    }

    /// Writes a line to the program's input.
    pub fn send(&mut self, value: &Value) -> anyhow::Result<()> {
        writeln!(self.input, "{value}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Writes a line and waits for the response.
    pub async fn request(&mut self, value: &Value, max_wait: Duration) -> anyhow::Result<Value> {
        self.send(value)?;
        self.receive(max_wait).await
    }

    /// Closes the program's input and waits until it has ended.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { name, mut child, input, .. } = self;
        drop(input);
        let ended = timeout(SHUTDOWN_TIMEOUT, spawn_blocking(move || child.wait()));
        let status = ended.await.with_context(|| format!("{name} does not stop"))???;
        ensure!(status.success(), "{name} ended with {status}");
        Ok(())
    }
}
