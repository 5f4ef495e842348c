//! openapi.yaml: written anew when a route has changed, and held against the system by a client from PyPI. And the pages
//! that people see, held against judges from npm. What they check stands in tests/api.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::{build, command, edge, python, root, run, say};

const FILE: &str = "openapi.yaml";
const VENV: &str = "target/api/schemathesis";
/// The packages of tests/api/node, installed.
const PACKAGES: &str = "target/api/node";

/// Writes the description of the API as the routes say it.
pub(crate) fn write() -> anyhow::Result<()> {
    build::development()?;
    let made = Command::new(build::program("openapi")).current_dir(root()).stderr(Stdio::inherit()).output()?;
    ensure!(made.status.success(), "the description cannot be made ({})", made.status);
    fs::write(root().join(FILE), made.stdout).with_context(|| format!("{FILE} cannot be written"))
}

/// Has schemathesis send whatever the description allows, and what it does not, to the whole system.
pub(crate) fn judge() -> anyhow::Result<()> {
    install()?;
    let reached = root().join(REACHED);
    if reached.exists() {
        fs::remove_file(&reached).with_context(|| REACHED.to_owned())?;
    }
    let mut system = System::start()?;
    // What disconnects the ad account comes last, for nothing could be tried after it but to connect again.
    let verdicts = [
        system.schemathesis(false, &[]),
        system.schemathesis(true, &["--include-operation-id", "disconnect", "--phases", "coverage,fuzzing"]),
        look_at_pages(),
        system.stop(),
    ];
    verdicts.into_iter().collect::<anyhow::Result<()>>()?;
    everything_was_done()
}

/// Each operation has done at least once what it is for: an answer that refuses shows too little of it.
fn everything_was_done() -> anyhow::Result<()> {
    let told = fs::read_to_string(root().join(REACHED)).context(REACHED)?;
    let (mut done, mut requests, mut refused) = (BTreeSet::new(), 0, BTreeSet::new());
    for line in told.lines() {
        let operations: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(line)?;
        for (operation, answers) in operations {
            requests += answers.values().sum::<u64>();
            let well = answers.keys().any(|status| status.starts_with('2'));
            if well { &mut done } else { &mut refused }.insert(operation);
        }
    }
    let never: Vec<_> = refused.difference(&done).collect();
    say(&format!("   {requests} requests; {} operations did what they are for", done.len()));
    ensure!(never.is_empty(), "never answered 2xx: {never:?}");
    Ok(())
}

/// Has judges of accessibility from npm look at every page that a person sees.
pub(crate) fn judge_pages() -> anyhow::Result<()> {
    install_packages()?;
    let mut system = System::start()?;
    let verdicts = [look_at_pages(), system.stop()];
    verdicts.into_iter().collect()
}

/// What the judges need, so that nobody installs it twice at once.
pub(crate) fn install() -> anyhow::Result<()> {
    python::venv(VENV, "tests/api/locks/schemathesis.txt")?;
    install_packages()
}

fn install_packages() -> anyhow::Result<()> {
    // With the packages of the Worker comes the node that is locked.
    edge::install()?;
    edge::install_from("tests/api/node", PACKAGES)
}

fn look_at_pages() -> anyhow::Result<()> {
    run(edge::script_of_node(&["tests/api/node/pages.mjs", PACKAGES, SYSTEM])?)
}

/// The system under test. It ends when nobody holds its standard input any more, so also when we are killed.
struct System {
    process: Child,
    url: String,
    token: String,
}

impl System {
    fn start() -> anyhow::Result<Self> {
        build::development()?;
        let mut serve = Command::new(build::program("served-system"));
        serve.current_dir(root());
        let mut process = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = process.stdout.take().context("the system has no output")?;
        let mut hello = String::new();
        BufReader::new(answers).read_line(&mut hello).context("the system says nothing")?;
        let known: serde_json::Value = serde_json::from_str(&hello).context("the system did not start")?;
        let text = |name: &str| known[name].as_str().map(str::to_owned).with_context(|| name.to_owned());
        let (url, token) = (text("url")?, text("token")?);
        fs::write(root().join(SYSTEM), hello).context("what the system said cannot be kept")?;
        Ok(Self { process, url, token })
    }

    fn schemathesis(&self, last: bool, options: &[&str]) -> anyhow::Result<()> {
        let mut judge =
            command(&format!("{VENV}/bin/schemathesis"), &["--config-file", "tests/api/schemathesis.toml"]);
        judge.args(["run", FILE, "--url", &self.url]).args(options);
        judge
            .env("ADFLIGHT_TOKEN", &self.token)
            .env("ADFLIGHT_SYSTEM", SYSTEM)
            .env("ADFLIGHT_REACHED", REACHED)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if last {
            judge.env("ADFLIGHT_LAST", "1");
        }
        // Not by `run`, which would show the token.
        let status = judge.status().context("schemathesis cannot be started")?;
        ensure!(status.success(), "schemathesis found something ({status})");
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        let ended = self.process.wait()?;
        ensure!(ended.success(), "the system ended badly ({ended})");
        Ok(())
    }
}

/// What the system said of itself, for the hooks.
const SYSTEM: &str = "target/api/system.json";

/// How often each operation was answered with which status, as the hooks keep it.
const REACHED: &str = "target/api/reached.jsonl";
