//! Logs: sentences that carry fields, as JSON in the cloud and as text on a terminal. Never payloads or tokens.

use tracing_subscriber::EnvFilter;

use crate::env::Env;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people, on stderr.
    Text,
}

/// Starts logging. `ADFLIGHT_LOG` sets the level, such as `debug` or `graph_api=debug`.
pub fn init(format: Format, default: &str) {
    let filter = Env::optional("ADFLIGHT_LOG").unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Of two callers in one process, such as two tests, the first has its way.
    let _already_set = match format {
        Format::Json => logs.json().flatten_event(true).try_init(),
        Format::Text => logs.with_target(false).try_init(),
    };
}
