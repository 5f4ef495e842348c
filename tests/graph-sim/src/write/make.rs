//! Making campaigns, ad sets, ads and creatives.

use serde_json::{Value, json};

use super::draft::{Draft, Rule};
use super::form::Forms;
use super::task::Task;
use super::{Write, ad, ad_set, campaign, creative};
use crate::error::{GraphError, invalid, required};
use crate::node::{Kind, graph_time};
use crate::params::Params;
use crate::world::World;

/// The forms and rules of a kind of object.
pub(super) fn rules(kind: Kind) -> Option<(Forms, &'static [Rule])> {
    match kind {
        Kind::Campaign => Some((campaign::FORMS, campaign::RULES)),
        Kind::AdSet => Some((ad_set::FORMS, ad_set::RULES)),
        Kind::Ad => Some((ad::FORMS, ad::RULES)),
        Kind::Creative => Some((creative::FORMS, creative::RULES)),
        Kind::Account | Kind::Image | Kind::Video | Kind::BudgetSchedule => None,
    }
}

pub(super) fn check(world: &World, task: &Task, kind: Kind, write: &Write) -> Result<(), GraphError> {
    let Some((forms, rules)) = rules(kind) else { return Ok(()) };
    forms.check_new(Params(&write.params))?;
    Draft::new(world, task.owner(world), kind, write)?.follow(rules)
}

pub(super) fn carry_out(
    world: &mut World,
    task: &Task,
    kind: Kind,
    write: &Write,
) -> Result<Value, GraphError> {
    let account = task.owner(world).clone();
    let params = Params(&write.params);
    let mut draft = Draft::new(world, &account, kind, write)?;
    let status = params.text("status").unwrap_or("ACTIVE");
    match kind {
        Kind::Campaign => campaign::complete(&mut draft.fields),
        Kind::AdSet => ad_set::complete(&mut draft),
        Kind::Creative => creative::complete(&mut draft.fields),
        _ => {}
    }
    let mut fields = draft.fields;
    fields.insert("account_id".into(), json!(account.digits));
    fields.insert("status".into(), json!(status));
    if kind.delivers() {
        let now = graph_time(write.time, &account.zone);
        fields.insert("configured_status".into(), json!(status));
        fields.insert("created_time".into(), json!(now));
        fields.insert("updated_time".into(), json!(now));
    }
    if kind == Kind::Ad {
        let adset = params.text("adset_id").and_then(|id| world.nodes.get(id));
        let adset = adset.ok_or_else(|| invalid("Param adset_id must be an ad set of this ad account"))?;
        fields.insert("campaign_id".into(), adset.fields.get("campaign_id").cloned().unwrap_or_default());
        let given = params.json("creative")?.ok_or_else(|| required("creative"))?;
        let chosen = ad::chosen(world, &account, &given)?;
        fields.insert("creative".into(), ad::attach(world, &account.digits, chosen));
    }
    let id = world.create(kind, &account.digits, fields);
    world.begin_processing(&id, true, write.time);
    Ok(if kind == Kind::Campaign { json!({ "id": id, "success": true }) } else { json!({ "id": id }) })
}
