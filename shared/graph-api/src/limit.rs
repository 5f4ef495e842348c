//! Tracks Meta's quotas of an ad account, so that concurrent processes never exceed them.
//!
//! Two kinds of quota apply at the same time (Marketing API, "Rate limiting"): the account's *score* (a read costs one
//! point, a write three, both counted for five minutes) and the calls of each *use case* within an hour. Headers report
//! the percentage used, never the quota; the minimum size of the quota follows from the app's tier.
//!
//! [`AccountLimits`] is one value per app and ad account, stored where all processes see it and updated by
//! compare-and-set. Before it calls, a process leases some points ([`LeaseGrant`]); afterwards it settles the lease
//! with the points it spent and the usage that responses reported. Leased points count as spent until they are settled.
//! Those of a process that vanished count as spent until Meta no longer counts them.

mod meter;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::meter::{Meter, Quota};
use crate::error_code::ThrottleScope;
use crate::usage::{Tier, Usage, UseCase};

/// The points that one invocation leases at a time: enough for a handful of calls and their retries.
pub const DEFAULT_LEASE_POINTS: u32 = 30;

/// Points of a read.
pub const READ_POINTS: u32 = 1;
/// Points of a write.
pub const WRITE_POINTS: u32 = 3;

/// The time after which an unsettled lease expires; longer than a call may take.
const LEASE_TTL: SignedDuration = SignedDuration::from_secs(120);

/// The share of a quota that work may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaShare {
    /// All of it: for actions, for which a person, a schedule or a rule cannot wait.
    Whole,
    /// All but a fifth, which is kept for actions: for syncs and other reads in the background.
    Background,
}

/// Points that a process may spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    id: u64,
    /// The use case that the calls count as.
    pub case: UseCase,
    /// The number of points.
    pub points: u32,
    /// The time after which no call may begin.
    pub until: Timestamp,
}

impl LeaseGrant {
    /// Returns whether a call that begins now may outlive the lease.
    pub(crate) fn ends_soon(&self, now: Timestamp) -> bool {
        self.until.duration_since(now).as_secs() < 60
    }
}

/// The consumption of a lease by a process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaConsumption {
    /// The points of the calls it made.
    pub points: u32,
    /// The points among them that no response with usage headers can have included.
    pub unreported: u32,
    /// The usage that responses reported.
    pub usage: Usage,
    /// The throttles that responses reported.
    pub throttled: Vec<(ThrottleScope, Duration)>,
}

/// The state of one ad account's quotas, for one app.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountLimits {
    #[serde(default)]
    tier: Tier,
    score: Meter,
    insights: Meter,
    management: Meter,
    leases: Vec<LeaseGrant>,
    next_lease_id: u64,
}

impl AccountLimits {
    /// Leases at least `min_points` and up to `max_points` points for calls of a use case. If that is not possible,
    /// leases nothing and returns the time to ask again.
    pub fn lease(
        &mut self,
        case: UseCase,
        share: QuotaShare,
        min_points: u32,
        max_points: u32,
        now: Timestamp,
    ) -> Result<LeaseGrant, Timestamp> {
        self.expire_leases(now);
        if let Some(until) = self.blocked_until(case, now) {
            return Err(until);
        }
        let free = [Quota::Score, Quota::Calls(case)].map(|quota| {
            let counts = |lease: &&LeaseGrant| quota == Quota::Score || Quota::Calls(lease.case) == quota;
            let leased: u32 = self.leases.iter().filter(counts).map(|lease| lease.points).sum();
            self.meter(quota).available(quota, self.tier, share, now).saturating_sub(leased)
        });
        let free = free.into_iter().min().unwrap_or(0);
        // At most a quarter of the free points, so that several processes can share a small quota.
        let points = max_points.min((free / 4).max(min_points)).min(free);
        if points < min_points {
            return Err(self.retry_at(case, share, now));
        }
        let lease = LeaseGrant { id: self.next_lease_id, case, points, until: now + LEASE_TTL };
        self.next_lease_id += 1;
        self.leases.push(lease.clone());
        Ok(lease)
    }

