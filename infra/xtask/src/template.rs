//! Holds template.yaml against what AWS says of each of its resources.

use std::fs;

use anyhow::Context;

use crate::{command, python, root, run};

const VENV: &str = "target/hosts/lint";

/// Both linters, which ask nobody: the schemas come with them.
pub(crate) fn lint() -> anyhow::Result<()> {
    python::venv(VENV, "tests/hosts/locks/lint.txt")?;
    // sam keeps notes about its user there.
    let home = root().join("target/hosts/home");
    fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
    for (linter, args) in [
        ("cfn-lint", &["template.yaml"][..]),
        ("sam", &["validate", "--lint", "--template", "template.yaml"]),
    ] {
        let mut linter = command(&format!("{VENV}/bin/{linter}"), args);
        linter.env("HOME", &home).env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1");
        run(linter)?;
    }
    Ok(())
}
