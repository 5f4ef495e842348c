//! `cargo xtask check`.

use crate::steps::{Beside, Steps};
use crate::{api, command, hosts, readme, run, template, tools};

/// The crates that run, or will run, on Cloudflare Workers as well.
const AT_THE_EDGE: [&str; 4] = ["ads", "graph-api", "runtime", "webhook-ingest"];

/// Step by step; the first failure ends it and says which step it was.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    steps.step("prerequisites", tools::prerequisites)?;
    steps.step("format", || run(command("cargo", &["fmt", "--all", "--check"])))?;
    steps.step("lints", || {
        run(command("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    steps.step("lints for wasm32", || {
        let mut args = vec!["clippy", "--quiet", "--lib", "--target", tools::WASM];
        args.extend(AT_THE_EDGE.iter().flat_map(|name| ["--package", name]));
        args.extend(["--", "-D", "warnings"]);
        run(command("cargo", &args))
    })?;
    steps.step("template", template::lint)?;
    steps.step("tests", || hosts::noting(command("cargo", &["test", "--workspace", "--quiet"])))?;
    steps.step("packages", api::install)?;
    // Stories on real hosts wait more than they compute; the judges compute.
    let judges = Beside::start(&["peers", "api"])?;
    let hosts = steps.step("hosts", hosts::stories);
    steps.join(judges).and(hosts)?;
    steps.step("dependencies", || {
        let deny = tools::installed("cargo-deny", "0.20.2")?;
        run(command(&deny, &["--log-level", "warn", "check", "bans", "licenses", "sources"]))?;
        let machete = tools::installed("cargo-machete", "0.9.2")?;
        run(command(&machete, &[]))
    })?;
    steps.step("docs", || {
        let mut doc =
            command("cargo", &["doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"]);
        doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links");
        run(doc)
    })?;
    steps.step("README", readme::check)?;
    steps.sum_up();
    Ok(())
}
