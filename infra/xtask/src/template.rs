//! Lints template.yaml against the schemas of AWS's resources.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::{build, command, python, root, run};

const FILE: &str = "template.yaml";

const VENV: &str = "target/hosts/lint";

/// Runs the linters: sam's own, and cfn-lint as a part of it. They work offline, because they include the schemas.
pub(crate) fn lint() -> anyhow::Result<()> {
    python::venv(VENV, "tests/hosts/locks/lint.txt")?;
    // sam stores data about its user there.
    let home = root().join("target/hosts/home");
    fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
    let mut linter =
        command(&format!("{VENV}/bin/sam"), &["validate", "--lint", "--template", "template.yaml"]);
    linter.env("HOME", &home).env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1");
    run(linter)
}

/// Writes the HttpApi events of the template as the endpoints are declared.
pub(crate) fn write() -> anyhow::Result<()> {
    build::development()?;
    let path = root().join(FILE);
    let mut program = Command::new(build::program("openapi"));
    program.arg("template").stdin(File::open(&path).context(FILE)?).stderr(Stdio::inherit());
    let made = program.output().context("the endpoints cannot be written")?;
    ensure!(made.status.success(), "the endpoints cannot be written ({})", made.status);
    fs::write(&path, made.stdout).with_context(|| format!("{FILE} cannot be written"))
}
