//! The function: appends events as writes are delivered, and answers who asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::Error;
use domain::live::{Changed, LiveEvent};
use domain::tenant::Tenant;
use futures_util::{StreamExt, stream};
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::stream::WrittenItem;
use runtime::{Clock, Response};
use store::{Table, live};

use crate::hub_client::HubClient;
use crate::{events, tickets};

/// Workspaces whose events are appended at the same time.
const CONCURRENT_WORKSPACES: usize = 8;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<LiveUpdates>>> =
    LazyLock::new(|| vec![events::list_live_events(), tickets::create_live_ticket()]);

/// The `live-updates` function.
#[derive(Debug, Clone)]
pub struct LiveUpdates {
    pub(crate) table: Table,
    pub(crate) clock: Clock,
    middleware: Middleware,
    pub(crate) hub: Option<HubClient>,
    pub(crate) max_wait: Duration,
}

impl LiveUpdates {
    /// Creates the function. `max_wait` is how long a request may wait for events; zero where waiting is billed.
    pub fn new(
        table: Table,
        clock: Clock,
        middleware: Middleware,
        hub: Option<HubClient>,
        max_wait: Duration,
    ) -> Self {
        Self { table, clock, middleware, hub, max_wait }
    }

    /// Appends an event for each workspace in which something was written, and passes it to the hub. Publishing an item
    /// again appends another event, which costs a reader another look.
    pub async fn publish(&self, items: Vec<WrittenItem>) -> Result<(), Error> {
        let mut workspaces = BTreeMap::<_, BTreeSet<_>>::new();
        for (workspace, changed) in items.iter().filter_map(|item| live::changed(&item.pk, &item.sk)) {
            workspaces.entry(workspace).or_default().insert(changed);
        }
        let appended = stream::iter(workspaces).map(|(workspace, changed)| async move {
            let appended = self.append(&workspace, changed).await;
            (workspace, appended)
        });
        let appended: Vec<_> = appended.buffer_unordered(CONCURRENT_WORKSPACES).collect().await;
        let (mut events, mut failed) = (Vec::new(), None);
        for (workspace, appended) in appended {
            match appended {
                Ok(event) => events.extend(event.map(|event| (workspace, event))),
                Err(error) if error.is_retryable() => failed = Some(error),
                // Delivered again, it would fail again, and hold up all others.
                Err(error) => tracing::error!(%workspace, %error, "A live event was not appended."),
            }
        }
        if let Some(hub) = &self.hub {
            self.tell(hub, events).await;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Appends an event of these changes, unless nobody can look at them any more.
    async fn append(
        &self,
        workspace: &Tenant,
        changed: BTreeSet<Changed>,
    ) -> Result<Option<LiveEvent>, Error> {
        let changed = self.known(workspace, changed).await?;
        if changed.is_empty() || !self.table.workspace_exists(workspace).await? {
            return Ok(None);
        }
        Ok(Some(self.table.append_live_event(workspace, changed, self.clock.now()).await?))
    }

    /// Tells the hub of events. A hub that does not answer is told of nothing more this time: pages that have a socket there
    /// find the events by themselves, within a minute.
    async fn tell(&self, hub: &HubClient, events: Vec<(Tenant, LiveEvent)>) {
        let is_there = AtomicBool::new(true);
        let told = stream::iter(events).map(|(workspace, event)| {
            let is_there = &is_there;
            async move {
                if is_there.load(Ordering::Relaxed)
                    && let Err(error) = hub.publish(&workspace, &event).await
                {
                    is_there.store(false, Ordering::Relaxed);
                    tracing::warn!(%workspace, %error, "The hub was not told of an event.");
                }
            }
        });
        told.buffer_unordered(CONCURRENT_WORKSPACES).collect::<()>().await;
    }

    /// Leaves out ad accounts that are deleted: what was written before would name them again.
    async fn known(&self, workspace: &Tenant, changed: BTreeSet<Changed>) -> Result<Vec<Changed>, Error> {
        let named: BTreeSet<_> = changed.iter().filter_map(Changed::ad_account).cloned().collect();
        let mut deleted = BTreeSet::new();
        for ad_account in named {
            if self.table.account(workspace, &ad_account).await?.is_none() {
                deleted.insert(ad_account);
            }
        }
        let is_known = |one: &Changed| one.ad_account().is_none_or(|named| !deleted.contains(named));
        Ok(changed.into_iter().filter(is_known).collect())
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("live-updates", &ENDPOINTS, self, request).await
    }
}
