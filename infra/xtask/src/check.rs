//! `cargo xtask check`: everything that must hold before a change lands.

use crate::steps::{Step, Steps};
use crate::{api, build, command, console, defects, examples, hosts, readme, run, template, tools, words};

/// The crates that run, or will run, on Cloudflare Workers as well.
const EDGE_CRATES: [&str; 6] =
    ["console", "domain", "graph-api", "live-updates", "runtime", "webhook-ingest"];

/// What a compilation depends on.
macro_rules! sources {
    ($($more:literal),*) => {
        &["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo", "clippy.toml", "functions", "shared", "infra", "tests", $($more),*]
    };
}

const FORMAT: Step = Step { name: "format", budget: 5, inputs: sources!("rustfmt.toml") };
const WORDS: Step = Step { name: "words", budget: 1, inputs: &[] };
const EXAMPLES: Step = Step { name: "examples", budget: 1, inputs: &[] };
const DEFECTS: Step = Step { name: "defects", budget: 1, inputs: &[] };
const BUILD: Step = Step { name: "build", budget: 75, inputs: &[] };
const LINTS: Step = Step { name: "lints", budget: 30, inputs: sources!() };
const EDGE_LINTS: Step = Step { name: "lints for wasm32", budget: 10, inputs: sources!() };
const TEMPLATE: Step =
    Step { name: "template", budget: 8, inputs: &["template.yaml", "infra/xtask", "tests/hosts/locks"] };
const TESTS: Step = Step {
    name: "tests",
    budget: 110,
    inputs: sources!("template.yaml", "wrangler.toml", "openapi.yaml", "README.md", "docs"),
};
const INSTALL: Step = Step { name: "installations", budget: 2, inputs: &[] };
const PEERS: Step = Step { name: "peers", budget: 90, inputs: sources!() };
const API: Step = Step { name: "api", budget: 110, inputs: sources!("openapi.yaml") };
const CONSOLE: Step = Step { name: "console --stories", budget: 130, inputs: sources!("openapi.yaml") };
const HOSTS: Step = Step { name: "hosts", budget: 120, inputs: sources!("template.yaml", "wrangler.toml") };
const DEPENDENCIES: Step = Step { name: "dependencies", budget: 5, inputs: sources!("deny.toml") };
const DOCS: Step = Step { name: "rustdoc", budget: 25, inputs: sources!() };
const README: Step = Step { name: "commands", budget: 20, inputs: sources!("README.md", "docs") };

/// Runs every step. The first failure ends the check and names its step.
pub(crate) fn check(all: bool) -> anyhow::Result<()> {
    let mut steps = Steps::new(all)?;
    tools::prerequisites()?;
    steps.run(FORMAT, || run(command("cargo", &["fmt", "--all", "--check"])))?;
    steps.run(WORDS, words::check)?;
    steps.run(EXAMPLES, examples::check)?;
    steps.run(DEFECTS, defects::check)?;
    steps.run(BUILD, build::development)?;
    steps.run(LINTS, || {
        run(command("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    steps.run(EDGE_LINTS, || {
        let mut args = vec!["clippy", "--quiet", "--lib", "--target", tools::WASM];
        args.extend(EDGE_CRATES.iter().flat_map(|name| ["--package", name]));
        args.extend(["--", "-D", "warnings"]);
        run(command("cargo", &args))
    })?;
    steps.run(TEMPLATE, template::lint)?;
    steps.run(TESTS, hosts::tests)?;
    steps
        .run(INSTALL, || api::install().and_then(|()| hosts::install()).and_then(|()| console::install()))?;
    // Stories on hosts and in the browser wait more than they compute; the conformance clients compute.
    let clients = steps.start(&[PEERS, API])?;
    let browser = steps.start(&[CONSOLE])?;
    let hosts = steps.run(HOSTS, || hosts::stories(hosts::Programs::Development));
    let beside = [clients, browser].map(|beside| steps.join(beside));
    beside.into_iter().chain([hosts]).collect::<anyhow::Result<()>>()?;
    steps.run(DEPENDENCIES, || {
        let deny = tools::installed("cargo-deny", "0.20.2")?;
        run(command(&deny, &["--log-level", "warn", "check", "bans", "licenses", "sources"]))?;
        let machete = tools::installed("cargo-machete", "0.9.2")?;
        run(command(&machete, &[]))
    })?;
    steps.run(DOCS, || {
        let mut doc =
            command("cargo", &["doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"]);
        doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links");
        run(doc)
    })?;
    steps.run(README, readme::check)?;
    steps.summarize();
    Ok(())
}
