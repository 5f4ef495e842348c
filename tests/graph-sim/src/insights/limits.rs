//! Limits on the size of insights reads.

use axum::http::StatusCode;

use super::query::Query;
use super::table::Table;
use crate::error::GraphError;

/// How much one synchronous read of insights may ask for. Larger reads are rejected with Meta's messages and codes;
/// each limit requires a different way of asking for less. Report runs have no such limits. By default there are no
/// limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InsightsLimits {
    /// Rows of a page; a smaller `limit` helps. Rejected with HTTP 500, code 1, "Please reduce the amount of data
    /// you're asking for".
    pub rows_per_page: Option<u32>,
    /// Days; a shorter time range helps. Rejected with code 100, subcode 1504018 (a timeout).
    pub days: Option<u32>,
    /// Campaigns the rows come from; reading a campaign's own insights, or `filtering` by `campaign.id`, helps.
    /// Rejected with code 2, subcode 1504038 (a timeout).
    pub campaigns: Option<u32>,
    /// Fields; fewer of them help. Rejected with HTTP 500, code 1, subcode 2853001.
    pub fields: Option<u32>,
    /// Whether every read with more than one row must be a report run. Rejected with code 100, subcode 1487534.
    pub only_reports: bool,
}

impl InsightsLimits {
    /// Rejects a read that exceeds a limit; `rows` is the number of rows on its page.
    pub(crate) fn check(self, query: &Query, table: &Table<'_>, rows: usize) -> Result<(), GraphError> {
        let over = |limit: Option<u32>, asked: usize| limit.is_some_and(|limit| asked > limit as usize);
        let reduce = "Please reduce the amount of data you're asking for, then retry your request";
        let error = if self.only_reports && table.len() > 1 {
            GraphError::new(100, format!("(#100) {reduce}")).subcode(1_487_534)
        } else if over(self.days, query.period.days() as usize) {
            GraphError::new(100, "(#100) The query has timed out. Try a smaller date range.")
                .subcode(1_504_018)
        } else if over(self.campaigns, table.campaigns()) {
            GraphError::new(2, "(#2) The query has timed out. Try to ask for less.").subcode(1_504_038)
        } else if over(self.fields, query.fields.len()) {
            GraphError::new(1, reduce).subcode(2_853_001).status(StatusCode::INTERNAL_SERVER_ERROR)
        } else if over(self.rows_per_page, rows) {
            GraphError::new(1, reduce).status(StatusCode::INTERNAL_SERVER_ERROR)
        } else {
            return Ok(());
        };
        Err(error)
    }
}
