//! Times for which a daily budget is higher. Source: Marketing API, "Budget Scheduling", and Campaign and AdSet,
//! `budget_schedule_specs` of v26.

use domain::money::Money;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[cfg(feature = "describe")]
use super::ad_set::TIME_PATTERN;
use super::ad_set::{moment, with_offset};
use super::findings::Findings;

/// The most of one campaign or ad set.
const MAX_SCHEDULES: usize = 50;

const MIN_DURATION: SignedDuration = SignedDuration::from_hours(3);

/// How many times the daily budget a day may cost at most.
const MAX_FACTOR: u8 = 8;

/// A time for which a daily budget is higher: by an amount, or so many times as high.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BudgetSchedule {
    /// From when: a local time of the ad account, `2026-11-27T00:00:00`, or one with an offset.
    #[cfg_attr(feature = "describe", schemars(regex(pattern = TIME_PATTERN)))]
    pub start: String,
    /// Until when: three hours later or more.
    #[cfg_attr(feature = "describe", schemars(regex(pattern = TIME_PATTERN)))]
    pub end: String,
    /// What is added to the budget of a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    pub increase: Option<Money>,
    /// How many times the budget of a day it is, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(range(min = 2, max = MAX_FACTOR)))]
    pub multiplier: Option<u8>,
}

impl BudgetSchedule {
    pub(super) fn resolve(&mut self, zone: &TimeZone) {
        for time in [&mut self.start, &mut self.end] {
            *time = with_offset(time, zone).unwrap_or_else(|| time.clone());
        }
    }
}

/// Checks the schedules of what has this daily budget, if it has one, and ends then, if it does. Times are resolved.
pub(super) fn check(
    schedules: &[BudgetSchedule],
    (daily, last): (Option<Money>, Option<Timestamp>),
    path: &str,
    now: Timestamp,
    found: &mut Findings,
) {
    let message = "must be absent where there is no daily budget";
    found.require(schedules.is_empty() || daily.is_some(), path, message);
    let message = format!("may have {MAX_SCHEDULES} entries at most");
    found.require(schedules.len() <= MAX_SCHEDULES, path, message);
    for (number, schedule) in schedules.iter().enumerate() {
        let at = |part: &str| format!("{path}[{number}].{part}");
        let (start, end) = (moment(&schedule.start), moment(&schedule.end));
        let shape = "must be a time of the ad account that exists there, such as 2026-11-27T00:00:00, or one with an offset";
        found.require(start.is_some(), &at("start"), shape);
        found.require(end.is_some(), &at("end"), shape);
        if let (Some(start), Some(end)) = (start, end) {
            let lasts = end > now && end.duration_since(start) >= MIN_DURATION;
            found.require(lasts, &at("end"), "must be after now, and three hours after the start or later");
            let message = "must not be after the end of what it is of";
            found.require(last.is_none_or(|last| end <= last), &at("end"), message);
            let overlaps = |earlier: &BudgetSchedule| {
                let times = moment(&earlier.start).zip(moment(&earlier.end));
                times.is_some_and(|(from, until)| start < until && from < end)
            };
            let message = "must be after the end of the schedules before it: they do not overlap";
            found.require(!schedules[..number].iter().any(overlaps), &at("start"), message);
        }
        let message = "must be there, or a multiplier: one of them";
        found.require(schedule.increase.is_some() != schedule.multiplier.is_some(), &at("increase"), message);
        found.require_budget(schedule.increase, &at("increase"));
        let largest = daily.map(|daily| daily.amount.saturating_mul(i64::from(MAX_FACTOR - 1)));
        let fits =
            schedule.increase.zip(largest).is_none_or(|(increase, largest)| increase.amount <= largest);
        let message = format!("must be {} times the daily budget at most", MAX_FACTOR - 1);
        found.require(fits, &at("increase"), message);
        let fits = schedule.multiplier.is_none_or(|factor| (2..=MAX_FACTOR).contains(&factor));
        found.require(fits, &at("multiplier"), format!("must be 2 to {MAX_FACTOR}"));
    }
}

/// Returns the parameters of an object that has such schedules.
pub(super) fn form(schedules: &[BudgetSchedule]) -> Vec<(&'static str, String)> {
    if schedules.is_empty() {
        return Vec::new();
    }
    let spec = |schedule: &BudgetSchedule| {
        let seconds = |time: &String| moment(time).map(Timestamp::as_second);
        let (value, kind) = match (schedule.increase, schedule.multiplier) {
            (Some(increase), _) => (increase.amount, "ABSOLUTE"),
            (None, factor) => (i64::from(factor.unwrap_or(1)), "MULTIPLIER"),
        };
        json!({
            "time_start": seconds(&schedule.start), "time_end": seconds(&schedule.end),
            "budget_value": value, "budget_value_type": kind,
        })
    };
    let specs: Value = schedules.iter().map(spec).collect();
    vec![("is_budget_schedule_enabled", "true".to_owned()), ("budget_schedule_specs", specs.to_string())]
}
