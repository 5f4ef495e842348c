//! The project's tasks. `cargo xtask check` is exactly what CI runs.

mod api;
mod bench;
mod browser;
mod build;
mod check;
mod clients;
mod console;
mod defects;
mod edge;
mod examples;
mod hosts;
mod nightly;
mod numbers;
mod peers;
mod python;
mod readme;
mod steps;
mod template;
mod tools;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs everything that must hold before a change lands: format, lints, tests, hosts, dependencies, docs.
    Check {
        /// Also runs steps whose inputs have not changed since they last held.
        #[arg(long)]
        all: bool,
    },
    /// Runs the long forms: optimized bundles, 200 kills, a thousand fault mixes, long fuzzing, benchmarks.
    Nightly {
        /// Only this suite.
        #[arg(value_enum)]
        suite: Option<nightly::Suite>,
    },
    /// Compiles a Worker. `wrangler` calls this before it runs or uploads it.
    Worker {
        /// The function, such as console.
        #[arg(required_unless_present = "pack")]
        function: Option<String>,
        /// Packs all of them instead, as `wrangler` would upload them, and tells their sizes.
        #[arg(long, conflicts_with = "function")]
        pack: bool,
    },
    /// Meta's own SDK and two connectors from PyPI, as judges of the simulator and of our client.
    Peers,
    /// The bundles of the Lambda functions, in target/lambda, for this machine or for Lambda.
    Build {
        /// What Lambda runs on: builds with Lambda's own C library. Without it, for emulators on this machine.
        #[arg(long, value_enum)]
        arch: Option<build::Arch>,
    },
    /// A property-based client from PyPI, which holds the system against openapi.yaml.
    Api,
    /// Judges of accessibility from npm, over every page that a person sees. `api` does that, too.
    Pages,
    /// Runs the programs of the clients that generators make of openapi.yaml.
    Clients,
    /// Builds the console's page into functions/console/dist.
    Console {
        /// Holds the page against its sources instead, and uses it in Chromium, as the check does.
        #[arg(long)]
        stories: bool,
        /// Of the stories, only this one.
        #[arg(requires = "stories")]
        story: Option<String>,
        /// Makes the pictures of docs/images anew instead.
        #[arg(long, conflicts_with = "stories")]
        pictures: bool,
    },
    /// Writes openapi.yaml anew, as the routes say it. A test holds the file to them.
    Openapi {
        /// Runs the stories and chooses the examples of responses anew, from those that they receive.
        #[arg(long)]
        record: bool,
    },
    /// Writes the HttpApi events of template.yaml as the endpoints are declared. A test compares the two.
    Template,
    /// Whole stories on real hosts: the template on an AWS emulator, the Worker in workerd.
    Hosts {
        /// With the optimized programs that are deployed, not those of the development build.
        #[arg(long)]
        bundles: bool,
    },
    /// A sync under every fault in turn, and under random mixes of faults.
    Faults {
        /// How many mixes. The same number is the same mix.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
    },
    /// Every figure of the product, held against Python's sums over the simulated Meta's rows.
    Numbers,
    /// Costs, measured side by side.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// 1,000 campaigns of an ad account that start at the same minute.
    Activations,
    /// 500 changes of budgets, as one bulk change and one by one.
    Bulk,
    /// Measures parallel changes of one workspace, which one audit log records.
    Changes,
    /// What a person waits for in the console, on an ad account with 5,000 ads.
    Console,
    /// What a day of an ad account uses of AWS, and what that costs.
    Costs,
    /// How long workspaces wait beside one that asks for a hundred times as much.
    Fairness,
    /// Facts, written, stored and read, on the embedded table, beside one item per ad and week.
    Facts,
    /// Reading an ad account's structure and thirty days of numbers: our client, and those of others.
    Sync,
    /// An agency's first week with 40 ad accounts: the clicks and seconds of each act.
    Week,
    /// Starts, memory and sizes of the Lambda programs, and the Worker's verified POST beside one in JavaScript.
    Hosts,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Check { all } => check::check(all),
        Task::Nightly { suite } => nightly::nightly(suite),
        Task::Worker { function: Some(function), .. } => edge::build(&function, &worker_profile()),
        Task::Worker { function: None, .. } => edge::pack(edge::OPTIMIZED),
        Task::Peers => peers::test(),
        Task::Build { arch } => build::bundles(arch),
        Task::Api => api::test(),
        Task::Pages => api::test_pages(),
        Task::Clients => api::test_clients(),
        Task::Console { stories: true, story, .. } => console::test(story.as_deref()),
        Task::Console { pictures: true, .. } => console::pictures(),
        Task::Console { .. } => console::write(),
        Task::Openapi { record } => api::write(record),
        Task::Template => template::write(),
        Task::Hosts { bundles: false } => hosts::all(hosts::Programs::Development),
        Task::Hosts { bundles: true } => hosts::all(hosts::Programs::Bundles),
        Task::Numbers => numbers::compare(),
        Task::Faults { seeds } => nightly::faults(seeds),
        Task::Bench { what: Bench::Changes } => bench::changes(),
        Task::Bench { what: Bench::Console } => console::bench(),
        Task::Bench { what: Bench::Costs } => bench::costs(),
        Task::Bench { what: Bench::Activations } => bench::activations(),
        Task::Bench { what: Bench::Bulk } => bench::bulk(),
        Task::Bench { what: Bench::Fairness } => bench::fairness(),
        Task::Bench { what: Bench::Facts } => bench::facts(),
        Task::Bench { what: Bench::Sync } => peers::bench_sync(),
        Task::Bench { what: Bench::Week } => console::week(),
        Task::Bench { what: Bench::Hosts } => bench::hosts(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\nxtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The profile of the Worker that `pack` asks for by way of wrangler; the deployed one when a person runs wrangler.
#[expect(clippy::disallowed_methods, reason = "wrangler hands nothing else to its build command")]
fn worker_profile() -> String {
    std::env::var("WORKER_PROFILE").unwrap_or_else(|_| edge::OPTIMIZED.to_owned())
}

/// The workspace's folder. Cargo names it when it runs us; what was known when we were built may be another
/// clone that shares the target folder.
#[expect(clippy::disallowed_methods, reason = "a task asks cargo where it is")]
fn root() -> PathBuf {
    let own = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let own = Path::new(&own);
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

fn say(line: &str) {
    // Nobody is left to tell when stderr is closed.
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// A command in the workspace's folder.
fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Runs a command to its end; fails when it does.
fn run(mut command: Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let status = command.status().with_context(|| format!("{shown} cannot be started"))?;
    ensure!(status.success(), "{shown} failed ({status})");
    Ok(())
}
