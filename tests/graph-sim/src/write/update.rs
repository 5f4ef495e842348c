//! `POST /{node}`.

use serde_json::{Value, json};

use super::create::rules;
use super::draft::{Draft, amount, given_fields, set};
use super::operation::Operation;
use super::{Write, ad, budget, budget_schedule, campaign, creative, object_limits};
use crate::error::{GraphError, busy, invalid, rule_violation, unsupported, with_blame};
use crate::fields;
use crate::node::{Kind, Node};
use crate::params::Params;
use crate::world::World;

/// Fields of an object that affect where and why its ads are shown: a change is reviewed.
const REVIEWED_FIELDS: [&str; 4] = ["targeting", "optimization_goal", "billing_event", "creative"];
/// Graph leaves a campaign's updated_time unchanged when only these change.
const BUDGET_FIELDS: [&str; 3] = ["daily_budget", "lifetime_budget", "spend_cap"];

pub(super) fn check(world: &World, operation: &Operation, write: &Write) -> Result<(), GraphError> {
    let node = node(world, operation)?;
    let params = Params(&write.params);
    if node.kind == Kind::BudgetSchedule {
        return budget_schedule::check_change(world, node, write);
    }
    let Some((param_rules, rules)) = rules(node.kind) else { return Ok(()) };
    if node.kind == Kind::Creative {
        check_creative(params)?;
    } else {
        param_rules.check_change(params)?;
    }
    check_final_status(world, node, params)?;
    if world.writing.refuse_in_process && world.is_in_process(&operation.id) {
        return Err(busy());
    }
    draft(world, node, write)?.check_rules(rules)
}

fn node<'a>(world: &'a World, operation: &Operation) -> Result<&'a Node, GraphError> {
    world.nodes.get(&operation.id).ok_or_else(|| unsupported("post", &operation.id))
}

fn draft<'a>(world: &'a World, node: &'a Node, write: &'a Write) -> Result<Draft<'a>, GraphError> {
    let mut draft = Draft::change(world, node, write)?;
    for bid in dropped_bids(node, Params(&write.params)) {
        draft.fields.remove(bid);
    }
    // An object cannot be moved to another parent.
    for parent in ["campaign_id", "adset_id"] {
        set(&mut draft.fields, parent.to_owned(), node.fields.get(parent).cloned().unwrap_or_default());
    }
    Ok(draft)
}

pub(super) fn execute(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let before = node(world, operation)?;
    let params = Params(&write.params);
    let (kind, account) = (before.kind, world.owner(before).clone());
    if kind == Kind::BudgetSchedule {
        return budget_schedule::execute_change(world, &operation.id, write);
    }
    let after = draft(world, before, write)?.fields;
    let gains_budget = budget::of(&before.fields).is_none() && budget::of(&after).is_some();
    if budget::changes(before, &after) && params.text("adset_budgets").is_none() {
        world.budget_changes.entry(operation.id.clone()).or_default().push(write.time);
    }
    let mut changes = given_fields(kind, &account, write)?;
    changes.retain(|(name, _)| !matches!(name.as_str(), "campaign_id" | "adset_id"));
    if let (Kind::Ad, Some(given)) = (kind, params.json("creative")?) {
        let creative = ad::resolve_creative(world, &account, &given)?;
        changes.push(("creative".into(), ad::attach(world, &account.digits, creative)));
    }
    let reviewed = changes.iter().any(|(name, _)| REVIEWED_FIELDS.contains(&name.as_str()));
    apply(world, &operation.id, changes, write);
    if kind == Kind::Campaign {
        switch_budgets(world, &operation.id, gains_budget, params)?;
    }
    if kind.delivers() {
        process(world, &operation.id, reviewed, write);
    }
    Ok(json!({ "success": true }))
}

