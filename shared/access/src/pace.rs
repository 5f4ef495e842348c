//! How often a workspace or a person may ask, over all processes.
//!
//! Requests are taken out of the table in portions, so that a busy workspace costs one write for many requests. What
//! a process has taken and not used is lost, so all of them together never let in more than the bucket holds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ads::Failure;
use jiff::{SignedDuration, Timestamp};
use store::Table;
use store::asker::Asker;
use store::pace::Wanted;

/// Portions of a minute's worth: one is a second's.
const PORTIONS: u32 = 60;

/// A portion is used within this time, or never: else many old ones could be used at once.
const LASTS: SignedDuration = SignedDuration::from_secs(10);

/// So many of them are known to a process at a time.
const MOST_KNOWN: usize = 10_000;

/// What a process knows of those who ask it.
#[derive(Debug)]
pub(crate) struct Pace {
    per_minute: u32,
    known: Mutex<HashMap<Asker, Known>>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    /// Taken and not used.
    Left { count: u32, until: Timestamp },
    /// Nothing is there before then.
    Closed { until: Timestamp },
}

impl Pace {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), known: Mutex::default() }
    }

    /// Counts a request. Says until when there is no room for another one, if there is none.
    pub(crate) async fn admit(
        &self,
        table: &Table,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Failure> {
        let busy = match self.at_hand(asker, now) {
            AtHand::One => return Ok(None),
            AtHand::Nothing { until } => return Ok(Some(until)),
            AtHand::Unknown { busy } => busy,
        };
        let portion = (self.per_minute / PORTIONS).max(1);
        let mut until = now;
        // Where there is no portion any more, there may be one request.
        for count in [portion, 1] {
            let wanted = Wanted { count, per_minute: self.per_minute, busy };
            match table.take_requests(asker, wanted, now).await? {
                Ok(()) => {
                    self.keep(asker, Known::Left { count: count - 1, until: now + LASTS }, now);
                    return Ok(None);
                }
                Err(later) => until = later,
            }
        }
        self.keep(asker, Known::Closed { until }, now);
        Ok(Some(until))
    }

    fn at_hand(&self, asker: &Asker, now: Timestamp) -> AtHand {
        match self.known().get_mut(asker) {
            Some(Known::Left { count, until }) if *count > 0 && is_before(now, *until) => {
                *count -= 1;
                AtHand::One
            }
            Some(Known::Closed { until }) if is_before(now, *until) => AtHand::Nothing { until: *until },
            Some(Known::Left { until, .. } | Known::Closed { until }) => {
                AtHand::Unknown { busy: is_before(now, *until + LASTS) }
            }
            None => AtHand::Unknown { busy: false },
        }
    }

    fn keep(&self, asker: &Asker, what: Known, now: Timestamp) {
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, one| {
                let (Known::Left { until, .. } | Known::Closed { until }) = *one;
                is_before(now, until)
            });
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(asker.clone(), what);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Asker, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum AtHand {
    One,
    Nothing {
        until: Timestamp,
    },
    Unknown {
        /// Whether this process has asked the table not long ago.
        busy: bool,
    },
}

/// Also false when the clock was set back: nothing here is known for longer than a minute.
fn is_before(now: Timestamp, until: Timestamp) -> bool {
    now < until && until.duration_since(now) <= SignedDuration::from_mins(1)
}
