//! The stories on real hosts: MiniStack with the template and the bundles, workerd with the Worker.

use crate::{build, command, edge, python, run, template};

/// MiniStack's virtual environment; tests/hosts finds it there.
const MINISTACK: &str = "target/hosts/ministack";

/// The template's linters, then the stories.
pub(crate) fn all() -> anyhow::Result<()> {
    template::lint()?;
    stories()
}

/// Installs and builds what the stories need, as far as it is missing or stale, and runs them. Those that need
/// nothing of it run again.
pub(crate) fn stories() -> anyhow::Result<()> {
    python::venv(MINISTACK, "tests/hosts/locks/ministack.txt")?;
    build::build(None)?;
    edge::pack()?;
    run(command("cargo", &["test", "--package", "hosts", "--quiet", "--", "--include-ignored"]))
}
