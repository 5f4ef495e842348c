//! Steps of the check: one after another, some beside others; and how long each took.

use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};

use crate::{root, say};

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

/// Chores that run beside other steps, one after another.
pub(crate) struct Beside(JoinHandle<Vec<(&'static str, Duration, anyhow::Result<Output>)>>);

impl Steps {
    /// One step. The first failure ends the check and says which step it was.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        say(&format!("\n== {name}"));
        let began = now();
        work().with_context(|| format!("{name} does not hold"))?;
        self.holds(name, began.elapsed());
        Ok(())
    }

    /// Waits for what runs beside, and shows what it has said, each chore's in one piece.
    pub(crate) fn join(&mut self, beside: Beside) -> anyhow::Result<()> {
        let ended = beside.0.join().map_err(|_| anyhow!("what ran beside has panicked"))?;
        let mut verdicts = Vec::new();
        for (name, took, output) in ended {
            say(&format!("\n== {name}"));
            let output = output?;
            for said in [output.stdout, output.stderr] {
                say(String::from_utf8_lossy(&said).trim_end());
            }
            verdicts.push((name, output.status));
            if output.status.success() {
                self.holds(name, took);
            }
        }
        for (name, status) in verdicts {
            ensure!(status.success(), "{name} does not hold ({status})");
        }
        Ok(())
    }

    /// Every step's seconds.
    pub(crate) fn sum_up(&self) {
        let steps = self.0.iter().map(|(name, took)| format!("{name} {:.0} s", took.as_secs_f64()));
        say(&format!("\nEverything holds: {}.", steps.collect::<Vec<_>>().join(", ")));
    }

    fn holds(&mut self, name: &str, took: Duration) {
        say(&format!("== {name}: holds, {:.0} s", took.as_secs_f64()));
        self.0.push((name.to_owned(), took));
    }
}

impl Beside {
    /// Runs chores of this program, for whose end somebody waits by [`Steps::join`].
    pub(crate) fn start(chores: &'static [&'static str]) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program does not find itself")?;
        say(&format!("\n== beside what follows: {}", chores.join(", ")));
        Ok(Self(thread::spawn(move || {
            let run = |chore: &&'static str| {
                let began = now();
                let output = Command::new(&own).arg(chore).current_dir(root()).output();
                (*chore, began.elapsed(), output.with_context(|| format!("{chore} cannot be started")))
            };
            chores.iter().map(run).collect()
        })))
    }
}

#[expect(clippy::disallowed_methods, reason = "a chore tells a person how long it took")]
fn now() -> Instant {
    Instant::now()
}
