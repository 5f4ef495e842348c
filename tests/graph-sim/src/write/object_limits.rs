//! Maximum numbers of objects in an account and in a campaign.

use super::draft::Draft;
use crate::error::{GraphError, invalid};
use crate::node::{Kind, Node};
use crate::world::World;

/// Maximum ad sets of one campaign. Source: Marketing API, "Ad Account", limits.
const MAX_ADSETS_PER_CAMPAIGN: usize = 200;

/// Checks that a new object stays within the limits.
pub(super) fn check_new(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.before.is_some() {
        return Ok(());
    }
    let campaign = draft.text("campaign_id").filter(|_| draft.kind == Kind::AdSet);
    if campaign.is_some_and(|campaign| live_children(draft.world, campaign).len() >= MAX_ADSETS_PER_CAMPAIGN)
    {
        return Err(invalid(format!("A campaign can have {MAX_ADSETS_PER_CAMPAIGN} ad sets")));
    }
    check(draft.world, &draft.account.digits, draft.kind, 1)
}

/// Rejects more objects of a kind than the account may have; deleted ones do not count.
pub(super) fn check(world: &World, account: &str, kind: Kind, more: usize) -> Result<(), GraphError> {
    let alive = world
        .nodes
        .values()
        .filter(|node| node.kind == kind && node.account == account && node.configured_status() != "DELETED")
        .count();
    if alive + more <= world.writing.max_objects_per_kind {
        return Ok(());
    }
    Err(invalid(format!(
        "The ad account has reached its limit of {} objects of this kind that are not deleted",
        world.writing.max_objects_per_kind
    )))
}

/// Returns the direct children of an object that are not deleted.
pub(super) fn live_children<'a>(world: &'a World, id: &str) -> Vec<&'a Node> {
    let mut below: Vec<&Node> = world
        .nodes
        .values()
        .filter(|node| node.parent_id() == Some(id) && node.configured_status() != "DELETED")
        .collect();
    // In order of creation.
    below.sort_by_key(|node| std::cmp::Reverse(node.position));
    below
}
