//! The structure: what Meta lists, what changed since, and what is no longer listed.

use std::collections::HashMap;

use connector::AccountClient;
use domain::Error;
use domain::id::ObjectId;
use domain::object::{AdObject, EffectiveStatus, Level};
use graph_api::GraphError;
use store::Table;
use store::entity::{StoredEntity, UpsertResult};

/// What one pass over the structure did.
#[derive(Debug, Default)]
pub(crate) struct EntitySyncStats {
    /// Objects that Meta listed.
    pub(crate) listed: usize,
    /// New or changed, and written.
    pub(crate) written: usize,
    /// No longer listed, and written as Meta showed them when asked by id.
    pub(crate) vanished: usize,
}

/// Reads all three levels, campaigns first, so that a parent is there before its children.
pub(crate) async fn sync(table: &Table, client: &AccountClient) -> Result<EntitySyncStats, Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    // Drawn before the first page: whatever starts later than this pass and sees something newer wins.
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

/// Objects that are not listed any more. Deleted ones never are, and one that is missing may only be hidden, so Meta
/// is asked by id, once; for as many as the leased calls cover, and then for the others.
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

/// Whether an error says something of one object, and not of Meta, the token or the quota.
fn is_about_the_object(error: &GraphError) -> bool {
    matches!(error, GraphError::NotFound(_) | GraphError::NeedPermission(_) | GraphError::InvalidInput(_))
}

/// What is to be stored of an object that is not listed; none when it stays as it was.
fn resolve_unlisted(
    object: AdObject,
    answer: Result<AdObject, GraphError>,
    as_of: u64,
) -> Option<StoredEntity> {
    match answer {
        Ok(object) => Some(StoredEntity { object, as_of, hidden: false }),
        Err(GraphError::NotFound(_)) => Some(StoredEntity { object, as_of, hidden: true }),
        // One object that Meta will not talk about must not stop the account.
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
