//! Recovery after a start: finds in the table what was in progress when the last process ended.
//!
//! In the cloud SQS and Scheduler outlive every process. Here they live in memory, so their contents are restored from
//! the states in the table: selected accounts are synced (which requests every chunk that is not done), open launches
//! and a started key rotation are resumed, and timers of activations are set. The schedules of the template are set here
//! too.

use std::collections::HashMap;

use anyhow::Context;
use domain::bulk::BulkState;
use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::id::{AdAccountId, BulkChangeId};
use domain::job::{Job, SyncCause};
use domain::launch::LaunchState;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use store::account::AdAccount;
use store::launch::StoredLaunch;
use store::schedule::{Schedule, ScheduleState};

use crate::cloud::{Cloud, TABLE};
use crate::functions::Functions;
use crate::tenant::tenant;

/// The state of an account when the system started; every later change belongs to this run. Timestamps cannot show
/// that, because the clock may be set back between two runs.
#[derive(Debug, Clone, Default)]
pub struct AccountSnapshot {
    /// When the entities were last synced.
    pub entities_synced_at: Option<Timestamp>,
    /// The fence of each week.
    pub fences: HashMap<IsoWeek, u64>,
}

/// The state of every selected account when the system started.
pub type AccountSnapshots = HashMap<(Tenant, AdAccountId), AccountSnapshot>;

/// What is of interest here of a bulk change.
#[derive(Deserialize)]
struct OpenBulkChange {
    id: BulkChangeId,
    ad_account: AdAccountId,
    state: BulkState,
}

/// Resumes everything that the table shows as unfinished.
pub(crate) async fn recover(cloud: &Cloud, functions: &Functions) -> anyhow::Result<AccountSnapshots> {
    let mut jobs = Vec::new();
    let mut snapshots = AccountSnapshots::new();
    for (workspace, _, account) in scan::<AdAccount>(cloud, "ACCOUNT#").await? {
        if account.selected && account.connection.is_some() {
            cloud.table.reclaim_chunks(&workspace, &account.id).await?;
            let chunks = cloud.table.chunks(&workspace, &account.id).await?;
            let chunks = chunks.iter().filter(|chunk| chunk.dataset == Dataset::AD_DAY);
            let fences = chunks.map(|chunk| (chunk.week, chunk.fence)).collect();
            let snapshot = AccountSnapshot { entities_synced_at: account.entities_synced_at, fences };
            snapshots.insert((workspace.clone(), account.id.clone()), snapshot);
            jobs.push(Job::SyncAccount { workspace, ad_account: account.id, cause: SyncCause::Resume });
        }
    }
    for (workspace, _, stored) in scan::<StoredLaunch>(cloud, "LAUNCH#").await? {
        if matches!(stored.launch.state, LaunchState::Running | LaunchState::RollingBack) {
            jobs.push(Job::ResumeLaunch { workspace, launch: stored.launch.id });
        }
    }
    for (workspace, _, bulk) in scan::<OpenBulkChange>(cloud, "BULK_CHANGE#").await? {
        if bulk.state == BulkState::Running {
            let OpenBulkChange { id, ad_account, .. } = bulk;
            jobs.push(Job::ApplyBulkChange { workspace, ad_account, bulk_change: id });
        }
    }
    for (workspace, account, activation) in scan::<Schedule>(cloud, "SCHEDULE#").await? {
        let account = account.context("a schedule outside an ad account")?;
        if matches!(activation.state, ScheduleState::Scheduled | ScheduleState::Running) {
            functions.manage_campaign().set_timer(&workspace, &account, &activation).await?;
        }
    }
    // As the template has them.
    for (name, job, period) in [
        ("take-due", Job::TakeDue, SignedDuration::from_mins(1)),
        ("watch-accounts", Job::WatchAccounts { shard: None }, SignedDuration::from_hours(1)),
        ("check-connections", Job::CheckConnections { after: None }, SignedDuration::from_hours(24)),
    ] {
        cloud.timers.set_recurring(name, period, &cloud.queues.address(job.queue().name())?.arn, &job)?;
    }
    let requests =
        cloud.table.deletion_requests().await?.into_iter().filter(|request| request.completed_at.is_none());
    jobs.extend(requests.map(|request| Job::DeleteUserData { code: request.code }));
    let workspaces = cloud.table.deleted_workspaces().await?;
    jobs.extend(workspaces.into_iter().map(|workspace| Job::DeleteWorkspace { workspace }));
    if !cloud.keyring.refetch().await?.document.has_single_key() {
        jobs.push(Job::CompleteRotation { pass: None });
    }
    cloud.queues.send(&jobs).await?;
    tracing::debug!(jobs = jobs.len(), "Looked for unfinished work.");
    Ok(snapshots)
}

/// Returns every item of a kind in every workspace. Only an operator scans, on a small table; functions never do.
async fn scan<T: DeserializeOwned>(
    cloud: &Cloud,
    sort_key: &str,
) -> anyhow::Result<Vec<(Tenant, Option<AdAccountId>, T)>> {
    let mut found = Vec::new();
    let mut start = None;
    loop {
        let page = cloud
            .dynamodb
            .scan()
            .table_name(TABLE)
            .filter_expression("begins_with(sk, :kind) AND begins_with(pk, :workspace)")
            .expression_attribute_values(
                ":kind",
                aws_sdk_dynamodb::types::AttributeValue::S(sort_key.to_owned()),
            )
            .expression_attribute_values(
                ":workspace",
                aws_sdk_dynamodb::types::AttributeValue::S("WS#".to_owned()),
            )
            .set_exclusive_start_key(start)
            .send()
            .await?;
        for item in page.items.unwrap_or_default() {
            let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).context("an item without a key")?;
            let mut parts = pk.split('#').skip(1);
            let workspace = tenant(parts.next().context("a key without a workspace")?)?;
            let account = parts.next().map(str::parse).transpose()?;
            found.push((workspace, account, from_item(item)?));
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(found);
        }
    }
}
