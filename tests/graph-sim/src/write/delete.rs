//! `DELETE /{node}` and `DELETE /act_X/campaigns`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Write;
use super::operation::Operation;
use crate::error::{GraphError, rule_violation, unsupported};
use crate::node::{Kind, Node, parse_time};
use crate::params::Params;
use crate::world::World;

pub(super) fn check(world: &World, operation: &Operation) -> Result<(), GraphError> {
    let nothing = || unsupported("delete", &operation.id);
    let node = world.nodes.get(&operation.id).ok_or_else(nothing)?;
    if node.configured_status() == "DELETED"
        || (node.kind.delivers() && world.effective_status(node) == "DELETED")
    {
        return Err(nothing());
    }
    let adset = node.parent_id().and_then(|id| world.nodes.get(id)).filter(|_| node.kind == Kind::Ad);
    if adset.is_some_and(|adset| adset.fields.get("is_dynamic_creative") == Some(&json!(true))) {
        return Err(rule_violation(1340029, "The ad of a dynamic ad set is deleted with its ad set."));
    }
    Ok(())
}

pub(super) fn execute(world: &mut World, operation: &Operation) -> Value {
    match operation.kind {
        Kind::BudgetSchedule | Kind::Video => drop(world.nodes.remove(&operation.id)),
        _ => world.set_status(&operation.id, "DELETED"),
    }
    json!({ "success": true })
}

pub(super) fn check_many(write: &Write) -> Result<(), GraphError> {
    let params = Params(&write.params);
    let by_date = params.text("delete_strategy") == Some("DELETE_ARCHIVED_BEFORE");
    if by_date { params.required("before_date").map(drop) } else { Ok(()) }
}

pub(super) fn execute_many(
    world: &mut World,
    operation: &Operation,
    write: &Write,
) -> Result<Value, GraphError> {
    let params = Params(&write.params);
    let archived_before = match params.text("delete_strategy") {
        Some("DELETE_ARCHIVED_BEFORE") => params.text("before_date").and_then(parse_time),
        _ => None,
    };
    let mut to_delete: Vec<(Option<Timestamp>, String)> = world
        .of_account(Kind::Campaign, &operation.account)
        .into_iter()
        .filter(|campaign| campaign.configured_status() != "DELETED")
        .filter(|campaign| {
            archived_before.is_none_or(|before| {
                campaign.configured_status() == "ARCHIVED"
                    && time(campaign, "updated_time").is_some_and(|at| at < before)
            })
        })
        .filter_map(|campaign| Some((time(campaign, "created_time"), campaign.text("id")?.to_owned())))
        .collect();
    // Oldest first for every strategy: "any" leaves the choice to Meta.
    to_delete.sort();
    let count = params.amount("object_count")?.and_then(|count| usize::try_from(count).ok());
    let left = to_delete.split_off(count.unwrap_or(to_delete.len()).min(to_delete.len()));
    let ids: Vec<String> = to_delete.into_iter().map(|(_, id)| id).collect();
    for id in &ids {
        world.set_status(id, "DELETED");
    }
    Ok(json!({ "objects_left_to_delete_count": left.len(), "deleted_object_ids": ids }))
}

fn time(node: &Node, field: &str) -> Option<Timestamp> {
    node.text(field).and_then(parse_time)
}
