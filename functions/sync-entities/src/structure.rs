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
        for kept in unseen.into_values().filter(|kept| !kept.hidden && !is_deleted(&kept.object)) {
            mirrored.vanished += vanished(table, reached, kept.object, as_of).await?;
        }
    }
    Ok(mirrored)
}

/// An object that is not listed any more. Deleted ones never are, and one that is missing may only be hidden,
/// so Meta is asked by id, once.
async fn vanished(table: &Table, reached: &Reached, object: AdObject, as_of: u64) -> Result<usize, Failure> {
    let (level, id) = (object.level, object.id.clone());
    let kept = match reached.caller.object(level, &id).await {
        Ok(object) => KeptObject { object, as_of, hidden: false },
        Err(GraphError::Gone(_)) => KeptObject { object, as_of, hidden: true },
        // One object that Meta will not talk about must not stop the account.
        Err(error @ (GraphError::NeedPermission(_) | GraphError::FixInput(_))) => {
            tracing::warn!(account = %reached.account.id, %level, object = %id, %error, "An object is left as it was.");
            return Ok(0);
        }
        Err(error) => return reached.heed(Err(error)).await,
    };
    keep(table, reached, kept).await
}

async fn keep(table: &Table, reached: &Reached, kept: KeptObject) -> Result<usize, Failure> {
    let kept = table.keep_object(&reached.workspace, &reached.account.id, &kept).await?;
    Ok(usize::from(kept == Kept::Written))
}

fn is_deleted(object: &AdObject) -> bool {
    object.effective_status == Some(EffectiveStatus::Deleted)
}
