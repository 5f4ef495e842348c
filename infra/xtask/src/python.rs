//! Python virtual environments, each made from a lock.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::{command, root, run, say};

/// The interpreters for which the locked versions exist, the usual one first.
const PYTHONS: [&str; 4] = ["python3", "python3.13", "python3.12", "python3.11"];
const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 11..=13;

/// Creates the virtual environment `folder` when it is missing, or was made from another lock or interpreter.
pub(crate) fn venv(folder: &str, lock: &str) -> anyhow::Result<()> {
    let (python, version) = interpreter()?;
    let stamp = root().join(folder).join("lock");
    let wanted = format!("# {version}\n{}", fs::read_to_string(root().join(lock)).context(lock.to_owned())?);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    say(&format!("   Installing {lock} from PyPI into {folder}, once."));
    run(command(python, &["-m", "venv", "--clear", folder]))?;
    // The lock is complete, so pip has nothing to resolve.
    let options = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--retries", "2"];
    let mut install = command(&format!("{folder}/bin/pip"), &options);
    install.args(["--requirement", lock]).env("PIP_CACHE_DIR", root().join("target/pip-cache"));
    run(install).context("Python packages come from PyPI, which must be reachable once")?;
    fs::write(&stamp, wanted).context("the stamp of a virtual environment cannot be written")
}

/// Returns the first interpreter of a version that the locks support, and that version.
pub(crate) fn interpreter() -> anyhow::Result<(&'static str, String)> {
    let mut found = PYTHONS.into_iter().filter_map(|python| {
        let output = Command::new(python).arg("--version").current_dir(root()).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let minor = version.strip_prefix("Python 3.")?.split('.').next()?.parse().ok()?;
        PYTHON_MINORS.contains(&minor).then_some((python, version))
    });
    found.next().context("Python 3.11, 3.12 or 3.13 with venv is needed")
}
