//! The journal: every successful write as one JSON line, so that a simulator that is started again has what its
//! callers made.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::start_error::StartError;
use crate::write::Write;

/// An open journal.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens a journal for further writes; gives those it holds, with the number of their line.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<(usize, Write)>), StartError> {
        let failed = |cause| StartError::File { file: path.to_owned(), cause };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        let mut text = std::fs::read_to_string(path).map_err(failed)?;
        // A line without its end was cut off by a crash or a full disk; its call was never answered.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(failed)?;
            text.truncate(whole);
        }
        let mut writes = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let write = serde_json::from_str(line).map_err(|error| StartError::Journal {
                file: path.to_owned(),
                line: index + 1,
                message: error.to_string(),
            })?;
            writes.push((index + 1, write));
        }
        Ok((Self { file, path: path.to_owned() }, writes))
    }

    /// Keeps a write. A full disk must not fail a call that has already had its effect, so it is only logged.
    pub(crate) fn append(&mut self, write: &Write) {
        let Ok(mut line) = serde_json::to_vec(write) else { return };
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            tracing::error!(journal = %self.path.display(), %error, "The journal could not be written.");
        }
    }
}
