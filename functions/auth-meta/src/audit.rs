//! The audit log as the API shows it.

use ads::Failure;
use ads::date::Day;
use jiff::tz::TimeZone;
use runtime::page::{After, Limit, cursor};
use runtime::reply::List;
use runtime::route::Visit;
use runtime::{Reply, reply};
use serde::{Deserialize, Serialize};
use store::audit::{Entry, KeptEntry};

use crate::{AuthMeta, Endpoint};

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Asked {
    /// Those of this day in UTC.
    day: Option<Day>,
    #[serde(default)]
    limit: Limit<100, 500>,
    after: Option<After>,
}

/// An entry with its hash: SHA-256 over the other fields as JSON without spaces, all names in order.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ShownEntry {
    #[serde(flatten)]
    entry: Entry,
    /// In hex.
    hash: String,
}

impl AuthMeta {
    /// Newest first.
    pub(crate) async fn audit(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (workspace, table) = (visit.workspace()?, &self.access.table);
        let Asked { day, limit, after } = visit.asked()?;
        let limit = limit.rows();
        let before =
            after.map(|after| after.place().parse::<u64>().map_err(|_| After::unknown())).transpose()?;
        let (mut first, mut before) = (0, before);
        if let Some(Day(day)) = day {
            let begins = |day: jiff::civil::Date| day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
            let range = begins(day).and_then(|begin| Ok((begin, begins(day.tomorrow()?)?)));
            let (begin, end) = range.map_err(|error| ads::Invalid::new("day", error.to_string()))?;
            first = table.audit_place_before(workspace, begin).await?;
            let behind = table.audit_place_before(workspace, end).await? + 1;
            before = Some(before.map_or(behind, |before| before.min(behind)));
        }
        let kept = table.audit_page(workspace, before, limit + 1).await?;
        let shown = |kept: KeptEntry| Ok(ShownEntry { entry: kept.entry()?, hash: kept.hash });
        let mut data = kept.into_iter().map(shown).collect::<Result<Vec<_>, Failure>>()?;
        data.retain(|shown| shown.entry.seq > first);
        let more = data.len() > limit;
        data.truncate(limit);
        let after = data.last().filter(|_| more).map(|shown| cursor(&shown.entry.seq.to_string()));
        reply::ok(&List { data, after })
    }
}
