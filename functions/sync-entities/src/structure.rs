//! The structure: what Meta lists, what changed since, and what is no longer listed.

use std::collections::HashMap;

use access::Reached;
use ads::Failure;
use ads::id::ObjectId;
use ads::object::{AdObject, EffectiveStatus, Level};
use graph_api::GraphError;
use store::Table;
use store::object::{Kept, KeptObject};

/// What one pass over the structure did.
#[derive(Debug, Default)]
pub(crate) struct Mirrored {
    /// Objects that Meta listed.
    pub(crate) listed: usize,
    /// New or changed, and written.
    pub(crate) written: usize,
    /// No longer listed, and written as Meta showed them when asked by id.
    pub(crate) vanished: usize,
}

/// Reads all three levels, campaigns first, so that a parent is there before its children.
pub(crate) async fn mirror(table: &Table, reached: &Reached) -> Result<Mirrored, Failure> {
    let (workspace, account) = (&reached.workspace, &reached.account.id);
    // Drawn before the first page: whatever starts later than this pass and sees something newer wins.
    let as_of = table.begin_fetch(workspace, account).await?;
    let mut mirrored = Mirrored::default();
    for level in [Level::Campaign, Level::AdSet, Level::Ad] {
        let kept = table.objects(workspace, account, level).await?;
        let mut unseen: HashMap<ObjectId, KeptObject> =
            kept.into_iter().map(|kept| (kept.object.id.clone(), kept)).collect();
        let mut pages = reached.caller.objects(account, level);
        while let Some(page) = reached.heed(pages.next().await).await? {
            for object in page {
                let object = object.into_object(level);
                mirrored.listed += 1;
                let known = unseen.remove(&object.id);
                if !known.is_some_and(|known| known.object == object && !known.hidden) {
                    mirrored.written +=
                        keep(table, reached, KeptObject { object, as_of, hidden: false }).await?;
                }
            }
        }
        let unseen = unseen.into_values().filter(|kept| !kept.hidden && !is_deleted(&kept.object));
        let unseen = unseen.map(|kept| kept.object).collect();
        mirrored.vanished += vanished(table, reached, level, unseen, as_of).await?;
    }
    Ok(mirrored)
}

/// Objects that are not listed any more. Deleted ones never are, and one that is missing may only be hidden, so Meta
/// is asked by id, once; for as many as the leased calls cover, and then for the others.
async fn vanished(
    table: &Table,
    reached: &Reached,
    level: Level,
    mut unseen: Vec<AdObject>,
    as_of: u64,
) -> Result<usize, Failure> {
    let mut written = 0;
    while !unseen.is_empty() {
        let ids: Vec<ObjectId> = unseen.iter().map(|object| object.id.clone()).collect();
        let answers = reached.caller.objects_by_id(level, &ids).await;
        let (mut left, mut failed) = (Vec::new(), None);
        for (object, (_, answer)) in unseen.into_iter().zip(answers) {
            match answer {
                Err(error) if !is_about_the_object(&error) => {
                    left.push(object);
                    failed = failed.or(Some(error));
                }
                answer => {
                    if let Some(kept) = as_shown(object, answer, as_of) {
                        written += keep(table, reached, kept).await?;
                    }
                }
            }
        }
        let waits_for_calls = matches!(failed, Some(GraphError::Wait { .. })) && left.len() < ids.len();
        reached.heed(failed.filter(|_| !waits_for_calls).map_or(Ok(()), Err)).await?;
        unseen = left;
    }
    Ok(written)
}

/// Whether an error says something of one object, and not of Meta, the token or the quota.
fn is_about_the_object(error: &GraphError) -> bool {
    matches!(error, GraphError::Gone(_) | GraphError::NeedPermission(_) | GraphError::FixInput(_))
}

/// What is to be kept of an object that is not listed; none when it stays as it was.
fn as_shown(object: AdObject, answer: Result<AdObject, GraphError>, as_of: u64) -> Option<KeptObject> {
    match answer {
        Ok(object) => Some(KeptObject { object, as_of, hidden: false }),
        Err(GraphError::Gone(_)) => Some(KeptObject { object, as_of, hidden: true }),
        // One object that Meta will not talk about must not stop the account.
        Err(error) => {
            tracing::warn!(object_level = %object.level, object = %object.id, %error, "An object is left as it was.");
            None
        }
    }
}

async fn keep(table: &Table, reached: &Reached, kept: KeptObject) -> Result<usize, Failure> {
    let kept = table.keep_object(&reached.workspace, &reached.account.id, &kept).await?;
    Ok(usize::from(kept == Kept::Written))
}

fn is_deleted(object: &AdObject) -> bool {
    object.effective_status == Some(EffectiveStatus::Deleted)
}
