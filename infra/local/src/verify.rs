//! Walking the audit log of a workspace, on this machine's table or on one in AWS.

use aws_config::BehaviorVersion;
use runtime::Clock;
use store::Table;
use store::audit::Broken;

use crate::cloud::Cloud;
use crate::data::Data;
use crate::system::tenant;

/// Which table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// Of a system that is stopped.
    Here(Data),
    /// In AWS, by its name, with the credentials and the region of the environment.
    Aws(String),
}

/// How many entries a workspace's log has, or its first link that does not hold.
pub async fn verify(place: &Where, workspace: &str) -> anyhow::Result<Result<u64, Broken>> {
    let workspace = tenant(workspace)?;
    match place {
        Where::Here(data) => {
            // Where no system has run, none is begun.
            let local = data.known_secrets()?;
            let _lock = data.claim()?;
            let cloud = Cloud::start(data, &local, &Clock::system(), 30, None).await?;
            Ok(cloud.table.audit_verify(&workspace).await?)
        }
        Where::Aws(name) => {
            let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
            let table = Table::new(aws_sdk_dynamodb::Client::new(&config), name);
            Ok(table.audit_verify(&workspace).await?)
        }
    }
}