    /// Settles a lease. A second time changes nothing.
    pub fn settle(&mut self, lease: &LeaseGrant, spent: &QuotaConsumption, now: Timestamp) {
        self.expire_leases(now);
        let held = self.leases.iter().position(|held| held.id == lease.id);
        if let Some(held) = held {
            self.leases.remove(held);
        }
        self.tier = spent.usage.tier.unwrap_or(self.tier);
        let next = self.next_lease_id;
        for quota in [Quota::Score, Quota::Calls(lease.case)] {
            let reported = match quota {
                Quota::Score => spent.usage.score,
                Quota::Calls(case) => spent.usage.percent(case),
            };
            // An expired lease was already counted as wholly spent.
            let unreported = if reported.is_some() { spent.unreported } else { spent.points };
            let meter = self.meter_mut(quota);
            meter.spend(quota, if held.is_some() { unreported } else { 0 }, next, now);
            if let Some(percent) = reported {
                meter.record_usage(percent, lease.id, next, now);
            }
        }
        for (scope, after) in &spent.throttled {
            let quota = match scope {
                ThrottleScope::Account => Quota::Score,
                ThrottleScope::UseCase => Quota::Calls(lease.case),
                ThrottleScope::App | ThrottleScope::Action => continue,
            };
            let until = SignedDuration::try_from(*after).ok().and_then(|after| now.checked_add(after).ok());
            let meter = self.meter_mut(quota);
            meter.blocked_until = meter.blocked_until.max(until);
        }
    }

    /// Returns the time before which Meta serves no call of this use case, if it reported one.
    pub fn blocked_until(&self, case: UseCase, now: Timestamp) -> Option<Timestamp> {
        let until = self.score.blocked_until.max(self.meter(Quota::Calls(case)).blocked_until);
        until.filter(|until| *until > now)
    }

    /// Removes expired leases, whose processes vanished, and counts all their points as spent.
    fn expire_leases(&mut self, now: Timestamp) {
        let next = self.next_lease_id;
        let (ended, held): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.leases).into_iter().partition(|lease| lease.until <= now);
        self.leases = held;
        for lease in ended {
            for quota in [Quota::Score, Quota::Calls(lease.case)] {
                self.meter_mut(quota).spend(quota, lease.points, next, lease.until);
            }
        }
    }

    /// Returns when points may be available: other processes settle their leases, or Meta stops counting earlier calls.
    fn retry_at(&self, case: UseCase, share: QuotaShare, now: Timestamp) -> Timestamp {
        if !self.leases.is_empty() {
            return now + SignedDuration::from_secs(2);
        }
        let forgotten = [Quota::Score, Quota::Calls(case)].map(|quota| {
            let full = self.meter(quota).available(quota, self.tier, share, now) < WRITE_POINTS;
            self.meter(quota).updated_at.filter(|_| full).map(|at| at + quota.window())
        });
        forgotten.into_iter().flatten().max().unwrap_or(now).max(now + SignedDuration::from_secs(2))
    }

    fn meter(&self, quota: Quota) -> &Meter {
        match quota {
            Quota::Score => &self.score,
            Quota::Calls(UseCase::AdsInsights) => &self.insights,
            Quota::Calls(_) => &self.management,
        }
    }

    fn meter_mut(&mut self, quota: Quota) -> &mut Meter {
        match quota {
            Quota::Score => &mut self.score,
            Quota::Calls(UseCase::AdsInsights) => &mut self.insights,
            Quota::Calls(_) => &mut self.management,
        }
    }
}

/// The limit of the app itself, across all its accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLimit {
    /// The time before which Meta serves no call of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_until: Option<Timestamp>,
}

impl AppLimit {
    /// Records the app throttles that responses reported. Returns whether anything changed.
    pub fn record_usage(&mut self, spent: &QuotaConsumption, now: Timestamp) -> bool {
        let app = spent.throttled.iter().filter(|(scope, _)| *scope == ThrottleScope::App);
        let until = app.filter_map(|(_, after)| now.checked_add(SignedDuration::try_from(*after).ok()?).ok());
        let until = until.max().max(self.blocked_until);
        let changed = until != self.blocked_until;
        self.blocked_until = until;
        changed
    }
}

/// The recent changes of an ad set's budget. Meta allows four within an hour; after a fifth it blocks changes for an
/// hour (613/1487632).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetChanges(Vec<Timestamp>);

impl BudgetChanges {
    /// The number of changes that Meta allows within an hour.
    pub const MAX_PER_HOUR: usize = 4;

