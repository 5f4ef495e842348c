//! The worked examples of docs/develop.md: each is a patch that applies to the code of today, touches only the files that
//! its recipe names, and, at night, passes the tests. What is generated is left out of the patches and made anew.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::{api, command, root, run, tools};

const GUIDE: &str = "docs/develop.md";

/// Where the examples are built, beside their own target folder.
const WORK: &str = "target/examples/work";
pub(crate) const TARGET: &str = "target/examples/target";

/// The responses that the tests of the clone receive, below it. Git ignores it.
const RECORDING: &str = "target/responses.jsonl";

/// A worked example: its heading in the guide, and its patch.
const EXAMPLES: [(&str, &str); 3] = [
    ("## Add an endpoint", "docs/examples/endpoint.patch"),
    ("## Add a job", "docs/examples/job.patch"),
    ("## Add a measure", "docs/examples/measure.patch"),
];

/// Checks that each patch applies, and that its recipe names the patch and every file that it touches.
pub(crate) fn check() -> anyhow::Result<()> {
    let guide = fs::read_to_string(root().join(GUIDE))?;
    for (heading, patch) in EXAMPLES {
        let recipe = guide.split_once(&format!("\n{heading}\n")).map(|(_, rest)| rest);
        let recipe = recipe.with_context(|| format!("{GUIDE} has no section {heading}"))?;
        let recipe = recipe.split("\n## ").next().unwrap_or(recipe);
        let name = patch.trim_start_matches("docs/");
        ensure!(recipe.contains(&format!("({name})")), "{GUIDE}, {heading}: does not link to {name}");
        for file in touched(patch)? {
            let is_named = recipe.contains(&format!("`{file}`"));
            ensure!(is_named, "{GUIDE}, {heading}: {patch} touches {file}, which the recipe does not name");
        }
        run(command("git", &["apply", "--check", patch]))
            .with_context(|| format!("{patch} no longer applies: make the change again and save its diff"))?;
    }
    Ok(())
}

/// Applies each patch to a clone of the last commit and runs the tests there.
pub(crate) fn build() -> anyhow::Result<()> {
    check()?;
    let work = root().join(WORK);
    if !work.exists() {
        let mut clone = command("git", &["clone", "--quiet"]);
        clone.arg(root()).arg(&work);
        run(clone)?;
    }
    let git = |args: &[&str]| {
        let mut git = command("git", args);
        git.current_dir(&work);
        run(git)
    };
    git(&["fetch", "--quiet", "origin", "HEAD"])?;
    for (_, patch) in EXAMPLES {
        // Files that do not change keep their time, so cargo builds only what has changed.
        git(&["reset", "--quiet", "--hard", "FETCH_HEAD"])?;
        git(&["clean", "--quiet", "-d", "--force"])?;
        git(&["apply", patch]).with_context(|| format!("{patch} cannot be applied"))?;
        let template = work.join("template.yaml");
        generate(&work, "openapi.yaml", None, &template)?;
        generate(&work, "template.yaml", Some("template"), &template)?;
        // The examples of responses come from these tests.
        let recording = work.join(RECORDING);
        fs::create_dir_all(work.join("target"))?;
        fs::write(&recording, "")?;
        let mut tests =
            command("cargo", &["test", "--workspace", "--quiet", "--", "--skip", "every_success_has"]);
        tests
            .current_dir(&work)
            .env("CARGO_TARGET_DIR", root().join(TARGET))
            .env("RECORD_RESPONSES", &recording);
        run(tests).with_context(|| format!("the tests do not hold with {patch}"))?;
        generate(&work, api::EXAMPLES, Some("examples"), &recording)?;
        generate(&work, "openapi.yaml", None, &template)?;
        let mut tests = command("cargo", &["test", "--quiet", "--package", "openapi"]);
        tests.current_dir(&work).env("CARGO_TARGET_DIR", root().join(TARGET));
        run(tests).with_context(|| format!("the examples of responses do not hold with {patch}"))?;
    }
    Ok(())
}

/// Writes a file of the clone anew. The input counts for some tasks only.
fn generate(work: &Path, file: &str, task: Option<&str>, input: &Path) -> anyhow::Result<()> {
    let mut openapi = command("cargo", &["run", "--quiet", "--package", "openapi", "--"]);
    openapi.args(task).current_dir(work).env("CARGO_TARGET_DIR", root().join(TARGET));
    let input = File::open(input).with_context(|| format!("nothing to make {file} from"))?;
    let output = openapi.stdin(input).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{file} cannot be generated ({})", output.status);
    fs::write(work.join(file), output.stdout).with_context(|| format!("{file} cannot be written"))
}

/// Returns the files that a patch touches.
fn touched(patch: &str) -> anyhow::Result<Vec<String>> {
    let output =
        tools::output_of("git", &["apply", "--numstat", patch]).context("git cannot read a patch")?;
    Ok(output.lines().filter_map(|line| line.split('\t').nth(2)).map(str::to_owned).collect())
}
