//! A running system, copied: another one starts from the copy with the same table, simulated Meta, schedules and secrets.
//! Scenarios that begin with a synced ad account start this way instead of syncing it again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use dynoxide::Database;
use graph_sim::SimSnapshot;
use jiff::Timestamp;

use crate::data::LocalSecrets;
use crate::timers::Timer;

/// The copy of a system that was idle: no message was in a queue.
#[derive(Clone)]
pub struct Snapshot {
    /// The embedded engine's file.
    table: Arc<Vec<u8>>,
    pub(crate) sim: Arc<SimSnapshot>,
    pub(crate) timers: BTreeMap<String, Timer>,
    pub(crate) secrets: LocalSecrets,
    /// The system's time at the copy.
    pub(crate) taken_at: Timestamp,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("taken_at", &self.taken_at).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn of(
        database: &Database,
        sim: SimSnapshot,
        timers: BTreeMap<String, Timer>,
        secrets: LocalSecrets,
        taken_at: Timestamp,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder for a snapshot")?;
        let path = folder.path().join("table.db");
        let failed = |error| anyhow!("the table cannot be copied: {error}");
        database.vacuum_into(&path.to_string_lossy()).map_err(failed)?;
        let table = Arc::new(fs::read(&path).context("the copy of the table")?);
        Ok(Self { table, sim: Arc::new(sim), timers, secrets, taken_at })
    }

    /// Replaces the content of a table by the copy.
    pub(crate) fn restore(&self, database: &Database) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().context("a folder for a snapshot")?;
        let path = folder.path().join("table.db");
        fs::write(&path, &*self.table).context("the copy of the table")?;
        let failed = |error| anyhow!("the table cannot be restored: {error}");
        database.restore_from(&path.to_string_lossy()).map_err(failed)
    }
}
