//! `DELETE /{node}` and `DELETE /act_X/campaigns`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Write;
use super::task::Task;
use crate::error::{GraphError, refused, unsupported};
use crate::node::{Kind, Node, parse_time};
use crate::params::Params;
use crate::world::World;

pub(super) fn check(world: &World, task: &Task) -> Result<(), GraphError> {
    let nothing = || unsupported("delete", &task.id);
    let node = world.nodes.get(&task.id).ok_or_else(nothing)?;
    if node.own_status() == "DELETED" || (node.kind.delivers() && world.effective_status(node) == "DELETED") {
        return Err(nothing());
    }
    let adset = node.parent_id().and_then(|id| world.nodes.get(id)).filter(|_| node.kind == Kind::Ad);
    if adset.is_some_and(|adset| adset.fields.get("is_dynamic_creative") == Some(&json!(true))) {
        return Err(refused(1340029, "The ad of a dynamic ad set is deleted with its ad set."));
    }
    Ok(())
}

pub(super) fn carry_out(world: &mut World, task: &Task) -> Value {
    match task.kind {
        Kind::BudgetSchedule | Kind::Video => drop(world.nodes.remove(&task.id)),
        _ => world.set_status(&task.id, "DELETED"),
    }
    json!({ "success": true })
}

pub(super) fn check_many(write: &Write) -> Result<(), GraphError> {
    let params = Params(&write.params);
    let by_date = params.text("delete_strategy") == Some("DELETE_ARCHIVED_BEFORE");
    if by_date { params.required("before_date").map(drop) } else { Ok(()) }
}

pub(super) fn carry_out_many(world: &mut World, task: &Task, write: &Write) -> Result<Value, GraphError> {
    let params = Params(&write.params);
    let archived_before = match params.text("delete_strategy") {
        Some("DELETE_ARCHIVED_BEFORE") => params.text("before_date").and_then(parse_time),
        _ => None,
    };
    let mut doomed: Vec<(Option<Timestamp>, String)> = world
        .of_account(Kind::Campaign, &task.account)
        .into_iter()
        .filter(|campaign| campaign.own_status() != "DELETED")
        .filter(|campaign| {
            archived_before.is_none_or(|before| {
                campaign.own_status() == "ARCHIVED"
                    && time(campaign, "updated_time").is_some_and(|at| at < before)
            })
        })
        .filter_map(|campaign| Some((time(campaign, "created_time"), campaign.text("id")?.to_owned())))
        .collect();
    // The oldest first, whichever strategy: "any" leaves the choice to Meta.
    doomed.sort();
    let count = params.amount("object_count")?.and_then(|count| usize::try_from(count).ok());
    let left = doomed.split_off(count.unwrap_or(doomed.len()).min(doomed.len()));
    let ids: Vec<String> = doomed.into_iter().map(|(_, id)| id).collect();
    for id in &ids {
        world.set_status(id, "DELETED");
    }
    Ok(json!({ "objects_left_to_delete_count": left.len(), "deleted_object_ids": ids }))
}

fn time(node: &Node, field: &str) -> Option<Timestamp> {
    node.text(field).and_then(parse_time)
}
