//! The console's page: built from functions/console/web with packages from npm, and used in Chromium by tests/console.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use anyhow::{Context, ensure};

use crate::{api, browser, build, command, edge, root, run};

const SOURCES: &str = "functions/console/web";
/// The page as it is committed.
const COMMITTED: &str = "functions/console/dist";
/// The page as its sources say now.
const BUILT: &str = "target/console/dist";
const PACKAGES: &str = "target/console/node";
/// What the chart is measured beside.
const CHARTS: &str = "target/console/charts";
/// The types of the API, of which the sources take theirs.
const SCHEMA: &str = "target/console/schema.d.ts";
/// The pictures of the documents.
const PICTURES: &str = "docs/images";
/// Data and screenshots of the stories.
const OUTPUT: &str = "target/console/stories";

/// Builds the page into the folder that is committed.
pub(crate) fn write() -> anyhow::Result<()> {
    compile(COMMITTED)
}

/// Checks the page's types and that it is what its sources say, then uses it in Chromium; of the stories only this one.
pub(crate) fn test(story: Option<&str>) -> anyhow::Result<()> {
    install()?;
    compile(BUILT)?;
    ensure!(
        files(COMMITTED)? == files(BUILT)?,
        "{COMMITTED} is not what its sources say; run `cargo xtask console`"
    );
    in_chromium("tests/console/stories.mjs", story)
}

/// Makes the pictures of the documents anew.
pub(crate) fn pictures() -> anyhow::Result<()> {
    install()?;
    in_chromium("tests/console/pictures.mjs", Some(PICTURES))
}

/// Runs a script that uses the console of the development build in Chromium.
fn in_chromium(script: &str, argument: Option<&str>) -> anyhow::Result<()> {
    build::development()?;
    let program = build::program("adflight");
    let program = program.to_str().context("the workspace's path is not text")?;
    let mut args = vec![script, program, browser::PACKAGES, api::PACKAGES, OUTPUT];
    args.extend(argument);
    let mut script = edge::script_of_node(&args)?;
    browser::unpacking(&mut script);
    run(script)
}

/// Measures how long a chart takes beside one of React with Recharts, and how long a person waits in the console, on the
/// program as it is released.
pub(crate) fn bench() -> anyhow::Result<()> {
    install()?;
    edge::install_from("tests/console/charts", CHARTS)?;
    let args = ["tests/console/charts.mjs", browser::PACKAGES, api::PACKAGES, PACKAGES, CHARTS];
    let mut charts = edge::script_of_node(&args)?;
    browser::unpacking(&mut charts);
    run(charts)?;
    on_release("tests/console/bench.mjs")
}

/// Plays an agency's first week, with 40 ad accounts: what each act takes, on the program as it is released.
pub(crate) fn week() -> anyhow::Result<()> {
    install()?;
    on_release("tests/console/agency.mjs")
}

/// Runs a script that uses the console of the released program in Chromium.
fn on_release(script: &str) -> anyhow::Result<()> {
    run(command("cargo", &["build", "--release", "--quiet", "--package", "local", "--bin", "adflight"]))?;
    let args = [script, "target/release/adflight", browser::PACKAGES, api::PACKAGES, OUTPUT];
    let mut script = edge::script_of_node(&args)?;
    browser::unpacking(&mut script);
    run(script)
}

/// Installs the page's packages, Chromium, and the checkers of pages.
pub(crate) fn install() -> anyhow::Result<()> {
    edge::install()?;
    edge::install_from(SOURCES, PACKAGES)?;
    api::install_packages()?;
    browser::install()
}

/// Returns the files of a page, each with its content.
fn files(page: &str) -> anyhow::Result<BTreeMap<OsString, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for folder in [page.to_owned(), format!("{page}/assets")] {
        for entry in fs::read_dir(root().join(&folder)).context(folder)? {
            let path = entry?.path();
            if path.is_file() {
                files.insert(path.file_name().unwrap_or_default().to_owned(), fs::read(path)?);
            }
        }
    }
    Ok(files)
}

fn compile(into: &str) -> anyhow::Result<()> {
    edge::install()?;
    edge::install_from(SOURCES, PACKAGES)?;
    let tool = |path: &str| format!("{PACKAGES}/node_modules/{path}");
    let types = [&tool("openapi-typescript/bin/cli.js"), "openapi.yaml", "--output", SCHEMA];
    run(edge::script_of_node(&types)?)?;
    run(edge::script_of_node(&[&tool("typescript/bin/tsc"), "--project", SOURCES])?)?;
    run(edge::script_of_node(&[&format!("{SOURCES}/build.mjs"), PACKAGES, into])?)
}
