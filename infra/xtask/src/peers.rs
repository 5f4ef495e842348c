//! Conformance tests by third parties: Meta's SDK and two connectors from PyPI, run against the simulator.
//! tests/peers/README.md describes them.

use std::fs;

use anyhow::{Context, bail};

use crate::{build, command, python, root, run, say};

/// One virtual environment each: the three need different versions of the SDK.
const VENVS: [&str; 3] = ["sdk", "airbyte", "tap"];
/// Where the tests of our client record the requests that it builds, for the request check.
const REQUESTS: &str = "target/peers/requests.jsonl";

/// Runs all conformance tests, on a small account.
pub(crate) fn test() -> anyhow::Result<()> {
    install()?;
    build::development()?;
    record_requests()?;
    let requests = ["tests/peers/requests.example.jsonl", REQUESTS];
    // Runs all of them, even when the first ones fail.
    let results = [
        script("conformance_test.py", &[]),
        script("request_check.py", &requests),
        script("sdk_conformance.py", &[&binary("debug", "sim-server")?]),
        launches(),
        readers("debug", &[]),
    ];
    results.into_iter().collect()
}

/// Runs the tests of our client and records what they send.
fn record_requests() -> anyhow::Result<()> {
    let path = root().join(REQUESTS);
    fs::write(&path, "").with_context(|| format!("{} cannot be written", path.display()))?;
    let mut tests = command("cargo", &["test", "--workspace", "--quiet", "--test", "graph_api"]);
    tests.env("GRAPH_REQUESTS", &path);
    run(tests)
}

/// Launches documents of every objective, destination and format, and has the SDK read them.
fn launches() -> anyhow::Result<()> {
    let mut story = command("cargo", &["test", "--workspace", "--quiet", "--test", "journeys", "--"]);
    let name = "launch_corpus::every_objective_destination_and_format_launches_as_it_is_written";
    story.args(["--exact", name, "--nocapture"]);
    story.env("SDK_PYTHON", root().join("target/peers/sdk/bin/python"));
    let output = story.output().context("cargo cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let read = text.lines().find(|line| line.starts_with("official SDK: ") && output.status.success());
    let Some(line) = read else {
        say(&text);
        say(&String::from_utf8_lossy(&output.stderr));
        bail!("the SDK does not read what is launched");
    };
    say(line);
    Ok(())
}

/// Measures what reading the full account costs each client, side by side.
pub(crate) fn bench_sync() -> anyhow::Result<()> {
    install()?;
    run(command("cargo", &["build", "--quiet", "--release", "--package", "peers"]))?;
    readers("release", &["--ads", "200", "--days", "30", "--table"])
}

fn readers(profile: &str, more: &[&str]) -> anyhow::Result<()> {
    let sim = binary(profile, "sim-server")?;
    let ours = binary(profile, "graph-read")?;
    let mut args = vec!["--peers", "target/peers", "--sim", &sim, "--ours", &ours];
    args.extend(more);
    script("conformance_clients.py", &args)
}

fn binary(profile: &str, name: &str) -> anyhow::Result<String> {
    let path = root().join("target").join(profile).join(name);
    Ok(path.to_str().context("the workspace's path is not text")?.to_owned())
}

/// Runs one of our scripts with the SDK. Only what pip compiled is stored as bytecode.
fn script(name: &str, args: &[&str]) -> anyhow::Result<()> {
    let script = format!("tests/peers/{name}");
    let mut python = command("target/peers/sdk/bin/python", &["-B", &script]);
    python.args(args);
    run(python)
}

/// Installs the virtual environments.
fn install() -> anyhow::Result<()> {
    VENVS.iter().try_for_each(|venv| {
        python::venv(&format!("target/peers/{venv}"), &format!("tests/peers/locks/{venv}.txt"))
    })
}
