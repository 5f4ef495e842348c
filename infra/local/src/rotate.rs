//! Rotates the keyring of a stopped system: does at once what `auth-meta` does job by job in the cloud.

use anyhow::{Context, ensure};
use auth_meta::rotation::{Rotation, RotationStatus};
use runtime::Clock;

use crate::calls::Recorders;
use crate::cloud::Cloud;
use crate::data::Data;

/// Begins a rotation on this data, or resumes the one in progress, and returns its status.
pub async fn rotate(data: &Data) -> anyhow::Result<String> {
    ensure!(*data != Data::Memory, "a system on :memory: keeps no keyring that could be rotated");
    // Fails where no system has run, instead of creating secrets.
    data.existing_secrets()?;
    let _lock = data.lock()?;
    let local = data.existing_secrets()?;
    let clock = Clock::system();
    let cloud = Cloud::start(data, &local, &clock, 30, Recorders::default()).await?;
    let rotation = Rotation::new(cloud.table.clone(), cloud.keyring.clone(), cloud.queues.clone(), clock);
    rotation.begin().await?;
    let (mut sealed, mut pass) = (0, None);
    while let RotationStatus::Resealing { current, remaining, next } = rotation.advance(pass).await? {
        for place in remaining {
            let done = rotation.reseal(&place.workspace, &place.connection, &current).await;
            done.with_context(|| {
                format!("connection {} of workspace {}", place.connection, place.workspace)
            })?;
            sealed += 1;
        }
        if next.is_none() {
            break;
        }
        pass = next;
    }
    let current = cloud.keyring.current();
    let (mut pass, mut unopened) = (None, 0);
    loop {
        match rotation.advance(pass).await? {
            RotationStatus::Complete => {
                return Ok(format!("Sealed anew: {sealed}. {current} is the only key."));
            }
            RotationStatus::Resealing { remaining, next, .. } => {
                (unopened, pass) = (unopened + remaining.len(), next);
            }
        }
        if pass.is_none() {
            break;
        }
    }
    Ok(format!(
        "Sealed anew: {sealed}, with {current}. The old key goes ten minutes after it has stopped sealing: run this again \
         then, or start the system. Tokens that no key opens any more: {unopened}."
    ))
}
