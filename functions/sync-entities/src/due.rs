//! Sends the syncs and evaluations that are due, once a minute.

use std::collections::HashMap;

use domain::Error;
use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use store::account::AdAccount;
use store::chunk::Chunk;
use store::due::{DUE_SHARDS, DueAccount, DueJob};

use crate::SyncEntities;
use crate::entities::EntitySyncStats;

/// Jobs of a shard that a tick sends at most, the longest due of each workspace first; the next tick goes on.
const MAX_JOBS: usize = 2_000;

/// Jobs that are sent before their times are moved: a crash in between sends them once more.
const BATCH: usize = 50;

/// Minutes between two syncs of an account in which nothing can be delivered.
const QUIET_SYNC_MINUTES: u32 = 6 * 60;

/// Days without delivery after which an account with no campaign switched on is quiet.
const QUIET_DAYS: i32 = 3;

impl SyncEntities {
    /// Sends what is due. Two ticks at the same time send twice, which is harmless.
    pub(crate) async fn take_due(&self) -> Result<(), Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        let (mut sent, mut left, mut latest) = (0, 0, SignedDuration::ZERO);
        for shard in 0..DUE_SHARDS {
            let accounts = table.eventually_consistent().due_accounts(shard).await?;
            let mut due: Vec<(&DueAccount, DueJob)> = accounts
                .iter()
                .flat_map(|account| DueJob::ALL.map(|job| (account, job)))
                .filter(|(account, job)| account.at(*job) <= now)
                .collect();
            order_by_turn(&mut due);
            if let Some((account, job)) = due.first() {
                latest = latest.max(now.duration_since(account.at(*job)));
            }
            left += due.len().saturating_sub(MAX_JOBS);
            due.truncate(MAX_JOBS);
            for batch in due.chunks(BATCH) {
                let jobs: Vec<Job> = batch.iter().map(|(account, job)| account.job(*job)).collect();
                self.host.queues.send(&jobs).await?;
                try_join_all(batch.iter().map(|(account, job)| table.advance_due(account, *job, now)))
                    .await?;
                sent += batch.len();
            }
        }
        tracing::info!(sent, left, late_secs = latest.as_secs(), "Sent what was due.");
        Ok(())
    }

    /// Removes an account that is not selected from the index. It may be selected in this moment, and must then be in it.
    pub(crate) async fn leave_index(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
    ) -> Result<(), Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        table.remove_due(workspace, ad_account).await?;
        if table.account(workspace, ad_account).await?.is_some_and(|account| account.selected) {
            let usual = (SyncCause::SYNC_INTERVAL_MINUTES, u64::MAX);
            table.set_sync_interval(workspace, ad_account, usual, now).await?;
        }
        Ok(())
    }

    /// Stores how often an account is to be synced, by what a sync has found. Returns whether it is quiet.
    pub(crate) async fn plan_next_sync(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        stats: Option<&EntitySyncStats>,
    ) -> Result<bool, Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        let is_quiet = match stats {
            Some(stats) if stats.running == 0 => !self.delivered_lately(workspace, account, now).await?,
            _ => false,
        };
        // Without a fetch, the account is not quiet, and nothing is to be awaited.
        let fetch_number = stats.map_or(u64::MAX, |stats| stats.fetch_number);
        let minutes = if is_quiet { QUIET_SYNC_MINUTES } else { SyncCause::SYNC_INTERVAL_MINUTES };
        let entry = table.due_account(workspace, &account.id).await?;
        let is_set = |entry: &DueAccount| entry.sync_minutes == minutes && entry.waits_for.is_none();
        if !entry.as_ref().is_some_and(is_set) {
            table.set_sync_interval(workspace, &account.id, (minutes, fetch_number), now).await?;
        }
        Ok(is_quiet)
    }

    async fn delivered_lately(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let days = DateRange::ending(account.today(now)?, QUIET_DAYS);
        let chunks = self.connector.table.chunks_of(workspace, &account.id, Dataset::AD_DAY, days).await?;
        let rows = |chunk: &Chunk| -> Vec<u64> {
            let of_chunk = chunk.week.range().days_within(days);
            of_chunk.filter_map(|day| Some(chunk.manifest.day(day)?.rows())).collect()
        };
        let rows: Vec<u64> = chunks.iter().flat_map(rows).collect();
        // Nothing is known of an account that is not measured yet.
        Ok(rows.is_empty() || rows.into_iter().any(|rows| rows > 0))
    }
}

/// Orders jobs, the longest due first, so that each workspace has its first job before any has its second: none waits
/// for the next tick because another has thousands.
fn order_by_turn(due: &mut Vec<(&DueAccount, DueJob)>) {
    due.sort_by_key(|(account, job)| account.at(*job));
    let mut turns = HashMap::<&Tenant, usize>::new();
    let mut ordered = Vec::with_capacity(due.len());
    for (account, job) in due.drain(..) {
        let turn = turns.entry(&account.workspace).or_default();
        *turn += 1;
        ordered.push((*turn, (account, job)));
    }
    ordered.sort_by_key(|(turn, _)| *turn);
    due.extend(ordered.into_iter().map(|(_, job)| job));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workspace_has_its_first_job_before_any_has_its_second() {
        let account = |workspace: &str, id: &str, minute: i64| {
            let (tenant, id) = (trusted_tenant(workspace), id.parse().unwrap());
            let now = Timestamp::from_second(60 * minute).unwrap();
            DueAccount { sync_at: now, rules_at: now, ..DueAccount::new(&tenant, &id, now) }
        };
        let accounts = [
            account("large", "act_1", 1),
            account("large", "act_2", 2),
            account("large", "act_3", 3),
            account("small", "act_4", 9),
            account("other", "act_5", 4),
        ];
        let mut due: Vec<_> = accounts.iter().map(|account| (account, DueJob::Sync)).collect();
        order_by_turn(&mut due);
        let order: Vec<&str> = due.iter().map(|(account, _)| account.ad_account.as_str()).collect();
        assert_eq!(order, ["act_1", "act_5", "act_4", "act_2", "act_3"]);
    }

    fn trusted_tenant(name: &str) -> Tenant {
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
        domain::tenant::trusted::deserialize(name).unwrap()
    }
}
