//! The days of an insights call, and how they are split into rows.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};
use serde_json::Value;

use crate::error::{GraphError, invalid};
use crate::params::Params;

const RETENTION_MONTHS: i64 = 37;
/// Retention of unique counts with breakdowns, and of hourly rows.
const DETAIL_RETENTION_MONTHS: i64 = 13;

/// How a range is split into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Increment {
    Days(i32),
    Monthly,
    AllDays,
}

/// A range of days, the first and the last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateRange {
    pub(crate) since: Date,
    pub(crate) until: Date,
}

/// The days of a call.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    pub(crate) ranges: Vec<DateRange>,
    pub(crate) increment: Increment,
}

impl Period {
    /// Reads `time_ranges`, or else `time_range` or `date_preset`, with `time_increment`.
    pub(crate) fn read(params: Params<'_>, today: Date) -> Result<Self, GraphError> {
        if let Some(given) = params.json("time_ranges")? {
            let Value::Array(given) = given else {
                return Err(invalid("Param time_ranges must be an array"));
            };
            let ranges = given.iter().map(|given| range(given, today)).collect::<Result<_, _>>()?;
            // Each range is one row, whatever `time_increment` says.
            return Ok(Self { ranges, increment: Increment::AllDays });
        }
        let range = match params.json("time_range")? {
            Some(given) => range(&given, today)?,
            None => preset(params.text("date_preset").unwrap_or("last_30d"), today)?,
        };
        Ok(Self { ranges: vec![range], increment: increment(params)? })
    }

    /// Returns the number of days of all ranges.
    pub(crate) fn days(&self) -> u32 {
        self.ranges.iter().map(|range| (range.until - range.since).get_days().unsigned_abs() + 1).sum()
    }

    /// Returns the range from the earliest day to the latest.
    pub(crate) fn bounds_of_all(&self) -> DateRange {
        let since = self.ranges.iter().map(|range| range.since).min().unwrap_or_default();
        let until = self.ranges.iter().map(|range| range.until).max().unwrap_or_default();
        DateRange { since, until }
    }

    /// Returns the index of a day's row among the rows of one object and range.
    pub(crate) fn bucket(&self, range: DateRange, day: Date) -> i32 {
        match self.increment {
            Increment::AllDays => 0,
            Increment::Days(days) => (day - range.since).get_days() / days,
            Increment::Monthly => months(day) - months(range.since),
        }
    }

    /// Returns the first and last day of a row.
    pub(crate) fn bounds(&self, range: DateRange, bucket: i32) -> DateRange {
        let (first, last) = match self.increment {
            Increment::AllDays => (range.since, range.until),
            Increment::Days(days) => {
                let first = range.since.saturating_add((bucket * days).days());
                (first, first.saturating_add((days - 1).days()))
            }
            Increment::Monthly => {
                let first = range.since.first_of_month().saturating_add(bucket.months());
                (first, first.last_of_month())
            }
        };
        DateRange { since: first.max(range.since), until: last.min(range.until) }
    }
}

/// Returns the first day for which details are still kept.
pub(crate) fn detailed_since(today: Date) -> Date {
    today.saturating_sub(DETAIL_RETENTION_MONTHS.months())
}

fn months(day: Date) -> i32 {
    i32::from(day.year()) * 12 + i32::from(day.month())
}

fn range(given: &Value, today: Date) -> Result<DateRange, GraphError> {
    let range = DateRange { since: day(given, "since")?, until: day(given, "until")? };
    if range.since > range.until {
        return Err(invalid("Param time_range: since must not be after until"));
    }
    if range.since < today.saturating_sub(RETENTION_MONTHS.months()) {
        return Err(GraphError::new(
            3018,
            "(#3018) The start date of the time range cannot be beyond 37 months from the current date",
        ));
    }
    Ok(range)
}

fn day(range: &Value, name: &str) -> Result<Date, GraphError> {
    let text = range.get(name).and_then(Value::as_str);
    // Graph accepts exactly year, month and day; jiff would also accept a date and time.
    text.filter(|text| text.len() == 10)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid(format!("Param time_range[{name}] must be a date of the form YYYY-MM-DD")))
}

