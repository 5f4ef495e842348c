//! What a run leaves in its folder: the table, this machine's secrets, and the simulator's journal.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runtime::keyring::KeyringDocument;
use runtime::random;
use serde::{Deserialize, Serialize};

/// Where a run stores its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Nowhere: everything is lost when the process ends.
    Memory,
    /// In this folder.
    Folder(PathBuf),
}

impl std::str::FromStr for Data {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == ":memory:" { Self::Memory } else { Self::Folder(text.into()) })
    }
}

/// The file of the local secrets.
const SECRETS_FILE: &str = "secrets.json";

/// This machine's secrets. They protect simulated accounts, or a developer's own.
#[derive(Clone, Serialize, Deserialize)]
pub struct LocalSecrets {
    /// Seed of the key that signs session tokens.
    pub issuer_seed: String,
    /// The keyring that seals tokens.
    pub keyring: KeyringDocument,
    /// The simulated app's secret.
    pub app_secret: String,
    /// The verify token of webhook subscriptions.
    pub verify_token: String,
    /// How far the last run's clock was ahead, in seconds: tokens must be valid on its day.
    #[serde(default)]
    pub clock_ahead_seconds: i64,
    /// The address that the last run served at: its issuer is below it.
    #[serde(default)]
    pub url: String,
}

impl LocalSecrets {
    fn generate() -> anyhow::Result<Self> {
        Ok(Self {
            issuer_seed: URL_SAFE_NO_PAD.encode(random::bytes::<32>()?),
            keyring: KeyringDocument::generate()?,
            app_secret: hex_id()?,
            verify_token: hex_id()?,
            clock_ahead_seconds: 0,
            url: String::new(),
        })
    }
}

fn hex_id() -> anyhow::Result<String> {
    Ok(random::id()?)
}

impl Data {
    /// Opens the table's database for the embedded engine.
    pub fn database(&self) -> anyhow::Result<dynoxide::Database> {
        match self {
            Self::Memory => {
                let folder = tempfile::tempdir().context("a folder for a new table")?;
                let path = folder.path().join("table.db");
                drop(open(&path)?);
                let database = dynoxide::Database::memory().map_err(not_opened)?;
                database.restore_from(&path.to_string_lossy()).map_err(not_opened)?;
                Ok(database)
            }
            Self::Folder(folder) => open(&folder.join("table.db")),
        }
    }

    /// Returns the file in which the simulator stores what was created in it; `None` in memory.
    pub fn journal(&self, account: &str) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Folder(folder) => Some(folder.join(format!("meta-{account}.jsonl"))),
        }
    }

    /// Creates the folder and locks it against other processes. Hold the returned file while running.
    pub fn lock(&self) -> anyhow::Result<Option<File>> {
        let Self::Folder(folder) = self else { return Ok(None) };
        let name = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("--data {name} cannot be created"))?;
        let lock = File::create(folder.join("lock"))
            .with_context(|| format!("--data {name} cannot be written to"))?;
        match retry_briefly(|| lock.try_lock()) {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => {
                bail!("--data {name} is in use by another adflight; stop it, or name another folder")
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("--data {name} cannot be locked"))
            }
        }
    }

    /// Reads the secrets, and creates them at first use.
    pub fn secrets(&self) -> anyhow::Result<LocalSecrets> {
        match self {
            Self::Folder(folder) if !folder.join(SECRETS_FILE).exists() => {
                let secrets = LocalSecrets::generate()?;
                write_private(&folder.join(SECRETS_FILE), &serde_json::to_vec_pretty(&secrets)?)?;
                Ok(secrets)
            }
            Self::Folder(_) => self.existing_secrets(),
            Self::Memory => LocalSecrets::generate(),
        }
    }

    /// Reads the secrets of a system that has already run on this data.
    pub fn existing_secrets(&self) -> anyhow::Result<LocalSecrets> {
        let Self::Folder(folder) = self else {
            bail!(
                "a system on :memory: keeps nothing that another process could know; use the token that it prints"
            )
        };
        let path = folder.join(SECRETS_FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            format!("no adflight has run on --data {}: {}", folder.display(), path.display())
        })?;
        // The text holds keys, so serde's message, which may quote it, is not shown.
        serde_json::from_str(&text).map_err(|_| {
            anyhow!("{} is not what adflight wrote; remove the folder to begin anew", path.display())
        })
    }

    /// Saves how far the clock of a run is ahead, and where it serves.
    pub fn save_run(&self, secrets: &mut LocalSecrets, ahead_seconds: i64, url: &str) -> anyhow::Result<()> {
        secrets.clock_ahead_seconds = ahead_seconds;
        url.clone_into(&mut secrets.url);
        match self {
            Self::Memory => Ok(()),
            Self::Folder(folder) => {
                write_private(&folder.join(SECRETS_FILE), &serde_json::to_vec_pretty(secrets)?)
            }
        }
    }
}

impl Data {
    /// Saves a changed keyring.
    pub(crate) fn save_keyring(&self, keyring: KeyringDocument) -> anyhow::Result<()> {
        let Self::Folder(folder) = self else { return Ok(()) };
        let secrets = LocalSecrets { keyring, ..self.existing_secrets()? };
        write_private(&folder.join(SECRETS_FILE), &serde_json::to_vec_pretty(&secrets)?)
    }
}

/// The engine numbers each record of the stream after a search for the last one, for which it has no index: without
/// this one, every write would read the whole stream.
const STREAM_INDEX: &str = "CREATE INDEX IF NOT EXISTS adflight_stream_order
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// Opens the file of a table.
fn open(path: &Path) -> anyhow::Result<dynoxide::Database> {
    let database = dynoxide::Database::new(&path.to_string_lossy()).map_err(not_opened)?;
    let connection = rusqlite::Connection::open(path)?;
    connection.execute(STREAM_INDEX, []).context("the index of the table's stream")?;
    Ok(database)
}

fn not_opened(error: dynoxide::errors::DynoxideError) -> anyhow::Error {
    anyhow!("the table cannot be opened: {error}")
}

/// Retries for a short time: a process that was just killed holds its locks until it is gone.
pub(crate) fn retry_briefly<T, E>(mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..20 {
        if let Ok(done) = attempt() {
            return Ok(done);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    attempt()
}

/// Writes a file that only its owner can read, atomically.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new).with_context(|| format!("{} cannot be written", new.display()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(fs::rename(&new, path)?)
}
