//! Rate limits: usage, throttling and the usage headers (Marketing API, "Rate limiting"). Calls are counted per ad
//! account and use case over the last hour; in addition an ad account has a score, and the app has its own limit.
//! Rejected calls are not counted.

mod score;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::config::Limits;
use crate::error::GraphError;
use crate::fault::ThrottleKind;
use score::{Score, ScoreCheck};

/// The use case that a call to an ad account counts towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UseCase {
    /// Structure reads and writes.
    AdsManagement,
    /// Insights reads and report runs.
    AdsInsights,
    /// Audiences.
    CustomAudience,
}

impl UseCase {
    const ALL: [Self; 3] = [Self::AdsManagement, Self::AdsInsights, Self::CustomAudience];

    fn name(self) -> &'static str {
        match self {
            Self::AdsManagement => "ads_management",
            Self::AdsInsights => "ads_insights",
            Self::CustomAudience => "custom_audience",
        }
    }

    fn throttle(self) -> ThrottleKind {
        match self {
            Self::AdsManagement => ThrottleKind::Management,
            Self::AdsInsights => ThrottleKind::Insights,
            Self::CustomAudience => ThrottleKind::Audience,
        }
    }
}

/// What an ad account has used of a quota.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Calls in the last hour.
    pub calls: u64,
    /// Allowed calls per hour.
    pub limit: u64,
    /// Minutes until an exhausted quota allows calls again; 0 when it is not exhausted.
    pub minutes_to_wait: i64,
    /// How full the ad account's score is over all use cases, in percent.
    pub score_percent: f64,
}

/// The properties of an ad account that its quotas depend on.
#[derive(Clone, Copy)]
pub(crate) struct QuotaTarget<'a> {
    /// Without the `act_` prefix.
    pub(crate) account: &'a str,
    pub(crate) case: UseCase,
    /// 0 when the quotas do not grow with active ads.
    pub(crate) active_ads: u64,
}

/// The calls of the last hour.
#[derive(Clone)]
pub(crate) struct Quota {
    limits: Limits,
    accounts: BTreeMap<String, AccountCalls>,
    app: VecDeque<Timestamp>,
}

