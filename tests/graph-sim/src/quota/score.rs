//! The score of an ad account: calls add points, points decay over time, and a full score locks the account for a while
//! (Marketing API, "Rate limiting").

use jiff::{SignedDuration, Timestamp};

use crate::config::Tier;

/// Seconds in which a full score decays to zero.
const DECAY_SECONDS: f64 = 300.0;

/// The score of one ad account.
#[derive(Clone, Default)]
pub(super) struct Score {
    points: f64,
    /// The time at which `points` was computed.
    at: Option<Timestamp>,
    locked_until: Option<Timestamp>,
}

/// The result of charging a call to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScoreCheck {
    Allowed,
    /// This call exceeds the capacity.
    LimitReached,
    /// The account was locked already.
    Locked,
}

impl Score {
    /// Charges a call's points, unless the account is locked or this call locks it.
    pub(super) fn charge(&mut self, points: f64, tier: Tier, now: Timestamp) -> ScoreCheck {
        if self.lockout_seconds(now) > 0 {
            return ScoreCheck::Locked;
        }
        self.points = self.points_at(tier, now);
        self.at = Some(now);
        if self.points + points > tier.max_points() {
            self.locked_until = Some(now + SignedDuration::from_secs(tier.lockout_seconds()));
            return ScoreCheck::LimitReached;
        }
        self.points += points;
        ScoreCheck::Allowed
    }

    /// Returns how full the score is, in percent with two decimals; a locked account is at 100.
    pub(super) fn percent(&self, tier: Tier, now: Timestamp) -> f64 {
        if self.lockout_seconds(now) > 0 {
            return 100.0;
        }
        (self.points_at(tier, now) / tier.max_points() * 10_000.0).round() / 100.0
    }

    /// Returns the seconds until the account is unlocked, or until its score is zero.
    pub(super) fn reset_seconds(&self, tier: Tier, now: Timestamp) -> i64 {
        match self.lockout_seconds(now) {
            0 => (self.points_at(tier, now) / tier.max_points() * DECAY_SECONDS).ceil() as i64,
            closed => closed,
        }
    }

    fn lockout_seconds(&self, now: Timestamp) -> i64 {
        self.locked_until.map_or(0, |until| until.duration_since(now).as_secs().max(0))
    }

    fn points_at(&self, tier: Tier, now: Timestamp) -> f64 {
        let passed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        (self.points - passed * tier.max_points() / DECAY_SECONDS).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_points_close_an_account_of_the_limited_tier_for_five_minutes() {
        let start: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        let tier = Tier::Limited;
        let mut score = Score::default();
        assert!((0..20).all(|_| score.charge(3.0, tier, start) == ScoreCheck::Allowed));
        assert_eq!((score.percent(tier, start), score.reset_seconds(tier, start)), (100.0, 300));
        // A fifth of the score has decayed after a minute.
        assert_eq!(score.percent(tier, after(60)), 80.0);
        assert!((0..12).all(|_| score.charge(1.0, tier, after(60)) == ScoreCheck::Allowed));
        assert_eq!(score.charge(1.0, tier, after(60)), ScoreCheck::LimitReached);
        assert_eq!(score.charge(1.0, tier, after(359)), ScoreCheck::Locked);
        assert_eq!((score.percent(tier, after(359)), score.reset_seconds(tier, after(359))), (100.0, 1));
        assert_eq!(score.charge(1.0, tier, after(360)), ScoreCheck::Allowed);
    }
}
