//! What is known of one quota.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::WRITE_POINTS;
use crate::usage::{Tier, UseCase};

/// What may be spent right after a throttle has ended, before an answer tells how much there is.
pub(super) const PROBE_POINTS: u32 = WRITE_POINTS;

/// A quota of Meta's, by what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    Score,
    Calls(UseCase),
}

impl Quota {
    /// Points that the quota holds at least.
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

    /// After this time Meta has forgotten a call.
    pub(super) fn window(self) -> SignedDuration {
        match self {
            Self::Score => SignedDuration::from_mins(5),
            Self::Calls(_) => SignedDuration::from_hours(1),
        }
    }
}

/// What is known of one quota.
///
/// Reports of processes that call at the same time arrive in any order. The order that can be relied on is that of
/// leases: a call under a lease was made after whatever was recorded before that lease was given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Meter {
    /// Percent used, as the highest of the reports that may be about the same moment said.
    percent: f64,
    /// The number of the lease that was next when `percent` was last set: an earlier one's report cannot lower it.
    percent_as_of_lease: u64,
    /// Points spent that `percent` may not cover, each with the number of the lease that was next.
    unreported: Vec<(u64, u32)>,
    /// When something was last spent or said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<Timestamp>,
    /// Meta serves no call that counts here before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) blocked_until: Option<Timestamp>,
}

impl Meter {
    /// What may still be spent without overrunning the quota, leases aside.
    pub(super) fn available(&self, quota: Quota, tier: Tier, now: Timestamp) -> u32 {
        let points = quota.points(tier);
        if self.is_stale(quota, now) {
            return points;
        }
        if self.has_block_ended(now) {
            return PROBE_POINTS;
        }
        // A percentage may have been rounded down: less than one more percent can hide behind it. A score is no
        // whole number, for it decays all the time.
        let hidden = (f64::from(points) * (self.percent + 1.0) / 100.0).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the quota")]
        let used = hidden.clamp(0.0, f64::from(points)) as u32;
        let unreported = self.unreported.iter().map(|(_, points)| points).sum();
        points.saturating_sub(used).saturating_sub(unreported)
    }

    /// Whether Meta remembers nothing of what is known here.
    fn is_stale(&self, quota: Quota, now: Timestamp) -> bool {
        self.updated_at.is_none_or(|at| now.duration_since(at) >= quota.window())
    }

    /// Whether Meta has said nothing since a throttle ended. It serves again, whatever it said before.
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
            // Many without any report: taking them for later ones is safe.
            Some(last) if last.0 == next || many => {
                *last = (next, last.1.saturating_add(points));
            }
            _ => self.unreported.push((next, points)),
        }
    }

    /// What the answers to calls under a lease said at the most.
    pub(super) fn record_usage(&mut self, percent: f64, lease: u64, next: u64, now: Timestamp) {
        self.unreported.retain(|(stamp, _)| *stamp > lease);
        if lease >= self.percent_as_of_lease || percent > self.percent {
            (self.percent, self.percent_as_of_lease) = (percent, next);
        }
        self.updated_at = self.updated_at.max(Some(now));
    }
}
