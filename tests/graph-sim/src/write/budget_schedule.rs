//! Budget schedules: a higher budget for some hours. They are created by `POST /{campaign or ad set}/budget_schedules`, or
//! with their object by its `budget_schedule_specs`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::draft::{Draft, amount};
use super::operation::Operation;
use super::{Write, budget};
use crate::error::{GraphError, invalid, rule_violation, unsupported};
use crate::node::{Account, Kind, Node, graph_time, parse_time};
use crate::params::Params;
use crate::world::World;

const MAX_SCHEDULES_PER_OBJECT: usize = 50;
const MIN_DURATION: SignedDuration = SignedDuration::from_hours(3);
/// Maximum factor by which a schedule can raise the daily budget.
const MAX_BUDGET_FACTOR: u64 = 8;

/// A budget schedule: start, end, amount, and whether the amount is a factor.
struct BudgetSchedule {
    start: Timestamp,
    end: Timestamp,
    value: u64,
    multiplies: bool,
}

pub(super) fn check(world: &World, operation: &Operation, write: &Write) -> Result<(), GraphError> {
    let params = Params(&write.params);
    let schedule = read(params, &Map::new())?;
    let count = of(world, &operation.id).count();
    if count >= MAX_SCHEDULES_PER_OBJECT {
        return Err(invalid(format!("An object can have {MAX_SCHEDULES_PER_OBJECT} budget schedules")));
    }
    check_schedule(world, &operation.id, &schedule, write.time)
}

pub(super) fn check_change(world: &World, node: &Node, write: &Write) -> Result<(), GraphError> {
    let schedule = read(Params(&write.params), &node.fields)?;
    check_schedule(world, node.text("ad_object_id").unwrap_or_default(), &schedule, write.time)
}

fn check_schedule(
    world: &World,
    owner: &str,
    schedule: &BudgetSchedule,
    now: Timestamp,
) -> Result<(), GraphError> {
    let owner = world.nodes.get(owner).ok_or_else(|| unsupported("post", owner))?;
    if matches!(world.effective_status(owner).as_str(), "ARCHIVED" | "DELETED") {
        return Err(rule_violation(1487056, "Of what is archived or deleted only the name can be changed."));
    }
    check_values(&owner.fields, schedule, now)
}

/// Rejects schedules that a new object cannot have.
pub(super) fn check_new(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.before.is_some() {
        return Ok(());
    }
    let specs = specs(draft.params)?;
    if specs.len() > MAX_SCHEDULES_PER_OBJECT {
        return Err(invalid(format!("An object can have {MAX_SCHEDULES_PER_OBJECT} budget schedules")));
    }
    specs.iter().try_for_each(|schedule| check_values(&draft.fields, schedule, draft.now))
}

/// Creates the schedules that come with a new object.
pub(super) fn attach(
    world: &mut World,
    account: &Account,
    id: &str,
    params: Params<'_>,
) -> Result<(), GraphError> {
    let mut specs = specs(params)?;
    if world.writing.drops_budget_schedules {
        specs.clear();
    }
    for schedule in &specs {
        let mut fields = schedule.fields(&account.zone);
        fields.insert("ad_object_id".into(), json!(id));
        fields.insert("recurrence_type".into(), json!("ONE_TIME"));
        world.create(Kind::BudgetSchedule, &account.digits, fields);
    }
    if let Some(owner) =
        world.nodes.get_mut(id).filter(|owner| matches!(owner.kind, Kind::Campaign | Kind::AdSet))
    {
        owner.fields.remove("budget_schedule_specs");
        if owner.fields.contains_key("is_budget_schedule_enabled") {
            owner.fields.insert("is_budget_schedule_enabled".into(), json!(!specs.is_empty()));
        }
    }
    Ok(())
}

