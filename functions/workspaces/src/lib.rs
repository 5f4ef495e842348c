//! Workspaces, their members and invitations, and the view of the audit log. The function is also the outbox: it
//! publishes events to their subscribers as the table's stream delivers them.

mod audit;
mod changes;
mod invitations;
mod members;
mod workspaces;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use domain::Error;
use futures_util::{StreamExt, stream};
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::stream::WrittenItem;
use runtime::{Clock, Response};
use store::Table;
use store::audit::EntryKey;

/// Entries that are read at the same time.
const CONCURRENT_ENTRIES: usize = 8;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<Workspaces>>> = LazyLock::new(|| {
    vec![
        audit::list_audit(),
        changes::list_changes(),
        workspaces::create_workspace(),
        workspaces::list_workspaces(),
        workspaces::get_workspace(),
        workspaces::rename_workspace(),
        members::list_members(),
        members::update_member(),
        members::remove_member(),
        invitations::list_invitations(),
        invitations::invite(),
        invitations::revoke_invitation(),
        invitations::list_my_invitations(),
        invitations::accept_invitation(),
    ]
});

/// The `workspaces` function.
#[derive(Debug, Clone)]
pub struct Workspaces {
    table: Table,
    clock: Clock,
    middleware: Middleware,
}

impl Workspaces {
    /// Creates the function.
    pub fn new(table: Table, clock: Clock, middleware: Middleware) -> Self {
        Self { table, clock, middleware }
    }

    /// Publishes written items to the subscribers of events: seals new entries of audit logs, and adds what they say to the
    /// change logs of ad accounts. Publishing an item again changes nothing.
    pub async fn publish(&self, items: Vec<WrittenItem>) -> Result<(), Error> {
        let new = items.iter().filter(|item| item.is_new);
        let entries: Vec<_> = new.filter_map(|item| EntryKey::from_keys(&item.pk, &item.sk)).collect();
        let workspaces: BTreeSet<_> = entries.iter().map(|entry| entry.workspace.clone()).collect();
        for workspace in workspaces {
            if let Some(head) = self.table.seal_audit_log(&workspace, self.clock.now()).await? {
                tracing::info!(%workspace, digest = head.seq, hash = head.hash, "An audit log was sealed.");
            }
        }
        let logged = stream::iter(entries).map(|entry| self.log_change(entry));
        let logged: Vec<Result<(), Error>> = logged.buffer_unordered(CONCURRENT_ENTRIES).collect().await;
        let mut failed = None;
        for error in logged.into_iter().filter_map(Result::err) {
            match error.is_retryable() {
                true => failed = Some(error),
                // Delivered again, it would fail again, and hold up all others. The entry stays in the audit log.
                false => tracing::error!(%error, "A change was not added to the log of its ad account."),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("workspaces", &ENDPOINTS, self, request).await
    }
}
