//! Rules for creatives: the existing post, or the one to be created.

use serde_json::{Map, Value, json};

use super::call_to_action;
use super::draft::{Draft, ValidationRule};
use super::param_rules::ParamRules;
use crate::error::{GraphError, invalid, required, rule_violation, with_blame};
use crate::node::{Account, Kind};
use crate::world::World;

pub(super) const PARAM_RULES: ParamRules = ParamRules { required: &[], max_chars: &[], one_of: &[] };

pub(super) const RULES: &[ValidationRule] = &[check_draft];

/// Fields that can be changed after creation.
pub(super) const MUTABLE_FIELDS: [&str; 5] =
    ["name", "status", "adlabels", "account_id", "execution_options"];

fn check_draft(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.before.is_none() { check(draft.world, draft.account, &draft.fields) } else { Ok(()) }
}

/// Checks a new creative, created by its own call or inline in an ad.
pub(super) fn check(world: &World, account: &Account, fields: &Map<String, Value>) -> Result<(), GraphError> {
    const SOURCE_FIELDS: [&str; 8] = [
        "object_story_id",
        "object_story_spec",
        "asset_feed_spec",
        "source_instagram_media_id",
        "source_facebook_post_id",
        "product_set_id",
        "object_id",
        "template_url",
    ];
    if !SOURCE_FIELDS.iter().any(|name| fields.contains_key(*name)) {
        return Err(required("object_story_spec"));
    }
    if let Some(story) = fields.get("object_story_id") {
        check_page(account, story_page(story)?)?;
    }
    if let Some(spec) = fields.get("object_story_spec") {
        let page = spec["page_id"].as_str().ok_or_else(|| required("object_story_spec[page_id]"))?;
        check_page(account, page)?;
        check_story(world, account, spec)?;
    }
    check_features(fields)?;
    check_assets(fields)?;
    let instagram = |name: &str| {
        fields.contains_key(name)
            || fields.get("object_story_spec").is_some_and(|spec| spec.get(name).is_some())
    };
    if instagram("instagram_user_id") && instagram("instagram_actor_id") {
        return Err(rule_violation(
            2446149,
            "Give instagram_user_id only: instagram_actor_id is its former name.",
        ));
    }
    Ok(())
}

fn story_page(story: &Value) -> Result<&str, GraphError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    story
        .as_str()
        .and_then(|story| story.split_once('_'))
        .filter(|(page, post)| digits(page) && digits(post))
        .map(|(page, _)| page)
        .ok_or_else(|| invalid("Param object_story_id must be of the form pageid_postid"))
}

fn check_page(account: &Account, page: &str) -> Result<(), GraphError> {
    if page == account.page_id {
        return Ok(());
    }
    Err(rule_violation(1885029, "The post belongs to a page this ad account may not advertise for."))
}

fn check_story(world: &World, account: &Account, spec: &Value) -> Result<(), GraphError> {
    if let Some(video) = spec.get("video_data") {
        let id =
            text_of(&video["video_id"]).ok_or_else(|| required("object_story_spec[video_data][video_id]"))?;
        check_video(world, account, &id)?;
        if video.get("image_url").is_none() && video.get("image_hash").is_none() {
            return Err(rule_violation(
                1443226,
                "The video needs a thumbnail: give image_url or image_hash.",
            ));
        }
    }
    let parts = ["link_data", "video_data", "photo_data", "template_data"].map(|name| &spec[name]);
    let cards = parts.iter().filter_map(|part| part["child_attachments"].as_array()).flatten();
    for part in parts.iter().copied().chain(cards) {
        if let Some(hash) = part["image_hash"].as_str() {
            check_image(world, account, hash)?;
        }
        if let Some(action) =
            part["call_to_action"]["type"].as_str().filter(|kind| !call_to_action::TYPES.contains(kind))
        {
            return Err(GraphError::new(
                100,
                format!("(#100) call_to_action type {action} is not understood"),
            )
            .subcode(1373054)
            .user_message("The kind of call to action is not known."));
        }
    }
    Ok(())
}

