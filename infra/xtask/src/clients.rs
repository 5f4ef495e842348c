//! Clients that generators from npm and PyPI make of openapi.yaml: each must compile, and do its work against the running
//! system. The programs are in tests/api/clients.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::{api, command, edge, python, root, run, say};

const DOCUMENT: &str = "openapi.yaml";
const PROGRAMS: &str = "tests/api/clients";
/// Beside the packages, so that the programs find them.
const GENERATED: &str = "target/api/node/clients";
const VENV: &str = "target/api/python-client";
const PYTHON_PACKAGE: &str = "target/api/python-client/generated/adflight_client";

/// Installs the generators. Those from npm come with the checkers of pages.
pub(crate) fn install() -> anyhow::Result<()> {
    python::venv(VENV, "tests/api/locks/python-client.txt")
}

/// Generates the clients and runs their programs against the system that `description` describes.
pub(crate) fn test(description: &str) -> anyhow::Result<()> {
    type_script(description)?;
    python(description)?;
    say("   Three generated clients compile, and did what they are for.");
    Ok(())
}

fn type_script(description: &str) -> anyhow::Result<()> {
    let folder = root().join(GENERATED);
    if folder.exists() {
        fs::remove_dir_all(&folder).context(GENERATED)?;
    }
    fs::create_dir_all(&folder).context(GENERATED)?;
    for entry in fs::read_dir(root().join(PROGRAMS)).context(PROGRAMS)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "ts" || kind == "json") {
            fs::copy(&path, folder.join(path.file_name().unwrap_or_default())).context(GENERATED)?;
        }
    }
    let tool = |path: &str| format!("{}/node_modules/{path}", api::PACKAGES);
    let schema = format!("{GENERATED}/schema.d.ts");
    let mut types =
        edge::script_of_node(&[&tool("openapi-typescript/bin/cli.js"), DOCUMENT, "--output", &schema])?;
    run_quietly(&mut types)?;
    let client = format!("{GENERATED}/hey");
    let mut functions = edge::script_of_node(&[
        &tool("@hey-api/openapi-ts/bin/run.js"),
        "--input",
        DOCUMENT,
        "--output",
        &client,
        "--no-log-file",
    ])?;
    run_quietly(&mut functions)?;
    run(edge::script_of_node(&[&tool("typescript/bin/tsc"), "--project", GENERATED])?)?;
    for program in ["openapi_fetch.js", "hey_api.js"] {
        let built = format!("{GENERATED}/built/{program}");
        run(edge::script_of_node(&[&built, description])?).context(program)?;
    }
    Ok(())
}

fn python(description: &str) -> anyhow::Result<()> {
    let config = format!("{VENV}/generator.yml");
    fs::write(root().join(&config), "post_hooks: []\n").context("the generator's configuration")?;
    fs::create_dir_all(root().join(PYTHON_PACKAGE)).context(PYTHON_PACKAGE)?;
    let mut generate = command(
        &format!("{VENV}/bin/openapi-python-client"),
        &["generate", "--path", DOCUMENT, "--meta", "none", "--overwrite", "--fail-on-warning"],
    );
    run_quietly(generate.args(["--config", &config, "--output-path", PYTHON_PACKAGE]))?;
    let mut program =
        command(&format!("{VENV}/bin/python"), &["-B", &format!("{PROGRAMS}/python_client.py"), description]);
    program.env("PYTHONPATH", root().join(Path::new(PYTHON_PACKAGE).parent().unwrap_or(Path::new("."))));
    run(program).context("python_client.py")
}

/// Runs a generator, and shows what it says only if it fails.
fn run_quietly(generator: &mut std::process::Command) -> anyhow::Result<()> {
    let output = generator.output().context("a generator cannot be started")?;
    anyhow::ensure!(
        output.status.success(),
        "a generator failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
