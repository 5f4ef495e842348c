//! Adds the reach that was counted for the periods of rows.

use std::collections::BTreeMap;

use domain::dataset::Dataset;
use domain::date::{DateRange, Grain};
use domain::entity::Level;
use domain::{Error, FieldError};
use jiff::civil::Date;
use store::reach::{ReachPeriod, ReachRows};

use crate::answer::{MissingReach, MissingReachState, ReachScope};
use crate::document::Query;
use crate::measure::Measure;
use crate::numbers::Numbers;
use crate::rows::{Reader, RowKey};

/// Rows of counts that a query reads at most.
const MAX_ROWS: usize = 500_000;

/// How often counts are read again that are replaced at the same time.
const MAX_ATTEMPTS: usize = 5;

/// The reach of periods.
pub(crate) struct RangeReach {
    periods: BTreeMap<(Date, Date), (ReachPeriod, ReachRows)>,
    is_countable: bool,
}

/// Returns whether a query asks for reach that facts do not have: those have the reach of an ad on a day.
pub(crate) fn is_asked_for(query: &Query) -> bool {
    let is_reach = |measure: &Measure| matches!(measure, Measure::Reach | Measure::Frequency);
    let is_split = query.dataset() != Ok(Dataset::AD_DAY);
    let of_rows = query.level == Level::Ad && query.grain() == Grain::Day && !is_split;
    !of_rows && query.needed_measures().iter().any(is_reach)
}

impl RangeReach {
    /// Reads what was counted of these periods. `is_whole` says whether each row is about all of its object.
    pub(crate) async fn read(
        reader: Reader<'_>,
        periods: &[DateRange],
        is_whole: bool,
    ) -> Result<Self, Error> {
        let query = reader.query;
        let has_parts = query.level == Level::Account && query.attributes().next().is_some();
        let is_of_whole_days = query.grain() != Grain::Weekday && query.weekdays().is_none();
        let is_countable = is_whole && !has_parts && is_of_whole_days && query.dataset()? == Dataset::AD_DAY;
        let periods = if is_countable { reader.counts(periods).await? } else { BTreeMap::new() };
        Ok(Self { periods, is_countable })
    }

    /// Adds the reach of a row over a period. What was counted and has none has reached nobody.
    pub(crate) fn add(&self, key: &RowKey, period: DateRange, numbers: &mut Numbers) {
        let counted = self.periods.get(&(period.since, period.until));
        let Some((_, rows)) = counted.filter(|(period, _)| period.counted_at.is_some()) else { return };
        match rows.get(&key.id) {
            Some((reach, frequency)) => (numbers.reach, numbers.frequency) = (Some(*reach), *frequency),
            None => (numbers.reach, numbers.frequency) = (Some(0), None),
        }
    }

    /// Says how fresh it is, and what is missing.
    pub(crate) fn scope(&self, periods: impl Iterator<Item = DateRange>) -> ReachScope {
        let (mut as_of, mut missing) = (None, Vec::new());
        for DateRange { since, until } in periods {
            let known = self.periods.get(&(since, until)).map(|(period, _)| period);
            let counted_at = known.and_then(|period| period.counted_at);
            as_of = as_of.into_iter().chain(counted_at).min();
            let (state, reason) = match known {
                _ if !self.is_countable => (MissingReachState::NotCountable, None),
                None => (MissingReachState::NotRequested, None),
                Some(ReachPeriod { failure: Some(reason), .. }) => {
                    (MissingReachState::Failed, Some(reason.clone()))
                }
                Some(_) if counted_at.is_some() => continue,
                Some(_) => (MissingReachState::Pending, None),
            };
            missing.push(MissingReach { since, until, state, reason });
        }
        ReachScope { as_of, missing }
    }
}

impl Reader<'_> {
    /// Reads the counts of periods.
    async fn counts(
        self,
        wanted: &[DateRange],
    ) -> Result<BTreeMap<(Date, Date), (ReachPeriod, ReachRows)>, Error> {
        let Self { table, workspace, account, query, .. } = self;
        let mut attempt = 1;
        loop {
            let periods = table.reach_periods_of(workspace, &account.id, query.level, wanted).await?;
            if periods.iter().map(ReachPeriod::max_rows).sum::<usize>() > MAX_ROWS {
                let message =
                    format!("has more than {MAX_ROWS} rows of reach; ask for fewer periods at a time");
                return Err(FieldError::new("range", message).into());
            }
            let rows = table.reach_rows(workspace, &account.id, &periods).await?;
            if attempt < MAX_ATTEMPTS && rows.iter().any(Option::is_none) {
                attempt += 1;
                continue;
            }
            // What lacks its rows still has expired, and is as if it had never been counted.
            let counts = periods.into_iter().zip(rows).filter_map(|(period, rows)| Some((period, rows?)));
            let by_days = |count: (ReachPeriod, _)| ((count.0.period.since, count.0.period.until), count);
            return Ok(counts.map(by_days).collect());
        }
    }
}
