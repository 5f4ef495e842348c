//! For tests: hears the lines of this thread as the cloud would.

use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use crate::telemetry::json_lines;

/// While only one subscriber lives, `tracing` asks the thread that first comes to a line whether anybody wants it,
/// for all threads and for good. With these two there is never one alone.
static COMPANY: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// Lines since it began to listen.
pub(crate) struct Heard {
    lines: Arc<Mutex<Vec<Value>>>,
    _listening: DefaultGuard,
}

impl Heard {
    pub(crate) fn listen(level: &str) -> Self {
        LazyLock::force(&COMPANY);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let print = move |line: &str| heard.lock().unwrap().push(serde_json::from_str(line).unwrap());
        Self { lines, _listening: tracing::subscriber::set_default(json_lines(level, print)) }
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }
}
