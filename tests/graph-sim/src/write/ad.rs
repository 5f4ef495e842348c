//! `POST /act_X/ads` and `POST /act_X/adcreatives`.

use serde_json::{Map, Value, json};

use super::{Done, Write, finish, new_fields};
use crate::error::{GraphError, invalid, refused, required};
use crate::node::{Account, Kind};
use crate::params::Params;
use crate::world::World;

pub(super) fn create_creative(
    world: &mut World,
    account: &Account,
    write: &Write,
) -> Result<Done, GraphError> {
    let params = Params(&write.params);
    let story = params.text("object_story_id").map(|story| json!(story));
    let spec = params.json("object_story_spec")?;
    check_story(account, story.as_ref(), spec.as_ref())?;
    let mut fields = new_fields(Kind::Creative, account, write)?;
    complete(&mut fields);
    finish(world, Kind::Creative, account, write, fields)
}

pub(super) fn create(world: &mut World, account: &Account, write: &Write) -> Result<Done, GraphError> {
    let params = Params(&write.params);
    params.required("name")?;
    let adset_id = params.required("adset_id")?;
    let creative = params.json("creative")?.ok_or_else(|| required("creative"))?;
    let adset = world
        .nodes
        .get(adset_id)
        .filter(|node| node.kind == Kind::AdSet && node.account == account.digits)
        .ok_or_else(|| invalid("Param adset_id must be an ad set of this ad account"))?;
    if matches!(world.effective_status(adset).as_str(), "ARCHIVED" | "DELETED") {
        return Err(refused(1487566, "The ad set is archived or deleted: nothing can be added to it."));
    }
    let mut fields = new_fields(Kind::Ad, account, write)?;
    fields.insert("campaign_id".into(), adset.fields.get("campaign_id").cloned().unwrap_or_default());
    let inline = check_creative(world, account, &creative)?;
    if !params.validate_only()? {
        let id = match inline {
            Inline::Existing(id) => id,
            Inline::New(fields) => world.create(Kind::Creative, &account.digits, fields),
        };
        fields.insert("creative".into(), json!({ "id": id }));
    }
    finish(world, Kind::Ad, account, write, fields)
}

/// The creative an ad is given.
pub(super) enum Inline {
    Existing(String),
    New(Map<String, Value>),
}

/// Reads `{"creative_id": ..}` or a creative written into the call.
pub(super) fn check_creative(
    world: &World,
    account: &Account,
    creative: &Value,
) -> Result<Inline, GraphError> {
    let given = creative.get("creative_id").or_else(|| creative.get("id"));
    if let Some(id) = given {
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        return world
            .nodes
            .get(&id)
            .filter(|node| node.kind == Kind::Creative && node.account == account.digits)
            .filter(|node| node.own_status() != "DELETED")
            .map(|_| Inline::Existing(id))
            .ok_or_else(|| invalid("Param creative must have the id of a creative of this ad account"));
    }
    check_story(account, creative.get("object_story_id"), creative.get("object_story_spec"))?;
    let mut fields = creative.as_object().cloned().unwrap_or_default();
    fields.insert("account_id".into(), json!(account.digits));
    fields.insert("status".into(), json!("ACTIVE"));
    complete(&mut fields);
    Ok(Inline::New(fields))
}

/// A creative shows an existing post, or one to be made, of the account's own page.
fn check_story(account: &Account, story: Option<&Value>, spec: Option<&Value>) -> Result<(), GraphError> {
    let page = match (story, spec) {
        (Some(story), _) => {
            let (page, post) = story
                .as_str()
                .and_then(|story| story.split_once('_'))
                .ok_or_else(|| invalid("Param object_story_id must be of the form pageid_postid"))?;
            if !digits(page) || !digits(post) {
                return Err(invalid("Param object_story_id must be of the form pageid_postid"));
            }
            page
        }
        (None, Some(spec)) => spec
            .get("page_id")
            .and_then(Value::as_str)
            .ok_or_else(|| required("object_story_spec[page_id]"))?,
        (None, None) => return Err(required("object_story_spec")),
    };
    if page == account.page_id {
        return Ok(());
    }
    Err(refused(1885029, "The post belongs to a page this ad account may not advertise for."))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn complete(fields: &mut Map<String, Value>) {
    if let Some(story) = fields.get("object_story_id").cloned() {
        fields.insert("effective_object_story_id".into(), story);
    }
    fields.entry("object_type").or_insert_with(|| json!("SHARE"));
}
