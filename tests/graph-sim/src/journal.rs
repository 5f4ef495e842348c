//! The journal: every successful write as one JSON line, so that created objects survive a restart.

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
    /// Opens a journal for appending and returns the writes it contains, with their line numbers.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<(usize, Write)>), StartError> {
        let failed = |cause| StartError::File { file: path.to_owned(), cause };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        let mut text = std::fs::read_to_string(path).map_err(failed)?;
        // A line without a newline was cut off by a crash or a full disk; its call was never answered.
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

    /// Appends a write. A failure, such as a full disk, is only logged, because the write has already taken effect.
    pub(crate) fn append(&mut self, write: &Write) {
        let Ok(mut line) = serde_json::to_vec(write) else { return };
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            tracing::error!(journal = %self.path.display(), %error, "The journal could not be written.");
        }
    }
}
