//! `/act_X/adimages`: the same content has the same hash, and exists once.

use serde_json::{Map, Value, json};

use super::FilePart;
use crate::error::{GraphError, invalid, required, rule_violation};
use crate::node::{Kind, graph_time};
use crate::params::Params;
use crate::world::World;
use crate::write::{Operation, Write};

/// Returns the id of an image: its account and its hash.
pub(crate) fn id(account: &str, hash: &str) -> String {
    format!("{account}:{hash}")
}

pub(crate) fn check(world: &World, _: &Operation, write: &Write) -> Result<(), GraphError> {
    if let Some(from) = Params(&write.params).json("copy_from")? {
        return original(world, &from).map(drop);
    }
    if write.files.is_empty() {
        return Err(required("bytes"));
    }
    if write.files.values().any(|file| file.dimensions.is_none()) {
        return Err(rule_violation(
            1487411,
            "The image is of a type that is not supported: use JPG, PNG or GIF.",
        ));
    }
    Ok(())
}

/// Returns the fields of another account's image to copy.
fn original<'a>(world: &'a World, from: &Value) -> Result<&'a Map<String, Value>, GraphError> {
    let text = |name: &str| from[name].as_str().unwrap_or_default().trim_start_matches("act_").to_owned();
    let id = id(&text("source_account_id"), &text("hash"));
    let found =
        world.nodes.get(&id).filter(|node| node.kind == Kind::Image && node.configured_status() != "DELETED");
    found
        .map(|node| &node.fields)
        .ok_or_else(|| invalid("Param copy_from must name an ad account and the hash of one of its images"))
}

pub(crate) fn execute(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let mut parts: Vec<FilePart> = write.files.values().cloned().collect();
    if let Some(from) = Params(&write.params).json("copy_from")? {
        let fields = original(world, &from)?;
        let side =
            |name: &str| fields.get(name).and_then(Value::as_u64).and_then(|side| u32::try_from(side).ok());
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let dimensions = side("width").zip(side("height"));
        parts.push(FilePart { name: text("name"), size: 0, hash: text("hash"), dimensions });
    }
    let mut images = Map::new();
    for part in parts {
        add(world, operation, write, &part);
        images.insert(part.name.clone(), image_json(&part));
    }
    Ok(json!({ "images": images }))
}

fn add(world: &mut World, operation: &Operation, write: &Write, part: &FilePart) {
    let account = world.account_of(&operation.account);
    let now = graph_time(write.time, &account.zone);
    let id = id(&operation.account, &part.hash);
    if let Some(node) = world.nodes.get_mut(&id) {
        // Restores an image that was deleted.
        node.fields.insert("status".into(), json!("ACTIVE"));
        node.fields.insert("updated_time".into(), json!(now));
        return;
    }
    let (width, height) = part.dimensions.unwrap_or_default();
    let fields = json!({
        "id": id,
        "account_id": operation.account,
        "hash": part.hash,
        "name": part.name,
        "status": "ACTIVE",
        "width": width,
        "height": height,
        "original_width": width,
        "original_height": height,
        "url": url(&part.hash, "o"),
        "url_128": url(&part.hash, "s128"),
        "permalink_url": format!("https://www.facebook.com/ads/image/?d={}", part.hash),
        "created_time": now,
        "updated_time": now,
        "creatives": [],
        "is_associated_creatives_in_adgroups": false,
    });
    // Advances the creation counter, by which listings are sorted.
    world.next_id();
    world.insert(Kind::Image, &operation.account, &id, fields.as_object().cloned().unwrap_or_default());
}

fn image_json(part: &FilePart) -> Value {
    let (width, height) = part.dimensions.unwrap_or_default();
    json!({
        "hash": part.hash,
        "url": url(&part.hash, "o"),
        "url_128": url(&part.hash, "s128"),
        "url_256": url(&part.hash, "s256"),
        "name": part.name,
        "width": width,
        "height": height,
    })
}

/// Returns a URL in the format of Meta's, which expire after some days; nothing is served there.
fn url(hash: &str, size: &str) -> String {
    format!("https://scontent.invalid/v/{size}/{hash}.jpg?oh={}&oe=6A000000", &hash[..8.min(hash.len())])
}

pub(crate) fn check_deletion(world: &World, operation: &Operation, write: &Write) -> Result<(), GraphError> {
    let hash = Params(&write.params).required("hash")?;
    let image = world.nodes.get(&id(&operation.account, hash));
    if image.is_none_or(|image| image.configured_status() == "DELETED") {
        return Err(invalid("Param hash must be the hash of an image of this ad account"));
    }
    Ok(())
}

pub(crate) fn delete(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let hash = Params(&write.params).required("hash")?;
    if let Some(node) = world.nodes.get_mut(&id(&operation.account, hash)) {
        node.fields.insert("status".into(), json!("DELETED"));
    }
    Ok(json!({ "success": true }))
}
