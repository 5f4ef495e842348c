//! The check's prerequisites on the machine, and the tools that it installs into `target/tools`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::{command, root, run, say};

/// The target of Cloudflare Workers.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Names everything that is missing at once, and adds the wasm target, which rustup may not do by itself.
pub(crate) fn prerequisites() -> anyhow::Result<()> {
    let mut missing = Vec::new();
    let toolchain = output_of("rustup", &["show", "active-toolchain"]);
    if toolchain.is_none() {
        missing.push("rustup with the toolchain of rust-toolchain.toml (https://rustup.rs)");
    }
    if output_of("python3", &["-c", "import venv, ensurepip"]).is_none() {
        missing.push("python3 with venv (Debian: apt-get install python3-venv)");
    }
    let node = output_of("node", &["--version"]);
    let major = node
        .as_deref()
        .and_then(|version| version.trim_start_matches('v').split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        missing.push("node 20 or later (https://nodejs.org)");
    }
    if !missing.is_empty() {
        bail!("please install {}", missing.join("; "));
    }
    let targets = output_of("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if !targets.lines().any(|target| target == WASM) {
        run(command("rustup", &["target", "add", WASM]))?;
    }
    Ok(())
}

/// Returns what a program prints when it succeeds.
pub(crate) fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the path of a cargo tool of exactly this version, and installs it at first use.
pub(crate) fn installed(tool: &str, version: &str) -> anyhow::Result<String> {
    let folder = root().join("target/tools");
    let path = folder.join("bin").join(tool);
    let program = path.to_str().context("the workspace's path is not text")?.to_owned();
    if !output_of(&program, &["--version"]).is_some_and(|shown| shown.contains(version)) {
        say(&format!("Installing {tool} {version} into target/tools, once."));
        // Unoptimized, because compiling such a tool takes minutes and running it takes seconds; without debug
        // information, which would be a gigabyte.
        let mut install =
            command("cargo", &["install", tool, "--version", version, "--locked", "--debug", "--quiet"]);
        install.args(["--config", "profile.dev.debug=false"]);
        install.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
        run(install)?;
    }
    Ok(program)
}

/// Returns the path of a tool of our own outside the workspace, and installs it when its lock has changed.
pub(crate) fn install_own(tool: &str) -> anyhow::Result<PathBuf> {
    let folder = root().join("target/tools");
    let (path, stamp) = (folder.join("bin").join(tool), folder.join(format!("{tool}.lock")));
    let source = root().join("infra").join(tool);
    let mut wanted = fs::read_to_string(source.join("Cargo.lock")).context("Cargo.lock")?;
    wanted += &fs::read_to_string(source.join("src/main.rs")).context("main.rs")?;
    if path.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(path);
    }
    say(&format!("   Installing infra/{tool} into target/tools, once."));
    let mut install = command("cargo", &["install", "--locked", "--quiet", "--force", "--path"]);
    install.arg(source).arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
    run(install)?;
    fs::write(&stamp, wanted).context("the stamp of a tool cannot be written")?;
    Ok(path)
}
