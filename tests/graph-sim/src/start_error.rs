//! Why a simulator could not be started.

use std::io;
use std::path::PathBuf;

/// Why a simulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or may not be used.
    #[error("port {port} on 127.0.0.1: {cause}")]
    Port {
        /// The port asked for.
        port: u16,
        /// What the system said.
        cause: io::Error,
    },
    /// A file that is missing or cannot be read or written.
    #[error("{}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A recorded file that is not JSON, or not of the shape it should have.
    #[error("{file}:{line}:{column}: {message}")]
    Recording {
        /// The file's name in its folder.
        file: String,
        /// Where in the file, counted from 1.
        line: usize,
        /// Where in the line, counted from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A line of the journal that cannot be replayed on this account.
    #[error("{}:{line}: {message}", file.display())]
    Journal {
        /// The journal.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A time zone which the time zone database does not know.
    #[error("unknown time zone {name}")]
    Timezone {
        /// The name as it was given.
        name: String,
    },
    /// The part that calls the callbacks of webhooks cannot be set up.
    #[error("the HTTP client for webhooks: {0}")]
    Client(#[from] reqwest::Error),
}
