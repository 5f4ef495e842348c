//! The due index: when each selected ad account is synced next, and its rules evaluated.
//!
//! An account is in the index while it is selected: both change in one transaction. A tick each minute reads the index
//! whole and sends what is due. Reading an entry 1,440 times a day costs a fortieth of moving it to another place in an
//! order of times whenever it was due, which takes a transaction.

use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::{Tenant, trusted};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use sha2::{Digest, Sha256};

use crate::key;
use crate::table::{StoreError, Table, millis, number, text};

/// Shards of the index. Each is a partition.
pub const DUE_SHARDS: u8 = 4;

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueAccount {
    /// The workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// The ad account.
    pub ad_account: AdAccountId,
    /// Minutes between two syncs; rules are evaluated twice as often.
    pub sync_minutes: u32,
    /// When it is synced next.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub sync_at: Timestamp,
    /// When its rules are evaluated next.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub rules_at: Timestamp,
    /// What its sync waits for, where something other than its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Number of the fetch that last found something switched on: a sync that began before it knows less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_by: Option<u64>,
    /// The cause of the sync that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<SyncCause>,
}

/// What is due of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueJob {
    /// Its sync.
    Sync,
    /// The evaluation of its rules.
    Rules,
}

impl DueJob {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sync, Self::Rules];

    fn attribute(self) -> &'static str {
        match self {
            Self::Sync => "sync_at",
            Self::Rules => "rules_at",
        }
    }
}

impl DueAccount {
    /// Returns the entry of an account that was just selected and synced. Accounts that are selected together are not
    /// synced at the same moment ever after.
    pub fn new(workspace: &Tenant, ad_account: &AdAccountId, now: Timestamp) -> Self {
        let entry = Self {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            sync_minutes: SyncCause::SYNC_INTERVAL_MINUTES,
            sync_at: now,
            rules_at: now,
            waits_for: None,
            woken_by: None,
            cause: None,
        };
        // Up to 25 minutes earlier, by a byte of the digest.
        let earlier = SignedDuration::from_secs(6 * i64::from(digest(workspace, ad_account)[1]));
        let first = |job| now + entry.interval(job) - (entry.interval(job) / 2).min(earlier);
        Self { sync_at: first(DueJob::Sync), rules_at: first(DueJob::Rules), ..entry }
    }

    /// Returns when a job is due.
    pub fn at(&self, job: DueJob) -> Timestamp {
        match job {
            DueJob::Sync => self.sync_at,
            DueJob::Rules => self.rules_at,
        }
    }

    /// Returns the message of a job.
    pub fn job(&self, job: DueJob) -> Job {
        let (workspace, ad_account) = (self.workspace.clone(), self.ad_account.clone());
        match job {
            DueJob::Sync => {
                let cause = self.cause.unwrap_or(SyncCause::Recurring);
                Job::SyncAccount { workspace, ad_account, cause }
            }
            DueJob::Rules => Job::EvaluateRules { workspace, ad_account },
        }
    }

    /// Returns the time between two syncs, or two evaluations.
    pub fn interval(&self, job: DueJob) -> SignedDuration {
        let sync = SignedDuration::from_mins(self.sync_minutes.into());
        match job {
            DueJob::Sync => sync,
            DueJob::Rules => sync / 2,
        }
    }

    /// Returns the next time of a job that is due now: whole intervals after the last one, so that accounts stay spread
    /// over the hour.
    fn next(&self, job: DueJob, now: Timestamp) -> Timestamp {
        let (at, interval) = (self.at(job), self.interval(job).max(SignedDuration::from_mins(1)));
        let late = now.duration_since(at).as_secs().max(0);
        let skipped = i32::try_from(late / interval.as_secs()).unwrap_or(i32::MAX - 1);
        at.checked_add(interval.saturating_mul(skipped + 1)).unwrap_or(now)
    }
}

fn digest(ws: &Tenant, account: &AdAccountId) -> [u8; 32] {
    Sha256::digest(format!("{ws}#{account}")).into()
}

/// Returns the shard of an account.
pub(crate) fn shard(ws: &Tenant, account: &AdAccountId) -> u8 {
    digest(ws, account)[0] % DUE_SHARDS
}

impl Table {
    /// Lists the accounts of a shard.
    pub async fn due_accounts(&self, shard: u8) -> Result<Vec<DueAccount>, StoreError> {
        self.query_prefix(&key::due_partition(shard), "WS#").await
    }

    /// Reads the entry of an account; `None` when it is not selected.
    pub async fn due_account(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Option<DueAccount>, StoreError> {
        self.get(&key::due(ws, account)).await
    }

    /// Moves a job that was sent to its next time, unless its time has changed since it was read.
    pub async fn advance_due(
        &self,
        entry: &DueAccount,
        job: DueJob,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, attribute) = (key::due(&entry.workspace, &entry.ad_account), job.attribute());
        let values = vec![(":seen", millis(entry.at(job))), (":next", millis(entry.next(job, now)))];
        let (set, condition) = (format!("SET {attribute} = :next"), format!("{attribute} = :seen"));
        ignore_conflict(self.update::<DueAccount>(&key, &set, Some(&condition), values).await)
    }

