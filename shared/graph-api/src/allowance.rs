//! What one invocation may spend of an account's quotas, and what it hears while it does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::code::Scope;
use crate::limit::{Lease, Spent};
use crate::usage::Usage;

/// A lease being spent, shared by the clones of a [`Caller`](crate::Caller). Nothing may be called before one is put
/// in.
#[derive(Debug, Default)]
pub struct Allowance(Mutex<Purse>);

#[derive(Debug, Default)]
struct Purse {
    lease: Option<Lease>,
    /// There is nothing to lease before then.
    refused_until: Option<Timestamp>,
    spent: Spent,
    in_flight: u32,
    /// Points whose calls the last usage headers can have counted.
    seen: u32,
}

/// A write with its retries.
const ONE_MORE: u32 = 4 * crate::limit::WRITE;

/// A call that has been paid for.
#[derive(Debug)]
pub(crate) struct Paid {
    points: u32,
    /// What had been spent and answered when it was sent, this call included.
    counted: u32,
}

impl Allowance {
    /// Puts a lease in; or the moment before which there is none to be had.
    pub fn put(&self, lease: Result<Lease, Timestamp>) {
        let refused_until = lease.as_ref().err().copied();
        *self.purse() = Purse { lease: lease.ok(), refused_until, ..Purse::default() };
    }

    /// Takes the lease out with what was spent of it, to settle it.
    pub fn take(&self) -> Option<(Lease, Spent)> {
        let Purse { lease, mut spent, seen, .. } = std::mem::take(&mut *self.purse());
        spent.unseen = spent.points.saturating_sub(seen);
        Some((lease?, spent))
    }

    /// Whether one more call with all its retries is paid for. When not, the lease should be exchanged.
    pub fn suffices(&self, now: Timestamp) -> bool {
        let purse = self.purse();
        let Some(lease) = &purse.lease else { return false };
        let ends_soon = lease.until.duration_since(now).as_secs() < 60;
        purse.spent.points + ONE_MORE <= lease.points && !ends_soon && purse.spent.throttled.is_empty()
    }

    /// Pays for a call; or says when to ask again, because the lease does not hold that much or has ended.
    pub(crate) fn pay(&self, points: u32, now: Timestamp) -> Result<Paid, Timestamp> {
        let mut purse = self.purse();
        let spent = purse.spent.points + points;
        if !purse.lease.as_ref().is_some_and(|lease| lease.until > now && spent <= lease.points) {
            return Err(purse.refused_until.unwrap_or(now).max(now));
        }
        purse.spent.points += points;
        let counted = purse.spent.points - purse.in_flight;
        purse.in_flight += points;
        Ok(Paid { points, counted })
    }

    /// What the answer to a call said. None when there was no answer.
    pub(crate) fn hear(&self, paid: &Paid, usage: Option<&Usage>, throttled: Option<(Scope, Duration)>) {
        let mut purse = self.purse();
        purse.in_flight = purse.in_flight.saturating_sub(paid.points);
        if let Some(usage) = usage {
            if usage.score.is_some() || !usage.cases.is_empty() {
                purse.seen = purse.seen.max(paid.counted);
            }
            purse.spent.usage.merge(usage.clone());
        }
        purse.spent.throttled.extend(throttled);
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        // A panic elsewhere leaves numbers, not half-done work.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
