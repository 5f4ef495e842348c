//! Reach: people, which cannot be summed. Meta counts them for each object and each period that is asked for.

use domain::date::DateRange;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::metrics::PeriodReach;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::json;

use super::row::Number;
use super::{PAGE_ROWS, report};
use crate::client::UserClient;
use crate::error::GraphError;
use crate::page::Pages;

/// A row as Graph returns it.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    campaign_id: Option<EntityId>,
    #[serde(default)]
    adset_id: Option<EntityId>,
    #[serde(default)]
    ad_id: Option<EntityId>,
    date_start: Date,
    date_stop: Date,
    #[serde(default)]
    reach: Option<Number>,
    #[serde(default)]
    frequency: Option<Number>,
}

impl UserClient {
    /// Counts the people whom each object of a level has reached in each of these periods. Objects without delivery in a
    /// period have no row. Large queries are read as a report run.
    pub async fn reach(
        &self,
        account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
    ) -> Result<Vec<PeriodReach>, GraphError> {
        let id_field = match level {
            Level::Account => "",
            Level::Campaign => "campaign_id,",
            Level::AdSet => "adset_id,",
            Level::Ad => "ad_id,",
        };
        let ranges: Vec<_> =
            periods.iter().map(|period| json!({"since": period.since, "until": period.until})).collect();
        let query = vec![
            ("level", level.as_str().to_owned()),
            ("time_ranges", json!(ranges).to_string()),
            ("fields", format!("{id_field}reach,frequency")),
        ];
        let path = format!("{account}/insights");
        let pages =
            Pages::<Row>::new(self.clone(), path.clone(), query.clone(), PAGE_ROWS).rejecting_odd_rows();
        let rows = match pages.all().await {
            Err(GraphError::RequestTooLarge(_)) => self.reach_by_report(&path, &query).await?,
            rows => rows?,
        };
        let row = |row: Row| {
            let id = match level {
                Level::Account => None,
                Level::Campaign => Some(row.campaign_id?),
                Level::AdSet => Some(row.adset_id?),
                Level::Ad => Some(row.ad_id?),
            };
            let reach = u64::try_from(row.reach?.0).ok()?;
            let period = DateRange { since: row.date_start, until: row.date_stop };
            Some(PeriodReach { id, period, reach, frequency: row.frequency.map(|frequency| frequency.0) })
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }

    async fn reach_by_report(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Vec<Row>, GraphError> {
        let mut starts = 0;
        loop {
            starts += 1;
            let run = report::start(self, path, query).await?;
            match report::await_run(self, &run).await? {
                report::RunEnd::Complete => {
                    let pages = Pages::new(self.clone(), format!("{run}/insights"), Vec::new(), PAGE_ROWS);
                    return pages.rejecting_odd_rows().all().await;
                }
                report::RunEnd::Retryable(details) if starts >= report::MAX_STARTS => {
                    return Err(GraphError::Transient(details));
                }
                report::RunEnd::Retryable(_) => {}
            }
        }
    }
}
