//! The points that one invocation may spend of an account's quotas, and the usage that responses report meanwhile.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::error_code::ThrottleScope;
use crate::limit::{LeaseGrant, QuotaConsumption};
use crate::usage::Usage;

/// The current lease of the clones of a [`UserClient`](crate::UserClient). Before [`QuotaLease::put`] it covers no call.
///
/// Calls that use it are made one after another, or together in a batch: a renewal counts what is in flight as spent.
#[derive(Default)]
pub struct QuotaLease {
    state: Mutex<LeaseState>,
    renewal: Option<Renewal>,
}

/// Settles what was spent of a lease, and takes a new one or returns the time before which none is available.
pub type Renewal = Box<
    dyn Fn(Option<(LeaseGrant, QuotaConsumption)>) -> BoxFuture<'static, Result<LeaseGrant, Timestamp>>
        + Send
        + Sync,
>;

impl fmt::Debug for QuotaLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaLease").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct LeaseState {
    lease: Option<LeaseGrant>,
    /// The time before which no points are available.
    unavailable_until: Option<Timestamp>,
    spent: QuotaConsumption,
    in_flight: u32,
    /// The points of calls that the last usage headers can have included.
    reported_points: u32,
}

impl LeaseState {
    /// Returns whether enough is left for one more call with all its retries, and Meta has not made a call wait.
    fn covers_call(&self) -> bool {
        let points = self.lease.as_ref().map_or(0, |lease| lease.points);
        self.spent.points + MAX_CALL_POINTS <= points && self.spent.throttled.is_empty()
    }
}

/// The points of a write with all its retries.
const MAX_CALL_POINTS: u32 = 4 * crate::limit::WRITE_POINTS;

/// A call that has been charged to a lease.
#[derive(Debug)]
pub(crate) struct Charge {
    points: u32,
    /// The points of this call and of all calls that were answered before it was sent.
    settled_points: u32,
}

impl QuotaLease {
    /// Returns a lease that a call renews by itself when it does not cover the call.
    pub fn renewed_by(lease: LeaseGrant, renewal: Renewal) -> Self {
        let renewed = Self { renewal: Some(renewal), ..Self::default() };
        renewed.put(Ok(lease));
        renewed
    }

    /// Renews a lease of which too little is left for one more call with all its retries, or that ends soon. One of which
    /// nothing was spent is not larger when it is renewed.
    pub(crate) async fn renew(&self, now: Timestamp) {
        let Some(renewal) = &self.renewal else { return };
        let is_due = {
            let state = self.state();
            match &state.lease {
                Some(lease) => {
                    let is_spent = state.spent != QuotaConsumption::default();
                    lease.ends_soon(now) || (is_spent && !state.covers_call())
                }
                None => state.unavailable_until.is_none_or(|until| until <= now),
            }
        };
        if is_due {
            self.put(renewal(self.take()).await);
        }
    }

    /// Sets the lease, or the time before which none is available.
    pub fn put(&self, lease: Result<LeaseGrant, Timestamp>) {
        let unavailable_until = lease.as_ref().err().copied();
        *self.state() = LeaseState { lease: lease.ok(), unavailable_until, ..LeaseState::default() };
    }

    /// Removes the lease and returns it with its consumption, for
    /// [`AccountLimits::settle`](crate::limit::AccountLimits::settle).
    pub fn take(&self) -> Option<(LeaseGrant, QuotaConsumption)> {
        let LeaseState { lease, mut spent, reported_points, .. } = std::mem::take(&mut *self.state());
        spent.unreported = spent.points.saturating_sub(reported_points);
        Some((lease?, spent))
    }

    /// Returns whether the lease covers one more call with all its retries. If not, it should be exchanged.
    pub fn covers_call(&self, now: Timestamp) -> bool {
        let state = self.state();
        state.lease.as_ref().is_some_and(|lease| !lease.ends_soon(now)) && state.covers_call()
    }

    /// Charges a call, or returns when to ask again because the lease has too few points or has ended.
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

    /// Records the usage and the throttle that a response reported. `usage` is `None` when there was no response.
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
        // The state is plain numbers, so a panic elsewhere cannot leave it inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
