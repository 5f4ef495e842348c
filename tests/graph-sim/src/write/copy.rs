//! `POST /{campaign, ad set or ad}/copies`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::creative::{self, text_of};
use super::draft::set;
use super::operation::Operation;
use super::{DERIVED_FIELDS, Write, budget, object_limits};
use crate::error::{GraphError, busy, invalid, required, rule_violation, unsupported};
use crate::fields;
use crate::node::{Kind, Node, graph_time, parse_time};
use crate::params::Params;
use crate::world::World;

/// A synchronous call copies fewer children than this; more need an asynchronous batch.
const ASYNC_COPY_MIN_CHILDREN: usize = 3;
const RENAME_STRATEGIES: [&str; 3] = ["DEEP_RENAME", "ONLY_TOP_LEVEL_RENAME", "NO_RENAME"];

pub(super) fn check(world: &World, operation: &Operation, write: &Write) -> Result<(), GraphError> {
    let params = Params(&write.params);
    let names = Renaming::read(params)?;
    let source = world.nodes.get(&operation.id).ok_or_else(|| unsupported("post", &operation.id))?;
    if world.effective_status(source) == "DELETED" {
        return Err(rule_violation(1487056, "What is deleted cannot be copied."));
    }
    if world.writing.refuse_in_process && world.is_in_process(&operation.id) {
        return Err(busy());
    }
    if !RENAME_STRATEGIES.contains(&names.strategy.as_str()) {
        return Err(invalid(format!(
            "Param rename_options[rename_strategy] must be one of {{{}}}",
            RENAME_STRATEGIES.join(", ")
        )));
    }
    let descendants = if is_deep(params) { descendants(world, &operation.id) } else { Vec::new() };
    if descendants.len() >= ASYNC_COPY_MIN_CHILDREN {
        return Err(rule_violation(
            1885194,
            "A deep copy of three or more objects is made in an asynchronous batch.",
        ));
    }
    check_parent(world, source, params)?;
    for kind in [Kind::Campaign, Kind::AdSet, Kind::Ad] {
        let more =
            descendants.iter().filter(|node| node.kind == kind).count() + usize::from(source.kind == kind);
        object_limits::check(world, &operation.account, kind, more)?;
    }
    Ok(())
}

/// Returns the parent of the copy: the source's, unless the call names another.
fn parent<'a>(world: &'a World, source: &'a Node, params: Params<'a>) -> Option<&'a Node> {
    let name = match source.kind {
        Kind::AdSet => "campaign_id",
        Kind::Ad => "adset_id",
        _ => return None,
    };
    world.nodes.get(params.text(name).or_else(|| source.text(name))?)
}

fn check_parent(world: &World, source: &Node, params: Params<'_>) -> Result<(), GraphError> {
    let (name, kind) = match source.kind {
        Kind::AdSet => ("campaign_id", Kind::Campaign),
        Kind::Ad => ("adset_id", Kind::AdSet),
        _ => return Ok(()),
    };
    let parent = parent(world, source, params)
        .filter(|parent| parent.kind == kind && parent.account == source.account)
        .ok_or_else(|| invalid(format!("Param {name} must be one of this ad account")))?;
    if matches!(world.effective_status(parent).as_str(), "ARCHIVED" | "DELETED") {
        return Err(rule_violation(1487566, "What is archived or deleted takes no copies."));
    }
    let budgets = [parent, source].iter().any(|node| budget::of(&node.fields).is_some());
    if source.kind == Kind::AdSet && !budgets {
        return Err(required("daily_budget"));
    }
    Ok(())
}

fn is_deep(params: Params<'_>) -> bool {
    matches!(params.text("deep_copy"), Some("true" | "1"))
}

/// Returns the objects that a deep copy includes, parents first.
fn descendants<'a>(world: &'a World, id: &str) -> Vec<&'a Node> {
    let direct: Vec<&Node> = object_limits::live_children(world, id)
        .into_iter()
        .filter(|node| node.configured_status() != "ARCHIVED")
        .collect();
    let deeper: Vec<&Node> =
        direct.iter().flat_map(|node| descendants(world, node.text("id").unwrap_or_default())).collect();
    [direct, deeper].concat()
}