fn specs(params: Params<'_>) -> Result<Vec<BudgetSchedule>, GraphError> {
    let specs = params.json("budget_schedule_specs")?.unwrap_or_default();
    let specs = specs.as_array().cloned().unwrap_or_default();
    let none = BTreeMap::new();
    specs
        .iter()
        .map(|spec| {
            let spec = spec.as_object().ok_or_else(|| invalid("A budget schedule must be an object"))?;
            // Times are numbers here.
            let text = |value: &Value| {
                value.as_i64().map_or_else(|| value.clone(), |seconds| json!(seconds.to_string()))
            };
            let is_time = |name: &str| name.starts_with("time_");
            let value = |(name, value): (&String, &Value)| {
                (name.clone(), if is_time(name) { text(value) } else { value.clone() })
            };
            read(Params(&none), &spec.iter().map(value).collect())
        })
        .collect()
}

fn check_values(
    owner: &Map<String, Value>,
    schedule: &BudgetSchedule,
    now: Timestamp,
) -> Result<(), GraphError> {
    let Some(("daily_budget", daily)) = budget::of(owner) else {
        return Err(invalid("Budget schedules need an object with a daily budget of its own"));
    };
    if schedule.end <= now || schedule.end.duration_since(schedule.start) < MIN_DURATION {
        return Err(invalid("A budget schedule ends in the future and lasts 3 hours or longer"));
    }
    let total = if schedule.multiplies { daily * schedule.value } else { daily + schedule.value };
    if schedule.value == 0 || total > daily * MAX_BUDGET_FACTOR {
        return Err(invalid(format!(
            "A budget schedule can raise the daily budget to {MAX_BUDGET_FACTOR} times itself"
        )));
    }
    Ok(())
}

/// Reads the schedule of a call; parameters that are absent keep their earlier value.
fn read(params: Params<'_>, before: &Map<String, Value>) -> Result<BudgetSchedule, GraphError> {
    let kind = params.text("budget_value_type");
    let time = |name: &str| {
        let text = params.text(name).or_else(|| before.get(name)?.as_str()).unwrap_or_default();
        parse_time(text).ok_or_else(|| invalid(format!("Param {name} must be a valid datetime")))
    };
    let value = params.amount("budget_value")?.or_else(|| before.get("budget_value").and_then(amount));
    let kind = kind.or_else(|| before.get("budget_value_type")?.as_str());
    Ok(BudgetSchedule {
        start: time("time_start")?,
        end: time("time_end")?,
        value: value.unwrap_or_default(),
        multiplies: kind == Some("MULTIPLIER"),
    })
}

pub(super) fn execute(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let schedule = read(Params(&write.params), &Map::new())?;
    let mut fields = fields(world, operation, &schedule);
    fields.insert("ad_object_id".into(), json!(operation.id));
    fields.insert("recurrence_type".into(), json!("ONE_TIME"));
    let id = world.create(Kind::BudgetSchedule, &operation.account, fields);
    if let Some(owner) = world.nodes.get_mut(&operation.id) {
        owner.fields.insert("is_budget_schedule_enabled".into(), json!(true));
    }
    Ok(json!({ "id": id }))
}

pub(super) fn execute_change(world: &mut World, id: &str, write: &Write) -> Result<Value, GraphError> {
    let Some(node) = world.nodes.get(id) else { return Err(unsupported("post", id)) };
    let schedule = read(Params(&write.params), &node.fields)?;
    let zone = world.owner(node).zone.clone();
    if let Some(node) = world.nodes.get_mut(id) {
        node.fields.extend(schedule.fields(&zone));
    }
    Ok(json!({ "success": true }))
}

fn fields(world: &World, operation: &Operation, schedule: &BudgetSchedule) -> Map<String, Value> {
    schedule.fields(&operation.owner(world).zone)
}

impl BudgetSchedule {
    fn fields(&self, zone: &jiff::tz::TimeZone) -> Map<String, Value> {
        let fields = json!({
            "time_start": graph_time(self.start, zone),
            "time_end": graph_time(self.end, zone),
            "budget_value": self.value,
            "budget_value_type": if self.multiplies { "MULTIPLIER" } else { "ABSOLUTE" },
        });
        fields.as_object().cloned().unwrap_or_default()
    }
}

fn of<'a>(world: &'a World, owner: &'a str) -> impl Iterator<Item = &'a Node> {
    world
        .nodes
        .values()
        .filter(move |node| node.kind == Kind::BudgetSchedule && node.text("ad_object_id") == Some(owner))
}
