//! Insights: an account's metrics per ad and day.
//!
//! A query is synchronous first, because that takes seconds where a report run takes minutes. A query that is too large
//! for one response is split in this order: fewer days, fewer rows per page, one campaign at a time, a report run, half
//! of the fields at a time. A query that times out becomes a report run at once.

mod account_days;
mod conversions;
mod optional_field;
mod reach;
mod reader;
mod report;
mod row;
mod sub_query;

use domain::date::DateRange;
use domain::id::AdAccountId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::client::UserClient;
use crate::id::ObjectId;
pub use conversions::PURCHASE_KEYS;
pub use optional_field::{OptionalField, OptionalFields};
pub use reader::InsightsReader;
pub use row::GraphRow;

/// Rows per insights page.
const PAGE_ROWS: u32 = 500;

/// The size of the queries that Meta serves for an account. Worth storing for a day, because finding it costs calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryShape {
    /// Days per query.
    pub days: u32,
    /// Rows per page.
    pub rows: u32,
    /// Whether each campaign is queried separately.
    pub by_campaign: bool,
    /// Whether report runs are used.
    pub as_report: bool,
    /// Whether counts and actions are queried one after the other.
    pub split_fields: bool,
    /// Fields that Meta no longer has.
    #[serde(default)]
    pub without: OptionalFields,
}

impl Default for QueryShape {
    fn default() -> Self {
        Self {
            days: u32::MAX,
            rows: PAGE_ROWS,
            by_campaign: false,
            as_report: false,
            split_fields: false,
            without: OptionalFields::default(),
        }
    }
}

/// A report run that was started and not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRun {
    /// The days it covers.
    pub range: DateRange,
    /// Meta's id of the run.
    pub id: ObjectId,
    /// When it was started. An old run has outdated numbers.
    pub started_at: Timestamp,
}

/// The age up to which an unread run is resumed.
const MAX_REPORT_RUN_AGE: SignedDuration = SignedDuration::from_hours(2);

impl ReportRun {
    /// Returns whether the run covers only days of this range.
    pub fn is_within(&self, range: DateRange) -> bool {
        range.contains(self.range.since) && range.contains(self.range.until)
    }

    /// Returns whether the run's numbers are recent enough to be read.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.started_at) < MAX_REPORT_RUN_AGE
    }
}

impl UserClient {
    /// Reads one row per ad and day with delivery, for a whole account. Days are in the account's time zone.
    ///
    /// The query is unfiltered wherever possible: with any `filtering` Meta reports only active objects unless every
    /// status is named, and the numbers of archived and deleted ads would be missing.
    pub fn insights(&self, account: &AdAccountId, range: DateRange, shape: QueryShape) -> InsightsReader {
        InsightsReader::new(self.clone(), account.clone(), range, shape)
    }
}