/// How copies are named.
struct Renaming {
    strategy: String,
    prefix: String,
    suffix: String,
}

impl Renaming {
    fn read(params: Params<'_>) -> Result<Self, GraphError> {
        let options = params.json("rename_options")?.unwrap_or_default();
        let text = |name: &str| options[name].as_str();
        let named = text("rename_prefix").is_some() || text("rename_suffix").is_some();
        let default = if named { "" } else { " - Copy" };
        Ok(Self {
            strategy: text("rename_strategy").unwrap_or("ONLY_TOP_LEVEL_RENAME").to_owned(),
            prefix: text("rename_prefix").unwrap_or_default().to_owned(),
            suffix: text("rename_suffix").unwrap_or(default).to_owned(),
        })
    }

    fn rename(&self, name: &str, is_top: bool) -> String {
        match self.strategy.as_str() {
            "NO_RENAME" => name.to_owned(),
            "ONLY_TOP_LEVEL_RENAME" if !is_top => name.to_owned(),
            _ => format!("{}{name}{}", self.prefix, self.suffix),
        }
    }
}

pub(super) fn execute(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let params = Params(&write.params);
    let source = world.nodes.get(&operation.id).ok_or_else(|| unsupported("post", &operation.id))?;
    let mut sources = vec![source.clone()];
    if is_deep(params) {
        sources.extend(descendants(world, &operation.id).into_iter().cloned());
    }
    let zone = world.owner(source).zone.clone();
    let mut copy =
        CopyOperation { params, names: Renaming::read(params)?, now: write.time, zone, made: Vec::new() };
    for (index, source) in sources.iter().enumerate() {
        copy.copy(world, source, index == 0)?;
    }
    let objects: Vec<Value> = copy
        .made
        .iter()
        .map(|(kind, source, copy)| json!({ "ad_object_type": kind, "source_id": source, "copied_id": copy }))
        .collect();
    let first = copy.made.first().map_or("", |(_, _, copy)| copy.as_str());
    let name = match operation.kind {
        Kind::Campaign => "copied_campaign_id",
        Kind::AdSet => "copied_adset_id",
        _ => "copied_ad_id",
    };
    Ok(json!({ name: first, "ad_object_ids": objects }))
}

struct CopyOperation<'a> {
    params: Params<'a>,
    names: Renaming,
    now: Timestamp,
    zone: TimeZone,
    /// Type, source and copy of the objects created so far.
    made: Vec<(&'static str, String, String)>,
}

