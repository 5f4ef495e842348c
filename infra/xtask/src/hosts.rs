//! The stories on real hosts: MiniStack with the template and the bundles, workerd with the Worker.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::{build, command, edge, python, root, run, template};

/// MiniStack's virtual environment; tests/hosts finds it there.
const MINISTACK: &str = "target/hosts/ministack";

/// Where the stories across functions leave which calls to AWS they have seen, for the roles of the template.
const CALLS: &str = "target/hosts/aws-calls.txt";

/// The template's linters, the stories across functions for what they call, then the stories on real hosts.
pub(crate) fn all() -> anyhow::Result<()> {
    template::lint()?;
    noting(command("cargo", &["test", "--package", "journeys", "--quiet"]))?;
    stories()
}

/// Runs tests that leave which calls they have seen, all of them anew.
pub(crate) fn noting(mut tests: Command) -> anyhow::Result<()> {
    let calls = root().join(CALLS);
    let failed = || format!("{} cannot be made", calls.display());
    fs::create_dir_all(root().join("target/hosts")).with_context(failed)?;
    fs::write(&calls, "").with_context(failed)?;
    tests.env("AWS_CALLS", &calls);
    run(tests)
}

/// Installs and builds what the stories need, as far as it is missing or stale, and runs them. Those that need
/// nothing of it run again. What the stories across functions call has been noted before.
pub(crate) fn stories() -> anyhow::Result<()> {
    python::venv(MINISTACK, "tests/hosts/locks/ministack.txt")?;
    build::build(None)?;
    edge::pack()?;
    let mut stories = command("cargo", &["test", "--package", "hosts", "--quiet", "--", "--include-ignored"]);
    stories.env("AWS_CALLS", root().join(CALLS));
    run(stories)
}
