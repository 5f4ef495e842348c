//! Writes: changes that a caller makes in an ad account. A write is checked first, then executed. Execution needs the
//! world and the write only, so that the journal can be replayed, and repeats no checks: a write that was once accepted
//! stays valid, even if rules are added later.

mod account;
mod ad;
mod ad_set;
mod budget;
mod budget_schedule;
mod call_to_action;
mod campaign;
mod copy;
mod create;
mod creative;
mod delete;
mod draft;
mod goal;
mod object_limits;
mod operation;
mod param_rules;
mod targeting;
mod timing;
mod update;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::media::{FilePart, image, video};
use crate::node::Kind;
use crate::params::Params;
use crate::world::World;
pub(crate) use ad::{CreativeRef, resolve_creative};
pub(crate) use operation::{Operation, WriteAction};
pub(crate) use targeting::dsa_recommendations;

/// A write, as stored in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) method: String,
    /// Without version: `act_1/campaigns`.
    pub(crate) path: String,
    pub(crate) params: BTreeMap<String, String>,
    /// Uploaded files, by the name of their part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, FilePart>,
    pub(crate) time: Timestamp,
    /// The user whose permissions are withdrawn; other writes do not depend on the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
}

/// Fields that the simulator derives, whatever a caller sends.
const DERIVED_FIELDS: [&str; 12] = [
    "id",
    "account_id",
    "created_time",
    "updated_time",
    "effective_status",
    "configured_status",
    "status",
    "campaign",
    "adset",
    "creative",
    "budget_remaining",
    "issues_info",
];

/// Rejects a new object without a parameter that Meta requires beyond its specification. Missing parameters are
/// reported before invalid ones.
pub(crate) fn check_required(edge: &str, params: &BTreeMap<String, String>) -> Result<(), GraphError> {
    let param_rules =
        operation::created_kind(edge).and_then(create::rules).map(|(param_rules, _)| param_rules);
    param_rules.map_or(Ok(()), |param_rules| param_rules.check_required(Params(params)))
}

/// Returns the error with which Graph would reject a write.
pub(crate) fn check(world: &World, operation: &Operation, write: &Write) -> Result<(), GraphError> {
    match operation.action {
        WriteAction::Create(kind) => create::check(world, operation, kind, write),
        WriteAction::Update => update::check(world, operation, write),
        WriteAction::UpdateAccount => account::check(world, operation, write),
        WriteAction::Delete => delete::check(world, operation),
        WriteAction::DeleteCampaigns => delete::check_many(write),
        WriteAction::Copy => copy::check(world, operation, write),
        WriteAction::Schedule => budget_schedule::check(world, operation, write),
        WriteAction::AddImages => image::check(world, operation, write),
        WriteAction::DeleteImage => image::check_deletion(world, operation, write),
        WriteAction::Upload(step) => video::check(world, operation, step, write),
    }
}

/// Executes a write and returns its response.
pub(crate) fn execute(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let before = world.nodes.get(&operation.id).cloned();
    let response = apply(world, operation, write)?;
    if let Some(before) = before {
        world.log_change(&before, write.time, true);
    }
    Ok(response)
}

fn apply(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    match operation.action {
        WriteAction::Create(kind) => create::execute(world, operation, kind, write),
        WriteAction::Update => update::execute(world, operation, write),
        WriteAction::UpdateAccount => account::execute(world, operation, write),
        WriteAction::Delete => Ok(delete::execute(world, operation)),
        WriteAction::DeleteCampaigns => delete::execute_many(world, operation, write),
        WriteAction::Copy => copy::execute(world, operation, write),
        WriteAction::Schedule => budget_schedule::execute(world, operation, write),
        WriteAction::AddImages => image::execute(world, operation, write),
        WriteAction::DeleteImage => image::delete(world, operation, write),
        WriteAction::Upload(step) => video::execute(world, operation, step, write),
    }
}

/// Returns whether the caller only wants the write to be validated.
pub(crate) fn is_validate_only(operation: &Operation, write: &Write) -> Result<bool, GraphError> {
    let takes_options = match operation.action {
        WriteAction::Create(_) => true,
        WriteAction::Update => {
            matches!(operation.kind, Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Creative)
        }
        _ => false,
    };
    if takes_options { Params(&write.params).validate_only() } else { Ok(false) }
}
