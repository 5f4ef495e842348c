//! Rules for ads.

use serde_json::{Map, Value, json};

use super::creative::{self, text_of};
use super::draft::{Draft, ValidationRule};
use super::object_limits;
use super::param_rules::ParamRules;
use crate::error::{GraphError, invalid, required, rule_violation};
use crate::node::{Account, Kind, Node};
use crate::world::World;

pub(super) const PARAM_RULES: ParamRules = ParamRules {
    required: &["name", "adset_id", "creative"],
    max_chars: &[("conversion_domain", 255)],
    one_of: &[],
};

pub(super) const RULES: &[ValidationRule] = &[check_adset, object_limits::check_new, check_creative];

/// Goals for which a click must lead to a website.
const CLICK_GOALS: [&str; 3] = ["LINK_CLICKS", "LANDING_PAGE_VIEWS", "OFFSITE_CONVERSIONS"];

fn adset<'a>(draft: &Draft<'a>) -> Option<&'a Node> {
    let id = draft.text("adset_id")?;
    draft.world.nodes.get(id).filter(|node| node.kind == Kind::AdSet && node.account == draft.account.digits)
}

fn check_adset(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.before.is_some() {
        return Ok(());
    }
    let adset = adset(draft).ok_or_else(|| invalid("Param adset_id must be an ad set of this ad account"))?;
    if matches!(draft.world.effective_status(adset).as_str(), "ARCHIVED" | "DELETED") {
        return Err(rule_violation(
            1487056,
            "The ad set is archived or deleted: nothing can be added to it.",
        ));
    }
    Ok(())
}

fn check_creative(draft: &Draft<'_>) -> Result<(), GraphError> {
    let Some(given) = draft.params.json("creative")? else { return Ok(()) };
    let creative = resolve_creative(draft.world, draft.account, &given)?;
    let fields = match &creative {
        CreativeRef::Existing(id) => {
            draft.world.nodes.get(id).map(|node| node.fields.clone()).unwrap_or_default()
        }
        CreativeRef::New(fields) => fields.clone(),
    };
    let Some(adset) = adset(draft) else { return Ok(()) };
    let promoted = adset.fields.get("promoted_object").and_then(|promoted| promoted["page_id"].as_str());
    if let (Some(promoted), Some(page)) = (promoted, creative::page(&fields))
        && promoted != page
    {
        return Err(rule_violation(
            1885029,
            "The page of the creative is not the one that the ad set promotes.",
        ));
    }
    let clicked = adset.text("optimization_goal").is_some_and(|goal| CLICK_GOALS.contains(&goal));
    let to_website = adset.text("destination_type").is_none_or(|to| matches!(to, "WEBSITE" | "UNDEFINED"));
    if clicked && to_website && !creative::has_destination(&fields) {
        return Err(rule_violation(2446383, "The goal needs a link to a website and a call to action."));
    }
    Ok(())
}

/// The creative of an ad.
pub(crate) enum CreativeRef {
    Existing(String),
    New(Map<String, Value>),
}

/// Reads `{"creative_id": ..}` or an inline creative.
pub(crate) fn resolve_creative(
    world: &World,
    account: &Account,
    given: &Value,
) -> Result<CreativeRef, GraphError> {
    if let Some(id) = given.get("creative_id").or_else(|| given.get("id")) {
        return text_of(id)
            .filter(|id| {
                world.nodes.get(id).is_some_and(|node| {
                    node.kind == Kind::Creative
                        && node.account == account.digits
                        && node.configured_status() != "DELETED"
                })
            })
            .map(CreativeRef::Existing)
            .ok_or_else(|| invalid("Param creative must have the id of a creative of this ad account"));
    }
    let mut fields = given.as_object().cloned().ok_or_else(|| required("creative"))?;
    creative::check(world, account, &fields)?;
    fields.insert("account_id".into(), json!(account.digits));
    fields.insert("status".into(), json!("ACTIVE"));
    creative::complete(world, &mut fields);
    Ok(CreativeRef::New(fields))
}

/// Creates the creative if it is new, and returns the ad's `creative` field.
pub(super) fn attach(world: &mut World, account: &str, creative: CreativeRef) -> Value {
    match creative {
        CreativeRef::Existing(id) => json!({ "id": id }),
        CreativeRef::New(fields) => json!({ "id": world.create(Kind::Creative, account, fields) }),
    }
}
