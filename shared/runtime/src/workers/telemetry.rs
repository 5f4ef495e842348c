//! Log lines of a Worker: JSON on the console, which Cloudflare keeps.

use crate::telemetry::json_lines;

/// Starts logging, once per instance of the code.
pub(super) fn init() {
    let console = |line: &str| worker::console_log!("{line}");
    let _already_set = tracing::subscriber::set_global_default(json_lines("info", console));
}
