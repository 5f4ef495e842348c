//! Rate limits: calls are counted per ad account and use case over the last hour, and told in headers as percent
//! of the quota.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::config::Limits;
use crate::error::GraphError;

/// The business use cases the simulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UseCase {
    AdsManagement,
    AdsInsights,
}

impl UseCase {
    fn name(self) -> &'static str {
        match self {
            Self::AdsManagement => "ads_management",
            Self::AdsInsights => "ads_insights",
        }
    }
}

/// The calls of the last hour.
pub(crate) struct Quota {
    limits: Limits,
    accounts: BTreeMap<(String, UseCase), VecDeque<Timestamp>>,
    app: VecDeque<Timestamp>,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const TIER: &str = "standard_access";

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, accounts: BTreeMap::new(), app: VecDeque::new() }
    }

    /// Counts a call of the app.
    pub(crate) fn count_app(&mut self, now: Timestamp) {
        forget(&mut self.app, now);
        self.app.push_back(now);
    }

    /// Counts a call to an ad account, or refuses it.
    pub(crate) fn count(&mut self, account: &str, case: UseCase, now: Timestamp) -> Result<(), GraphError> {
        let limit = self.limit(case);
        let calls = self.accounts.entry((account.to_owned(), case)).or_default();
        forget(calls, now);
        if calls.len() as u64 >= limit {
            let (code, what) = match case {
                UseCase::AdsManagement => (80004, "There have been too many calls to this ad-account."),
                UseCase::AdsInsights => (80000, "There have been too many calls from this ad-account."),
            };
            return Err(GraphError::new(code, format!("(#{code}) {what} Wait a bit and try again."))
                .subcode(2446079)
                .user_message("The quota of calls for this ad account is used up."));
        }
        calls.push_back(now);
        Ok(())
    }

    /// The headers of an answer; `target` is the ad account the call went to.
    pub(crate) fn headers(
        &self,
        target: Option<(&str, UseCase)>,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        let app = percent(self.app.len() as u64, self.limits.ads_management + self.limits.ads_insights);
        let mut headers = vec![(
            "x-app-usage",
            json!({ "call_count": app, "total_cputime": app / 2, "total_time": app / 2 }).to_string(),
        )];
        let Some((account, case)) = target else { return headers };
        let used: Vec<_> = [UseCase::AdsManagement, UseCase::AdsInsights]
            .into_iter()
            .filter_map(|used| {
                let calls =
                    self.accounts.get(&(account.to_owned(), used)).filter(|calls| !calls.is_empty())?;
                let share = percent(recent(calls, now), self.limit(used));
                Some(json!({
                    "type": used.name(),
                    "call_count": share,
                    "total_cputime": share / 2,
                    "total_time": share / 2,
                    "estimated_time_to_regain_access": self.minutes_to_wait(calls, used, now),
                    "ads_api_access_tier": TIER,
                }))
            })
            .collect();
        let share = self.share(account, case, now);
        headers.push(("x-business-use-case-usage", json!({ account: used }).to_string()));
        headers.push((
            "x-ad-account-usage",
            json!({ "acc_id_util_pct": share, "reset_time_duration": 300, "ads_api_access_tier": TIER })
                .to_string(),
        ));
        if case == UseCase::AdsInsights {
            headers.push((
                "x-fb-ads-insights-throttle",
                json!({ "app_id_util_pct": app, "acc_id_util_pct": share, "ads_api_access_tier": TIER })
                    .to_string(),
            ));
        }
        headers
    }

    fn limit(&self, case: UseCase) -> u64 {
        match case {
            UseCase::AdsManagement => self.limits.ads_management,
            UseCase::AdsInsights => self.limits.ads_insights,
        }
    }

    fn share(&self, account: &str, case: UseCase, now: Timestamp) -> u64 {
        let calls = self.accounts.get(&(account.to_owned(), case));
        percent(calls.map_or(0, |calls| recent(calls, now)), self.limit(case))
    }

    /// Minutes until the oldest call is an hour old, for a quota that is used up.
    fn minutes_to_wait(&self, calls: &VecDeque<Timestamp>, case: UseCase, now: Timestamp) -> i64 {
        match calls.iter().find(|call| **call + HOUR > now) {
            Some(oldest) if recent(calls, now) >= self.limit(case) => {
                let seconds = (*oldest + HOUR).duration_since(now).as_secs();
                (seconds + 59) / 60
            }
            _ => 0,
        }
    }
}

fn recent(calls: &VecDeque<Timestamp>, now: Timestamp) -> u64 {
    let old = calls.iter().take_while(|call| **call + HOUR <= now).count();
    (calls.len() - old) as u64
}

fn forget(calls: &mut VecDeque<Timestamp>, now: Timestamp) {
    while calls.front().is_some_and(|call| *call + HOUR <= now) {
        calls.pop_front();
    }
}

fn percent(count: u64, limit: u64) -> u64 {
    (count * 100).checked_div(limit).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_comes_back_as_calls_grow_old() {
        let start: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let mut quota = Quota::new(Limits { ads_management: 2, ads_insights: 2 });
        let case = UseCase::AdsManagement;
        assert!(quota.count("1", case, start).is_ok());
        assert!(quota.count("1", case, start + SignedDuration::from_mins(10)).is_ok());
        let later = start + SignedDuration::from_mins(30);
        assert_eq!(quota.count("1", case, later).unwrap_err().code, 80004);
        assert!(
            quota.count("2", case, later).is_ok() && quota.count("1", UseCase::AdsInsights, later).is_ok()
        );
        let usage = &quota.headers(Some(("1", case)), later)[1].1;
        assert!(usage.contains("\"call_count\":100") && usage.contains("regain_access\":30"), "{usage}");
        assert!(quota.count("1", case, start + HOUR).is_ok());
    }
}
