//! Writes: what a caller changes in an ad account. A write is first looked at, then carried out; carrying it out needs
//! the world and the write only, so that the journal can be replayed, and asks nothing that was asked before: what
//! was once accepted stays, whatever rules came later.

mod account;
mod ad;
mod ad_set;
mod budget;
mod budget_schedule;
mod call_to_action;
mod campaign;
mod copy;
mod creative;
mod draft;
mod form;
mod goal;
mod make;
mod remove;
mod room;
mod targeting;
mod task;
mod timing;
mod update;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::media::{Part, image, video};
use crate::node::Kind;
use crate::params::Params;
use crate::world::World;
pub(crate) use targeting::dsa_recommendations;
pub(crate) use task::{Task, What};

/// A write, as the journal keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) method: String,
    /// Without version: `act_1/campaigns`.
    pub(crate) path: String,
    pub(crate) params: BTreeMap<String, String>,
    /// What came in files, by the name of their part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, Part>,
    pub(crate) time: Timestamp,
    /// Whose permissions are withdrawn; other writes do not depend on the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
}

/// Fields that are written by the simulator itself, whatever a caller sends.
const DERIVED: [&str; 12] = [
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

/// Refuses a new object that lacks what Meta asks for beyond its specification. Like everything that is missing, it
/// is told before anything that is wrong.
pub(crate) fn check_required(edge: &str, params: &BTreeMap<String, String>) -> Result<(), GraphError> {
    let forms = task::made_by(edge).and_then(make::rules).map(|(forms, _)| forms);
    forms.map_or(Ok(()), |forms| forms.check_required(Params(params)))
}

/// Says why Graph would not carry a write out, if it would not.
pub(crate) fn check(world: &World, task: &Task, write: &Write) -> Result<(), GraphError> {
    match task.what {
        What::Make(kind) => make::check(world, task, kind, write),
        What::Change => update::check(world, task, write),
        What::ChangeAccount => account::check(world, task, write),
        What::Remove => remove::check(world, task),
        What::RemoveCampaigns => remove::check_many(write),
        What::Copy => copy::check(world, task, write),
        What::Schedule => budget_schedule::check(world, task, write),
        What::AddImages => image::check(world, task, write),
        What::RemoveImage => image::check_removal(world, task, write),
        What::Upload(step) => video::check(world, task, step, write),
    }
}

/// Carries a write out and gives the answer to its caller.
pub(crate) fn carry_out(world: &mut World, task: &Task, write: &Write) -> Result<Value, GraphError> {
    let before = world.nodes.get(&task.id).cloned();
    let answer = take_effect(world, task, write)?;
    if let Some(before) = before {
        world.log_change(&before, write.time);
    }
    Ok(answer)
}

fn take_effect(world: &mut World, task: &Task, write: &Write) -> Result<Value, GraphError> {
    match task.what {
        What::Make(kind) => make::carry_out(world, task, kind, write),
        What::Change => update::carry_out(world, task, write),
        What::ChangeAccount => account::carry_out(world, task, write),
        What::Remove => Ok(remove::carry_out(world, task)),
        What::RemoveCampaigns => remove::carry_out_many(world, task, write),
        What::Copy => copy::carry_out(world, task, write),
        What::Schedule => budget_schedule::carry_out(world, task, write),
        What::AddImages => image::carry_out(world, task, write),
        What::RemoveImage => image::remove(world, task, write),
        What::Upload(step) => video::carry_out(world, task, step, write),
    }
}

/// Whether the caller only wants to know if the write would be carried out.
pub(crate) fn is_rehearsal(task: &Task, write: &Write) -> Result<bool, GraphError> {
    let takes_options = match task.what {
        What::Make(_) => true,
        What::Change => matches!(task.kind, Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Creative),
        _ => false,
    };
    if takes_options { Params(&write.params).validate_only() } else { Ok(false) }
}
