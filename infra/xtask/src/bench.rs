//! `cargo xtask bench hosts`: measures the programs on their hosts, beside minimal reference programs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{build, command, edge, root, run, say, tools};

/// Body sizes of the POSTs, in KB, and the number of each in a round.
const BODIES: [(u64, u32); 3] = [(1, 6000), (16, 3000), (256, 600)];
/// Rounds; both Workers take turns in each.
const ROUNDS: usize = 5;
/// Concurrent connections of the load.
const CONNECTIONS: &str = "16";
/// Starts of each Worker.
const STARTS: u32 = 7;

/// Measures the Lambda programs, then the Worker.
pub(crate) fn hosts() -> anyhow::Result<()> {
    build::bundles(None)?;
    lambda()?;
    edge::pack(edge::OPTIMIZED)?;
    worker()
}

/// Measures starts and memory, with tests/hosts/benches/lambda.rs.
fn lambda() -> anyhow::Result<()> {
    let empty =
        ["build", "--quiet", "--profile", build::PROFILE, "--package", "hosts", "--bin", "empty-lambda"];
    run(command("cargo", &empty))?;
    // The measuring program itself may be a development build.
    run(command(
        "cargo",
        &["bench", "--quiet", "--profile", "dev", "--package", "hosts", "--bench", "lambda"],
    ))
}

/// Measures the verified POST: our Worker and the reference in workerd, loaded in turns by oha.
fn worker() -> anyhow::Result<()> {
    let oha = tools::installed("oha", "1.16.0")?;
    let path = |part: &str| root().join(part);
    let settings = json!({
        "packages": path(edge::PACKAGES).join("node_modules"), "bundle": path(&edge::bundle("webhook-ingest")),
        "bodies": BODIES.map(|(kb, _)| kb), "starts": STARTS,
    });
    let mut node = edge::script_of_node(&["tests/hosts/node/bench.mjs", &settings.to_string()])?;
    let mut node =
        node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("node cannot be started")?;
    let mut line = String::new();
    BufReader::new(node.stdout.take().context("no output")?).read_line(&mut line)?;
    let stage: Value = serde_json::from_str(&line).context("the Workers did not start")?;

    let first = |side: &str| median(numbers(&stage["first"][side]));
    let (ours, reference) = (first("ours"), first("reference"));
    say(&format!(
        "First answer of a fresh workerd: {ours:.0} ms; the reference {reference:.0} ms ({STARTS} starts)"
    ));
    say(&format!(
        "{:<14}{:>12}{:>10}{:>10}{:>16}{:>10}{:>10}{:>8}",
        "verified POST", "requests/s", "p50 ms", "p99 ms", "reference: r/s", "p50 ms", "p99 ms", "ratio"
    ));
    for (body, (kb, count)) in stage["bodies"].as_array().context("no bodies")?.iter().zip(BODIES) {
        let mut rounds = [Vec::new(), Vec::new()];
        // The first round is a warm-up for both.
        for round in 0..=ROUNDS {
            for (side, measured) in ["ours", "reference"].into_iter().zip(&mut rounds) {
                let load = load(&oha, &stage[side], body, count)?;
                if round > 0 {
                    measured.push(load);
                }
            }
        }
        let of = |side: usize, what: fn(&Load) -> f64| median(rounds[side].iter().map(what).collect());
        let rates = [of(0, |load| load.rate), of(1, |load| load.rate)];
        say(&format!(
            "{:<14}{:>12.0}{:>10.1}{:>10.1}{:>16.0}{:>10.1}{:>10.1}{:>8.2}",
            format!("{kb} KB"),
            rates[0],
            of(0, |load| load.p50),
            of(0, |load| load.p99),
            rates[1],
            of(1, |load| load.p50),
            of(1, |load| load.p99),
            rates[0] / rates[1],
        ));
    }
    // The script ends when its input is closed, and stops workerd.
    drop(node.stdin.take());
    ensure!(node.wait()?.success(), "the Workers did not stop in order");
    Ok(())
}

/// One round: requests per second, and latency in milliseconds.
struct Load {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn load(oha: &str, url: &Value, body: &Value, count: u32) -> anyhow::Result<Load> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    let signature = format!("x-hub-signature-256: {}", text(&body["signature"])?);
    let (count, path, url) = (count.to_string(), text(&body["path"])?, text(url)?);
    let args = [
        "--no-tui",
        "--output-format",
        "json",
        "-n",
        &count,
        "-c",
        CONNECTIONS,
        "-m",
        "POST",
        "-H",
        "content-type: application/json",
        "-H",
        &signature,
        "-D",
        &path,
        &url,
    ];
    let output = command(oha, &args).output().context("oha")?;
    ensure!(output.status.success(), "oha failed: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).context("oha's answer")?;
    let answers = &report["statusCodeDistribution"];
    ensure!(answers == &json!({"200": count.parse::<u64>()?}), "not every POST was accepted: {answers}");
    let number = |value: &Value| value.as_f64().context("oha's figures");
    let percentile = |name: &str| number(&report["latencyPercentiles"][name]).map(|seconds| seconds * 1e3);
    Ok(Load {
        rate: number(&report["summary"]["requestsPerSec"])?,
        p50: percentile("p50")?,
        p99: percentile("p99")?,
    })
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Parallel changes of one workspace: tests/journeys/benches/parallel_changes.rs measures.
pub(crate) fn changes() -> anyhow::Result<()> {
    of_journeys("parallel_changes")
}

/// Counts what a day of an ad account uses. Nothing is timed, so a development build will do.
pub(crate) fn costs() -> anyhow::Result<()> {
    let args = ["bench", "--quiet", "--profile", "dev", "--workspace", "--bench", "costs"];
    run(command("cargo", &args))
}

/// Measures how long workspaces wait beside a large one. They wait for Meta, so a development build will do.
pub(crate) fn fairness() -> anyhow::Result<()> {
    run(command("cargo", &["bench", "--quiet", "--profile", "dev", "--workspace", "--bench", "fairness"]))
}

/// Starts many campaigns at once.
pub(crate) fn activations() -> anyhow::Result<()> {
    of_journeys("activations")
}

/// Counts what many changes cost at Meta, which a development build does as well.
pub(crate) fn bulk() -> anyhow::Result<()> {
    run(command("cargo", &["bench", "--quiet", "--profile", "dev", "--workspace", "--bench", "bulk"]))
}

/// Measures facts: written, stored and read, beside a plain loop of the SDK.
pub(crate) fn facts() -> anyhow::Result<()> {
    of_journeys("facts")
}

fn of_journeys(name: &str) -> anyhow::Result<()> {
    run(command("cargo", &["bench", "--quiet", "--package", "journeys", "--bench", name]))
}
