//! Days, date ranges and ISO weeks. Every day is a local date of the ad account.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use crate::FieldError;

/// Weeks fetched when an ad account is first connected: a quarter of a year.
pub const BACKFILL_WEEKS: i32 = 13;

/// Days after which Meta no longer restates a number.
/// Source: Marketing API, "Insights": data stops changing 28 days after it was reported.
pub const RESTATEMENT_WINDOW_DAYS: i32 = 28;

/// Maximum days of a requested range: Meta stores 37 months.
pub const MAX_RANGE_DAYS: i32 = 1123;

/// Years that a request may name. Facebook has no data before them, nobody plans beyond them, and extreme dates are
/// error-prone.
const SUPPORTED_YEARS: std::ops::RangeInclusive<i16> = 2004..=2100;

/// Days from `since` to `until`, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct DateRange {
    /// First day.
    pub since: Date,
    /// Last day, inside the range.
    pub until: Date,
}

impl DateRange {
    /// Creates a range whose days are in order and that spans [`MAX_RANGE_DAYS`] at most.
    pub fn new(since: Date, until: Date) -> Result<Self, FieldError> {
        if since > until {
            return Err(FieldError::new(
                "since",
                format!("{since} is after until={until}; both days are inclusive"),
            ));
        }
        for (field, day) in [("since", since), ("until", until)] {
            if !SUPPORTED_YEARS.contains(&day.year()) {
                return Err(FieldError::new(field, format!("{day} must lie between 2004 and 2100")));
            }
        }
        let range = Self { since, until };
        if range.days() > MAX_RANGE_DAYS {
            return Err(FieldError::new(
                "since",
                format!("the range may span {MAX_RANGE_DAYS} days at most (Meta keeps 37 months)"),
            ));
        }
        Ok(range)
    }

    /// Returns the `count` days that end with `last`.
    pub fn ending(last: Date, count: i32) -> Self {
        Self { since: last.saturating_sub((count - 1).days()), until: last }
    }

    /// Returns the number of days, at least 1.
    pub fn days(&self) -> i32 {
        (self.until - self.since).get_days() + 1
    }

    /// Returns whether `day` is inside.
    pub fn contains(&self, day: Date) -> bool {
        self.since <= day && day <= self.until
    }

    /// Iterates over the days that are in another range, too, the oldest first.
    pub fn days_within(&self, other: Self) -> impl Iterator<Item = Date> + use<> {
        let (first, last) = (self.since.max(other.since), self.until.min(other.until));
        std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(move |day| *day <= last)
    }

    /// Iterates over the ISO weeks that the range touches, oldest first.
    pub fn weeks(&self) -> impl Iterator<Item = IsoWeek> + use<> {
        let last = IsoWeek::of(self.until);
        std::iter::successors(Some(IsoWeek::of(self.since)), |week| Some(week.next()))
            .take_while(move |week| *week <= last)
    }
}

/// How days are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// All days of the range together.
    #[default]
    All,
    /// Each day.
    Day,
    /// Weeks from Monday to Sunday.
    Week,
    /// Calendar months.
    Month,
    /// All Mondays, all Tuesdays, and so on.
    Weekday,
}

/// A week that stands for all weeks: it begins on a Monday.
const ANY_WEEK: Date = jiff::civil::date(2001, 1, 1);

impl Grain {
    /// Returns the day that stands for all days that belong together with this one: the first of its week or month, or
    /// for weekdays one of a fixed week; `None` for all days.
    pub fn bucket(self, day: Date) -> Option<Date> {
        match self {
            Self::All => None,
            Self::Day => Some(day),
            Self::Week => Some(IsoWeek::of(day).range().since),
            Self::Month => Some(day.first_of_month()),
            Self::Weekday => Some(ANY_WEEK.saturating_add(day.weekday().to_monday_zero_offset().days())),
        }
    }

    /// Returns the first and last day inside a range of the days that belong together, by their bucket.
    pub fn periods(self, range: DateRange) -> BTreeMap<Option<Date>, DateRange> {
        let mut periods = BTreeMap::new();
        for day in range.days_within(range) {
            let period = periods.entry(self.bucket(day)).or_insert(DateRange { since: day, until: day });
            period.until = day;
        }
        periods
    }
}

/// Some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays([bool; 7]);

impl Weekdays {
    /// The days' names, from Monday on.
    pub const NAMES: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

    /// Returns the days with these names, or with all the others; `None` if a name is unknown.
    pub fn named(names: &[String], is_among: bool) -> Option<Self> {
        let mut days = [!is_among; 7];
        for name in names {
            let number = Self::NAMES.iter().position(|known| known == name)?;
            *days.get_mut(number)? = is_among;
        }
        Some(Self(days))
    }

