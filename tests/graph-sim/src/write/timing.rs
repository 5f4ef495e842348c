//! Rules for the start, end and schedule of ad sets.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::budget;
use super::draft::Draft;
use crate::error::{GraphError, invalid, required, rule_violation, with_blame};
use crate::fields;
use crate::node::{graph_time, parse_time};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const MINUTES_PER_DAY: i64 = 1_440;

/// Rejects edits of an ad set that has ended, except extending, renaming, archiving and deleting it.
pub(super) fn check_not_over(draft: &Draft<'_>) -> Result<(), GraphError> {
    let Some(before) = draft.before else { return Ok(()) };
    let end = before.text("end_time").and_then(parse_time);
    let is_over = end.is_some_and(|end| end <= draft.now) && draft.params.text("end_time").is_none();
    let harmless = |name: &str| matches!(name, "name" | "status" | "execution_options");
    let edits = draft.params.0.keys().any(|name| !harmless(name) && fields::exists(before.kind, name));
    if is_over && edits {
        return Err(rule_violation(
            1487007,
            "The ad set has reached its end: move its end_time before editing it.",
        ));
    }
    Ok(())
}

pub(super) fn check_times(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["start_time", "end_time", "daily_budget", "lifetime_budget"]) {
        return Ok(());
    }
    let on_campaign = draft.campaign().and_then(|campaign| budget::of(&campaign.fields));
    let budget = on_campaign.or_else(|| budget::of(&draft.fields)).map(|(field, _)| field);
    let Some(end) = draft.time("end_time") else {
        return if budget == Some("lifetime_budget") { Err(required("end_time")) } else { Ok(()) };
    };
    if draft.touches(&["end_time"]) && end <= draft.now {
        return Err(with_blame(
            rule_violation(1487033, "The end date must be in the future."),
            &["end_time"],
        ));
    }
    let start = draft.time("start_time").map_or(draft.now, |start| start.max(draft.now));
    if end <= start {
        return Err(with_blame(
            rule_violation(1487033, "The end date must come after the start date."),
            &["end_time"],
        ));
    }
    if budget == Some("daily_budget")
        && draft.touches(&["start_time", "end_time"])
        && end.duration_since(start) < DAY
    {
        return Err(invalid("An ad set with a daily budget must run for at least 24 hours"));
    }
    Ok(())
}

/// Checks that an hourly schedule comes with a lifetime budget.
pub(super) fn check_schedule(draft: &Draft<'_>) -> Result<(), GraphError> {
    let Some(parts) =
        draft.fields.get("adset_schedule").and_then(Value::as_array).filter(|parts| !parts.is_empty())
    else {
        return Ok(());
    };
    if !draft.touches(&["adset_schedule", "pacing_type", "daily_budget"]) {
        return Ok(());
    }
    let paced = draft.fields.get("pacing_type").and_then(Value::as_array);
    if !paced.is_some_and(|names| names.iter().any(|name| name == "day_parting")) {
        return Err(invalid("adset_schedule needs pacing_type [\"day_parting\"]"));
    }
    let on_campaign = draft.campaign().and_then(|campaign| budget::of(&campaign.fields));
    let budget = on_campaign.or_else(|| budget::of(&draft.fields));
    if budget.is_none_or(|(field, _)| field != "lifetime_budget") {
        return Err(invalid("adset_schedule needs a lifetime budget"));
    }
    if parts.iter().all(is_part) {
        return Ok(());
    }
    Err(invalid(
        "Each part of adset_schedule has start_minute and end_minute on full hours, at least one apart, and days from 0 to 6",
    ))
}

fn is_part(part: &Value) -> bool {
    let minute =
        |name: &str| part[name].as_i64().filter(|at| at % 60 == 0 && (0..=MINUTES_PER_DAY).contains(at));
    let days = part["days"].as_array().is_some_and(|days| {
        !days.is_empty() && days.iter().all(|day| day.as_i64().is_some_and(|day| (0..=6).contains(&day)))
    });
    let zone = part.get("timezone_type").is_none_or(|zone| zone == "USER" || zone == "ADVERTISER");
    matches!((minute("start_minute"), minute("end_minute")), (Some(start), Some(end)) if end - start >= 60)
        && days
        && zone
}

/// Sets the start of a new ad set to now, unless it has one.
pub(super) fn complete(draft: &mut Draft<'_>) {
    let now = graph_time(draft.now, &draft.account.zone);
    draft.fields.entry("start_time").or_insert_with(|| json!(now));
}
