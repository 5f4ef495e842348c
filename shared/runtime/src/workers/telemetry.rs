//! Log lines of a Worker: JSON on the console, which Cloudflare stores.

use std::sync::Once;

use crate::telemetry::json_lines;

static STARTED: Once = Once::new();

/// Starts logging, once per module instance. Every event calls it first.
pub(super) fn init() {
    STARTED.call_once(|| {
        let console = |line: &str| worker::console_log!("{line}");
        // Nothing else sets a subscriber.
        let _set = tracing::subscriber::set_global_default(json_lines("info", console));
    });
}
