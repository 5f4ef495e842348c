//! Walking the audit log of a workspace, on this machine's table or on one in AWS.

use aws_config::BehaviorVersion;
use runtime::Clock;
use store::Table;
use store::audit::ChainError;

use crate::cloud::Cloud;
use crate::data::Data;
use crate::system::tenant;

/// Which table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableLocation {
    /// Of a system that is stopped.
    Local(Data),
    /// In AWS, by its name, with the credentials and the region of the environment.
    Aws(String),
}

/// How many entries a workspace's log has, or its first link that does not hold.
pub async fn verify(location: &TableLocation, workspace: &str) -> anyhow::Result<Result<u64, ChainError>> {
    let workspace = tenant(workspace)?;
    match location {
        TableLocation::Local(data) => {
            // Where no system has run, none is begun.
            let local = data.existing_secrets()?;
            let _lock = data.lock()?;
            let cloud = Cloud::start(data, &local, &Clock::system(), 30, None).await?;
            Ok(cloud.table.verify_audit_log(&workspace).await?)
        }
        TableLocation::Aws(name) => {
            let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
            let table = Table::new(aws_sdk_dynamodb::Client::new(&config), name);
            Ok(table.verify_audit_log(&workspace).await?)
        }
    }
}