    /// Records a change, or returns the time when the next one is possible.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        let hour = SignedDuration::from_hours(1);
        self.0.retain(|at| now.duration_since(*at) < hour);
        match self.0.iter().min() {
            Some(first) if self.0.len() >= Self::MAX_PER_HOUR => Err(*first + hour),
            _ => {
                self.0.push(now);
                Ok(())
            }
        }
    }

    /// Takes back a change that was recorded at this time and not sent.
    pub fn take_back(&mut self, at: Timestamp) {
        if let Some(place) = self.0.iter().rposition(|recorded| *recorded == at) {
            self.0.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::meter::PROBE_POINTS;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// A model of Meta for an app of the limited tier. It counts exactly, reports whole percents or nothing, and counts
    /// overruns.
    #[derive(Default)]
    struct Meta {
        score: VecDeque<(Timestamp, u32)>,
        calls: VecDeque<(Timestamp, u32)>,
        overruns: u32,
    }

    impl Meta {
        fn serve(&mut self, points: u32, now: Timestamp, speaks: bool) -> Usage {
            let used = |log: &mut VecDeque<(Timestamp, u32)>, quota: Quota, points| {
                log.retain(|(at, _)| now.duration_since(*at) < quota.window());
                log.push_back((now, points));
                log.iter().map(|(_, points)| points).sum::<u32>()
            };
            let management = Quota::Calls(UseCase::AdsManagement);
            let score = (used(&mut self.score, Quota::Score, points), Quota::Score.points(Tier::Limited));
            let calls = (used(&mut self.calls, management, 1), management.points(Tier::Limited));
            self.overruns += u32::from(score.0 > score.1) + u32::from(calls.0 > calls.1);
            let percent = |(used, quota): (u32, u32)| f64::from(used * 100 / quota);
            let mut usage = Usage::default();
            if speaks {
                usage.score = Some(percent(score));
                usage.cases.push((UseCase::AdsManagement, percent(calls)));
            }
            usage
        }
    }

    #[derive(Debug, Clone)]
    enum Event {
        Lease { wanted: u32 },
        Calls { worker: usize, many: u32, writes: bool, speaks: bool },
        Settle { worker: usize },
        Vanish { worker: usize },
        Time { seconds: i64 },
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            4 => (1u32..30).prop_map(|wanted| Event::Lease { wanted }),
            12 => (0usize..6, 1u32..12, prop::bool::weighted(0.2), prop::bool::weighted(0.8))
                .prop_map(|(worker, many, writes, speaks)| Event::Calls { worker, many, writes, speaks }),
            4 => (0usize..6).prop_map(|worker| Event::Settle { worker }),
            1 => (0usize..6).prop_map(|worker| Event::Vanish { worker }),
            3 => (0i64..90).prop_map(|seconds| Event::Time { seconds }),
        ];
        prop::collection::vec(event, 1..400)
    }

    proptest! {
        /// Workers lease, call, settle or vanish in any order and with any pauses. No call exceeds a quota.
        #[test]
        fn no_interleaving_overruns_a_quota(events in events()) {
            let (mut limits, mut meta, mut now) = (AccountLimits::default(), Meta::default(), at(0));
            let mut workers: Vec<(LeaseGrant, QuotaConsumption)> = Vec::new();
            for event in events {
                match event {
                    Event::Lease { wanted } => {
                        if let Ok(lease) = limits.lease(UseCase::AdsManagement, QuotaShare::Whole, 1, wanted, now) {
                            workers.push((lease, QuotaConsumption::default()));
                        }
                    }
                    Event::Calls { .. } | Event::Settle { .. } | Event::Vanish { .. } if workers.is_empty() => {}
                    Event::Calls { worker, many, writes, speaks } => {
                        let points = if writes { WRITE_POINTS } else { READ_POINTS };
                        let busy = workers.len();
                        let (lease, spent) = &mut workers[worker % busy];
                        for _ in 0..many {
                            if spent.points + points > lease.points || now >= lease.until {
                                break;
                            }
                            spent.points += points;
                            spent.unreported = if speaks { 0 } else { spent.unreported + points };
                            spent.usage.merge(meta.serve(points, now, speaks));
                        }
                    }
                    Event::Settle { worker } => {
                        let (lease, spent) = workers.remove(worker % workers.len());
                        limits.settle(&lease, &spent, now);
                    }
                    Event::Vanish { worker } => drop(workers.remove(worker % workers.len())),
                    Event::Time { seconds } => now += SignedDuration::from_secs(seconds),
                }
                prop_assert_eq!(meta.overruns, 0);
            }
        }

        /// After any history, the whole quota can be leased again after an hour without calls.
        #[test]
        fn nothing_is_lost_for_longer_than_an_hour(leases in prop::collection::vec((1u32..60, any::<bool>()), 1..20)) {
            let mut limits = AccountLimits::default();
            for (wanted, vanishes) in leases {
                let Ok(lease) = limits.lease(UseCase::AdsInsights, QuotaShare::Whole, 1, wanted, at(0)) else { continue };
                if !vanishes {
                    let spent = QuotaConsumption { points: wanted, unreported: wanted, ..QuotaConsumption::default() };
                    limits.settle(&lease, &spent, at(1));
                }
            }
            let lease = limits.lease(UseCase::AdsInsights, QuotaShare::Whole, 1, 1000, at(3600 + 120)).unwrap();
            prop_assert_eq!(lease.points, 60 / 4);
        }
    }

    #[test]
    fn background_work_leaves_a_fifth_of_a_quota_to_actions() {
        let mut limits = AccountLimits::default();
        let mut spent = 0;
        while let Ok(lease) = limits.lease(UseCase::AdsManagement, QuotaShare::Background, 3, 30, at(0)) {
            spent += lease.points;
            let all =
                QuotaConsumption { points: lease.points, unreported: lease.points, ..Default::default() };
            limits.settle(&lease, &all, at(0));
        }
        assert!((46..=48).contains(&spent), "{spent} of 60");
        for _ in 0..4 {
            let lease = limits.lease(UseCase::AdsManagement, QuotaShare::Whole, 3, 3, at(0)).unwrap();
            let all = QuotaConsumption { points: 3, unreported: 3, ..Default::default() };
            limits.settle(&lease, &all, at(0));
        }
        assert!(limits.lease(UseCase::AdsManagement, QuotaShare::Whole, 3, 3, at(0)).is_err());
    }

    #[test]
    fn a_throttle_holds_up_its_use_case_for_exactly_the_time_named() {
        let mut limits = AccountLimits::default();
        let lease = limits.lease(UseCase::AdsInsights, QuotaShare::Whole, READ_POINTS, 10, at(0)).unwrap();
        let throttled = vec![
            (ThrottleScope::UseCase, Duration::from_secs(60)),
            (ThrottleScope::App, Duration::from_secs(900)),
        ];
        let usage = Usage { cases: vec![(UseCase::AdsInsights, 100.0)], ..Usage::default() };
        let spent = QuotaConsumption { points: 1, usage, throttled, ..QuotaConsumption::default() };
        limits.settle(&lease, &spent, at(0));
        assert_eq!(
            limits.lease(UseCase::AdsInsights, QuotaShare::Whole, READ_POINTS, 10, at(59)),
            Err(at(60))
        );
        assert!(limits.lease(UseCase::AdsInsights, QuotaShare::Whole, READ_POINTS, 10, at(60)).is_ok());
        assert!(limits.lease(UseCase::AdsManagement, QuotaShare::Whole, WRITE_POINTS, 10, at(1)).is_ok());
        let mut app = AppLimit::default();
        assert!(app.record_usage(&spent, at(0)) && !app.record_usage(&spent, at(0)));
        assert_eq!(app.blocked_until, Some(at(900)));
    }

    #[test]
    fn after_a_throttle_one_call_finds_out_how_much_there_is() {
        let mut limits = AccountLimits::default();
        let lease = limits.lease(UseCase::AdsManagement, QuotaShare::Whole, WRITE_POINTS, 30, at(0)).unwrap();
        let usage = Usage { score: Some(100.0), ..Usage::default() };
        let throttled = vec![(ThrottleScope::Account, Duration::from_secs(60))];
        let spent = QuotaConsumption { points: 1, usage, throttled, ..QuotaConsumption::default() };
        limits.settle(&lease, &spent, at(0));
        assert_eq!(
            limits.lease(UseCase::AdsInsights, QuotaShare::Whole, READ_POINTS, 30, at(59)),
            Err(at(60)),
            "the score is everybody's"
        );
        let probe =
            limits.lease(UseCase::AdsManagement, QuotaShare::Whole, WRITE_POINTS, 30, at(60)).unwrap();
        assert_eq!(probe.points, PROBE_POINTS);
        assert!(
            limits.lease(UseCase::AdsManagement, QuotaShare::Whole, WRITE_POINTS, 30, at(60)).is_err(),
            "one at a time"
        );
        let usage = Usage { score: Some(0.0), ..Usage::default() };
        limits.settle(&probe, &QuotaConsumption { points: 1, usage, ..QuotaConsumption::default() }, at(61));
        assert_eq!(
            limits.lease(UseCase::AdsManagement, QuotaShare::Whole, WRITE_POINTS, 30, at(61)).unwrap().points,
            59 / 4
        );
    }

    #[test]
    fn an_app_with_full_access_is_held_to_larger_quotas_once_a_header_says_so() {
        let mut limits = AccountLimits::default();
        let lease = limits.lease(UseCase::AdsInsights, QuotaShare::Whole, READ_POINTS, 1000, at(0)).unwrap();
        assert_eq!(lease.points, 60 / 4);
        let usage = Usage { tier: Some(Tier::Full), score: Some(0.0), ..Usage::default() };
        limits.settle(&lease, &QuotaConsumption { points: 2, usage, ..QuotaConsumption::default() }, at(1));
        assert_eq!(
            limits.lease(UseCase::AdsInsights, QuotaShare::Whole, READ_POINTS, 1000, at(2)).unwrap().points,
            1000
        );
    }

    #[test]
    fn a_budget_bears_four_changes_an_hour() {
        let mut changes = BudgetChanges::default();
        for minute in [0, 10, 20, 30] {
            assert_eq!(changes.admit(at(minute * 60)), Ok(()));
        }
        assert_eq!(changes.admit(at(40 * 60)), Err(at(3600)));
        assert_eq!(changes.admit(at(3600)), Ok(()));
        assert_eq!(changes.admit(at(3601)), Err(at(3600 + 600)));
    }
}
