//! Log lines of a Worker: JSON on the console, which Cloudflare keeps.

use std::sync::Once;

use crate::telemetry::json_lines;

static STARTED: Once = Once::new();

/// Starts logging, once per instance of the code: every event begins here.
pub(super) fn init() {
    STARTED.call_once(|| {
        let console = |line: &str| worker::console_log!("{line}");
        // Nobody else sets one.
        let _set = tracing::subscriber::set_global_default(json_lines("info", console));
    });
}