fn check_video(world: &World, account: &Account, id: &str) -> Result<(), GraphError> {
    let video = world.nodes.get(id).filter(|node| node.kind == Kind::Video && node.account == account.digits);
    match video {
        None => Err(invalid("Param video_id must be the id of a video of this ad account")),
        Some(video) if crate::media::video::is_ready(video) => Ok(()),
        Some(_) => Err(invalid("The video is still processing: it can be used once it is ready")),
    }
}

fn check_image(world: &World, account: &Account, hash: &str) -> Result<(), GraphError> {
    if world.nodes.contains_key(&crate::media::image::id(&account.digits, hash)) {
        return Ok(());
    }
    Err(with_blame(
        invalid("Param image_hash must be the hash of an image of this ad account"),
        &["image_hash"],
    ))
}

/// Since v22 an advertiser opts in to enhancements feature by feature.
fn check_features(fields: &Map<String, Value>) -> Result<(), GraphError> {
    let features = fields.get("degrees_of_freedom_spec").map(|spec| &spec["creative_features_spec"]);
    let Some(standard) = features.and_then(|features| features.get("standard_enhancements")) else {
        return Ok(());
    };
    if standard.get("enroll_status").is_none() {
        return Err(rule_violation(3858082, "standard_enhancements lacks its enroll_status."));
    }
    Err(rule_violation(3858504, "standard_enhancements is withdrawn: opt in feature by feature."))
}

fn check_assets(fields: &Map<String, Value>) -> Result<(), GraphError> {
    let carded = fields
        .get("object_story_spec")
        .is_some_and(|spec| spec["link_data"].get("child_attachments").is_some());
    if carded && fields.contains_key("interactive_components_spec") {
        return Err(rule_violation(
            2446580,
            "Interactive components and child_attachments exclude each other.",
        ));
    }
    let lists = fields.get("asset_feed_spec").and_then(Value::as_object).into_iter().flat_map(Map::values);
    for list in lists.filter_map(Value::as_array) {
        if list.iter().enumerate().any(|(index, asset)| list[..index].contains(asset)) {
            return Err(rule_violation(
                1815629,
                "The values of each list of asset_feed_spec must be unique.",
            ));
        }
    }
    Ok(())
}

/// Returns the page that a creative belongs to.
pub(super) fn page(fields: &Map<String, Value>) -> Option<&str> {
    let story = fields.get("object_story_id").and_then(|story| Some(story.as_str()?.split_once('_')?.0));
    story.or_else(|| fields.get("object_story_spec")?.get("page_id")?.as_str())
}

/// Returns whether a creative has a destination for clicks, as far as its fields show.
pub(super) fn has_destination(fields: &Map<String, Value>) -> bool {
    let Some(spec) = fields.get("object_story_spec") else { return true };
    let action = |part: &Value| part["call_to_action"]["value"].is_object();
    match (spec.get("link_data"), spec.get("video_data")) {
        (Some(link), _) => link.get("link").is_some() || action(link),
        (None, Some(video)) => action(video),
        (None, None) => true,
    }
}

/// Adds the fields that Meta sets on a new creative.
pub(super) fn complete(world: &World, fields: &mut Map<String, Value>) {
    for feature in &world.writing.enrolled_features {
        let features = fields.entry("degrees_of_freedom_spec").or_insert_with(|| json!({}));
        features["creative_features_spec"][feature] = json!({"enroll_status": "OPT_IN"});
    }
    if let Some(story) = fields.get("object_story_id").cloned() {
        fields.insert("effective_object_story_id".into(), story);
    }
    let video = fields.get("object_story_spec").is_some_and(|spec| spec.get("video_data").is_some());
    fields.entry("object_type").or_insert_with(|| json!(if video { "VIDEO" } else { "SHARE" }));
}

/// Returns an id as text, even if it was sent as a number.
pub(super) fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}