/// Returns the amounts of an ad set that go with its bid strategy: another one takes others, or none.
fn dropped_bids(node: &Node, params: Params<'_>) -> impl Iterator<Item = &'static str> {
    let is_other =
        params.text("bid_strategy").is_some_and(|strategy| node.text("bid_strategy") != Some(strategy));
    ["bid_amount", "bid_constraints"].into_iter().filter(move |bid| is_other && params.text(bid).is_none())
}

/// Sets the fields and the status of an object.
fn apply(world: &mut World, id: &str, changes: Vec<(String, Value)>, write: &Write) {
    let status = write.params.get("status");
    if let Some(status) = status {
        world.set_status(id, status);
    }
    let only_money =
        status.is_none() && changes.iter().all(|(name, _)| BUDGET_FIELDS.contains(&name.as_str()));
    let Some(node) = world.nodes.get(id) else { return };
    let zone = world.owner(node).zone.clone();
    let Some(node) = world.nodes.get_mut(id) else { return };
    for bid in dropped_bids(node, Params(&write.params)).collect::<Vec<_>>() {
        node.fields.remove(bid);
    }
    for (name, value) in changes {
        set(&mut node.fields, name, value);
    }
    if node.kind.delivers() && !(node.kind == Kind::Campaign && only_money) {
        node.touch(write.time, &zone);
    }
}

/// Begins the processing of a changed object; a changed ad set has its ads reviewed again.
fn process(world: &mut World, id: &str, reviewed: bool, write: &Write) {
    world.begin_processing(id, reviewed, write.time);
    let is_adset = world.nodes.get(id).is_some_and(|node| node.kind == Kind::AdSet);
    if is_adset && reviewed {
        let ads: Vec<String> = object_limits::live_children(world, id)
            .iter()
            .filter_map(|ad| ad.text("id"))
            .map(str::to_owned)
            .collect();
        for ad in ads {
            world.begin_processing(&ad, true, write.time);
        }
    }
}

/// Moves the budget between a campaign and its ad sets: setting it on one level removes it from the other.
fn switch_budgets(
    world: &mut World,
    id: &str,
    gains_budget: bool,
    params: Params<'_>,
) -> Result<(), GraphError> {
    let adsets: Vec<String> = object_limits::live_children(world, id)
        .iter()
        .filter_map(|adset| adset.text("id"))
        .map(str::to_owned)
        .collect();
    let budgets = params.json("adset_budgets")?;
    if let Some(budgets) = budgets.as_ref().and_then(Value::as_array) {
        let strategy = world.nodes.get(id).and_then(|campaign| campaign.fields.get("bid_strategy").cloned());
        for entry in budgets {
            let (Some(adset), Some((field, amount))) =
                (entry["adset_id"].as_str(), entry.as_object().and_then(budget::of))
            else {
                continue;
            };
            set_budget(world, adset, Some((field, amount)));
            if let (Some(node), Some(strategy)) = (world.nodes.get_mut(adset), &strategy) {
                node.fields.insert("bid_strategy".into(), strategy.clone());
            }
        }
        set_budget(world, id, None);
    } else if gains_budget {
        if let Some(campaign) = world.nodes.get_mut(id) {
            campaign::complete(&mut campaign.fields);
        }
        for adset in &adsets {
            set_budget(world, adset, None);
        }
    }
    let bids = params.json("adset_bid_amounts")?;
    for (adset, bid) in bids.as_ref().and_then(Value::as_object).into_iter().flatten() {
        if let (Some(node), Some(bid)) = (world.nodes.get_mut(adset), amount(bid)) {
            node.fields.insert("bid_amount".into(), json!(bid));
        }
    }
    Ok(())
}

/// Replaces an object's budget; the bid strategy is removed with the budget.
fn set_budget(world: &mut World, id: &str, budget: Option<budget::Budget>) {
    let Some(node) = world.nodes.get_mut(id) else { return };
    node.fields.remove("daily_budget");
    node.fields.remove("lifetime_budget");
    match budget {
        Some((field, amount)) => drop(node.fields.insert(field.into(), json!(amount.to_string()))),
        None => drop(node.fields.remove("bid_strategy")),
    }
}

/// Checks that a deleted object stays deleted and an archived one can only be deleted; both can still be renamed.
fn check_final_status(world: &World, node: &Node, params: Params<'_>) -> Result<(), GraphError> {
    let status = params.text("status");
    let subcode = match node.kind {
        Kind::Campaign => 1487566,
        Kind::AdSet => 1487056,
        _ => 1885088,
    };
    let allowed = match (node.configured_status(), status) {
        ("DELETED", Some(status)) => status == "DELETED",
        ("ARCHIVED", Some(status)) => matches!(status, "ARCHIVED" | "DELETED"),
        _ => true,
    };
    if !allowed {
        return Err(rule_violation(
            subcode,
            "What is archived can only be deleted, and what is deleted stays so.",
        ));
    }
    let edited = params.0.keys().find(|name| {
        !matches!(name.as_str(), "name" | "status" | "execution_options") && fields::exists(node.kind, name)
    });
    let ended =
        node.kind.delivers() && matches!(world.effective_status(node).as_str(), "ARCHIVED" | "DELETED");
    match edited {
        Some(name) if ended => Err(with_blame(
            rule_violation(subcode, "Of what is archived or deleted only the name can be changed."),
            &[name],
        )),
        _ => Ok(()),
    }
}

/// Checks that only mutable fields of a creative change, because the rest has been reviewed and commented on.
fn check_creative(params: Params<'_>) -> Result<(), GraphError> {
    params.one_of("status", &["ACTIVE", "IN_PROCESS", "WITH_ISSUES", "DELETED"])?;
    let fixed = params.0.keys().find(|name| {
        fields::exists(Kind::Creative, name) && !creative::MUTABLE_FIELDS.contains(&name.as_str())
    });
    match fixed {
        None => Ok(()),
        Some(name) => Err(invalid(format!(
            "Param {name} cannot be changed: of a creative only name, status and adlabels can"
        ))),
    }
}
