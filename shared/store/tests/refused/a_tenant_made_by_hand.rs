//! A workspace's id does not become a tenant.

use ads::id::WorkspaceId;
use ads::tenant::Tenant;

fn forged(path: WorkspaceId) -> Tenant {
    Tenant(path)
}

fn taken_for_one(path: WorkspaceId) -> Tenant {
    path
}

fn main() {}
