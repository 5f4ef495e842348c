//! `POST /{node}` and `DELETE /{node}`.

use serde_json::{Value, json};

use super::{DERIVED, Done, Write, ad, budget};
use crate::error::{GraphError, invalid, refused, unsupported};
use crate::fields;
use crate::node::{Kind, Node};
use crate::params::{Params, stored};
use crate::world::World;

const STATUSES: [&str; 4] = ["ACTIVE", "PAUSED", "ARCHIVED", "DELETED"];

pub(super) fn update(world: &mut World, id: &str, write: &Write) -> Result<Done, GraphError> {
    let params = Params(&write.params);
    let node = world.nodes.get(id).ok_or_else(|| unsupported("post", id))?;
    let kind = node.kind;
    let status = params.one_of("status", &STATUSES)?;
    check_end(world, node, params, status)?;
    let budget = budget::given(params)?;
    let budget_changes = match budget {
        Some(budget) => check_budget(world, node, id, budget, write)?,
        None => false,
    };
    let account = world.owner(node).clone();
    let mut changes = Vec::new();
    for (name, text) in &write.params {
        let fixed = DERIVED.contains(&name.as_str()) || matches!(name.as_str(), "campaign_id" | "adset_id");
        if fields::exists(kind, name) && !fixed {
            // An end time of 0 means: no end.
            let value = if name == "end_time" && text == "0" {
                Value::Null
            } else {
                stored(name, text, &account.zone)?
            };
            changes.push((name.clone(), value));
        }
    }
    let creative = match (kind, params.json("creative")?) {
        (Kind::Ad, Some(creative)) => Some(ad::check_creative(world, &account, &creative)?),
        _ => None,
    };
    let success = json!({ "success": true });
    if params.validate_only()? {
        return Ok(Done { answer: success, effect: false });
    }

    match creative {
        Some(ad::Inline::Existing(creative)) => changes.push(("creative".into(), json!({ "id": creative }))),
        Some(ad::Inline::New(fields)) => {
            let creative = world.create(Kind::Creative, &account.digits, fields);
            changes.push(("creative".into(), json!({ "id": creative })));
        }
        None => {}
    }
    // Graph leaves a campaign's updated_time alone when only money changes.
    let only_money = status.is_none()
        && changes
            .iter()
            .all(|(name, _)| matches!(name.as_str(), "daily_budget" | "lifetime_budget" | "spend_cap"));
    if let Some(status) = status {
        world.set_status(id, status);
    }
    if budget_changes {
        world.budget_changes.entry(id.to_owned()).or_default().push(write.time);
    }
    if let Some(node) = world.nodes.get_mut(id) {
        for (name, value) in changes {
            match value {
                Value::Null => drop(node.fields.remove(&name)),
                value => drop(node.fields.insert(name, value)),
            }
        }
        if kind != Kind::Creative && !(kind == Kind::Campaign && only_money) {
            node.touch(write.time, &account.zone);
        }
    }
    Ok(Done { answer: success, effect: true })
}

pub(super) fn delete(world: &mut World, id: &str) -> Result<Done, GraphError> {
    let node = world.nodes.get(id).ok_or_else(|| unsupported("delete", id))?;
    if node.own_status() == "DELETED" || world.effective_status(node) == "DELETED" {
        return Err(unsupported("delete", id));
    }
    world.set_status(id, "DELETED");
    Ok(Done { answer: json!({ "success": true }), effect: true })
}

/// Deleted is final, archived can only become deleted; both can still be renamed.
fn check_end(world: &World, node: &Node, params: Params<'_>, status: Option<&str>) -> Result<(), GraphError> {
    let own = node.own_status();
    let allowed = match (own, status) {
        ("DELETED", Some(status)) => status == "DELETED",
        ("ARCHIVED", Some(status)) => matches!(status, "ARCHIVED" | "DELETED"),
        _ => true,
    };
    if !allowed {
        return Err(refused(1487056, "What is archived can only be deleted, and what is deleted stays so."));
    }
    let edits = params.0.keys().any(|name| {
        !matches!(name.as_str(), "name" | "status" | "execution_options") && fields::exists(node.kind, name)
    });
    let ended = node.kind != Kind::Creative
        && matches!(world.effective_status(node).as_str(), "ARCHIVED" | "DELETED");
    if ended && edits {
        return Err(refused(1487056, "Of what is archived or deleted only the name can be changed."));
    }
    Ok(())
}

/// Whether the call changes the budget; an error when it may not.
fn check_budget(
    world: &World,
    node: &Node,
    id: &str,
    (field, amount): (&str, u64),
    write: &Write,
) -> Result<bool, GraphError> {
    let elsewhere = match node.kind {
        Kind::Campaign => {
            !node.has_budget()
                && world.of_account(Kind::AdSet, &node.account).iter().any(|adset| {
                    adset.parent_id() == Some(id) && adset.has_budget() && adset.own_status() != "DELETED"
                })
        }
        Kind::AdSet => node.parent_id().and_then(|id| world.nodes.get(id)).is_some_and(Node::has_budget),
        _ => false,
    };
    if elsewhere {
        return Err(budget::on_both_levels());
    }
    let other = if field == "daily_budget" { "lifetime_budget" } else { "daily_budget" };
    if node.text(other).is_some_and(|amount| amount != "0") {
        return Err(invalid(format!("{field} cannot be set: the object has a {other}")));
    }
    let changes = node.text(field) != Some(amount.to_string().as_str());
    if changes {
        budget::check_pace(world, id, write.time)?;
    }
    Ok(changes)
}
