//! Planning: which days are measured now. The older a day, the less often its numbers change.

use std::collections::{BTreeMap, BTreeSet};

use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek, MAX_RANGE_DAYS, RESTATEMENT_WINDOW_DAYS};
use domain::job::SyncCause;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use store::account::AdAccount;
use store::chunk::{Chunk, ChunkState};

use crate::{ChunkId, SyncEntities};

/// How long the numbers of a day count as fresh, by its age in days; older days are not measured again.
type Freshness = [(i32, SignedDuration)];

/// Of what rules and lists read.
const FRESHNESS: &Freshness = &[
    (1, SignedDuration::ZERO),
    (7, SignedDuration::from_hours(6)),
    (RESTATEMENT_WINDOW_DAYS, SignedDuration::from_hours(24)),
];

/// Of what people look at now and then. It is measured from the first request for it.
const FRESHNESS_OF_BREAKDOWNS: &Freshness = &[(RESTATEMENT_WINDOW_DAYS, SignedDuration::from_hours(24))];

/// Returns the policy of a dataset.
fn freshness(dataset: Dataset) -> &'static Freshness {
    if dataset == Dataset::AD_DAY { FRESHNESS } else { FRESHNESS_OF_BREAKDOWNS }
}

/// By how much a schedule may come early: a day that becomes due minutes later is measured now.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

impl SyncEntities {
    /// Requests the days to measure now, and returns their chunks with those that were left unfinished. A person's request
    /// asks for every day whose numbers Meta may restate.
    pub(crate) async fn plan(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        cause: SyncCause,
    ) -> Result<BTreeSet<ChunkId>, Error> {
        let table = &self.connector.table;
        let now = self.host.clock.now();
        let today = account.today(now)?;
        let known = table.chunks(workspace, &account.id).await?;
        let unfinished = |chunk: &&Chunk| matches!(chunk.state, ChunkState::Planned | ChunkState::Running);
        let mut chunks: BTreeSet<ChunkId> =
            known.iter().filter(unfinished).map(|chunk| (chunk.week, chunk.dataset.name)).collect();
        for dataset in Dataset::ALL {
            let known: BTreeMap<IsoWeek, &Chunk> = known
                .iter()
                .filter(|chunk| chunk.dataset == dataset)
                .map(|chunk| (chunk.week, chunk))
                .collect();
            let failed =
                known.values().filter(|chunk| chunk.state == ChunkState::Failed).map(|chunk| chunk.week);
            let mut weeks: BTreeSet<IsoWeek> = IsoWeek::restated(today).chain(failed).collect();
            if dataset == Dataset::AD_DAY {
                weeks.extend(IsoWeek::backfill(today));
            } else {
                // From the first week that somebody asked for.
                let Some(first) = known.keys().next() else { continue };
                weeks.retain(|week| week >= first);
            }
            for week in weeks {
                let chunk = known.get(&week).copied();
                let days = DateRange { since: week.range().since, until: week.range().until.min(today) };
                let is_due = |day: &Date| {
                    // What was measured before the day had ended lacks its rest, however old it is.
                    let is_whole = |at: &Timestamp| account.end_of(*day).is_ok_and(|end| *at >= end);
                    let measured_at = chunk.and_then(|chunk| chunk.measured_at(*day));
                    let measured_at = measured_at.filter(|at| *day == today || is_whole(at));
                    let is_lacking = chunk.is_some_and(|chunk| {
                        chunk.state == ChunkState::Failed && chunk.is_due(*day)
                            || !chunk.unreadable_rows(*day).is_empty()
                    });
                    let is_wanted = is_lacking || cause == SyncCause::Request;
                    is_due((*day, today), measured_at, now, freshness(dataset), is_wanted)
                };
                let mut due = days.days_within(days).filter(is_due);
                let Some(first) = due.next() else { continue };
                let due = DateRange { since: first, until: due.last().unwrap_or(first) };
                table.plan_chunk(workspace, &account.id, (dataset, week), due, now).await?;
                chunks.insert((week, dataset.name));
            }
        }
        Ok(chunks)
    }
}

/// Days before today for which numbers can be requested: Meta keeps 37 months.
const MAX_HISTORY_DAYS: i32 = MAX_RANGE_DAYS - 1;

impl SyncEntities {
    /// Requests every day of a range, and returns their chunks.
    pub(crate) async fn plan_range(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        datasets: &[Dataset],
        range: DateRange,
    ) -> Result<BTreeSet<ChunkId>, Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        let mut chunks = BTreeSet::new();
        for dataset in datasets {
            for week in range.weeks() {
                table.plan_chunk(workspace, &account.id, (*dataset, week), range, now).await?;
                chunks.insert((week, dataset.name));
            }
        }
        Ok(chunks)
    }

    /// Returns the days that a person asks for, which must have begun and not be too old.
    pub(crate) fn requested_range(
        &self,
        account: &AdAccount,
        datasets: &[Dataset],
        since: Date,
        until: Option<Date>,
    ) -> Result<DateRange, Error> {
        let today = account.today(self.host.clock.now())?;
        let range = DateRange::new(since, until.unwrap_or(today))?;
        if range.until > today {
            let message = format!("{} has not begun; today is {today} in the ad account", range.until);
            return Err(FieldError::new("until", message).into());
        }
        let first = today.saturating_sub(MAX_HISTORY_DAYS.days());
        if range.since < first {
            let message = format!("{since} is too long ago; the platform keeps 37 months, since {first}");
            return Err(FieldError::new("since", message).into());
        }
        let is_over = |dataset: &&Dataset| range.since < today.saturating_sub(dataset.kept_days.days());
        if let Some(dataset) = datasets.iter().find(is_over) {
            let Dataset { name, kept_days, .. } = dataset;
            let message = format!("{since} is too long ago for {name}, which is kept for {kept_days} days");
            return Err(FieldError::new("since", message).into());
        }
        Ok(range)
    }
}

/// Returns whether a day is to be measured, which was last measured at this time, and whole if it is over; one that is
/// wanted is, as long as its numbers may change.
fn is_due(
    (day, today): (Date, Date),
    measured_at: Option<Timestamp>,
    now: Timestamp,
    policy: &Freshness,
    is_wanted: bool,
) -> bool {
    let Some(measured_at) = measured_at else { return true };
    let age = (today - day).get_days();
    match policy.iter().find(|(up_to, _)| age <= *up_to) {
        Some((_, freshness)) => is_wanted || now.duration_since(measured_at) + TOLERANCE >= *freshness,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_older_a_day_the_less_often_it_is_measured() {
        let (today, now): (Date, Timestamp) = (date(2026, 11, 20), "2026-11-20T12:00:00Z".parse().unwrap());
        let due = |age: i32, hours: i64, is_wanted| {
            let measured_at = now - SignedDuration::from_hours(hours);
            is_due((today.saturating_sub(age.days()), today), Some(measured_at), now, FRESHNESS, is_wanted)
        };
        for (age, hours) in [(0, 0), (1, 1), (2, 6), (7, 6), (8, 24), (28, 24)] {
            assert!(due(age, hours, false), "day {age} after {hours} hours");
        }
        for (age, hours) in [(2, 5), (7, 5), (8, 23), (28, 20), (29, 900)] {
            assert!(!due(age, hours, false), "day {age} after {hours} hours");
            assert_eq!(due(age, hours, true), age <= 28, "day {age}, requested by a person");
        }
        assert!(is_due((date(2026, 1, 1), today), None, now, FRESHNESS, false), "never measured");
    }
}
