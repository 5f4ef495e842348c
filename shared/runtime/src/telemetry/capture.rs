//! For tests: captures the log lines of this thread as the cloud would get them.

use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use crate::telemetry::json_lines;

/// While only one subscriber lives, `tracing` asks the thread that first comes to a line whether anybody wants it,
/// for all threads and for good. With these two there is never one alone.
static IDLE_SUBSCRIBERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// The lines since the capture started.
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
