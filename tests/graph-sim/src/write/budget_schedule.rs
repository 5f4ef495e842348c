//! `POST /{campaign or ad set}/budget_schedules`: a higher budget for some hours.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::draft::amount;
use super::task::Task;
use super::{Write, budget};
use crate::error::{GraphError, invalid, refused, unsupported};
use crate::node::{Kind, Node, graph_time, parse_time};
use crate::params::Params;
use crate::world::World;

const MOST: usize = 50;
const SHORTEST: SignedDuration = SignedDuration::from_hours(3);
/// How many times its usual daily budget an object may spend on a day.
const MOST_TIMES: u64 = 8;

/// What a schedule says: from when to when, how much, and whether that is a factor.
struct Schedule {
    start: Timestamp,
    end: Timestamp,
    value: u64,
    multiplies: bool,
}

pub(super) fn check(world: &World, task: &Task, write: &Write) -> Result<(), GraphError> {
    let params = Params(&write.params);
    let schedule = read(params, &Map::new())?;
    let count = of(world, &task.id).count();
    if count >= MOST {
        return Err(invalid(format!("An object can have {MOST} budget schedules")));
    }
    check_schedule(world, &task.id, &schedule, write.time)
}

pub(super) fn check_change(world: &World, node: &Node, write: &Write) -> Result<(), GraphError> {
    let schedule = read(Params(&write.params), &node.fields)?;
    check_schedule(world, node.text("ad_object_id").unwrap_or_default(), &schedule, write.time)
}

fn check_schedule(world: &World, owner: &str, schedule: &Schedule, now: Timestamp) -> Result<(), GraphError> {
    let owner = world.nodes.get(owner).ok_or_else(|| unsupported("post", owner))?;
    if matches!(world.effective_status(owner).as_str(), "ARCHIVED" | "DELETED") {
        return Err(refused(1487056, "Of what is archived or deleted only the name can be changed."));
    }
    let Some(("daily_budget", daily)) = budget::of(&owner.fields) else {
        return Err(invalid("Budget schedules need an object with a daily budget of its own"));
    };
    if schedule.end <= now || schedule.end.duration_since(schedule.start) < SHORTEST {
        return Err(invalid("A budget schedule ends in the future and lasts 3 hours or longer"));
    }
    let total = if schedule.multiplies { daily * schedule.value } else { daily + schedule.value };
    if schedule.value == 0 || total > daily * MOST_TIMES {
        return Err(invalid(format!(
            "A budget schedule can raise the daily budget to {MOST_TIMES} times itself"
        )));
    }
    Ok(())
}

/// The schedule a call asks for; what it does not say stays as it was.
fn read(params: Params<'_>, before: &Map<String, Value>) -> Result<Schedule, GraphError> {
    let kind = params.text("budget_value_type");
    let time = |name: &str| {
        let text = params.text(name).or_else(|| before.get(name)?.as_str()).unwrap_or_default();
        parse_time(text).ok_or_else(|| invalid(format!("Param {name} must be a valid datetime")))
    };
    let value = params.amount("budget_value")?.or_else(|| before.get("budget_value").and_then(amount));
    let kind = kind.or_else(|| before.get("budget_value_type")?.as_str());
    Ok(Schedule {
        start: time("time_start")?,
        end: time("time_end")?,
        value: value.unwrap_or_default(),
        multiplies: kind == Some("MULTIPLIER"),
    })
}

pub(super) fn carry_out(world: &mut World, task: &Task, write: &Write) -> Result<Value, GraphError> {
    let schedule = read(Params(&write.params), &Map::new())?;
    let mut fields = fields(world, task, &schedule);
    fields.insert("ad_object_id".into(), json!(task.id));
    fields.insert("recurrence_type".into(), json!("ONE_TIME"));
    let id = world.create(Kind::BudgetSchedule, &task.account, fields);
    if let Some(owner) = world.nodes.get_mut(&task.id) {
        owner.fields.insert("is_budget_schedule_enabled".into(), json!(true));
    }
    Ok(json!({ "id": id }))
}

pub(super) fn carry_out_change(world: &mut World, id: &str, write: &Write) -> Result<Value, GraphError> {
    let Some(node) = world.nodes.get(id) else { return Err(unsupported("post", id)) };
    let schedule = read(Params(&write.params), &node.fields)?;
    let zone = world.owner(node).zone.clone();
    if let Some(node) = world.nodes.get_mut(id) {
        node.fields.extend(schedule.fields(&zone));
    }
    Ok(json!({ "success": true }))
}

fn fields(world: &World, task: &Task, schedule: &Schedule) -> Map<String, Value> {
    schedule.fields(&task.owner(world).zone)
}

impl Schedule {
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
