//! The one clock. It can be set ahead or back, so that a demonstration can live on another day and a
//! test can let time pass without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The time, possibly shifted. Clones share the shift.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let shift = SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed));
        let now = machine_time();
        now.checked_add(shift).unwrap_or(now)
    }

    /// Measures from now on. It goes on steadily whatever is done to the clock meanwhile.
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start()
    }

    /// Lets time pass, or turns it back.
    pub fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(0);
        self.ahead_ms.fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
fn machine_time() -> Timestamp {
    Timestamp::now()
}

/// Rust's own clocks panic in a Worker.
#[cfg(target_arch = "wasm32")]
fn machine_time() -> Timestamp {
    let ms = i64::try_from(worker::Date::now().as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// How long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    #[cfg(not(target_arch = "wasm32"))]
    started: std::time::Instant,
    /// Workers have no steady clock, and their time stands still between calls out.
    #[cfg(target_arch = "wasm32")]
    started: Timestamp,
}

#[cfg(not(target_arch = "wasm32"))]
impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's steady clock"
    )]
    fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }

    /// Milliseconds since the start, to a tenth.
    pub fn elapsed_ms(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
    }
}

#[cfg(target_arch = "wasm32")]
impl Stopwatch {
    fn start() -> Self {
        Self { started: machine_time() }
    }

    /// Milliseconds since the start.
    pub fn elapsed_ms(&self) -> f64 {
        machine_time().duration_since(self.started).as_secs_f64() * 1000.0
    }
}
