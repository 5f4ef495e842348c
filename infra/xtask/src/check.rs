//! `cargo xtask check`.

use std::time::Instant;

use anyhow::Context;

use crate::{api, command, hosts, peers, readme, run, say, template, tools};

/// The crates that run, or will run, on Cloudflare Workers as well.
const AT_THE_EDGE: [&str; 4] = ["ads", "graph-api", "runtime", "webhook-ingest"];

/// Step by step; the first failure ends it and says which step it was.
pub(crate) fn check() -> anyhow::Result<()> {
    step("prerequisites", tools::prerequisites)?;
    step("format", || run(command("cargo", &["fmt", "--all", "--check"])))?;
    step("lints", || {
        run(command("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    step("lints for wasm32", || {
        let mut args = vec!["clippy", "--quiet", "--lib", "--target", tools::WASM];
        args.extend(AT_THE_EDGE.iter().flat_map(|name| ["--package", name]));
        args.extend(["--", "-D", "warnings"]);
        run(command("cargo", &args))
    })?;
    step("template", template::lint)?;
    step("tests", || hosts::noting(command("cargo", &["test", "--workspace", "--quiet"])))?;
    step("hosts", hosts::stories)?;
    step("peers", peers::judge)?;
    step("api", api::judge)?;
    step("dependencies", || {
        let deny = tools::installed("cargo-deny", "0.20.2")?;
        run(command(&deny, &["--log-level", "warn", "check", "bans", "licenses", "sources"]))?;
        let machete = tools::installed("cargo-machete", "0.9.2")?;
        run(command(&machete, &[]))
    })?;
    step("docs", || {
        let mut doc =
            command("cargo", &["doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"]);
        doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links");
        run(doc)
    })?;
    step("README", readme::check)?;
    say("\nEverything holds.");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a chore tells a person how long it took")]
fn step(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    say(&format!("\n== {name}"));
    let began = Instant::now();
    work().with_context(|| format!("{name} does not hold"))?;
    say(&format!("== {name}: holds, {:.0} s", began.elapsed().as_secs_f64()));
    Ok(())
}
