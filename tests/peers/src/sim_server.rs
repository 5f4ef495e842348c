//! A simulated Graph API controlled over its standard input, so that a script in any language can serve one, inject
//! faults, count calls and read its data. One JSON object per line, in and out; the first line of the output gives its
//! URL and credentials; it ends with its input.

use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use graph_sim::{AccountArgs, App, Clock, Config, Fault, FaultKind, GraphSim};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};

const APP_ID: &str = "100000000000001";
const APP_SECRET: &str = "peers-app-secret";

/// A simulated Graph API, controlled over standard input.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    account: AccountArgs,
    /// The poll at which a report run is complete. A client that finds it incomplete at first may sleep for half a
    /// minute.
    #[arg(long, default_value_t = 3)]
    report_polls: u32,
}

/// A command on a line of the input.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// Returns the number of Graph calls served so far.
    Calls,
    /// Returns the calls to known objects since the last query, in the format of the request check.
    Requests,
    /// Returns the ad-day rows from `since` to `until`, both included, as insights give them.
    Rows { since: Date, until: Date },
    /// Returns an object with all its stored fields, or null.
    Node { id: String },
    /// Fails the next `times` calls whose path contains `path` with this error.
    Fail { path: String, status: u16, code: i64, subcode: Option<i64>, times: u32 },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let clock = wall_clock();
    let app = App { app_id: APP_ID.to_owned(), app_secret: APP_SECRET.to_owned(), redirect_uris: Vec::new() };
    let args = Args::parse();
    let mut config = Config::new(args.account.source(clock())?, app, clock);
    // Meta accepts whatever these clients send, so the simulator has to know it.
    config.behaviour.strict = true;
    config.behaviour.reports.polls = args.report_polls;
    let sim = GraphSim::start(config).await?;
    write_line(&describe_simulator(&sim))?;
    let mut reported = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input cannot be read")?;
        let command = serde_json::from_str(&line).with_context(|| format!("not a command: {line}"))?;
        write_line(&execute(&sim, command, &mut reported))?;
    }
    sim.stop().await;
    Ok(())
}

fn describe_simulator(sim: &GraphSim) -> Value {
    let account = sim.account();
    json!({
        "url": sim.base_url(),
        "app_id": APP_ID,
        "app_secret": APP_SECRET,
        "token": sim.issue_token("1", &["ads_read", "ads_management"]),
        "reading_token": sim.issue_token("2", &["ads_read"]),
        "account": account.id,
        "page": account.page_id,
        "currency": account.currency,
        "timezone": account.timezone,
    })
}

/// Executes a command. `reported` is the number of recorded calls that were reported already.
fn execute(sim: &GraphSim, command: Command, reported: &mut usize) -> Value {
    match command {
        Command::Calls => json!(sim.calls()),
        Command::Requests => {
            let calls = sim.requests();
            let new = calls.iter().skip(std::mem::replace(reported, calls.len()));
            let requests = new.filter(|call| !call.class.is_empty()).map(|call| {
                json!({"method": call.method, "class": call.class, "edge": call.edge, "params": call.params})
            });
            Value::Array(requests.collect())
        }
        Command::Rows { since, until } => json!(sim.insights_rows(since, until)),
        Command::Node { id } => json!(sim.node(&id)),
        Command::Fail { path, status, code, subcode, times } => {
            let kind = FaultKind::Error { status, code, subcode, headers: Vec::new() };
            sim.fail_next(Fault { method: None, path_contains: path, times, skip: 0, kind });
            json!("ok")
        }
    }
}

fn write_line(line: &Value) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output cannot be written")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clients read the real clock, so the simulator must as well"
)]
fn wall_clock() -> Clock {
    Arc::new(jiff::Timestamp::now)
}
