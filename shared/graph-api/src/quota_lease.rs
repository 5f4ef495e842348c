//! The points that one invocation may spend of an account's quotas, and the usage that responses report meanwhile.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::error_code::ThrottleScope;
use crate::limit::{LeaseGrant, QuotaConsumption};
use crate::usage::Usage;

/// A lease being spent, shared by the clones of a [`Caller`](crate::Caller). Nothing may be called before one is put
/// in.
#[derive(Debug, Default)]
pub struct QuotaLease(Mutex<LeaseState>);

#[derive(Debug, Default)]
struct LeaseState {
    lease: Option<LeaseGrant>,
    /// There is nothing to lease before then.
    unavailable_until: Option<Timestamp>,
    spent: QuotaConsumption,
    in_flight: u32,
    /// Points whose calls the last usage headers can have counted.
    reported_points: u32,
}

/// A write with its retries.
const MAX_CALL_POINTS: u32 = 4 * crate::limit::WRITE_POINTS;

/// A call that has been charged to a lease.
#[derive(Debug)]
pub(crate) struct Charge {
    points: u32,
    /// What had been spent and answered when it was sent, this call included.
    settled_points: u32,
}

impl QuotaLease {
    /// Puts a lease in; or the moment before which there is none to be had.
    pub fn put(&self, lease: Result<LeaseGrant, Timestamp>) {
        let unavailable_until = lease.as_ref().err().copied();
        *self.state() = LeaseState { lease: lease.ok(), unavailable_until, ..LeaseState::default() };
    }

    /// Takes the lease out with what was spent of it, to settle it.
    pub fn take(&self) -> Option<(LeaseGrant, QuotaConsumption)> {
        let LeaseState { lease, mut spent, reported_points, .. } = std::mem::take(&mut *self.state());
        spent.unreported = spent.points.saturating_sub(reported_points);
        Some((lease?, spent))
    }

    /// Whether the lease covers one more call with all its retries. When not, the lease should be exchanged.
    pub fn covers_call(&self, now: Timestamp) -> bool {
        let state = self.state();
        let Some(lease) = &state.lease else { return false };
        let ends_soon = lease.until.duration_since(now).as_secs() < 60;
        state.spent.points + MAX_CALL_POINTS <= lease.points && !ends_soon && state.spent.throttled.is_empty()
    }

    /// Charges a call; or says when to ask again, because the lease does not hold that much or has ended.
    pub(crate) fn charge(&self, points: u32, now: Timestamp) -> Result<Charge, Timestamp> {
        let mut state = self.state();
        let spent = state.spent.points + points;
        if !state.lease.as_ref().is_some_and(|lease| lease.until > now && spent <= lease.points) {
            return Err(state.unavailable_until.unwrap_or(now).max(now));
        }
        state.spent.points += points;
        let settled_points = state.spent.points - state.in_flight;
        state.in_flight += points;
        Ok(Charge { points, settled_points })
    }

    /// What the answer to a call said. None when there was no answer.
    pub(crate) fn record_usage(
        &self,
        charge: &Charge,
        usage: Option<&Usage>,
        throttled: Option<(ThrottleScope, Duration)>,
    ) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(charge.points);
        if let Some(usage) = usage {
            if usage.score.is_some() || !usage.cases.is_empty() {
                state.reported_points = state.reported_points.max(charge.settled_points);
            }
            state.spent.usage.merge(usage.clone());
        }
        state.spent.throttled.extend(throttled);
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        // A panic elsewhere leaves numbers, not half-done work.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
