//! Front ends in Chromium, which comes from npm. The scripts are in tests/hosts/browser.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{edge, root};

/// The installed packages of tests/hosts/browser.
pub(crate) const PACKAGES: &str = "target/browser/node";

/// Where Chromium unpacks itself.
const UNPACKED: &str = "target/browser/tmp";

/// Installs Chromium and what drives it.
pub(crate) fn install() -> anyhow::Result<()> {
    // The locked node comes with the packages of the Worker.
    edge::install()?;
    std::fs::create_dir_all(root().join(UNPACKED)).context(UNPACKED)?;
    edge::install_from("tests/hosts/browser", PACKAGES)
}

/// Has Chromium unpack itself in the target folder.
pub(crate) fn unpacking(script: &mut Command) -> &mut Command {
    script.env("TMPDIR", root().join(UNPACKED))
}

/// Has a front end on another site log in at the API that this describes.
pub(crate) fn login(system: &Value) -> anyhow::Result<()> {
    let mut script = edge::script_of_node(&["tests/hosts/browser/login.mjs", PACKAGES])?;
    // Neither the arguments nor the environment of a process are secret, and the description has a token.
    let mut process = unpacking(&mut script).stdin(Stdio::piped()).spawn()?;
    let mut input = process.stdin.take().context("the script has no input")?;
    input.write_all(system.to_string().as_bytes())?;
    drop(input);
    let status = process.wait()?;
    ensure!(status.success(), "the login in Chromium failed ({status})");
    Ok(())
}
