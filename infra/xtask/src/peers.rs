//! The judges that nobody here wrote: Meta's SDK and two connectors from PyPI, run against the simulator.
//! What they are and what they compare stands in tests/peers/README.md.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::{command, root, run, say};

/// One virtual environment each: the three want different versions of the SDK.
const VENVS: [&str; 3] = ["sdk", "airbyte", "tap"];
/// The interpreters for which the locked versions exist, the usual one first.
const PYTHONS: [&str; 4] = ["python3", "python3.13", "python3.12", "python3.11"];
const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 11..=13;
/// Where the stories of our client leave the requests that it built, for the specification judge.
const REQUESTS: &str = "target/peers/requests.jsonl";

/// All judges, on a small account.
pub(crate) fn judge() -> anyhow::Result<()> {
    install()?;
    run(command("cargo", &["build", "--quiet", "--package", "peers"]))?;
    record_requests()?;
    let requests = ["tests/peers/requests.example.jsonl", REQUESTS];
    // All of them, whatever the first ones say.
    let verdicts = [
        python("judges_test.py", &[]),
        python("spec_judge.py", &requests),
        python("sdk_story.py", &[&binary("debug", "steered-sim")?]),
        readers("debug", &[]),
    ];
    verdicts.into_iter().collect()
}

/// Has every story of our client leave what it sent.
fn record_requests() -> anyhow::Result<()> {
    let path = root().join(REQUESTS);
    fs::write(&path, "").with_context(|| format!("{} cannot be written", path.display()))?;
    let mut stories = command("cargo", &["test", "--quiet", "--package", "graph-api", "--test", "graph_api"]);
    stories.env("GRAPH_REQUESTS", &path);
    run(stories)
}

/// What reading the full account costs each client, side by side.
pub(crate) fn bench_sync() -> anyhow::Result<()> {
    install()?;
    run(command("cargo", &["build", "--quiet", "--release", "--package", "peers"]))?;
    readers("release", &["--ads", "200", "--days", "30", "--table"])
}

fn readers(profile: &str, more: &[&str]) -> anyhow::Result<()> {
    let sim = binary(profile, "steered-sim")?;
    let ours = binary(profile, "graph-read")?;
    let mut args = vec!["--peers", "target/peers", "--sim", &sim, "--ours", &ours];
    args.extend(more);
    python("readers.py", &args)
}

fn binary(profile: &str, name: &str) -> anyhow::Result<String> {
    let path = root().join("target").join(profile).join(name);
    Ok(path.to_str().context("the workspace's path is not text")?.to_owned())
}

/// Runs one of our scripts with the SDK at hand. Only what pip compiled is ever on disk as bytecode.
fn python(script: &str, args: &[&str]) -> anyhow::Result<()> {
    let script = format!("tests/peers/{script}");
    let mut python = command("target/peers/sdk/bin/python", &["-B", &script]);
    python.args(args);
    run(python)
}

/// Makes the virtual environments that are missing or were made from another lock or interpreter.
fn install() -> anyhow::Result<()> {
    let (python, version) = interpreter()?;
    for venv in VENVS {
        let lock = format!("tests/peers/locks/{venv}.txt");
        let folder = root().join("target/peers").join(venv);
        let stamp = folder.join("lock");
        let wanted =
            format!("# {version}\n{}", fs::read_to_string(root().join(&lock)).context(lock.clone())?);
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            continue;
        }
        say(&format!("   Installing {lock} from PyPI into target/peers/{venv}, once."));
        run(command(python, &["-m", "venv", "--clear", &format!("target/peers/{venv}")]))?;
        let pip = format!("target/peers/{venv}/bin/pip");
        // The lock is complete, so pip has nothing to resolve.
        let options = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--retries", "2"];
        let mut install = command(&pip, &options);
        install.args(["--requirement", &lock]).env("PIP_CACHE_DIR", root().join("target/peers/cache"));
        run(install).context("the judges come from PyPI, which must be reachable once")?;
        fs::write(&stamp, wanted).context("the stamp of a virtual environment cannot be written")?;
    }
    Ok(())
}

/// The first interpreter of a version that the locks are for, and that version.
fn interpreter() -> anyhow::Result<(&'static str, String)> {
    let mut found = PYTHONS.into_iter().filter_map(|python| {
        let output = Command::new(python).arg("--version").current_dir(root()).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let minor = version.strip_prefix("Python 3.")?.split('.').next()?.parse().ok()?;
        PYTHON_MINORS.contains(&minor).then_some((python, version))
    });
    found.next().context("the judges need Python 3.11, 3.12 or 3.13 with venv")
}
