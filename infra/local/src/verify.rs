//! Verifies the audit log of a workspace, in this machine's table or in one in AWS.

use aws_config::BehaviorVersion;
use jiff::SignedDuration;
use runtime::Clock;
use store::Table;
use store::audit::digest::{AuditFault, AuditReport, AuditRoot};

use crate::calls::Recorders;
use crate::cloud::Cloud;
use crate::data::Data;
use crate::tenant::tenant;

/// The table to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableLocation {
    /// The table of a stopped system.
    Local(Data),
    /// A table in AWS, by its name, with the credentials and the region of the environment.
    Aws(String),
}

/// Returns what a workspace's log consists of, or the first place at which it, or one of the roots, does not hold.
pub async fn verify(
    location: &TableLocation,
    workspace: &str,
    roots: &[AuditRoot],
) -> anyhow::Result<Result<AuditReport, AuditFault>> {
    let workspace = tenant(workspace)?;
    match location {
        TableLocation::Local(data) => {
            // Fails where no system has run, instead of creating secrets.
            let local = data.existing_secrets()?;
            let _lock = data.lock()?;
            let now = Clock::system().now() + SignedDuration::from_secs(local.clock_ahead_seconds);
            let cloud = Cloud::start(data, &local, &Clock::system(), 30, Recorders::default()).await?;
            Ok(cloud.table.verify_audit_log(&workspace, roots, now).await?)
        }
        TableLocation::Aws(name) => {
            let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
            let table = Table::new(aws_sdk_dynamodb::Client::new(&config), name);
            Ok(table.verify_audit_log(&workspace, roots, Clock::system().now()).await?)
        }
    }
}
