//! What an ad must be like.

use serde_json::{Map, Value, json};

use super::creative::{self, text_of};
use super::draft::{Draft, Rule};
use super::form::Forms;
use super::room;
use crate::error::{GraphError, invalid, refused, required};
use crate::node::{Account, Kind, Node};
use crate::world::World;

pub(super) const FORMS: Forms = Forms {
    required: &["name", "adset_id", "creative"],
    longest: &[("conversion_domain", 255)],
    one_of: &[],
};

pub(super) const RULES: &[Rule] = &[check_adset, room::check_new, check_creative];

/// Goals for which a click must lead to a website.
const CLICKED: [&str; 3] = ["LINK_CLICKS", "LANDING_PAGE_VIEWS", "OFFSITE_CONVERSIONS"];

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
        return Err(refused(1487056, "The ad set is archived or deleted: nothing can be added to it."));
    }
    Ok(())
}

fn check_creative(draft: &Draft<'_>) -> Result<(), GraphError> {
    let Some(given) = draft.params.json("creative")? else { return Ok(()) };
    let chosen = chosen(draft.world, draft.account, &given)?;
    let fields = match &chosen {
        Chosen::Existing(id) => draft.world.nodes.get(id).map(|node| node.fields.clone()).unwrap_or_default(),
        Chosen::New(fields) => fields.clone(),
    };
    let Some(adset) = adset(draft) else { return Ok(()) };
    let promoted = adset.fields.get("promoted_object").and_then(|promoted| promoted["page_id"].as_str());
    if let (Some(promoted), Some(shown)) = (promoted, creative::page(&fields))
        && promoted != shown
    {
        return Err(refused(1885029, "The page of the creative is not the one that the ad set promotes."));
    }
    let clicked = adset.text("optimization_goal").is_some_and(|goal| CLICKED.contains(&goal));
    let to_website = adset.text("destination_type").is_none_or(|to| matches!(to, "WEBSITE" | "UNDEFINED"));
    if clicked && to_website && !creative::leads_somewhere(&fields) {
        return Err(refused(2446383, "The goal needs a link to a website and a call to action."));
    }
    Ok(())
}

/// The creative an ad is given.
pub(super) enum Chosen {
    Existing(String),
    New(Map<String, Value>),
}

/// Reads `{"creative_id": ..}` or a creative written into the call.
pub(super) fn chosen(world: &World, account: &Account, given: &Value) -> Result<Chosen, GraphError> {
    if let Some(id) = given.get("creative_id").or_else(|| given.get("id")) {
        return text_of(id)
            .filter(|id| {
                world.nodes.get(id).is_some_and(|node| {
                    node.kind == Kind::Creative
                        && node.account == account.digits
                        && node.own_status() != "DELETED"
                })
            })
            .map(Chosen::Existing)
            .ok_or_else(|| invalid("Param creative must have the id of a creative of this ad account"));
    }
    let mut fields = given.as_object().cloned().ok_or_else(|| required("creative"))?;
    creative::check(world, account, &fields)?;
    fields.insert("account_id".into(), json!(account.digits));
    fields.insert("status".into(), json!("ACTIVE"));
    creative::complete(&mut fields);
    Ok(Chosen::New(fields))
}

/// Makes the creative if it is new, and gives the ad's field of that name.
pub(super) fn attach(world: &mut World, account: &str, chosen: Chosen) -> Value {
    match chosen {
        Chosen::Existing(id) => json!({ "id": id }),
        Chosen::New(fields) => json!({ "id": world.create(Kind::Creative, account, fields) }),
    }
}
