//! Creation of campaigns, ad sets, ads and creatives.

use serde_json::{Value, json};

use super::draft::{Draft, ValidationRule};
use super::operation::Operation;
use super::param_rules::ParamRules;
use super::{Write, ad, ad_set, budget_schedule, campaign, creative};
use crate::error::{GraphError, invalid, required};
use crate::node::{Kind, graph_time};
use crate::params::Params;
use crate::world::World;

/// Returns the parameter rules and validation rules of a kind of object.
pub(super) fn rules(kind: Kind) -> Option<(ParamRules, &'static [ValidationRule])> {
    match kind {
        Kind::Campaign => Some((campaign::PARAM_RULES, campaign::RULES)),
        Kind::AdSet => Some((ad_set::PARAM_RULES, ad_set::RULES)),
        Kind::Ad => Some((ad::PARAM_RULES, ad::RULES)),
        Kind::Creative => Some((creative::PARAM_RULES, creative::RULES)),
        Kind::Account | Kind::Image | Kind::Video | Kind::BudgetSchedule | Kind::CustomAudience => None,
    }
}

pub(super) fn check(
    world: &World,
    operation: &Operation,
    kind: Kind,
    write: &Write,
) -> Result<(), GraphError> {
    let Some((param_rules, rules)) = rules(kind) else { return Ok(()) };
    param_rules.check_new(Params(&write.params))?;
    Draft::new(world, operation.owner(world), kind, write)?.check_rules(rules)
}

pub(super) fn execute(
    world: &mut World,
    operation: &Operation,
    kind: Kind,
    write: &Write,
) -> Result<Value, GraphError> {
    let account = operation.owner(world).clone();
    let params = Params(&write.params);
    let mut draft = Draft::new(world, &account, kind, write)?;
    let status = params.text("status").unwrap_or("ACTIVE");
    match kind {
        Kind::Campaign => campaign::complete(&mut draft.fields),
        Kind::AdSet => ad_set::complete(&mut draft),
        Kind::Creative => creative::complete(draft.world, &mut draft.fields),
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
        let creative = ad::resolve_creative(world, &account, &given)?;
        fields.insert("creative".into(), ad::attach(world, &account.digits, creative));
    }
    let id = world.create(kind, &account.digits, fields);
    budget_schedule::attach(world, &account, &id, params)?;
    world.begin_processing(&id, true, write.time);
    Ok(if kind == Kind::Campaign { json!({ "id": id, "success": true }) } else { json!({ "id": id }) })
}
