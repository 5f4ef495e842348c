//! The known usage of one quota.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{QuotaShare, WRITE_POINTS};
use crate::usage::{Tier, UseCase};

/// The points that may be spent right after a throttle has ended, before a response reports the usage.
pub(super) const PROBE_POINTS: u32 = WRITE_POINTS;

/// The part of each quota that background work leaves to actions: one in this many points.
const KEPT_PART: u32 = 5;

/// A quota of Meta, by what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    Score,
    Calls(UseCase),
}

impl Quota {
    /// Returns the minimum size of the quota in points.
    pub(super) fn points(self, tier: Tier) -> u32 {
        match (self, tier) {
            (Self::Score, Tier::Limited) => 60,
            (Self::Score, Tier::Full) => 9_000,
            (Self::Calls(UseCase::AdsInsights), Tier::Limited) => 600,
            (Self::Calls(UseCase::AdsInsights), Tier::Full) => 190_000,
            (Self::Calls(_), Tier::Limited) => 300,
            (Self::Calls(_), Tier::Full) => 100_000,
        }
    }

    /// Returns how long Meta counts a call.
    pub(super) fn window(self) -> SignedDuration {
        match self {
            Self::Score => SignedDuration::from_mins(5),
            Self::Calls(_) => SignedDuration::from_hours(1),
        }
    }
}

/// The known usage of one quota.
///
/// Reports of concurrent processes arrive in any order. Only the order of leases is reliable: a call under a lease was
/// made after everything that was recorded before the lease was granted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Meter {
    /// The percentage used: the highest of the reports that may concern the same moment.
    percent: f64,
    /// The number of the next lease when `percent` was last set. The report of an earlier lease cannot lower it.
    percent_as_of_lease: u64,
    /// Points spent that `percent` may not include, each with the number of the next lease at that time.
    unreported: Vec<(u64, u32)>,
    /// When points were last spent or usage was last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<Timestamp>,
    /// The time before which Meta serves no call that counts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) blocked_until: Option<Timestamp>,
}

impl Meter {
    /// Returns the points of this share that may still be spent without exceeding the quota, leases aside.
    pub(super) fn available(&self, quota: Quota, tier: Tier, share: QuotaShare, now: Timestamp) -> u32 {
        let points = quota.points(tier);
        let kept = match share {
            QuotaShare::Whole => 0,
            QuotaShare::Background => points / KEPT_PART,
        };
        if self.is_stale(quota, now) {
            return points - kept;
        }
        if self.has_block_ended(now) {
            return PROBE_POINTS;
        }
        // A percentage may have been rounded down by less than one percent. A score is no whole number, because it
        // decays continuously.
        let hidden = (f64::from(points) * (self.percent + 1.0) / 100.0).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the quota")]
        let used = hidden.clamp(0.0, f64::from(points)) as u32;
        let unreported = self.unreported.iter().map(|(_, points)| points).sum();
        points.saturating_sub(used).saturating_sub(unreported).saturating_sub(kept)
    }

    /// Returns whether Meta no longer counts anything that is recorded here.
    fn is_stale(&self, quota: Quota, now: Timestamp) -> bool {
        self.updated_at.is_none_or(|at| now.duration_since(at) >= quota.window())
    }

    /// Returns whether a throttle has ended and no usage was reported since. Meta serves again, whatever it reported
    /// before.
    fn has_block_ended(&self, now: Timestamp) -> bool {
        self.blocked_until.is_some_and(|until| until <= now && self.updated_at.is_none_or(|at| at < until))
    }

    pub(super) fn spend(&mut self, quota: Quota, points: u32, next: u64, now: Timestamp) {
        if self.is_stale(quota, now) || self.has_block_ended(now) {
            *self = Self {
                blocked_until: self.blocked_until,
                percent_as_of_lease: self.percent_as_of_lease,
                ..Self::default()
            };
        }
        self.updated_at = self.updated_at.max(Some(now));
        if points == 0 {
            return;
        }
        let many = self.unreported.len() >= 8;
        match self.unreported.last_mut() {
            // Too many entries without a report: counting them as later ones is safe.
            Some(last) if last.0 == next || many => {
                *last = (next, last.1.saturating_add(points));
            }
            _ => self.unreported.push((next, points)),
        }
    }

    /// Records the highest usage that the responses under a lease reported.
    pub(super) fn record_usage(&mut self, percent: f64, lease: u64, next: u64, now: Timestamp) {
        self.unreported.retain(|(stamp, _)| *stamp > lease);
        if lease >= self.percent_as_of_lease || percent > self.percent {
            (self.percent, self.percent_as_of_lease) = (percent, next);
        }
        self.updated_at = self.updated_at.max(Some(now));
    }
}
