//! An account's own totals by day, which the sums of its ads must come to.

use domain::date::DateRange;
use domain::id::AdAccountId;
use domain::totals::{AccountDay, DayTotals};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::PAGE_ROWS;
use super::row::Number;
use super::sub_query::time_range;
use crate::client::UserClient;
use crate::error::GraphError;
use crate::page::Pages;

/// A row as Graph returns it.
#[derive(Deserialize)]
struct Row {
    date_start: Date,
    #[serde(default)]
    impressions: Option<Number>,
    #[serde(default)]
    clicks: Option<Number>,
    #[serde(default)]
    spend: Option<Number>,
}

impl UserClient {
    /// Reads what a whole account had on each day. Days without delivery have no row. The query is unfiltered, so that
    /// archived and deleted objects count.
    pub async fn account_days(
        &self,
        account: &AdAccountId,
        range: DateRange,
    ) -> Result<Vec<AccountDay>, GraphError> {
        let query = vec![
            ("level", "account".to_owned()),
            ("time_increment", "1".to_owned()),
            ("time_range", time_range(range)),
            ("fields", "impressions,clicks,spend".to_owned()),
        ];
        let pages = Pages::<Row>::new(self.clone(), format!("{account}/insights"), query, PAGE_ROWS);
        let rows = pages.rejecting_odd_rows().all().await?;
        Ok(rows.into_iter().map(AccountDay::from).collect())
    }
}

impl From<Row> for AccountDay {
    fn from(row: Row) -> Self {
        let number = |number: Option<Number>| number.map_or(Decimal::ZERO, |number| number.0);
        // A count that is none differs from every sum, and is shown.
        let count = |count| u64::try_from(number(count)).unwrap_or(u64::MAX);
        let totals = DayTotals {
            impressions: count(row.impressions),
            clicks: count(row.clicks),
            spend: number(row.spend),
        };
        Self { day: row.date_start, totals }
    }
}
