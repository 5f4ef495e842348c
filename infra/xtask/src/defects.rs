//! Planted defects: the tests must find every one. They are planted in a clone of the last commit and built together; each
//! is switched on alone by `DEFECT`. The code itself has no such switch.

mod planted;

use std::fs;

use anyhow::{Context, ensure};

use self::planted::{PLANTED, Planted};
use crate::{command, examples, root, run, say};

/// The clone.
const WORK: &str = "target/defects";

/// Checks that each defect can be planted: its file has the text that it replaces, once.
pub(crate) fn check() -> anyhow::Result<()> {
    for Planted { name, file, find, .. } in PLANTED {
        let text = fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
        let count = text.matches(find).count();
        ensure!(
            count == 1,
            "the defect \"{name}\" cannot be planted: {file} has its place {count} times; plant it anew in \
             infra/xtask/src/defects/planted.rs"
        );
    }
    Ok(())
}

/// Plants every defect in a clone, and fails unless its tests hold without it and not with it.
pub(crate) fn find() -> anyhow::Result<()> {
    check()?;
    let work = root().join(WORK);
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let mut clone = command("git", &["clone", "--quiet"]);
    clone.arg(root()).arg(&work);
    run(clone)?;
    for Planted { name, file, find, with, .. } in PLANTED {
        let path = work.join(file);
        let switch = format!("std::env::var(\"DEFECT\").is_ok_and(|on| on == {name:?})");
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(find), "{file} of the last commit has no place for \"{name}\"");
        fs::write(&path, text.replacen(find, &with.replace("on!()", &switch), 1))?;
    }
    let tests = |(target, filter): (&str, &str), defect: Option<&str>| {
        // As the whole workspace is built, so that its dependencies are not built anew.
        let minutes = ["10m", "cargo", "test", "--workspace", "--quiet", target, "--", filter];
        let mut tests = command("timeout", &minutes);
        tests.current_dir(&work);
        // Never into a folder that has the clone itself: cargo would take what it has built there for what the checkout is.
        tests.env("CARGO_TARGET_DIR", root().join(examples::TARGET));
        tests.envs(defect.map(|name| ("DEFECT", name)));
        tests.output().context("cargo cannot be started")
    };
    let mut controls: Vec<_> = PLANTED.iter().map(|planted| planted.tests).collect();
    controls.sort_unstable();
    controls.dedup();
    for control in controls {
        let output = tests(control, None)?;
        let told =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{control:?} fails without any defect: {told}");
        ensure!(told.contains(" passed") && !told.contains("panicked"), "{control:?}: {told}");
    }
    let mut missed = Vec::new();
    for Planted { name, tests: wanted, .. } in PLANTED {
        let told = tests(wanted, Some(name))?.stdout;
        let is_found = String::from_utf8_lossy(&told).contains("test result: FAILED");
        say(&format!("{}  {name}  ({})", if is_found { "found " } else { "MISSED" }, wanted.1));
        missed.extend((!is_found).then_some(name));
    }
    ensure!(missed.is_empty(), "not found: {missed:?}");
    say(&format!("All {} planted defects are found.", PLANTED.len()));
    Ok(())
}
