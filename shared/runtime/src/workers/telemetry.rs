//! Log lines of a Worker: JSON on the console, which Cloudflare keeps.

use std::io;

use tracing::level_filters::LevelFilter;

/// Where a finished line goes.
struct Console;

impl io::Write for Console {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        worker::console_log!("{}", String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging, once per instance of the code. Cloudflare adds the time, and a Worker's clock is not Rust's.
pub(super) fn init() {
    let logs = tracing_subscriber::fmt().json().flatten_event(true).without_time().with_target(false);
    let logs = logs.with_max_level(LevelFilter::INFO).with_writer(|| Console);
    let _already_set = logs.try_init();
}