/// The calls to one ad account.
#[derive(Clone, Default)]
struct AccountCalls {
    cases: BTreeMap<UseCase, VecDeque<Timestamp>>,
    score: Score,
    /// Writes of the last second.
    writes: VecDeque<Timestamp>,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const READ_POINTS: f64 = 1.0;
const WRITE_POINTS: f64 = 3.0;
/// Calls per hour that each daily user adds to an app's limit.
const HOURLY_CALLS_PER_USER: u64 = 200;

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, accounts: BTreeMap::new(), app: VecDeque::new() }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts a call of the app, or rejects it.
    pub(crate) fn count_app(&mut self, now: Timestamp) -> Result<(), GraphError> {
        drop_expired(&mut self.app, HOUR, now);
        let users = self.limits.daily_users;
        if users.is_some_and(|users| self.app.len() as u64 >= users * HOURLY_CALLS_PER_USER) {
            return Err(ThrottleKind::App.error());
        }
        self.app.push_back(now);
        Ok(())
    }

    /// Counts a call to an ad account, or rejects it.
    pub(crate) fn count(
        &mut self,
        target: QuotaTarget<'_>,
        writes: bool,
        now: Timestamp,
    ) -> Result<(), GraphError> {
        let limit = self.limit(target);
        self.accounts.entry(target.account.to_owned()).or_default().count(
            target.case,
            writes,
            limit,
            &self.limits,
            now,
        )
    }

    /// Returns what an ad account has used.
    pub(crate) fn usage(&self, target: QuotaTarget<'_>, now: Timestamp) -> Usage {
        let limit = self.limit(target);
        let account = self.accounts.get(target.account);
        let calls = account.and_then(|account| account.cases.get(&target.case));
        Usage {
            calls: calls.map_or(0, |calls| recent(calls, now)),
            limit,
            minutes_to_wait: calls.map_or(0, |calls| minutes_to_wait(calls, limit, now)),
            score_percent: account.map_or(0.0, |account| account.score.percent(self.limits.tier, now)),
        }
    }

    /// Returns the usage headers of a response; `target` is the account the call went to.
    pub(crate) fn headers(
        &self,
        target: Option<QuotaTarget<'_>>,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        let app_limit = match self.limits.daily_users {
            Some(users) => users * HOURLY_CALLS_PER_USER,
            None => self.limits.ads_management + self.limits.ads_insights,
        };
        let app = percent(recent(&self.app, now), app_limit);
        let usage = json!({ "call_count": app, "total_cputime": app / 2, "total_time": app / 2 });
        let mut headers = vec![("x-app-usage", usage.to_string())];
        let Some(target) = target else { return headers };
        let tier = self.limits.tier;
        let score = self.accounts.get(target.account).map(|account| &account.score);
        let mut share = score.map_or(0.0, |score| score.percent(tier, now));
        if !self.limits.score {
            // Never reports 100 percent when a full score would reject nothing.
            share = share.min(99.0);
        }
        let reset = score.map_or(0, |score| score.reset_seconds(tier, now));
        let tier = tier.name();
        headers.push((
            "x-business-use-case-usage",
            json!({ target.account: self.cases(target, now) }).to_string(),
        ));
        headers.push((
            "x-ad-account-usage",
            json!({ "acc_id_util_pct": share, "reset_time_duration": reset, "ads_api_access_tier": tier })
                .to_string(),
        ));
        if target.case == UseCase::AdsInsights {
            let usage = self.usage(target, now);
            let share = percent(usage.calls, usage.limit);
            headers.push((
                "x-fb-ads-insights-throttle",
                json!({ "app_id_util_pct": app, "acc_id_util_pct": share, "ads_api_access_tier": tier })
                    .to_string(),
            ));
        }
        headers
    }

    /// Returns the usage of each use case that the ad account has calls of.
    fn cases(&self, target: QuotaTarget<'_>, now: Timestamp) -> Vec<Value> {
        let used =
            UseCase::ALL.into_iter().map(|case| (case, self.usage(QuotaTarget { case, ..target }, now)));
        used.filter(|(case, usage)| usage.calls > 0 || *case == target.case)
            .map(|(case, usage)| {
                let share = percent(usage.calls, usage.limit);
                json!({
                    "type": case.name(),
                    "call_count": share,
                    "total_cputime": share / 2,
                    "total_time": share / 2,
                    "estimated_time_to_regain_access": usage.minutes_to_wait,
                    "ads_api_access_tier": self.limits.tier.name(),
                })
            })
            .collect()
    }

    /// Returns the quota in calls per hour.
    fn limit(&self, target: QuotaTarget<'_>) -> u64 {
        let limits = &self.limits;
        // Audiences are not simulated, so their quota stays at its base. At Meta, each user error lowers the insights
        // quota by a thousandth of a call; this is not simulated.
        let (base, per_ad) = match target.case {
            UseCase::AdsManagement => (limits.ads_management, 40),
            UseCase::AdsInsights => (limits.ads_insights, 400),
            UseCase::CustomAudience => (limits.custom_audience, 0),
        };
        base + per_ad * target.active_ads
    }
}

impl AccountCalls {
    fn count(
        &mut self,
        case: UseCase,
        writes: bool,
        limit: u64,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), GraphError> {
        let calls = self.cases.entry(case).or_default();
        drop_expired(calls, HOUR, now);
        if calls.len() as u64 >= limit {
            let error = case.throttle().error();
            return Err(error.user_message("The quota of calls for this ad account is used up."));
        }
        drop_expired(&mut self.writes, SECOND, now);
        let max_per_second = limits.writes_per_second;
        if writes && max_per_second.is_some_and(|max| self.writes.len() as u64 >= max) {
            return Err(GraphError::new(613, "(#613) Calls to this api have exceeded the rate limit.")
                .subcode(5_044_001));
        }
        let points = if writes { WRITE_POINTS } else { READ_POINTS };
        let check = self.score.charge(points, limits.tier, now);
        if limits.score {
            match check {
                ScoreCheck::Allowed => {}
                // Meta documents both errors for an account at its limit; that the first call gets one and later calls
                // the other is our interpretation.
                ScoreCheck::LimitReached => return Err(ThrottleKind::Account.error()),
                ScoreCheck::Locked => return Err(ThrottleKind::Burst.error()),
            }
        }
        calls.push_back(now);
        if writes {
            self.writes.push_back(now);
        }
        Ok(())
    }
}

