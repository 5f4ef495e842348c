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
    let output =
        Command::new(build::program("openapi")).current_dir(root()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the description cannot be made ({})", output.status);
    fs::write(root().join(FILE), output.stdout).with_context(|| format!("{FILE} cannot be written"))
}

/// Has schemathesis send whatever the description allows, and what it does not, to the whole system.
pub(crate) fn test() -> anyhow::Result<()> {
    install()?;
    let counts = root().join(STATUS_COUNTS);
    if counts.exists() {
        fs::remove_file(&counts).with_context(|| STATUS_COUNTS.to_owned())?;
    }
    let mut system = System::start()?;
    // What disconnects the ad account comes last, for nothing could be tried after it but to connect again.
    let results = [
        system.schemathesis(false, &[]),
        system.schemathesis(true, &["--include-operation-id", "disconnect", "--phases", "coverage,fuzzing"]),
        check_pages(),
        system.stop(),
    ];
    results.into_iter().collect::<anyhow::Result<()>>()?;
    check_every_operation_succeeded()
}

/// Each operation has done at least once what it is for: an answer that refuses shows too little of it.
fn check_every_operation_succeeded() -> anyhow::Result<()> {
    let counts = fs::read_to_string(root().join(STATUS_COUNTS)).context(STATUS_COUNTS)?;
    let (mut succeeded, mut requests, mut rejected) = (BTreeSet::new(), 0, BTreeSet::new());
    for line in counts.lines() {
        let operations: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(line)?;
        for (operation, answers) in operations {
            requests += answers.values().sum::<u64>();
            let is_success = answers.keys().any(|status| status.starts_with('2'));
            if is_success { &mut succeeded } else { &mut rejected }.insert(operation);
        }
    }
    let never: Vec<_> = rejected.difference(&succeeded).collect();
    say(&format!("   {requests} requests; {} operations did what they are for", succeeded.len()));
    ensure!(never.is_empty(), "never answered 2xx: {never:?}");
    Ok(())
}

/// Has judges of accessibility from npm look at every page that a person sees.
pub(crate) fn test_pages() -> anyhow::Result<()> {
    install_packages()?;
    let mut system = System::start()?;
    let results = [check_pages(), system.stop()];
    results.into_iter().collect()
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

fn check_pages() -> anyhow::Result<()> {
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
        let mut schemathesis =
            command(&format!("{VENV}/bin/schemathesis"), &["--config-file", "tests/api/schemathesis.toml"]);
        schemathesis.args(["run", FILE, "--url", &self.url]).args(options);
        schemathesis
            .env("ADFLIGHT_TOKEN", &self.token)
            .env("ADFLIGHT_SYSTEM", SYSTEM)
            .env("ADFLIGHT_STATUS_COUNTS", STATUS_COUNTS)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if last {
            schemathesis.env("ADFLIGHT_FINAL_RUN", "1");
        }
        // Not by `run`, which would show the token.
        let status = schemathesis.status().context("schemathesis cannot be started")?;
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
const STATUS_COUNTS: &str = "target/api/status-counts.jsonl";
