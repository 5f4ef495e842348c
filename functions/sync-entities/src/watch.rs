//! Watches that every selected account is fresh, its connection valid, and the version of the platform's API served. An
//! account whose syncs do not come through goes stale without any error, so this check has a schedule of its own; the alarm
//! on the age of the queue tells when the checks themselves do not come through.

use std::collections::BTreeSet;

use domain::Error;
use domain::id::ConnectionId;
use domain::job::{Job, SyncCause};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use runtime::telemetry::{self, TelemetryMetric};
use serde_json::{Value, json};
use store::account::{SyncProblem, SyncProblemKind};
use store::audit::AuditEvent;
use store::connection::{Connection, ConnectionState};
use store::due::{DUE_SHARDS, DueAccount, DueJob};

use crate::SyncEntities;

/// An account is stale after three sync intervals: it has missed two syncs.
const STALE_AFTER_INTERVALS: i32 = 3;

/// Accounts that are checked at the same time.
const ACCOUNTS_AT_A_TIME: usize = 20;

/// What a check of an account has found.
#[derive(Default)]
struct Found {
    is_stale: bool,
    /// The connection that expires soon.
    expiring: Option<ConnectionId>,
    /// The connection that a person must renew.
    lost: Option<ConnectionId>,
}

impl SyncEntities {
    /// Checks the accounts of a shard; without one, the version of the platform's API, and sends a job for each shard.
    pub(crate) async fn watch(&self, shard: Option<u8>) -> Result<(), Error> {
        if let Some(shard) = shard {
            return self.watch_shard(shard).await;
        }
        let version = self.connector.graph_version().await?;
        let problems = version.problems();
        for (problem, since) in &problems {
            tracing::warn!(problem, ?since, "The version of the Graph API needs attention.");
        }
        telemetry::count(TelemetryMetric::VersionProblems, problems.len() as u64);
        let shards: Vec<_> = (0..DUE_SHARDS).map(|shard| Job::WatchAccounts { shard: Some(shard) }).collect();
        self.host.queues.send(&shards).await
    }

    /// Checks every account of a shard, some at a time.
    async fn watch_shard(&self, shard: u8) -> Result<(), Error> {
        let now = self.host.clock.now();
        let (mut watched, mut stale) = (0, 0);
        // Counted by connection, because one may serve many accounts.
        let (mut expiring, mut lost) = (BTreeSet::new(), BTreeSet::new());
        let accounts = self.connector.table.due_accounts(shard).await?;
        for some in accounts.chunks(ACCOUNTS_AT_A_TIME) {
            let found = try_join_all(some.iter().map(|entry| self.watch_account(entry, now))).await?;
            for (entry, found) in some.iter().zip(found) {
                watched += 1;
                let of_workspace = |connection| (entry.workspace.clone(), connection);
                stale += u64::from(found.is_stale);
                expiring.extend(found.expiring.map(of_workspace));
                lost.extend(found.lost.map(of_workspace));
            }
        }
        let (expiring, lost) = (expiring.len() as u64, lost.len() as u64);
        for (metric, found) in [
            (TelemetryMetric::StaleAccounts, stale),
            (TelemetryMetric::ExpiringTokens, expiring),
            (TelemetryMetric::NeedsReconnect, lost),
        ] {
            telemetry::count(metric, found);
        }
        tracing::info!(shard, watched, stale, expiring, lost, "Checked selected accounts.");
        Ok(())
    }

    /// Checks an account. One that is stale gets a problem, which the person sees, and a sync.
    async fn watch_account(&self, entry: &DueAccount, now: Timestamp) -> Result<Found, Error> {
        let (table, DueAccount { workspace, ad_account, .. }) = (&self.connector.table, entry);
        let account = table.account(workspace, ad_account).await?.filter(|account| account.selected);
        // Deselected since the list was read.
        let Some(account) = account else { return Ok(Found::default()) };
        let own = account.require_connection()?.clone();
        let connection = table.connection(workspace, &own).await?;
        let connection = match connection.filter(|connection| is_usable(connection, now)) {
            Some(connection) => Some(connection),
            None => account.fallback_connection(&table.connections(workspace).await?).cloned(),
        };
        let Some(connection) = connection else {
            tracing::warn!(%workspace, %ad_account, connection = %own.log_id(), "A selected account has no usable connection.");
            return Ok(Found { lost: Some(own), ..Found::default() });
        };
        let mut found = Found::default();
        if connection.expires_soon(now).is_some() {
            tracing::warn!(%workspace, connection = %connection.id.log_id(), "A connection expires soon.");
            found.expiring = Some(connection.id);
        }
        let synced_at = account.entities_synced_at.unwrap_or(connection.connected_at);
        let synced_at = account.selected_at.map_or(synced_at, |selected| synced_at.max(selected));
        found.is_stale = now.duration_since(synced_at) > entry.interval(DueJob::Sync) * STALE_AFTER_INTERVALS;
        if found.is_stale {
            tracing::warn!(%workspace, %ad_account, %synced_at, "A selected account is stale.");
            let reason = format!("no sync has completed since {synced_at}; a sync is queued");
            let problem = SyncProblem { kind: SyncProblemKind::Stale, since: now, reason };
            let id = format!("stale/{ad_account}/{now}");
            let event = AuditEvent::sync(id, "sync.stale", ad_account)
                .with_change(Value::Null, json!({"synced_at": synced_at}))
                .done_at(now);
            table.begin_sync_problem(workspace, ad_account, &problem, &event).await?;
            let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
            let sync = Job::SyncAccount { workspace, ad_account, cause: SyncCause::Resume };
            self.host.queues.send(&[sync]).await?;
        }
        Ok(found)
    }
}

fn is_usable(connection: &Connection, now: Timestamp) -> bool {
    connection.state == ConnectionState::Connected && connection.next_expiry().is_none_or(|(at, _)| at > now)
}
