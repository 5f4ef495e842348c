//! The tests, and the stories on hosts: MiniStack with the template and the Lambda programs, workerd with the Worker.

use std::fs;

use anyhow::Context;

use crate::{browser, build, command, edge, python, root, run, template};

/// MiniStack's virtual environment; tests/hosts finds it there.
const MINISTACK: &str = "target/hosts/ministack";

/// The calls to AWS that the stories across functions make: what the roles of the template are compared with.
const CALLS: &str = "target/hosts/aws-calls.txt";

/// Test threads of the stories across functions, which wait for timers now and then.
const TEST_THREADS: &str = "4";

/// Test threads of the stories on hosts, which wait for processes and timers most of their time.
const HOST_THREADS: &str = "6";

/// How many processes the story of killed processes kills in the check.
const KILLS: &str = "10";

/// Which programs the stories on hosts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// Those of the development build.
    Development,
    /// Those that are deployed.
    Bundles,
}

/// `cargo xtask hosts`: the template's linters, the stories across functions, then the stories on hosts.
pub(crate) fn all(programs: Programs) -> anyhow::Result<()> {
    template::lint()?;
    install()?;
    build::development()?;
    run_tests(&["--test", "journeys"])?;
    stories(programs)
}

/// Every test that needs nothing but cargo, and the doctests.
pub(crate) fn tests() -> anyhow::Result<()> {
    run_tests(&[])
}

/// Runs tests that record the calls that they make to AWS.
fn run_tests(selected: &[&str]) -> anyhow::Result<()> {
    let calls = root().join(CALLS);
    let failed = || format!("{} cannot be written", calls.display());
    fs::create_dir_all(root().join("target/hosts")).with_context(failed)?;
    fs::write(&calls, "").with_context(failed)?;
    let mut tests = command("cargo", &["test", "--workspace", "--quiet", "--no-fail-fast"]);
    tests.args(selected).env("AWS_CALLS", &calls).env("RUST_TEST_THREADS", TEST_THREADS);
    run(tests)
}

/// Installs MiniStack and the packages of the Worker, once per lock.
pub(crate) fn install() -> anyhow::Result<()> {
    python::venv(MINISTACK, "tests/hosts/locks/ministack.txt")?;
    browser::install()
}

/// Puts the programs in place and runs the stories.
pub(crate) fn stories(programs: Programs) -> anyhow::Result<()> {
    with_kills(programs, KILLS)
}

/// [`stories`] with this many killed processes.
pub(crate) fn with_kills(programs: Programs, kills: &str) -> anyhow::Result<()> {
    match programs {
        Programs::Development => {
            build::install_development()?;
            edge::pack(edge::DEVELOPMENT)?;
        }
        Programs::Bundles => {
            build::bundles(None)?;
            edge::pack(edge::OPTIMIZED)?;
        }
    }
    let selected = ["test", "--workspace", "--quiet", "--test", "hosts", "--", "--include-ignored"];
    let mut stories = command("cargo", &selected);
    stories.env("AWS_CALLS", root().join(CALLS)).env("KILLS", kills).env("RUST_TEST_THREADS", HOST_THREADS);
    run(stories)
}
