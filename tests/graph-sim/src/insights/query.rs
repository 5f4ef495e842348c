//! What an insights call asks for.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use serde_json::Value;

use crate::call::GraphCall;
use crate::error::{GraphError, invalid, nonexisting_field};
use crate::fields;
use crate::filter::filters;
use crate::node::Kind;
use crate::paging::Window;
use crate::params::Params;
use crate::selection;

const MOST: usize = 5_000;
const KEPT_MONTHS: i64 = 37;
/// Known to Graph, not to the simulator: an error is better than wrong rows.
const UNSUPPORTED: [&str; 4] = ["breakdowns", "time_ranges", "sort", "summary"];

/// What rows are about, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Account,
    Campaign,
    AdSet,
    Ad,
}

/// How a range is divided into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Increment {
    Days(i32),
    Monthly,
    AllDays,
}

/// Which ads count.
#[derive(Debug, Default)]
pub(crate) struct Only {
    pub(crate) campaigns: Option<Vec<String>>,
    pub(crate) adsets: Option<Vec<String>>,
    pub(crate) ads: Option<Vec<String>>,
}

/// What an insights call asks for.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) level: Level,
    pub(crate) since: Date,
    pub(crate) until: Date,
    pub(crate) increment: Increment,
    pub(crate) fields: Vec<String>,
    pub(crate) only: Only,
    pub(crate) window: Window,
}

impl Query {
    /// Reads a call to the insights of a node.
    pub(crate) fn read(call: &GraphCall, kind: Kind, today: Date) -> Result<Self, GraphError> {
        let params = Params(&call.params);
        if let Some(name) = UNSUPPORTED.iter().find(|name| params.text(name).is_some()) {
            return Err(invalid(format!("The simulator does not support the parameter {name}")));
        }
        let own = match kind {
            Kind::Account | Kind::Creative => Level::Account,
            Kind::Campaign => Level::Campaign,
            Kind::AdSet => Level::AdSet,
            Kind::Ad => Level::Ad,
        };
        let level = match params.one_of("level", &["account", "campaign", "adset", "ad"])? {
            None => own,
            Some("account") => Level::Account,
            Some("campaign") => Level::Campaign,
            Some("adset") => Level::AdSet,
            Some(_) => Level::Ad,
        };
        if level < own {
            return Err(invalid("Param level must not be above the object whose insights are read"));
        }
        let (since, until) = range(params, today)?;
        Ok(Self {
            level,
            since,
            until,
            increment: increment(params)?,
            fields: wanted(params, level)?,
            only: only(params)?,
            window: Window::read(&call.params, MOST)?,
        })
    }

    /// The place of a day's row among the rows of one object.
    pub(crate) fn bucket(&self, day: Date) -> i32 {
        match self.increment {
            Increment::AllDays => 0,
            Increment::Days(days) => (day - self.since).get_days() / days,
            Increment::Monthly => months(day) - months(self.since),
        }
    }

    /// The first and last day of a row.
    pub(crate) fn bounds(&self, bucket: i32) -> (Date, Date) {
        let (first, last) = match self.increment {
            Increment::AllDays => (self.since, self.until),
            Increment::Days(days) => {
                let first = self.since.saturating_add((bucket * days).days());
                (first, first.saturating_add((days - 1).days()))
            }
            Increment::Monthly => {
                let first = self.since.first_of_month().saturating_add(bucket.months());
                (first, first.last_of_month())
            }
        };
        (first.max(self.since), last.min(self.until))
    }
}

fn months(day: Date) -> i32 {
    i32::from(day.year()) * 12 + i32::from(day.month())
}

fn range(params: Params<'_>, today: Date) -> Result<(Date, Date), GraphError> {
    let (since, until) = match params.json("time_range")? {
        Some(range) => (day(&range, "since")?, day(&range, "until")?),
        None => preset(params.text("date_preset").unwrap_or("last_30d"), today)?,
    };
    if since > until {
        return Err(invalid("Param time_range: since must not be after until"));
    }
    if since < today.saturating_sub(KEPT_MONTHS.months()) {
        return Err(GraphError::new(
            3018,
            "(#3018) The start date of the time range cannot be beyond 37 months from the current date",
        ));
    }
    Ok((since, until))
}

