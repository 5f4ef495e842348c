//! MiniStack: an AWS emulator on this machine, with real Lambda processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::OnceCell;

use crate::aws::{Account, Credentials};
use crate::process::{ChildProgram, root};

/// The interpreter that `cargo xtask hosts` installs with MiniStack.
pub(crate) const PYTHON: &str = "target/hosts/ministack/bin/python";

const STARTUP_TIMEOUT: Duration = Duration::from_secs(70);

/// How MiniStack treats roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamMode {
    /// Every call is allowed.
    Ignored,
    /// Each function has the credentials of its role, and may do what the role allows.
    Enforced,
}

/// A MiniStack that runs until the test ends, however it ends.
pub struct MiniStack {
    helper: ChildProgram,
    endpoint: String,
    log: PathBuf,
}

static WITHOUT_IAM: OnceCell<MiniStack> = OnceCell::const_new();
static WITH_IAM: OnceCell<MiniStack> = OnceCell::const_new();

impl MiniStack {
    /// Returns the MiniStack that all scenarios of this process share, each in an account of its own.
    pub async fn shared(mode: IamMode) -> anyhow::Result<&'static Self> {
        let (shared, name) = match mode {
            IamMode::Ignored => (&WITHOUT_IAM, "ministack"),
            IamMode::Enforced => (&WITH_IAM, "ministack-roles"),
        };
        shared.get_or_try_init(|| Self::start(name, mode)).await
    }

    /// Starts one that logs to `target/hosts/<name>.log`.
    pub async fn start(name: &str, mode: IamMode) -> anyhow::Result<Self> {
        let python = root().join(PYTHON);
        ensure!(python.exists(), "{} is not there: run `cargo xtask hosts`", python.display());
        let folder = root().join("target/hosts");
        let scratch = scratch(&folder.join("tmp"), name)?;
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(python);
        // It passes its whole environment to the Lambda processes, which must not see that of the test.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &folder).env("TMPDIR", &scratch);
        if mode == IamMode::Enforced {
            command.env("AUTH", "true");
        }
        command.arg("-B").arg(root().join("tests/hosts/run_ministack.py"));
        command.stderr(File::create(&log).with_context(|| format!("{}", log.display()))?);
        let mut helper = ChildProgram::start(name, command)?;
        let ready = helper.receive(STARTUP_TIMEOUT).await;
        let ready = ready.with_context(|| format!("MiniStack did not start, see {}", log.display()))?;
        let endpoint = format!("http://127.0.0.1:{}", ready["port"]);
        Ok(Self { helper, endpoint, log })
    }

    /// Returns an account.
    pub fn account(&self, id: &str) -> Account {
        Account { endpoint: self.endpoint.clone(), id: id.to_owned() }
    }

    /// Returns the name of its log in `target/hosts`.
    pub fn log_name(&self) -> &str {
        self.log.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> anyhow::Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("{}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the Lambda processes that it runs.
    pub fn lambda_processes(&self) -> anyhow::Result<Vec<LambdaProcess>> {
        let own = self.helper.pid();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // A process that has ended meanwhile cannot be read.
            found.extend(LambdaProcess::read(pid, own));
        }
        Ok(found)
    }

    /// Stops it and waits until it has ended.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.helper.stop().await
    }
}

/// Creates a folder for unpacked bundles, hundreds of megabytes. MiniStack removes it when it ends; folders of killed
/// processes are removed here.
fn scratch(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for left in fs::read_dir(folder)? {
        let left = left?;
        let left_by = left.file_name().to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        if !left_by.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists()) {
            fs::remove_dir_all(left.path()).with_context(|| format!("{}", left.path().display()))?;
        }
    }
    let scratch = folder.join(format!("{}-{name}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    Ok(scratch)
}

/// A process that MiniStack started for a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaProcess {
    /// The process id.
    pub pid: u32,
    /// The function's physical name.
    pub function: String,
}

impl LambdaProcess {
    /// Kills it at once, as the system does when it runs out of memory.
    pub fn kill(&self) -> anyhow::Result<()> {
        let killed = Command::new("kill").args(["-9", &self.pid.to_string()]).output()?;
        // It may have ended by itself meanwhile.
        ensure!(killed.status.success() || killed.stderr.ends_with(b"No such process\n"), "{killed:?}");
        Ok(())
    }

    /// Returns the process if it is a bootstrap and a child of `parent`.
    fn read(pid: u32, parent: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // pid (name) state ppid …; the name may contain anything.
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let (state, ppid) = (rest.next()?, rest.next()?.parse::<u32>().ok()?);
        if name != "bootstrap" || ppid != parent || state == "Z" {
            return None;
        }
        let function = variable(pid, "AWS_LAMBDA_FUNCTION_NAME")?;
        Some(Self { pid, function })
    }

    /// Returns its AWS credentials: those of its function's role.
    pub fn credentials(&self) -> Option<Credentials> {
        let [key, secret, token] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        Some(Credentials([variable(self.pid, key)?, variable(self.pid, secret)?, variable(self.pid, token)?]))
    }
}

/// Returns an environment variable of a process.
fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|variable| {
        let (known, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        (known == name).then(|| value.to_owned())
    })
}
