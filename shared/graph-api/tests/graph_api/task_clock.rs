//! A clock shared by tasks. It advances only when all of them wait, and only to the earliest time they wait for.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::support::Clock;

/// A clock shared by the tasks of a test.
#[derive(Clone)]
pub(crate) struct TaskClock {
    clock: Clock,
    waiting: Arc<Mutex<Waiting>>,
}

struct Waiting {
    tasks: usize,
    until: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl TaskClock {
    /// Creates a clock for this many tasks, each of which ends with [`TaskClock::finish_task`].
    pub(crate) fn new(clock: &Clock, tasks: usize) -> Self {
        Self { clock: clock.clone(), waiting: Arc::new(Mutex::new(Waiting { tasks, until: Vec::new() })) }
    }

    pub(crate) async fn wait_until(&self, until: Timestamp) {
        let (wake, woken) = oneshot::channel();
        self.waiting.lock().unwrap().until.push((until, wake));
        self.advance();
        woken.await.unwrap();
    }

    pub(crate) fn finish_task(&self) {
        self.waiting.lock().unwrap().tasks -= 1;
        self.advance();
    }

    /// Advances the clock if every task waits.
    fn advance(&self) {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.until.len() < waiting.tasks {
            return;
        }
        let next = (0..waiting.until.len()).min_by_key(|place| waiting.until[*place].0);
        let Some((until, wake)) = next.map(|place| waiting.until.remove(place)) else { return };
        self.clock.pass(until.duration_since(self.clock.now()).try_into().unwrap_or_default());
        wake.send(()).unwrap();
    }
}
