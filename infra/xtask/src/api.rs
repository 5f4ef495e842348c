//! Writes openapi.yaml when a route has changed, tests the system against it with a client from PyPI, and checks the
//! HTML pages with validators from npm. The checks are in tests/api.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::{browser, build, clients, command, edge, python, root, run, say};

const FILE: &str = "openapi.yaml";
const VENV: &str = "target/api/schemathesis";
/// The installed packages of tests/api/node.
pub(crate) const PACKAGES: &str = "target/api/node";

/// The examples of responses.
pub(crate) const EXAMPLES: &str = "infra/openapi/examples.json";

/// Responses that the stories received.
const RECORDING: &str = "target/api/responses.jsonl";

/// Writes the description of the API, with `record` after its examples.
pub(crate) fn write(record: bool) -> anyhow::Result<()> {
    build::development()?;
    if record {
        record_examples()?;
        build::development()?;
    }
    let mut program = Command::new(build::program("openapi"));
    write_output(program.current_dir(root()), FILE)
}

/// Runs the stories and chooses examples from what they receive. What does not match the routes yet fails afterwards.
fn record_examples() -> anyhow::Result<()> {
    let recording = root().join(RECORDING);
    let failed = || format!("{RECORDING} cannot be written");
    fs::create_dir_all(root().join("target/api")).with_context(failed)?;
    fs::write(&recording, "").with_context(failed)?;
    let mut stories =
        command("cargo", &["test", "--quiet", "--workspace", "--test", "journeys", "--no-fail-fast", "--"]);
    // It compares the former examples with what they are now.
    stories.args(["--skip", "the_examples_of_openapi_yaml"]);
    stories.env("RECORD_RESPONSES", &recording);
    run(stories)?;
    let mut program = Command::new(build::program("openapi"));
    write_output(program.arg("examples").stdin(fs::File::open(&recording)?), EXAMPLES)
}

fn write_output(program: &mut Command, file: &str) -> anyhow::Result<()> {
    let output = program.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{file} cannot be made ({})", output.status);
    fs::write(root().join(file), output.stdout).with_context(|| format!("{file} cannot be written"))
}

/// Runs schemathesis against the whole system, with requests that the description allows and that it does not.
pub(crate) fn test() -> anyhow::Result<()> {
    install()?;
    let counts = root().join(STATUS_COUNTS);
    if counts.exists() {
        fs::remove_file(&counts).with_context(|| STATUS_COUNTS.to_owned())?;
    }
    let mut system = System::start()?;
    let last = |operation| {
        system.schemathesis(true, &["--include-operation-id", operation, "--phases", "coverage,fuzzing"])
    };
    // What disconnects the ad account comes last, and what deletes the workspace after it: nothing works any more then.
    let results = [
        clients::test(SYSTEM),
        system.schemathesis(false, &[]),
        check_pages(),
        system.log_in_from_another_site(),
        last("delete_connection"),
        last("delete_workspace"),
    ];
    let results = results.into_iter().chain([system.stop()]);
    results.into_iter().collect::<anyhow::Result<()>>()?;
    check_every_operation_succeeded()
}

/// Fails unless each operation has succeeded at least once: a refusal shows too little of it.
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

/// Runs the programs of the generated clients alone.
pub(crate) fn test_clients() -> anyhow::Result<()> {
    install()?;
    let mut system = System::start()?;
    let results = [clients::test(SYSTEM), system.stop()];
    results.into_iter().collect()
}

/// Runs the HTML and accessibility validators from npm on every page that a person sees.
pub(crate) fn test_pages() -> anyhow::Result<()> {
    install_packages()?;
    browser::install()?;
    let mut system = System::start()?;
    let results = [check_pages(), system.log_in_from_another_site(), system.stop()];
    results.into_iter().collect()
}

/// Installs the validators once, so that no two steps install them at the same time.
pub(crate) fn install() -> anyhow::Result<()> {
    python::venv(VENV, "tests/api/locks/schemathesis.txt")?;
    install_packages()?;
    clients::install()?;
    browser::install()
}

pub(crate) fn install_packages() -> anyhow::Result<()> {
    // The locked node comes with the packages of the Worker.
    edge::install()?;
    edge::install_from("tests/api/node", PACKAGES)
}

fn check_pages() -> anyhow::Result<()> {
    run(edge::script_of_node(&["tests/api/node/pages.mjs", PACKAGES, SYSTEM])?)
}

/// The system under test. It ends when its standard input is closed, so also when this process is killed.
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
        // `run` would print the token.
        let status = schemathesis.status().context("schemathesis cannot be started")?;
        ensure!(status.success(), "schemathesis found something ({status})");
        Ok(())
    }

    /// Has a front end that another site serves log in and list campaigns, in Chromium.
    fn log_in_from_another_site(&self) -> anyhow::Result<()> {
        let mut system: serde_json::Value = serde_json::from_str(&fs::read_to_string(root().join(SYSTEM))?)?;
        system["at"] = system["url"].clone();
        system["front_end"] = "http://localhost:0".into();
        system["campaigns"] = true.into();
        browser::login(&system)
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        let ended = self.process.wait()?;
        ensure!(ended.success(), "the system ended badly ({ended})");
        Ok(())
    }
}

/// The description of the running system, for the hooks.
const SYSTEM: &str = "target/api/system.json";

/// Counts of responses by operation and status, written by the hooks.
const STATUS_COUNTS: &str = "target/api/status-counts.jsonl";
