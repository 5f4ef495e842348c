//! Test support: captures the log lines of this thread as they are written in the cloud.

use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use crate::telemetry::json_lines;

/// Keeps more than one subscriber registered. With a single one, `tracing` caches for all threads whether the first
/// thread that reaches a line is interested in it.
static IDLE_SUBSCRIBERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// Lines since the capture started.
pub(crate) struct LogCapture {
    lines: Arc<Mutex<Vec<Value>>>,
    _guard: DefaultGuard,
}

impl LogCapture {
    pub(crate) fn start(level: &str) -> Self {
        LazyLock::force(&IDLE_SUBSCRIBERS);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let captured = lines.clone();
        let print = move |line: &str| captured.lock().unwrap().push(serde_json::from_str(line).unwrap());
        Self { lines, _guard: tracing::subscriber::set_default(json_lines(level, print)) }
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }
}
