//! Workspaces, their members and invitations, and the view of the audit log.

mod audit;
mod invitations;
mod members;
mod workspaces;

use std::sync::LazyLock;

use bytes::Bytes;
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::{Clock, Response};
use store::Table;

/// Every endpoint of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<Workspaces>>> = LazyLock::new(|| {
    vec![
        audit::list_audit(),
        workspaces::create_workspace(),
        workspaces::list_workspaces(),
        members::list_members(),
        members::change_member(),
        members::remove_member(),
        invitations::list_invitations(),
        invitations::invite(),
        invitations::withdraw_invitation(),
        invitations::list_my_invitations(),
        invitations::accept_invitation(),
    ]
});

/// The function.
#[derive(Debug, Clone)]
pub struct Workspaces {
    table: Table,
    clock: Clock,
    middleware: Middleware,
}

impl Workspaces {
    /// The function on this host.
    pub fn new(table: Table, clock: Clock, middleware: Middleware) -> Self {
        Self { table, clock, middleware }
    }

    /// Responds to a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("workspaces", &ENDPOINTS, self, request).await
    }
}
