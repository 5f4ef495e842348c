//! Insights: an account's numbers per ad and day.
//!
//! Asked synchronously first, for that takes seconds where a report run takes minutes. What is too much for one
//! answer is split into smaller queries, in this order: fewer days, fewer rows a page, campaign by campaign, as a
//! report run, and half of the fields at a time. A query that runs out of time becomes a report run at once.

mod reader;
mod report;
mod row;
mod sub_query;

use domain::date::DateRange;
use domain::id::{AdAccountId, ObjectId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::client::Caller;
pub use reader::InsightsReader;
pub use row::InsightsRow;

/// Rows of an insights page.
const PAGE_ROWS: u32 = 500;

/// How much of an account's insights Meta gives at a time. Worth remembering for a day: finding it costs calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryShape {
    /// Days of one query.
    pub days: u32,
    /// Rows of one page.
    pub rows: u32,
    /// Whether each campaign is asked for by itself.
    pub by_campaign: bool,
    /// Whether report runs are used.
    pub as_report: bool,
    /// Whether counts and actions are asked for one after the other.
    pub split_fields: bool,
}

impl Default for QueryShape {
    fn default() -> Self {
        Self { days: u32::MAX, rows: PAGE_ROWS, by_campaign: false, as_report: false, split_fields: false }
    }
}

/// A report run that was started and not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRun {
    /// The days it covers.
    pub range: DateRange,
    /// Meta's id.
    pub id: ObjectId,
    /// When it was started. One that is much older tells old numbers.
    pub started_at: Timestamp,
}

/// A run that was left unread for longer is not taken up again.
const MAX_REPORT_RUN_AGE: SignedDuration = SignedDuration::from_hours(2);

impl ReportRun {
    /// Whether it covers nothing but these days.
    pub fn is_within(&self, range: DateRange) -> bool {
        range.contains(self.range.since) && range.contains(self.range.until)
    }

    /// Whether its numbers are still worth reading.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.started_at) < MAX_REPORT_RUN_AGE
    }
}

impl Caller {
    /// One row per ad and day with delivery, for a whole account. Days are the account's own.
    ///
    /// Unfiltered wherever possible: with any `filtering` Meta reports active objects only unless every status is
    /// named, and the numbers of archived and deleted ads would be missing.
    pub fn insights(&self, account: &AdAccountId, range: DateRange, shape: QueryShape) -> InsightsReader {
        InsightsReader::new(self.clone(), account.clone(), range, shape)
    }
}
