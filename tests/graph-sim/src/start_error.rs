//! Errors at the start of a simulator.

use std::io;
use std::path::PathBuf;

/// Why a simulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or may not be used.
    #[error("port {port} on 127.0.0.1: {cause}")]
    Port {
        /// The requested port.
        port: u16,
        /// The system's error.
        cause: io::Error,
    },
    /// A file is missing or cannot be read or written.
    #[error("{}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A recorded file is not JSON, or not of the expected shape.
    #[error("{file}:{line}:{column}: {message}")]
    Recording {
        /// The file's name in its folder.
        file: String,
        /// Line in the file, counted from 1.
        line: usize,
        /// Column in the line, counted from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A line of the journal cannot be replayed on this account.
    #[error("{}:{line}: {message}", file.display())]
    Journal {
        /// The journal.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The time zone is not in the time zone database.
    #[error("unknown time zone {name}")]
    Timezone {
        /// The name as given.
        name: String,
    },
    /// The HTTP client for webhook callbacks cannot be created.
    #[error("the HTTP client for webhooks: {0}")]
    Client(#[from] reqwest::Error),
}
