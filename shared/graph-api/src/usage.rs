//! The quota usage that response headers report.
//!
//! Counts are percentages of a quota, blocked at 100. The units of time differ: `estimated_time_to_regain_access` is in
//! minutes, `reset_time_duration` in seconds (Marketing API, "Rate limiting"). Not every response carries the headers.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The use case that a call counts as at Meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseCase {
    /// Insights, and the report runs they come from.
    AdsInsights,
    /// Reading and writing campaigns, ad sets, ads, creatives and media.
    AdsManagement,
    /// Audiences, pages, catalogs: nothing that this crate calls often.
    #[serde(other)]
    Other,
}

/// The app's access tier at Meta.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// "Full" access.
    #[serde(rename = "standard_access")]
    Full,
    /// "Limited" access, until Meta has reviewed the app. Assumed until a header says otherwise.
    #[default]
    #[serde(rename = "development_access", other)]
    Limited,
}

/// The usage that one response reports. Absent values were not reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Percent of the app's own quota.
    pub app: Option<f64>,
    /// Percent of the ad account's score (reads count 1, writes 3).
    pub score: Option<f64>,
    /// Percent of the quota of each use case of the ad account.
    pub cases: Vec<(UseCase, f64)>,
    /// The time until the ad account is served again, for one use case or for all.
    pub waits: Vec<(Option<UseCase>, Duration)>,
    /// The app's tier.
    pub tier: Option<Tier>,
}

#[derive(Deserialize)]
struct AppUsage {
    #[serde(default)]
    call_count: f64,
    #[serde(default)]
    total_cputime: f64,
    #[serde(default)]
    total_time: f64,
}

#[derive(Deserialize)]
struct UseCaseUsage {
    #[serde(rename = "type")]
    case: UseCase,
    #[serde(flatten)]
    counts: AppUsage,
    #[serde(default)]
    estimated_time_to_regain_access: f64,
    ads_api_access_tier: Option<Tier>,
}

#[derive(Deserialize)]
struct AccountUsage {
    #[serde(default)]
    acc_id_util_pct: f64,
    #[serde(default)]
    reset_time_duration: f64,
    ads_api_access_tier: Option<Tier>,
}

#[derive(Deserialize)]
struct InsightsThrottle {
    #[serde(default)]
    app_id_util_pct: f64,
    #[serde(default)]
    acc_id_util_pct: f64,
    ads_api_access_tier: Option<Tier>,
}

impl AppUsage {
    fn percent(&self) -> f64 {
        self.call_count.max(self.total_cputime).max(self.total_time)
    }
}