    /// Stores how often a selected account is synced, counted from now, and that its sync waits for nothing; unless a fetch
    /// after that one of the sync has found something switched on.
    pub async fn set_sync_interval(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        (minutes, fetch_number): (u32, u64),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let entry = DueAccount { sync_minutes: minutes, ..DueAccount::new(ws, account, now) };
        let values = vec![
            (":workspace", text(ws)),
            (":account", text(account)),
            (":minutes", number(minutes)),
            (":sync_at", millis(now + entry.interval(DueJob::Sync))),
            (":rules_at", millis(now + entry.interval(DueJob::Rules))),
            (":number", number(fetch_number)),
        ];
        let set = "SET #workspace = :workspace, ad_account = :account, sync_minutes = :minutes, sync_at = :sync_at, \
                   rules_at = if_not_exists(rules_at, :rules_at) REMOVE waits_for, cause";
        let condition = Some("attribute_not_exists(woken_by) OR woken_by < :number");
        ignore_conflict(self.update::<DueAccount>(&key::due(ws, account), set, condition, values).await)
    }

    /// Lets the sync of an account wait until a time, and says what for. What a person has asked for stays until a sync has
    /// come through.
    pub async fn defer_sync(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        cause: SyncCause,
        (until, reason): (Timestamp, &str),
    ) -> Result<(), StoreError> {
        let mut set = "SET sync_at = :until, waits_for = :reason".to_owned();
        let mut values = vec![(":until", millis(until)), (":reason", text(reason))];
        if matches!(cause, SyncCause::Request | SyncCause::Selected) {
            set += ", cause = :cause";
            values.push((":cause", to_attribute_value(cause)?));
        }
        let condition = Some("attribute_exists(pk)");
        ignore_conflict(self.update::<DueAccount>(&key::due(ws, account), &set, condition, values).await)
    }

    /// Says what numbers of an account wait for. Its next sync requests them again, whenever that comes: entities have a
    /// quota of their own.
    pub async fn defer_numbers(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (set, condition) = ("SET waits_for = :reason", Some("attribute_exists(pk)"));
        let values = vec![(":reason", text(reason))];
        ignore_conflict(self.update::<DueAccount>(&key::due(ws, account), set, condition, values).await)
    }

    /// Lets the evaluation of an account's rules wait until a time.
    pub async fn defer_rules(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let (set, condition) = ("SET rules_at = :until", Some("attribute_exists(pk)"));
        let values = vec![(":until", millis(until))];
        ignore_conflict(self.update::<DueAccount>(&key::due(ws, account), set, condition, values).await)
    }

    /// Says that a fetch has found something switched on: an account that is synced seldom is synced with the next tick.
    pub async fn wake_account(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        fetch_number: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, fetch) = (key::due(ws, account), (":number", number(fetch_number)));
        let usual = (":minutes", number(SyncCause::SYNC_INTERVAL_MINUTES));
        let values = vec![(":now", millis(now)), usual, fetch.clone()];
        let set = "SET sync_at = :now, rules_at = :now, sync_minutes = :minutes, woken_by = :number";
        match self.update::<DueAccount>(&key, set, Some("sync_minutes > :minutes"), values).await {
            Err(StoreError::Conflict) => {}
            woken => return woken.map(drop),
        }
        // A sync that began before may be about to find nothing switched on.
        let is_newer = "attribute_exists(pk) AND (attribute_not_exists(woken_by) OR woken_by < :number)";
        let set = "SET woken_by = :number";
        ignore_conflict(self.update::<DueAccount>(&key, set, Some(is_newer), vec![fetch]).await)
    }

    /// Removes the entry of an account that is not selected.
    pub async fn remove_due(&self, ws: &Tenant, account: &AdAccountId) -> Result<(), StoreError> {
        self.delete_returning::<DueAccount>(&key::due(ws, account)).await.map(drop)
    }
}

/// A condition that does not hold means that there is nothing to do.
fn ignore_conflict<T>(updated: Result<T, StoreError>) -> Result<(), StoreError> {
    match updated {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_job_comes_next_within_its_interval_and_keeps_its_place_in_it(
            account in 1u32..1_000_000, late in 0i64..10_000_000, minutes in 1u32..2_000,
        ) {
            let begun: Timestamp = "2026-11-20T04:00:00Z".parse().unwrap();
            let entry: DueAccount = serde_json::from_value(serde_json::json!({
                "workspace": "demo", "ad_account": format!("act_{account}"),
                "sync_minutes": 60, "sync_at": 0, "rules_at": 0,
            })).unwrap();
            let entry = DueAccount::new(&entry.workspace, &entry.ad_account, begun);
            for job in DueJob::ALL {
                let interval = entry.interval(job);
                prop_assert!(entry.at(job) > begun && entry.at(job) <= begun + interval);
                let entry = DueAccount { sync_minutes: minutes.max(2), ..entry.clone() };
                let (interval, now) = (entry.interval(job), entry.at(job) + SignedDuration::from_secs(late));
                let next = entry.next(job, now);
                prop_assert!(next > now && next <= now + interval);
                prop_assert_eq!(next.duration_since(entry.at(job)).as_secs() % interval.as_secs(), 0);
            }
        }
    }
}
