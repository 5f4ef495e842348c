//! Entity sync: what Meta lists, what changed since, and what is no longer listed.

use std::collections::HashMap;

use connector::AccountClient;
use domain::Error;
use domain::id::ObjectId;
use domain::object::{AdObject, EffectiveStatus, Level};
use graph_api::GraphError;
use store::Table;
use store::entity::{StoredEntity, UpsertResult};

/// Counts of one sync.
#[derive(Debug, Default)]
pub(crate) struct EntitySyncStats {
    /// Objects that Meta listed.
    pub(crate) listed: usize,
    /// New or changed objects that were written.
    pub(crate) written: usize,
    /// Objects that are no longer listed, written as Meta returned them by id.
    pub(crate) vanished: usize,
}

/// Reads all three levels, campaigns first, so that a parent exists before its children.
pub(crate) async fn sync(table: &Table, client: &AccountClient) -> Result<EntitySyncStats, Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    // Taken before the first page: a fetch that starts later sees newer state and wins.
    let as_of = table.begin_fetch(workspace, account).await?;
    let mut stats = EntitySyncStats::default();
    for level in [Level::Campaign, Level::AdSet, Level::Ad] {
        let stored = table.entities(workspace, account, level).await?;
        let mut unlisted: HashMap<ObjectId, StoredEntity> =
            stored.into_iter().map(|stored| (stored.object.id.clone(), stored)).collect();
        let mut pages = client.caller.objects(account, level);
        while let Some(page) = client.check_response(pages.next().await).await? {
            for object in page {
                let object = object.into_object(level);
                stats.listed += 1;
                let known = unlisted.remove(&object.id);
                if !known.is_some_and(|known| known.object == object && !known.hidden) {
                    stats.written +=
                        upsert(table, client, StoredEntity { object, as_of, hidden: false }).await?;
                }
            }
        }
        let unlisted = unlisted.into_values().filter(|stored| !stored.hidden && !is_deleted(&stored.object));
        let unlisted = unlisted.map(|stored| stored.object).collect();
        stats.vanished += refetch_unlisted(table, client, level, unlisted, as_of).await?;
    }
    Ok(stats)
}

/// Refetches objects that are no longer listed. Deleted objects are never listed, and a missing one may only be hidden,
/// so Meta is asked once by id: in batches that the leased calls cover.
async fn refetch_unlisted(
    table: &Table,
    client: &AccountClient,
    level: Level,
    mut unlisted: Vec<AdObject>,
    as_of: u64,
) -> Result<usize, Error> {
    let mut written = 0;
    while !unlisted.is_empty() {
        let ids: Vec<ObjectId> = unlisted.iter().map(|object| object.id.clone()).collect();
        let answers = client.caller.objects_by_id(level, &ids).await;
        let (mut left, mut failed) = (Vec::new(), None);
        for (object, (_, answer)) in unlisted.into_iter().zip(answers) {
            match answer {
                Err(error) if !is_about_the_object(&error) => {
                    left.push(object);
                    failed = failed.or(Some(error));
                }
                answer => {
                    if let Some(stored) = resolve_unlisted(object, answer, as_of) {
                        written += upsert(table, client, stored).await?;
                    }
                }
            }
        }
        let waits_for_calls =
            matches!(failed, Some(GraphError::RateLimited { .. })) && left.len() < ids.len();
        client.check_response(failed.filter(|_| !waits_for_calls).map_or(Ok(()), Err)).await?;
        unlisted = left;
    }
    Ok(written)
}

/// Checks whether an error concerns one object rather than Meta, the token or the quota.
fn is_about_the_object(error: &GraphError) -> bool {
    matches!(error, GraphError::NotFound(_) | GraphError::NeedPermission(_) | GraphError::InvalidInput(_))
}

/// Returns what to store for an unlisted object; none when it stays unchanged.
fn resolve_unlisted(
    object: AdObject,
    answer: Result<AdObject, GraphError>,
    as_of: u64,
) -> Option<StoredEntity> {
    match answer {
        Ok(object) => Some(StoredEntity { object, as_of, hidden: false }),
        Err(GraphError::NotFound(_)) => Some(StoredEntity { object, as_of, hidden: true }),
        // An object that Meta does not return must not stop the account's sync.
        Err(error) => {
            tracing::warn!(object_level = %object.level, object = %object.id, %error, "An object is left as it was.");
            None
        }
    }
}

async fn upsert(table: &Table, client: &AccountClient, stored: StoredEntity) -> Result<usize, Error> {
    let stored = table.upsert_entity(&client.workspace, &client.account.id, &stored).await?;
    Ok(usize::from(stored == UpsertResult::Written))
}

fn is_deleted(object: &AdObject) -> bool {
    object.effective_status == Some(EffectiveStatus::Deleted)
}