    /// Returns the name of a day's weekday.
    pub fn name(day: Date) -> &'static str {
        Self::NAMES[Self::number(day)]
    }

    /// Returns whether a day is one of them.
    pub fn contains(self, day: Date) -> bool {
        self.0[Self::number(day)]
    }

    /// Returns the days that others have, too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|day| self.0[day] && other.0[day]))
    }

    fn number(day: Date) -> usize {
        usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())
    }
}

/// A day in a request, accepted only in the form `2026-11-20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(pub Date);

impl FromStr for Day {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let shape = |text: &str| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let day = shape(text).then(|| text.parse::<Date>().ok()).flatten();
        day.filter(|day| SUPPORTED_YEARS.contains(&day.year())).map(Self).ok_or_else(|| {
            let (first, last) = (SUPPORTED_YEARS.start(), SUPPORTED_YEARS.end());
            FieldError::new("day", format!("must be a day such as 2026-11-20, from {first} to {last}"))
        })
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|error: FieldError| error.message)
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = "^(200[4-9]|20[1-9][0-9]|2100)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";
        schemars::json_schema!({"type": "string", "format": "date", "pattern": pattern})
    }
}

/// A week from Monday to Sunday: the unit in which numbers are fetched and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(!try_from, !into, transparent, extend("pattern" = "^[0-9]{4}-W[0-9]{2}$")))]
pub struct IsoWeek {
    #[cfg_attr(feature = "describe", schemars(with = "String"))]
    monday: Date,
}

impl IsoWeek {
    /// Returns the week that contains `day`.
    pub fn of(day: Date) -> Self {
        let since_monday = i32::from(day.weekday().to_monday_zero_offset());
        Self { monday: day.saturating_sub(since_monday.days()) }
    }

    /// Returns the seven days.
    pub fn range(&self) -> DateRange {
        DateRange { since: self.monday, until: self.monday.saturating_add(6.days()) }
    }

    fn shifted(&self, by: Span) -> Self {
        Self { monday: self.monday.saturating_add(by) }
    }

    /// Returns the following week.
    pub fn next(&self) -> Self {
        self.shifted(1.week())
    }

    /// Iterates over the weeks to fetch at first connection, oldest first: `today`'s and the twelve before it.
    pub fn backfill(today: Date) -> impl Iterator<Item = Self> {
        let first = Self::of(today).shifted((1 - BACKFILL_WEEKS).weeks());
        (0..BACKFILL_WEEKS).map(move |n| first.shifted(n.weeks()))
    }

    /// Iterates over the weeks whose numbers Meta may still restate, oldest first.
    pub fn restated(today: Date) -> impl Iterator<Item = Self> {
        DateRange::ending(today, RESTATEMENT_WINDOW_DAYS).weeks()
    }
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.monday.iso_week_date();
        write!(f, "{:04}-W{:02}", date.year(), date.week())
    }
}

impl FromStr for IsoWeek {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let parse = || {
            let (year, week) = text.split_once("-W")?;
            let date = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday);
            Some(Self { monday: date.ok()?.date() })
        };
        parse().ok_or_else(|| FieldError::new("week", "must be an ISO week such as 2026-W21"))
    }
}

impl TryFrom<String> for IsoWeek {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|error: FieldError| error.message)
    }
}

impl From<IsoWeek> for String {
    fn from(week: IsoWeek) -> Self {
        week.to_string()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weeks_are_written_as_iso_does_across_the_year() {
        let week = IsoWeek::of(date(2027, 1, 1));
        assert_eq!(week.to_string(), "2026-W53");
        assert_eq!(week.next().to_string(), "2027-W01");
        assert_eq!("2026-W53".parse::<IsoWeek>().unwrap(), week);
        for bad in ["2026-53", "2025-W53", "W1", "", "2026-W00"] {
            assert!(bad.parse::<IsoWeek>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_backfill_is_thirteen_weeks_and_a_resync_what_meta_may_restate() {
        let today = date(2026, 11, 20);
        let weeks: Vec<_> = IsoWeek::backfill(today).collect();
        assert_eq!(weeks.len(), 13);
        assert_eq!(weeks.last().copied(), Some(IsoWeek::of(today)));
        assert_eq!(IsoWeek::restated(today).count(), 5);
    }

    proptest! {
        #[test]
        fn a_range_is_covered_by_its_weeks_exactly(start in 0i32..20_000, length in 1i32..400) {
            let since = date(2004, 1, 1).saturating_add(start.days());
            let range = DateRange::new(since, since.saturating_add((length - 1).days())).unwrap();
            prop_assert_eq!(range.days(), length);
            let weeks: Vec<_> = range.weeks().collect();
            let inside: i32 = weeks
                .iter()
                .map(|week| (0..7).filter(|n| range.contains(week.range().since.saturating_add(n.days()))).count() as i32)
                .sum();
            prop_assert_eq!(inside, length);
            prop_assert!(weeks.windows(2).all(|pair| pair[0].next() == pair[1]));
            for week in weeks {
                prop_assert_eq!(week.to_string().parse::<IsoWeek>().unwrap(), week);
            }
        }
    }
}
