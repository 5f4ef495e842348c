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
#[derive(Default)]
pub struct QuotaLease {
    state: Mutex<LeaseState>,
    renewal: Option<Renewal>,
    /// Held during a renewal, so that of calls at the same time one renews.
    renewing: futures_util::lock::Mutex<()>,
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

    /// Renews a lease of which too little is left for one more call with all its retries. One of which nothing was spent
    /// stays: another would be no larger.
    pub(crate) async fn renew(&self, now: Timestamp) {
        let Some(renewal) = &self.renewal else { return };
        let _renewing = self.renewing.lock().await;
        let is_worth_it = {
            let state = self.state();
            match &state.lease {
                Some(lease) => lease.until <= now || state.spent != QuotaConsumption::default(),
                None => state.unavailable_until.is_none_or(|until| until <= now),
            }
        };
        if is_worth_it && !self.covers_call(now) {
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
        let Some(lease) = &state.lease else { return false };
        let ends_soon = lease.until.duration_since(now).as_secs() < 60;
        state.spent.points + MAX_CALL_POINTS <= lease.points && !ends_soon && state.spent.throttled.is_empty()
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
