//! Adds the reach that was counted for the periods of rows.

use std::collections::BTreeMap;

use domain::Error;
use domain::dataset::Dataset;
use domain::date::{DateRange, Grain};
use domain::entity::Level;
use jiff::civil::Date;
use store::reach::ReachPeriod;

use crate::answer::{MissingReach, MissingReachState, ReachScope};
use crate::document::Query;
use crate::measure::Measure;
use crate::numbers::Numbers;
use crate::rows::{Reader, RowKey};

/// The reach of periods.
pub(crate) struct RangeReach {
    periods: BTreeMap<(Date, Date), ReachPeriod>,
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
        let Reader { table, workspace, account, query, .. } = reader;
        let has_parts = query.level == Level::Account && query.attributes().next().is_some();
        let is_of_whole_days = query.grain() != Grain::Weekday && query.weekdays().is_none();
        let is_countable = is_whole && !has_parts && is_of_whole_days && query.dataset()? == Dataset::AD_DAY;
        let periods = if is_countable {
            table.reach(workspace, &account.id, query.level, periods).await?
        } else {
            BTreeMap::new()
        };
        Ok(Self { periods, is_countable })
    }

    /// Adds the reach of a row over a period. What was counted and has none has reached nobody.
    pub(crate) fn add(&self, key: &RowKey, period: DateRange, numbers: &mut Numbers) {
        let counted =
            self.periods.get(&(period.since, period.until)).filter(|period| period.measured_at.is_some());
        let Some(counted) = counted else { return };
        match counted.reach.get(&key.id) {
            Some((reach, frequency)) => (numbers.reach, numbers.frequency) = (Some(*reach), *frequency),
            None => (numbers.reach, numbers.frequency) = (Some(0), None),
        }
    }

    /// Says how fresh it is, and what is missing.
    pub(crate) fn scope(&self, periods: impl Iterator<Item = DateRange>) -> ReachScope {
        let (mut as_of, mut missing) = (None, Vec::new());
        for DateRange { since, until } in periods {
            let known = self.periods.get(&(since, until));
            let (state, reason) = match known {
                _ if !self.is_countable => (MissingReachState::NotCountable, None),
                None => (MissingReachState::NotRequested, None),
                Some(ReachPeriod { measured_at: Some(measured_at), .. }) => {
                    as_of = as_of
                        .map_or(Some(*measured_at), |first: jiff::Timestamp| Some(first.min(*measured_at)));
                    continue;
                }
                Some(ReachPeriod { failure: Some(reason), .. }) => {
                    (MissingReachState::Failed, Some(reason.clone()))
                }
                Some(_) => (MissingReachState::Pending, None),
            };
            missing.push(MissingReach { since, until, state, reason });
        }
        ReachScope { as_of, missing }
    }
}
