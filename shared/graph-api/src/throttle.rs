//! How long Meta wants us to wait, out of the usage headers.
//!
//! The units differ from header to header: `estimated_time_to_regain_access` is minutes,
//! `reset_time_duration` seconds. Source: Marketing API, "Rate limiting".

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

#[derive(Deserialize)]
struct UseCase {
    #[serde(default)]
    estimated_time_to_regain_access: f64,
}

#[derive(Deserialize)]
struct AdAccountUsage {
    #[serde(default)]
    acc_id_util_pct: f64,
    #[serde(default)]
    reset_time_duration: f64,
}

/// The longest wait that the headers name, if they name any. `header` looks one up by name.
pub(crate) fn named_wait<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    let use_cases = header("x-business-use-case-usage")
        .and_then(|text| serde_json::from_str::<HashMap<String, Vec<UseCase>>>(text).ok())
        .into_iter()
        .flat_map(HashMap::into_values)
        .flatten()
        .map(|case| case.estimated_time_to_regain_access * 60.0);
    let account = header("x-ad-account-usage")
        .and_then(|text| serde_json::from_str::<AdAccountUsage>(text).ok())
        .filter(|usage| usage.acc_id_util_pct >= 100.0)
        .map(|usage| usage.reset_time_duration);
    let seconds = use_cases.chain(account).fold(0.0, f64::max);
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
}

/// Nothing that Meta documents blocks for longer than a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_seconds_are_told_apart() {
        let buc = r#"{"123":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":1}]}"#;
        let account = r#"{"acc_id_util_pct":100,"reset_time_duration":90}"#;
        let wait = |wanted: &'static str, value: &'static str| {
            named_wait(|name| (name == wanted).then_some(value)).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("x-business-use-case-usage", buc), Some(60));
        assert_eq!(wait("x-ad-account-usage", account), Some(90));
        assert_eq!(wait("x-ad-account-usage", r#"{"acc_id_util_pct":9.67,"reset_time_duration":100}"#), None);
        assert_eq!(wait("x-ad-account-usage", "not json"), None);
    }
}
