//! What is compiled: the development build that every step takes its programs from, and one bundle per function for
//! AWS Lambda, as template.yaml names them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::{command, python, root, run, say};

/// Where the bundles are; `CodeUri` in template.yaml.
const BUNDLES: &str = "target/lambda";
pub(crate) const PROFILE: &str = "bundle";
const VENV: &str = "target/hosts/cargo-lambda";
/// The C library of provided.al2023. A program that was linked with a later one does not start there.
const LAMBDA_GLIBC: (u32, u32) = (2, 34);

/// What Lambda runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// Graviton; the template's default.
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86,
}

/// Compiles the whole workspace once: programs and tests. Benchmarks are linted, and built by who runs them, because
/// each is as large as the whole system. Every step selects from the whole workspace as well, since a build of single
/// packages would unify other features and compile hundreds of crates again.
pub(crate) fn development() -> anyhow::Result<()> {
    run(command("cargo", &["build", "--workspace", "--lib", "--bins", "--tests", "--quiet"]))
}

/// A program of the development build.
pub(crate) fn program(name: &str) -> PathBuf {
    root().join("target/debug").join(name)
}

/// Puts the programs of the development build where the bundles are, without debug information: MiniStack unpacks each
/// of them once per story.
pub(crate) fn install_development() -> anyhow::Result<()> {
    for function in functions()? {
        let bundle = root().join(BUNDLES).join(&function);
        fs::create_dir_all(&bundle).with_context(|| format!("{} cannot be made", bundle.display()))?;
        let fresh = bundle.join("bootstrap.fresh");
        let from = program(&function);
        let strip = Command::new("strip").arg("-o").arg(&fresh).arg(&from).status();
        // Where there are no binutils the program stays as large as it is.
        if !strip.is_ok_and(|status| status.success()) {
            fs::copy(&from, &fresh).with_context(|| format!("{} cannot be copied", from.display()))?;
        }
        fs::rename(&fresh, bundle.join("bootstrap"))?;
    }
    Ok(())
}

/// Without an architecture: for this machine, by plain cargo; what emulators run, and soon built again after a change.
/// With one: for Lambda, by cargo-lambda and zig, which link with Lambda's C library whatever this machine has.
pub(crate) fn bundles(arch: Option<Arch>) -> anyhow::Result<()> {
    let functions = functions()?;
    match arch {
        None => plain(&functions)?,
        Some(arch) => for_lambda(&functions, arch)?,
    }
    say(&format!("{:<22}{:>12}{:>12}", "bundle", "bytes", "zipped"));
    let mut newest = (2, 0);
    for function in &functions {
        let path = root().join(BUNDLES).join(function).join("bootstrap");
        let program = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        say(&format!("{function:<22}{:>12}{:>12}", program.len(), zipped(&program)?));
        newest = newest.max(glibc(&program));
    }
    if newest > LAMBDA_GLIBC {
        let ((_, ours), (_, theirs)) = (newest, LAMBDA_GLIBC);
        say(&format!(
            "These ask for glibc 2.{ours} and run here; Lambda has 2.{theirs}. Build what you deploy with --arch."
        ));
    }
    Ok(())
}

/// The folders of functions/ are the functions.
fn functions() -> anyhow::Result<Vec<String>> {
    let folder = root().join("functions");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        // What has no program of its own runs on Workers alone.
        if entry.path().join("src/main.rs").exists() {
            names.push(entry.file_name().into_string().ok().context("a function's name is not text")?);
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{} is empty", folder.display());
    Ok(names)
}

fn plain(functions: &[String]) -> anyhow::Result<()> {
    let mut build = command("cargo", &["build", "--quiet", "--profile", PROFILE]);
    build.args(functions.iter().flat_map(|name| ["--package", name]));
    // Lambda's own randomness is as good, and at hand 40 ms earlier.
    build.env("AWS_LC_SYS_NO_JITTER_ENTROPY", "1");
    run(build)?;
    for function in functions {
        let bundle = root().join(BUNDLES).join(function);
        fs::create_dir_all(&bundle).with_context(|| format!("{} cannot be made", bundle.display()))?;
        let program = root().join("target").join(PROFILE).join(function);
        install(&program, &bundle.join("bootstrap"))?;
    }
    Ok(())
}

/// Under a name of its own until it is whole: the old bundle may be running.
fn install(program: &Path, bootstrap: &Path) -> anyhow::Result<()> {
    let fresh = bootstrap.with_extension("fresh");
    let failed = || format!("{} cannot be made of {}", bootstrap.display(), program.display());
    fs::copy(program, &fresh).with_context(failed)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).with_context(failed)?;
    fs::rename(&fresh, bootstrap).with_context(failed)
}

fn for_lambda(functions: &[String], arch: Arch) -> anyhow::Result<()> {
    python::venv(VENV, "tests/hosts/locks/cargo-lambda.txt")?;
    let (target, flag) = match arch {
        Arch::Arm64 => ("aarch64-unknown-linux-gnu", "--arm64"),
        Arch::X86 => ("x86_64-unknown-linux-gnu", "--x86-64"),
    };
    run(command("rustup", &["--quiet", "target", "add", target]))?;
    let lambda = format!("{VENV}/bin/cargo-lambda");
    let mut build =
        command(&lambda, &["lambda", "build", "--profile", PROFILE, "--lambda-dir", BUNDLES, flag]);
    build.args(functions.iter().flat_map(|name| ["--package", name]));
    build.env("AWS_LC_SYS_NO_JITTER_ENTROPY", "1").env("PATH", with_venv_first()?);
    run(build)
}

/// cargo-lambda finds zig as a module of the first python3.
#[expect(clippy::disallowed_methods, reason = "a task hands its own search path on")]
fn with_venv_first() -> anyhow::Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ours = root().join(VENV).join("bin");
    std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&path)))
        .context("the search path cannot be extended")
}

/// What it weighs in a zip, which is what Lambda fetches at a cold start; the archive itself adds some 150 bytes.
fn zipped(program: &[u8]) -> anyhow::Result<u64> {
    let mut deflate = DeflateEncoder::new(Counter(0), Compression::default());
    deflate.write_all(program)?;
    Ok(deflate.finish()?.0)
}

struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The latest version of glibc that a program asks for: the names of such versions stand in it as text.
fn glibc(program: &[u8]) -> (u32, u32) {
    let names = program.split(|byte| *byte == 0).filter_map(|text| text.strip_prefix(b"GLIBC_2."));
    let minors = names.filter_map(|minor| std::str::from_utf8(minor).ok()?.split('.').next()?.parse().ok());
    (2, minors.max().unwrap_or(0))
}