/// Returns the minutes until the oldest call is an hour old, if the quota is exhausted.
fn minutes_to_wait(calls: &VecDeque<Timestamp>, limit: u64, now: Timestamp) -> i64 {
    match calls.iter().find(|call| **call + HOUR > now) {
        Some(oldest) if recent(calls, now) >= limit => {
            let seconds = (*oldest + HOUR).duration_since(now).as_secs();
            (seconds + 59) / 60
        }
        _ => 0,
    }
}

fn recent(calls: &VecDeque<Timestamp>, now: Timestamp) -> u64 {
    let old = calls.partition_point(|call| *call + HOUR <= now);
    (calls.len() - old) as u64
}

fn drop_expired(calls: &mut VecDeque<Timestamp>, age: SignedDuration, now: Timestamp) {
    while calls.front().is_some_and(|call| *call + age <= now) {
        calls.pop_front();
    }
}

fn percent(count: u64, limit: u64) -> u64 {
    (count * 100).checked_div(limit).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    fn start() -> Timestamp {
        "2026-11-20T02:00:00Z".parse().unwrap()
    }

    fn target(account: &str, case: UseCase) -> QuotaTarget<'_> {
        QuotaTarget { account, case, active_ads: 0 }
    }

    #[test]
    fn a_quota_comes_back_as_calls_grow_old() {
        let start = start();
        let mut quota = Quota::new(Limits { ads_management: 2, ads_insights: 2, ..Limits::default() });
        let one = target("1", UseCase::AdsManagement);
        assert!(quota.count(one, false, start).is_ok());
        assert!(quota.count(one, false, start + SignedDuration::from_mins(10)).is_ok());
        let later = start + SignedDuration::from_mins(30);
        assert_eq!(quota.count(one, false, later).unwrap_err().code, 80_004);
        assert!(quota.count(target("2", UseCase::AdsManagement), false, later).is_ok());
        assert!(quota.count(target("1", UseCase::AdsInsights), false, later).is_ok());
        let usage = &quota.headers(Some(one), later)[1].1;
        assert!(usage.contains("\"call_count\":100") && usage.contains("regain_access\":30"), "{usage}");
        assert!(quota.count(one, false, start + HOUR).is_ok());
    }

    #[test]
    fn active_ads_widen_a_quota_and_a_second_holds_a_hundred_writes() {
        let mut quota = Quota::new(Limits { score: false, ..Limits::of(Tier::Limited) });
        let mut one = target("1", UseCase::AdsManagement);
        assert_eq!(quota.usage(one, start()).limit, 300);
        one.active_ads = 5;
        assert_eq!(quota.usage(one, start()).limit, 500);
        assert!((0..100).all(|_| quota.count(one, true, start()).is_ok()));
        let refused = quota.count(one, true, start()).unwrap_err();
        assert_eq!((refused.code, refused.subcode), (613, Some(5_044_001)));
        assert!(quota.count(one, false, start()).is_ok());
        assert!(quota.count(one, true, start() + SECOND).is_ok());
    }

    #[test]
    fn an_app_has_calls_for_its_users() {
        let mut quota = Quota::new(Limits { daily_users: Some(1), ..Limits::default() });
        assert!((0..200).all(|_| quota.count_app(start()).is_ok()));
        assert_eq!(quota.count_app(start()).unwrap_err().code, 4);
        assert!(quota.headers(None, start())[0].1.contains("\"call_count\":100"));
        assert!(quota.count_app(start() + HOUR).is_ok());
    }
}