impl CopyOperation<'_> {
    fn copy(&mut self, world: &mut World, source: &Node, is_top: bool) -> Result<(), GraphError> {
        let id = source.text("id").unwrap_or_default().to_owned();
        let mut fields = self.fields(source, is_top);
        let (kind, origin) = match source.kind {
            Kind::Campaign => ("campaign", "source_campaign_id"),
            Kind::AdSet => ("ad_set", "source_adset_id"),
            _ => ("ad", "source_ad_id"),
        };
        fields.insert(origin.into(), json!(id));
        if is_top {
            self.override_top(source, &mut fields)?;
        }
        if source.kind == Kind::AdSet {
            self.set_times(&mut fields);
        }
        self.place(world, source, &mut fields, is_top);
        if source.kind == Kind::Ad {
            let creative = self.creative(world, source)?;
            fields.insert("creative".into(), json!({ "id": creative }));
        }
        let copy = world.create(source.kind, &source.account, fields);
        world.begin_processing(&copy, true, self.now);
        self.made.push((kind, id, copy));
        Ok(())
    }

    /// Returns the fields copied from the source, with those that every new object gets.
    fn fields(&self, source: &Node, is_top: bool) -> Map<String, Value> {
        let mut fields = source.fields.clone();
        for name in ["effective_status", "issues_info", "ad_review_feedback", "is_budget_schedule_enabled"] {
            fields.remove(name);
        }
        let status = match self.params.text("status_option") {
            Some("ACTIVE") => "ACTIVE",
            Some("INHERITED_FROM_SOURCE") => source.configured_status(),
            _ => "PAUSED",
        };
        let name = self.names.rename(source.text("name").unwrap_or_default(), is_top);
        let now = graph_time(self.now, &self.zone);
        for (field, value) in [
            ("name", name.as_str()),
            ("status", status),
            ("configured_status", status),
            ("created_time", &now),
            ("updated_time", &now),
        ] {
            fields.insert(field.into(), json!(value));
        }
        fields
    }

    fn override_top(&self, source: &Node, fields: &mut Map<String, Value>) -> Result<(), GraphError> {
        let overrides = self.params.json("parameter_overrides")?;
        for (name, value) in overrides.as_ref().and_then(Value::as_object).into_iter().flatten() {
            if fields::exists(source.kind, name) && !DERIVED_FIELDS.contains(&name.as_str()) {
                set(fields, name.clone(), value.clone());
            }
        }
        if self.params.text("migrate_to_advantage_plus") == Some("true") {
            fields.insert("smart_promotion_type".into(), json!("GUIDED_CREATION"));
        }
        Ok(())
    }

    /// Sets the times of a copied ad set: if the source has ended, the copy starts now and runs for the same duration.
    fn set_times(&self, fields: &mut Map<String, Value>) {
        let time = |name: &str| fields.get(name).and_then(Value::as_str).and_then(parse_time);
        let given = |name: &str| self.params.text(name).and_then(parse_time);
        let (mut start, mut end) = (time("start_time"), time("end_time"));
        if let (Some(began), Some(ended)) = (start, end)
            && ended <= self.now
        {
            (start, end) = (Some(self.now), Some(self.now + ended.duration_since(began)));
        }
        for (name, at) in
            [("start_time", given("start_time").or(start)), ("end_time", given("end_time").or(end))]
        {
            if let Some(at) = at {
                fields.insert(name.into(), json!(graph_time(at, &self.zone)));
            }
        }
    }

    /// Puts a copy below the copy of its parent, or below the parent the call names.
    fn place(&self, world: &World, source: &Node, fields: &mut Map<String, Value>, is_top: bool) {
        let copied =
            |id: &str| self.made.iter().find(|(_, source, _)| source == id).map(|(_, _, copy)| copy.clone());
        for name in ["campaign_id", "adset_id"] {
            if let Some(copy) = source.text(name).and_then(copied) {
                fields.insert(name.into(), json!(copy));
            }
        }
        if !is_top {
            return;
        }
        let Some(parent) = parent(world, source, self.params) else { return };
        let id = parent.fields.get("id").cloned().unwrap_or_default();
        if source.kind == Kind::AdSet {
            fields.insert("campaign_id".into(), id);
            if budget::of(&parent.fields).is_some() {
                for name in ["daily_budget", "lifetime_budget", "bid_strategy"] {
                    fields.remove(name);
                }
            }
        } else {
            fields.insert("adset_id".into(), id);
            fields
                .insert("campaign_id".into(), parent.fields.get("campaign_id").cloned().unwrap_or_default());
        }
    }

    /// Returns the source's creative, or a copy of it with the changes the call asks for.
    fn creative(&self, world: &mut World, source: &Node) -> Result<String, GraphError> {
        let id =
            source.fields.get("creative").and_then(|creative| text_of(&creative["id"])).unwrap_or_default();
        let changes = self.params.json("creative_parameters")?;
        let Some(changes) = changes.as_ref().and_then(Value::as_object) else { return Ok(id) };
        let mut fields = world.nodes.get(&id).map(|node| node.fields.clone()).unwrap_or_default();
        fields.extend(changes.clone());
        creative::complete(world, &mut fields);
        Ok(world.create(Kind::Creative, &source.account, fields))
    }
}
