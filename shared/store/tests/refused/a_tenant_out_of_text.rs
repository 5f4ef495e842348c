//! Neither text nor a workspace's id becomes a tenant.

use ads::id::WorkspaceId;
use ads::tenant::Tenant;

fn main() {
    let workspace: WorkspaceId = "demo".parse().unwrap();
    let _parsed: Tenant = "demo".parse().unwrap();
    let _converted: Tenant = workspace.clone().into();
    let _made = Tenant(workspace);
}
