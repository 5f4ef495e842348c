//! What reported metrics are about: an ad account, its currency and time zone, a range of days, and what is missing.

use domain::date::{DateRange, IsoWeek};
use domain::id::AdAccountId;
use domain::money::Currency;
use domain::tenant::Tenant;
use jiff::civil::Date;
use serde::Serialize;

use crate::account::AdAccount;
use crate::table::{StoreError, Table};

/// What the metrics of a response are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ReportScope {
    /// The ad account.
    pub ad_account: AdAccountId,
    /// The currency of every amount.
    pub currency: Currency,
    /// The IANA time zone of every day.
    pub timezone: String,
    /// First day.
    pub since: Date,
    /// Last day, included.
    pub until: Date,
    /// Weeks of the range that are not stored completely: their numbers are missing or partial.
    pub incomplete_weeks: Vec<IsoWeek>,
}

impl Table {
    /// Returns the scope of metrics of an account over a range.
    pub async fn report_scope(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        range: DateRange,
    ) -> Result<ReportScope, StoreError> {
        Ok(ReportScope {
            ad_account: account.id.clone(),
            currency: account.currency,
            timezone: account.timezone.clone(),
            since: range.since,
            until: range.until,
            incomplete_weeks: self.incomplete_weeks(workspace, &account.id, range).await?,
        })
    }
}
