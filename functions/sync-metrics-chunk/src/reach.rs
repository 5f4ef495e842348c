//! Reach of periods that somebody asked for, and of the last days.

use std::collections::HashMap;

use connector::Purpose;
use domain::Error;
use domain::date::DateRange;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::civil::Date;
use store::reach::Reach;

use crate::SyncMetricsChunk;

/// Rows of a period.
type Rows = Vec<(Option<EntityId>, Reach)>;

impl SyncMetricsChunk {
    /// Counts periods and stores each. Counting one twice is harmless: the later count stays.
    pub(crate) async fn measure_reach(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        if !table.account(workspace, ad_account).await?.is_some_and(|account| account.selected) {
            return Ok(());
        }
        let counted_at = self.host.clock.now();
        let client = self.connector.open(workspace, ad_account, Purpose::Reporting).await?;
        let counted = client.reach(level, periods).await;
        let counted = match client.close(counted).await {
            Ok(counted) => counted,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                tracing::warn!(%workspace, %ad_account, %level, %error, "Reach cannot be counted.");
                let reason = error.public_detail();
                return Ok(table.fail_reach(workspace, ad_account, level, periods, &reason).await?);
            }
        };
        let mut rows: HashMap<(Date, Date), Rows> = HashMap::new();
        for row in counted {
            let period = rows.entry((row.period.since, row.period.until)).or_default();
            period.push((row.id, (row.reach, row.frequency)));
        }
        for period in periods {
            let of_period = rows.remove(&(period.since, period.until)).unwrap_or_default();
            table.store_reach(workspace, ad_account, (level, *period), counted_at, &of_period).await?;
        }
        // Deleted meanwhile: nothing of it may stay.
        if table.account(workspace, ad_account).await?.is_none() {
            for period in periods {
                table.delete_reach(workspace, ad_account, level, *period).await?;
            }
        }
        tracing::info!(%level, periods = periods.len(), "Counted reach.");
        Ok(())
    }
}
