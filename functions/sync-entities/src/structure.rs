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
    /// No longer listed, and shown by Meta when asked by id.
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
        let mut unseen: HashMap<ObjectId, AdObject> =
            kept.into_iter().map(|kept| (kept.object.id.clone(), kept.object)).collect();
        let mut pages = reached.caller.objects(account, level);
        while let Some(page) = reached.heed(pages.next().await).await? {
            for object in page {
                let object = object.into_object(level);
                mirrored.listed += 1;
                if unseen.remove(&object.id).as_ref() != Some(&object) {
                    mirrored.written += keep(table, reached, object, as_of).await?;
                }
            }
        }
        // Deleted objects are not listed, and one that is missing may only be hidden: Meta is asked by id.
        for object in unseen.into_values().filter(|object| !is_deleted(object)) {
            match reached.caller.object(level, &object.id).await {
                Err(GraphError::Gone(_)) => {
                    tracing::warn!(%workspace, %account, %level, object = %object.id, "Meta no longer shows an object; it is kept as it was.");
                }
                answer => {
                    mirrored.vanished += keep(table, reached, reached.heed(answer).await?, as_of).await?;
                }
            }
        }
    }
    Ok(mirrored)
}

async fn keep(table: &Table, reached: &Reached, object: AdObject, as_of: u64) -> Result<usize, Failure> {
    let kept = KeptObject { object, as_of };
    let kept = table.keep_object(&reached.workspace, &reached.account.id, &kept).await?;
    Ok(usize::from(kept == Kept::Written))
}

fn is_deleted(object: &AdObject) -> bool {
    object.effective_status == Some(EffectiveStatus::Deleted)
}
