//! The function: appends events as writes are delivered, and answers who asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use domain::Error;
use domain::live::Changed;
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
            let changed = self.known(&workspace, changed).await?;
            if changed.is_empty() || !self.table.workspace_exists(&workspace).await? {
                return Ok(());
            }
            let event = self.table.append_live_event(&workspace, changed, self.clock.now()).await?;
            if let Some(hub) = &self.hub
                && let Err(error) = hub.publish(&workspace, &event).await
            {
                // Pages that have a socket there find the event by themselves, later.
                tracing::warn!(%workspace, %error, "The hub was not told of an event.");
            }
            Ok(())
        });
        let appended: Vec<Result<(), Error>> =
            appended.buffer_unordered(CONCURRENT_WORKSPACES).collect().await;
        appended.into_iter().collect()
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
