//! The clock of the process. It can be shifted, so that a demonstration runs on another day and a test lets time pass
//! without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The current time, possibly shifted. Clones share the shift.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Creates a clock that shows the machine's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        let shift = SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed));
        let now = machine_time();
        now.checked_add(shift).unwrap_or(now)
    }

    /// Starts a stopwatch, which shifts of the clock do not affect.
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start()
    }

    /// Shifts the clock forward, or back for a negative duration.
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

/// Returns the machine's time. Rust's own clocks panic in a Worker.
#[cfg(target_arch = "wasm32")]
fn machine_time() -> Timestamp {
    let ms = i64::try_from(worker::Date::now().as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Measures a duration.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    #[cfg(not(target_arch = "wasm32"))]
    started: std::time::Instant,
    /// Workers have no monotonic clock, and their time advances only with I/O.
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

    /// Returns the milliseconds since the start, rounded to a tenth.
    pub fn elapsed_ms(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
    }
}

#[cfg(target_arch = "wasm32")]
impl Stopwatch {
    fn start() -> Self {
        Self { started: machine_time() }
    }

    /// Returns the milliseconds since the start.
    pub fn elapsed_ms(&self) -> f64 {
        machine_time().duration_since(self.started).as_secs_f64() * 1000.0
    }
}
