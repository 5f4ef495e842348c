//! openapi.yaml: written anew when a route has changed.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::{command, root};

const FILE: &str = "openapi.yaml";

/// Writes the description of the API as the routes say it.
pub(crate) fn write() -> anyhow::Result<()> {
    let made =
        command("cargo", &["run", "--quiet", "--package", "openapi"]).stderr(Stdio::inherit()).output()?;
    ensure!(made.status.success(), "the description cannot be made ({})", made.status);
    fs::write(root().join(FILE), made.stdout).with_context(|| format!("{FILE} cannot be written"))
}
