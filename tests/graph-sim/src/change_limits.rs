//! Limits on single actions, as opposed to quotas: a budget that is changed too often is locked for an hour, and an ad
//! account's spend cap can be changed a limited number of times a day.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::error::GraphError;
use crate::write::Write;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const MAX_SPEND_CAP_CHANGES_PER_DAY: usize = 10;
/// Subcode of the error for a budget that was changed four times within an hour.
const BUDGET_CHANGE_LIMIT_SUBCODE: i64 = 1_487_632;

/// Counts changes and enforces their limits.
#[derive(Default)]
pub(crate) struct ChangeLimiter {
    /// Objects whose budget is locked: until when, and the error to return.
    blocked: BTreeMap<String, (Timestamp, GraphError)>,
    /// Times of spend cap changes, by ad account.
    spend_caps: BTreeMap<String, VecDeque<Timestamp>>,
}

impl ChangeLimiter {
    /// Rejects a change of a locked budget, and of a spend cap that was changed too often.
    pub(crate) fn check(&self, write: &Write) -> Result<(), GraphError> {
        if let Some((until, error)) = self.blocked.get(&write.path)
            && changes_budget(write)
            && write.time < *until
        {
            return Err(error.clone());
        }
        let caps = self.spend_caps.get(&write.path).filter(|_| changes_spend_cap(write));
        let recent = caps.map_or(0, |caps| caps.iter().filter(|cap| **cap + DAY > write.time).count());
        if recent >= MAX_SPEND_CAP_CHANGES_PER_DAY {
            let message = "(#17) The account's spend cap was changed too often today.";
            return Err(GraphError::new(17, message)
                .subcode(1_885_172)
                .user_message("The spend cap of an ad account can be changed ten times a day."));
        }
        Ok(())
    }

    /// Records a rejected write: the fifth change of a budget locks it for an hour.
    pub(crate) fn record_rejection(&mut self, write: &Write, error: &GraphError) {
        if error.subcode == Some(BUDGET_CHANGE_LIMIT_SUBCODE) {
            self.blocked.insert(write.path.clone(), (write.time + HOUR, error.clone()));
        }
    }

    /// Records a successful write.
    pub(crate) fn record_change(&mut self, write: &Write) {
        if changes_spend_cap(write) {
            let caps = self.spend_caps.entry(write.path.clone()).or_default();
            caps.push_back(write.time);
            if caps.len() > MAX_SPEND_CAP_CHANGES_PER_DAY {
                caps.pop_front();
            }
        }
    }
}

fn changes_budget(write: &Write) -> bool {
    ["daily_budget", "lifetime_budget"].iter().any(|name| write.params.contains_key(*name))
}

fn changes_spend_cap(write: &Write) -> bool {
    let names = ["spend_cap", "spend_cap_action"];
    write.path.starts_with("act_")
        && !write.path.contains('/')
        && names.iter().any(|name| write.params.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str, param: &str, time: Timestamp) -> Write {
        let params = BTreeMap::from([(param.to_owned(), "7".to_owned())]);
        Write { method: "POST".into(), path: path.into(), params, files: BTreeMap::new(), time, user: None }
    }

    #[test]
    fn the_eleventh_spend_cap_of_a_day_is_refused() {
        let start: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let mut limiter = ChangeLimiter::default();
        for hour in 0..10 {
            let write = write("act_1", "spend_cap", start + SignedDuration::from_hours(hour));
            assert_eq!(limiter.check(&write), Ok(()));
            limiter.record_change(&write);
        }
        let late = start + SignedDuration::from_hours(10);
        let refused = limiter.check(&write("act_1", "spend_cap", late)).unwrap_err();
        assert_eq!((refused.code, refused.subcode), (17, Some(1_885_172)));
        assert_eq!(limiter.check(&write("act_1", "name", late)), Ok(()));
        assert_eq!(limiter.check(&write("act_2", "spend_cap", late)), Ok(()));
        assert_eq!(limiter.check(&write("act_1", "spend_cap", start + DAY)), Ok(()));
    }

    #[test]
    fn a_budget_changed_too_often_is_closed_for_an_hour() {
        let start: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let mut limiter = ChangeLimiter::default();
        let error = GraphError::new(613, "too often").subcode(BUDGET_CHANGE_LIMIT_SUBCODE);
        limiter.record_rejection(&write("23", "daily_budget", start), &error);
        let after = |minutes| start + SignedDuration::from_mins(minutes);
        assert_eq!(limiter.check(&write("23", "lifetime_budget", after(59))), Err(error));
        assert_eq!(limiter.check(&write("23", "name", after(59))), Ok(()));
        assert_eq!(limiter.check(&write("24", "daily_budget", after(59))), Ok(()));
        assert_eq!(limiter.check(&write("23", "daily_budget", after(60))), Ok(()));
    }
}