fn preset(name: &str, today: Date) -> Result<DateRange, GraphError> {
    let back = |span: Span| today.saturating_sub(span);
    let days = |days: i64| (back(days.days()), back(1.day()));
    let week = |first: Weekday| back(i64::from(today.weekday().since(first)).days());
    let year = |years: i64| back(years.years()).first_of_year();
    let quarter = {
        let month = today.first_of_month();
        month.saturating_sub(i64::from((month.month() - 1) % 3).months())
    };
    let before = |first: Date| first.saturating_sub(1.day());
    let (since, until) = match name {
        "today" => (today, today),
        "yesterday" => days(1),
        "last_3d" => days(3),
        "last_7d" => days(7),
        "last_14d" => days(14),
        "last_28d" => days(28),
        "last_30d" => days(30),
        "last_90d" => days(90),
        "this_week_mon_today" => (week(Weekday::Monday), today),
        "this_week_sun_today" => (week(Weekday::Sunday), today),
        "last_week_mon_sun" => {
            (week(Weekday::Monday).saturating_sub(7.days()), before(week(Weekday::Monday)))
        }
        "last_week_sun_sat" => {
            (week(Weekday::Sunday).saturating_sub(7.days()), before(week(Weekday::Sunday)))
        }
        "this_month" => (today.first_of_month(), today),
        "last_month" => (back(1.month()).first_of_month(), before(today.first_of_month())),
        "this_quarter" => (quarter, today),
        "last_quarter" => (quarter.saturating_sub(3.months()), before(quarter)),
        "this_year" => (year(0), today),
        "last_year" => (year(1), before(year(0))),
        "maximum" | "data_maximum" => (back(RETENTION_MONTHS.months()), today),
        _ => return Err(invalid(format!("Param date_preset does not take \"{name}\""))),
    };
    Ok(DateRange { since, until })
}

fn increment(params: Params<'_>) -> Result<Increment, GraphError> {
    match params.text("time_increment") {
        None | Some("all_days") => Ok(Increment::AllDays),
        Some("monthly") => Ok(Increment::Monthly),
        Some(text) => match text.parse() {
            Ok(days) if (1..=90).contains(&days) => Ok(Increment::Days(days)),
            _ => Err(invalid("Param time_increment must be 1 to 90, monthly or all_days")),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn range(since: Date, until: Date) -> DateRange {
        DateRange { since, until }
    }

    #[test]
    fn rows_stay_inside_the_range() {
        let days = range(date(2026, 1, 20), date(2026, 3, 5));
        let period = |increment| Period { ranges: vec![days], increment };
        let monthly = period(Increment::Monthly);
        assert_eq!(monthly.bucket(days, date(2026, 3, 1)), 2);
        assert_eq!(monthly.bounds(days, 0), range(date(2026, 1, 20), date(2026, 1, 31)));
        assert_eq!(monthly.bounds(days, 1), range(date(2026, 2, 1), date(2026, 2, 28)));
        assert_eq!(monthly.bounds(days, 2), range(date(2026, 3, 1), date(2026, 3, 5)));
        let weekly = period(Increment::Days(7));
        assert_eq!(weekly.bucket(days, date(2026, 1, 27)), 1);
        assert_eq!(weekly.bounds(days, 6), range(date(2026, 3, 3), date(2026, 3, 5)));
        assert_eq!(period(Increment::AllDays).bounds(days, 0), days);
        assert_eq!(weekly.days(), 45);
    }

    #[test]
    fn presets_end_yesterday_except_those_that_say_otherwise() {
        // A Friday.
        let today = date(2026, 11, 20);
        let november = |since, until| range(date(2026, 11, since), date(2026, 11, until));
        for (name, expected) in [
            ("last_7d", november(13, 19)),
            ("yesterday", november(19, 19)),
            ("this_week_mon_today", november(16, 20)),
            ("this_week_sun_today", november(15, 20)),
            ("last_week_mon_sun", november(9, 15)),
            ("last_week_sun_sat", november(8, 14)),
            ("last_month", range(date(2026, 10, 1), date(2026, 10, 31))),
            ("this_quarter", range(date(2026, 10, 1), today)),
            ("last_quarter", range(date(2026, 7, 1), date(2026, 9, 30))),
            ("last_year", range(date(2025, 1, 1), date(2025, 12, 31))),
            ("maximum", range(date(2023, 10, 20), today)),
        ] {
            assert_eq!(preset(name, today).unwrap(), expected, "{name}");
        }
        assert_eq!(preset("lifetime", today).unwrap_err().code, 100);
    }
}