fn day(range: &Value, name: &str) -> Result<Date, GraphError> {
    let text = range.get(name).and_then(Value::as_str);
    // Graph wants exactly year, month and day; jiff would also take a whole date and time.
    text.filter(|text| text.len() == 10)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid(format!("Param time_range[{name}] must be a date of the form YYYY-MM-DD")))
}

fn preset(name: &str, today: Date) -> Result<(Date, Date), GraphError> {
    let back = |span: Span| today.saturating_sub(span);
    let days = |days: i64| (back(days.days()), back(1.day()));
    Ok(match name {
        "today" => (today, today),
        "yesterday" => days(1),
        "last_3d" => days(3),
        "last_7d" => days(7),
        "last_14d" => days(14),
        "last_28d" => days(28),
        "last_30d" => days(30),
        "last_90d" => days(90),
        "this_month" => (today.first_of_month(), today),
        "maximum" => (back(KEPT_MONTHS.months()), today),
        _ => return Err(invalid(format!("Param date_preset does not take \"{name}\""))),
    })
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

fn wanted(params: Params<'_>, level: Level) -> Result<Vec<String>, GraphError> {
    let Some(text) = params.text("fields").filter(|text| !text.is_empty()) else {
        let ids = ["account_id", "campaign_id", "adset_id", "ad_id"];
        let of_level = ids.into_iter().take(level as usize + 1);
        return Ok(of_level.chain(["impressions", "spend"]).map(str::to_owned).collect());
    };
    let names: Vec<String> = selection::parse(text)?.into_iter().map(|field| field.name).collect();
    match names.iter().find(|name| !fields::exists_in_insights(name)) {
        Some(unknown) => Err(nonexisting_field(unknown, "AdsInsights")),
        None => Ok(names),
    }
}

fn only(params: Params<'_>) -> Result<Only, GraphError> {
    let mut only = Only::default();
    for filter in filters(params)? {
        let place = match filter.field.as_str() {
            "campaign.id" => &mut only.campaigns,
            "adset.id" => &mut only.adsets,
            "ad.id" => &mut only.ads,
            unknown => return Err(invalid(format!("Filtering field {unknown} is invalid"))),
        };
        *place = Some(filter.values()?);
    }
    Ok(only)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn query(increment: Increment) -> Query {
        Query {
            level: Level::Ad,
            since: date(2026, 1, 20),
            until: date(2026, 3, 5),
            increment,
            fields: Vec::new(),
            only: Only::default(),
            window: Window { limit: 1, from: crate::paging::From::Start },
        }
    }

    #[test]
    fn rows_stay_inside_the_range() {
        let monthly = query(Increment::Monthly);
        assert_eq!(monthly.bucket(date(2026, 3, 1)), 2);
        assert_eq!(monthly.bounds(0), (date(2026, 1, 20), date(2026, 1, 31)));
        assert_eq!(monthly.bounds(1), (date(2026, 2, 1), date(2026, 2, 28)));
        assert_eq!(monthly.bounds(2), (date(2026, 3, 1), date(2026, 3, 5)));
        let weekly = query(Increment::Days(7));
        assert_eq!(weekly.bucket(date(2026, 1, 27)), 1);
        assert_eq!(weekly.bounds(6), (date(2026, 3, 3), date(2026, 3, 5)));
        assert_eq!(query(Increment::AllDays).bounds(0), (date(2026, 1, 20), date(2026, 3, 5)));
    }

    #[test]
    fn presets_end_yesterday_except_those_that_say_otherwise() {
        let today = date(2026, 11, 20);
        assert_eq!(preset("last_7d", today).unwrap(), (date(2026, 11, 13), date(2026, 11, 19)));
        assert_eq!(preset("yesterday", today).unwrap(), (date(2026, 11, 19), date(2026, 11, 19)));
        assert_eq!(preset("maximum", today).unwrap(), (date(2023, 10, 20), today));
        assert_eq!(preset("lifetime", today).unwrap_err().code, 100);
    }
}
