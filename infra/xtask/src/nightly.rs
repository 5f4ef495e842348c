//! `cargo xtask nightly`: the long forms of what the check runs in short. Each suite also runs alone.

use clap::ValueEnum;

use crate::steps::{Step, Steps};
use crate::{bench, build, command, console, defects, edge, examples, hosts, numbers, peers, run};

/// A suite of the nightly run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// The optimized bundles of the Lambda functions and the packed Worker, with their sizes and limits.
    Bundles,
    /// The stories on hosts, with optimized programs and two hundred killed processes.
    Hosts,
    /// A sync under a thousand random mixes of faults.
    Faults,
    /// Every figure of the product beside Python's sums over the simulated Meta's rows.
    Numbers,
    /// Defects that are planted in a clone: the tests must find every one.
    Defects,
    /// Broken documents for every decoder, ten thousand each.
    Fuzz,
    /// The worked examples of docs/develop.md, each built and tested.
    Examples,
    /// What a sync costs, side by side with other clients; starts, memory and throughput on the hosts.
    Bench,
}

/// How many processes the story of killed processes kills at night.
const KILLS: &str = "200";
const FAULT_SEEDS: u64 = 1000;
const FUZZ_ITERATIONS: &str = "10000";

/// Runs one suite, or all of them in their order.
pub(crate) fn nightly(suite: Option<Suite>) -> anyhow::Result<()> {
    let mut steps = Steps::new(true)?;
    for one in Suite::value_variants() {
        if suite.is_none_or(|wanted| wanted == *one) {
            let (name, budget) = one.step();
            steps.run(Step { name, budget, inputs: &[] }, || one.run())?;
        }
    }
    steps.summarize();
    Ok(())
}

impl Suite {
    /// Its name and budget in seconds.
    fn step(self) -> (&'static str, u64) {
        match self {
            Self::Bundles => ("bundles", 600),
            Self::Hosts => ("hosts", 900),
            Self::Faults => ("faults", 4800),
            Self::Numbers => ("numbers", 300),
            Self::Defects => ("defects", 1800),
            Self::Fuzz => ("fuzz", 300),
            Self::Examples => ("examples", 900),
            Self::Bench => ("bench", 2400),
        }
    }

    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Bundles => {
                build::bundles(None)?;
                edge::pack(edge::OPTIMIZED)
            }
            Self::Hosts => {
                hosts::install()?;
                build::development()?;
                hosts::with_kills(hosts::Programs::Bundles, KILLS)
            }
            Self::Faults => {
                faults(FAULT_SEEDS)?;
                let million =
                    ["test", "--workspace", "--quiet", "--test", "journeys", "--", "million_facts::"];
                let mut test = command("cargo", &million);
                test.args(["--include-ignored", "--nocapture"]);
                run(test)
            }
            Self::Numbers => numbers::compare(),
            Self::Defects => defects::find(),
            Self::Fuzz => {
                let mut fuzz = command("cargo", &["test", "--workspace", "--quiet", "--test", "fuzz"]);
                fuzz.env("FUZZ_ITERATIONS", FUZZ_ITERATIONS);
                run(fuzz)
            }
            Self::Examples => examples::build(),
            Self::Bench => {
                peers::bench_sync()?;
                bench::changes()?;
                bench::costs()?;
                bench::fairness()?;
                bench::facts()?;
                bench::activations()?;
                bench::bulk()?;
                console::bench()?;
                console::week()?;
                bench::hosts()
            }
        }
    }
}

/// The fault stories with this many random mixes, ten times as many schedules of the publication of facts, and a process
/// that dies at every call of a sync or a launch, and at every pair of calls of a chunk or a launch.
pub(crate) fn faults(seeds: u64) -> anyhow::Result<()> {
    let stories = ["test", "--workspace", "--quiet", "--test", "journeys", "--", "faults::", "--nocapture"];
    let mut test = command("cargo", &stories);
    test.env("FAULT_SEEDS", seeds.to_string());
    run(test)?;
    let schedules = ["test", "--workspace", "--quiet", "--test", "journeys", "--", "fact_schedules"];
    let mut test = command("cargo", &schedules);
    test.env("FACT_SCHEDULES", (10 * seeds).to_string());
    run(test)?;
    // Every story reads the stride, so all of them run.
    let deaths = ["test", "--workspace", "--quiet", "--test", "journeys"];
    let mut test = command("cargo", &deaths);
    test.env("CRASH_STRIDE", "1");
    run(test)
}
