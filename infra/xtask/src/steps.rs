//! Steps of the check: each has inputs, which say when it must run again, and a budget of seconds.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use sha2::{Digest, Sha256};

use crate::{root, say, tools};

/// Where it is recorded with which inputs a step last held.
const STAMPS: &str = "target/check";

/// A step of the check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Its name; of a step that runs beside others, also the `cargo xtask` command that runs it.
    pub(crate) name: &'static str,
    /// Seconds that it may take on two idle cores when everything is built.
    pub(crate) budget: u64,
    /// Files and folders that decide its verdict. Without any it always runs.
    pub(crate) inputs: &'static [&'static str],
}

/// The steps of one check.
pub(crate) struct Steps {
    /// Also runs steps whose inputs have not changed since they last held.
    all: bool,
    /// This program's path, while it is known: the build may replace the file.
    program: PathBuf,
    began: Instant,
    done: Vec<(Step, Option<Duration>)>,
}

/// A step that runs beside others, as a process of its own.
struct Running {
    step: Step,
    digest: Option<String>,
    took: Duration,
    output: anyhow::Result<Output>,
}

/// Steps that run one after another beside those of the main thread.
pub(crate) struct Beside(JoinHandle<Vec<Running>>, Vec<Step>);

impl Steps {
    pub(crate) fn new(all: bool) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the path of xtask is unknown")?;
        Ok(Self { all, program, began: now(), done: Vec::new() })
    }

    /// Runs a step, unless nothing that it depends on has changed since it last held. The first failure ends the check.
    pub(crate) fn run(
        &mut self,
        step: Step,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        say(&format!("\n== {}", step.name));
        let digest = digest(step)?;
        if self.is_unchanged(step, digest.as_deref()) {
            self.skip(step);
            return Ok(());
        }
        let began = now();
        work().with_context(|| format!("{} failed", step.name))?;
        self.pass(step, digest, began.elapsed())
    }

    /// Starts steps that run beside the following ones, each by the `cargo xtask` command of its name.
    pub(crate) fn start(&self, steps: &[Step]) -> anyhow::Result<Beside> {
        let program = self.program.clone();
        let (mut due, mut unchanged) = (Vec::new(), Vec::new());
        for step in steps {
            let digest = digest(*step)?;
            if self.is_unchanged(*step, digest.as_deref()) {
                unchanged.push(*step);
            } else {
                due.push((*step, digest));
            }
        }
        let names: Vec<_> = due.iter().map(|(step, _)| step.name).collect();
        if !names.is_empty() {
            say(&format!("\n== beside the next step: {}", names.join(", ")));
        }
        let work = move || {
            let run = |(step, digest): (Step, Option<String>)| {
                let began = now();
                let output = Command::new(&program).args(step.name.split(' ')).current_dir(root()).output();
                let output = output.with_context(|| format!("{} cannot be started", step.name));
                Running { step, digest, took: began.elapsed(), output }
            };
            due.into_iter().map(run).collect()
        };
        Ok(Beside(thread::spawn(work), unchanged))
    }

    /// Waits for the steps that run beside, and prints the output of each in one piece.
    pub(crate) fn join(&mut self, Beside(running, unchanged): Beside) -> anyhow::Result<()> {
        let ended = running.join().map_err(|_| anyhow!("a step that ran beside panicked"))?;
        let mut verdicts = Vec::new();
        for Running { step, digest, took, output } in ended {
            say(&format!("\n== {}", step.name));
            let output = output?;
            for printed in [output.stdout, output.stderr] {
                say(String::from_utf8_lossy(&printed).trim_end());
            }
            verdicts.push((step, output.status));
            if output.status.success() {
                self.pass(step, digest, took)?;
            }
        }
        unchanged.into_iter().for_each(|step| self.skip(step));
        for (step, status) in verdicts {
            ensure!(status.success(), "{} failed ({status})", step.name);
        }
        Ok(())
    }

    /// Prints the seconds of every step beside its budget.
    pub(crate) fn summarize(&self) {
        say(&format!("\n{:<20}{:>10}{:>10}", "step", "seconds", "budget"));
        for (step, took) in &self.done {
            let (took, over) = match took {
                None => ("unchanged".to_owned(), false),
                Some(took) => (format!("{:.0}", took.as_secs_f64()), took.as_secs() > step.budget),
            };
            let over = if over { "  over budget" } else { "" };
            say(&format!("{:<20}{took:>10}{:>10}{over}", step.name, step.budget));
        }
        say(&format!("\nEverything holds: {:.0} s in all.", self.began.elapsed().as_secs_f64()));
    }

    fn is_unchanged(&self, step: Step, digest: Option<&str>) -> bool {
        !self.all
            && digest.is_some_and(|digest| fs::read_to_string(stamp(step)).is_ok_and(|held| held == digest))
    }

    fn skip(&mut self, step: Step) {
        say(&format!("== {}: unchanged since it last held", step.name));
        self.done.push((step, None));
    }

    fn pass(&mut self, step: Step, digest: Option<String>, took: Duration) -> anyhow::Result<()> {
        say(&format!("== {}: holds, {:.0} s", step.name, took.as_secs_f64()));
        self.done.push((step, Some(took)));
        if let Some(digest) = digest {
            let stamp = stamp(step);
            fs::create_dir_all(root().join(STAMPS)).context(STAMPS)?;
            fs::write(&stamp, digest).with_context(|| format!("{} cannot be written", stamp.display()))?;
        }
        Ok(())
    }
}

fn stamp(step: Step) -> PathBuf {
    root().join(STAMPS).join(step.name.replace(' ', "-"))
}

/// What decides a step's verdict: this checkout's path, the toolchain, and the content of the step's inputs, new files
/// included. None for a step without inputs.
fn digest(step: Step) -> anyhow::Result<Option<String>> {
    if step.inputs.is_empty() {
        return Ok(None);
    }
    let mut args = vec!["ls-files", "--cached", "--others", "--exclude-standard", "--"];
    args.extend(step.inputs);
    let listed = tools::output_of("git", &args).context("git cannot list the inputs of a step")?;
    let toolchain = tools::output_of("rustc", &["-vV"]).context("rustc does not tell its version")?;
    let mut files = BTreeMap::new();
    for path in listed.lines() {
        // A file that was deleted and not committed is listed, too.
        files.insert(path, fs::read(root().join(path)).map(|content| Sha256::digest(content).to_vec()).ok());
    }
    let all = format!("{}\n{toolchain}\n{files:?}", root().display());
    Ok(Some(hex::encode(Sha256::digest(all))))
}

#[expect(clippy::disallowed_methods, reason = "a task tells a person how long it took")]
fn now() -> Instant {
    Instant::now()
}