impl Usage {
    /// Parses the headers; `header` looks one up by its lower-case name. Invalid headers are ignored.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        fn json<T: DeserializeOwned>(text: Option<&str>) -> Option<T> {
            serde_json::from_str(text?).ok()
        }
        let app = json::<AppUsage>(header("x-app-usage")).map(|app| app.percent());
        let mut usage = Self { app, ..Self::default() };
        // The key is the id of the ad account or of the business: a response concerns one of them.
        let cases = json::<HashMap<String, Vec<UseCaseUsage>>>(header("x-business-use-case-usage"));
        for case in cases.into_iter().flat_map(HashMap::into_values).flatten() {
            usage.record_percent(case.case, case.counts.percent());
            usage.tier = case.ads_api_access_tier.or(usage.tier);
            usage.add_wait(Some(case.case), case.estimated_time_to_regain_access * 60.0);
        }
        if let Some(account) = json::<AccountUsage>(header("x-ad-account-usage")) {
            usage.score = Some(account.acc_id_util_pct);
            usage.tier = account.ads_api_access_tier.or(usage.tier);
            if account.acc_id_util_pct >= 100.0 {
                usage.add_wait(None, account.reset_time_duration);
            }
        }
        if let Some(throttle) = json::<InsightsThrottle>(header("x-fb-ads-insights-throttle")) {
            usage.record_percent(UseCase::AdsInsights, throttle.acc_id_util_pct);
            usage.app = Some(usage.app.unwrap_or(0.0).max(throttle.app_id_util_pct));
            usage.tier = throttle.ads_api_access_tier.or(usage.tier);
        }
        usage
    }

    /// Returns the longest wait that applies to a use case, else the longest of all.
    pub fn retry_after(&self, case: UseCase) -> Option<Duration> {
        let concerns = |of: Option<UseCase>| of.is_none_or(|of| of == case);
        let waits = self.waits.iter();
        let ours = waits.clone().filter(|(of, _)| concerns(*of)).map(|(_, wait)| *wait).max();
        ours.or_else(|| waits.map(|(_, wait)| *wait).max())
    }

    /// Returns the percentage used of a use case's quota.
    pub fn percent(&self, case: UseCase) -> Option<f64> {
        self.cases.iter().filter(|(of, _)| *of == case).map(|(_, percent)| *percent).reduce(f64::max)
    }

    /// Merges the usage of a later response, keeping the higher percentages.
    pub fn merge(&mut self, later: Self) {
        let higher = |a: Option<f64>, b: Option<f64>| [a, b].into_iter().flatten().reduce(f64::max);
        self.app = higher(self.app, later.app);
        self.score = higher(self.score, later.score);
        for (case, percent) in later.cases {
            self.record_percent(case, percent);
        }
        self.tier = later.tier.or(self.tier);
        self.waits.extend(later.waits);
    }

    fn record_percent(&mut self, case: UseCase, percent: f64) {
        match self.cases.iter_mut().find(|(of, _)| *of == case) {
            Some((_, known)) => *known = known.max(percent),
            None => self.cases.push((case, percent)),
        }
    }

    fn add_wait(&mut self, case: Option<UseCase>, seconds: f64) {
        if seconds > 0.0 {
            let wait = Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT).min(MAX_WAIT);
            self.waits.push((case, wait));
        }
    }
}

/// The upper bound of a wait: nothing that Meta documents blocks for longer than a day.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &'static str)]) -> Usage {
        Usage::read(|name| headers.iter().find(|(of, _)| *of == name).map(|(_, value)| *value))
    }

    #[test]
    fn minutes_and_seconds_are_told_apart() {
        let buc = read(&[(
            "x-business-use-case-usage",
            r#"{"123":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":1},
                       {"type":"ads_management","call_count":3,"total_time":40,"estimated_time_to_regain_access":0},
                       {"type":"a_new_one","call_count":3}]}"#,
        )]);
        assert_eq!(buc.retry_after(UseCase::AdsInsights), Some(Duration::from_secs(60)));
        assert_eq!(Usage::default().retry_after(UseCase::AdsManagement), None);
        assert_eq!(buc.percent(UseCase::AdsManagement), Some(40.0));
        let blocked = read(&[("x-ad-account-usage", r#"{"acc_id_util_pct":100,"reset_time_duration":90}"#)]);
        assert_eq!(blocked.retry_after(UseCase::AdsManagement), Some(Duration::from_secs(90)));
        let open = read(&[("x-ad-account-usage", r#"{"acc_id_util_pct":9.67,"reset_time_duration":100}"#)]);
        assert_eq!((open.score, open.retry_after(UseCase::AdsInsights)), (Some(9.67), None));
    }

    #[test]
    fn all_four_headers_are_read_and_invalid_ones_are_ignored() {
        let usage = read(&[
            ("x-app-usage", r#"{"call_count":28,"total_cputime":25,"total_time":25}"#),
            (
                "x-fb-ads-insights-throttle",
                r#"{"app_id_util_pct":0.5,"acc_id_util_pct":10.2,"ads_api_access_tier":"standard_access"}"#,
            ),
            ("x-ad-account-usage", "not json"),
        ]);
        assert_eq!(usage.app, Some(28.0));
        assert_eq!(usage.percent(UseCase::AdsInsights), Some(10.2));
        assert_eq!(usage.tier, Some(Tier::Full));
        assert_eq!(usage.score, None);
    }
}
