//! Checks the commands of README.md and docs/: runs those that end by themselves, and verifies that the options of the others exist.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, ensure};

use crate::{build, command, root, say};

/// Checks every command once, wherever it stands.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut documents = vec![fs::read_to_string(root().join("README.md")).context("README.md")?];
    for entry in fs::read_dir(root().join("docs")).context("docs")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        }
    }
    let commands: BTreeSet<&str> = documents.iter().flat_map(|document| commands(document)).collect();
    ensure!(!commands.is_empty(), "the documents hold no command");
    build::development()?;
    // The build may have replaced the file that this process was started from.
    let xtask = build::program("xtask");
    let xtask = xtask.to_str().context("the workspace's path is not text")?;
    for line in commands {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| *word != "#").collect();
        match words[..] {
            ["cargo", "run"] => adflight(&[])?,
            ["cargo", "run", "--", ref args @ ..] => adflight(args)?,
            ["cargo", "xtask", ref task @ ..] => {
                run_quietly(xtask, &[task, &["--help"]].concat())?;
            }
            // The rest needs somebody's account, or another program.
            _ => {}
        }
    }
    Ok(())
}

/// Returns the lines of `sh` blocks.
fn commands(readme: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    readme.lines().filter(move |line| {
        if line.starts_with("```") {
            inside = *line == "```sh";
            return false;
        }
        inside && !line.trim().is_empty() && !line.starts_with(['#', ' '])
    })
}

/// Runs a command that ends by itself; for one that serves, adds `--help`, which fails on an unknown option.
fn adflight(args: &[&str]) -> anyhow::Result<()> {
    let program = build::program("adflight");
    let program = program.to_str().context("the workspace's path is not text")?;
    let missing =
        args.iter().find(|arg| arg.starts_with("../shared")).filter(|arg| !root().join(arg).exists());
    if let Some(folder) = missing {
        say(&format!("   not run, {folder} is not there: adflight {}", args.join(" ")));
        return Ok(());
    }
    if args.contains(&"--exit") {
        // Another system may be using the default port while a developer runs the check.
        return run_quietly(program, &[args, &["--port", "0"]].concat());
    }
    run_quietly(program, &[args, &["--help"]].concat())
}

fn run_quietly(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = command(program, args).output().with_context(|| format!("{program} cannot be started"))?;
    let shown = args.join(" ");
    ensure!(output.status.success(), "{program} {shown} failed: {}", String::from_utf8_lossy(&output.stderr));
    say(&format!("   holds: {shown}"));
    Ok(())
}
