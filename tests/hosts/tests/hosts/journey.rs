//! From the first login to the disconnection, over the deployed API, with real Lambda processes.

use hosts::ministack::Roles;
use hosts::stage::{Stage, WORKSPACE};

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn an_advertiser_connects_is_mirrored_launches_schedules_and_leaves() {
    journey(Roles::Ignored, "111111111111").await.unwrap();
}

async fn journey(roles: Roles, aws_account: &str) -> anyhow::Result<()> {
    let stage = Stage::deploy(roles, aws_account).await?;
    let api = stage.api(WORKSPACE)?;
    println!("deployed");
    let connected = stage.connect(&api).await?;
    println!("{connected}");
    stage.select(&api, true).await?;
    println!("{}", stage.measured(&api).await?);
    Ok(())
}
