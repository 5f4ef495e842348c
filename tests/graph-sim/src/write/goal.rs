//! Goals of ad sets: the optimization goal, the promoted object and the attribution. The facts are from the table of
//! objectives in the reference of campaigns. The table is not exhaustive, so only contradictions to it are rejected.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use crate::error::{GraphError, invalid, required, rule_violation, with_blame};

const AWARENESS: &str = "OUTCOME_AWARENESS";
const TRAFFIC: &str = "OUTCOME_TRAFFIC";
const ENGAGEMENT: &str = "OUTCOME_ENGAGEMENT";
const LEADS: &str = "OUTCOME_LEADS";
const APP: &str = "OUTCOME_APP_PROMOTION";
const SALES: &str = "OUTCOME_SALES";

/// Goals that only some objectives have, with those objectives.
const OBJECTIVES_BY_GOAL: [(&str, &[&str]); 9] = [
    ("AD_RECALL_LIFT", &[AWARENESS]),
    ("APP_INSTALLS", &[APP]),
    ("EVENT_RESPONSES", &[ENGAGEMENT]),
    ("LEAD_GENERATION", &[LEADS, ENGAGEMENT, SALES]),
    ("OFFSITE_CONVERSIONS", &[ENGAGEMENT, LEADS, APP, SALES]),
    ("PAGE_LIKES", &[ENGAGEMENT]),
    ("POST_ENGAGEMENT", &[ENGAGEMENT]),
    ("QUALITY_LEAD", &[LEADS]),
    ("VALUE", &[APP, SALES]),
];

/// Destinations that only one objective has.
const OBJECTIVE_BY_DESTINATION: [(&str, &str); 7] = [
    ("ON_AD", LEADS),
    ("LEAD_FROM_MESSENGER", LEADS),
    ("LEAD_FROM_IG_DIRECT", LEADS),
    ("ON_POST", ENGAGEMENT),
    ("ON_PAGE", ENGAGEMENT),
    ("ON_EVENT", ENGAGEMENT),
    ("ON_VIDEO", ENGAGEMENT),
];

fn objective<'a>(draft: &Draft<'a>) -> &'a str {
    draft.campaign().and_then(|campaign| campaign.text("objective")).unwrap_or_default()
}

pub(super) fn check_goal(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["optimization_goal", "destination_type"]) {
        return Ok(());
    }
    let objective = objective(draft);
    // Campaigns with the old objectives have other rules.
    if !objective.starts_with("OUTCOME_") {
        return Ok(());
    }
    let goal = draft.text("optimization_goal").unwrap_or_default();
    if OBJECTIVES_BY_GOAL.iter().any(|(name, objectives)| *name == goal && !objectives.contains(&objective)) {
        // The subcode is from a bug report of the official Java client (issue 446).
        let error = rule_violation(2490408, "The campaign's objective does not have this performance goal.");
        return Err(with_blame(error, &["optimization_goal"]));
    }
    let destination = draft.text("destination_type").unwrap_or_default();
    if OBJECTIVE_BY_DESTINATION.iter().any(|(name, only)| *name == destination && *only != objective) {
        return Err(rule_violation(2446509, "The campaign's objective does not have this destination_type."));
    }
    Ok(())
}

pub(super) fn check_promoted(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["promoted_object", "optimization_goal"]) {
        return Ok(());
    }
    let promoted = draft.fields.get("promoted_object").and_then(Value::as_object);
    let has = |name: &str| promoted.is_some_and(|promoted| promoted.contains_key(name));
    let needed: &[&[&str]] = match draft.text("optimization_goal").unwrap_or_default() {
        "OFFSITE_CONVERSIONS" | "VALUE" => &[
            &["pixel_id", "custom_event_type"],
            &["pixel_id", "pixel_rule"],
            &["custom_conversion_id"],
            &["application_id", "object_store_url"],
            &["product_set_id"],
            &["offline_conversion_data_set_id"],
            &["omnichannel_object"],
        ],
        "LEAD_GENERATION" | "QUALITY_LEAD" | "PAGE_LIKES" => &[&["page_id"]],
        "APP_INSTALLS" => &[&["application_id", "object_store_url"]],
        _ => &[],
    };
    if !needed.is_empty() && !needed.iter().any(|names| names.iter().all(|name| has(name))) {
        return Err(match promoted {
            None => required("promoted_object"),
            Some(_) => invalid(format!("Param promoted_object must have {}", needed[0].join(" and "))),
        });
    }
    let event = promoted.and_then(|promoted| promoted.get("custom_event_type")).and_then(Value::as_str);
    let fits = match (event, objective(draft)) {
        (None, _) => true,
        (Some(event), LEADS) => event != "PURCHASE",
        (Some(_), objective) => !matches!(objective, AWARENESS | TRAFFIC),
    };
    if fits {
        return Ok(());
    }
    let error = rule_violation(2446814, "The campaign's objective does not have this conversion event.");
    Err(with_blame(error, &["promoted_object", "custom_event_type"]))
}

/// Checks that the goal allows the attribution windows.
pub(super) fn check_attribution(draft: &Draft<'_>) -> Result<(), GraphError> {
    if draft.params.text("attribution_spec").is_none() {
        return Ok(());
    }
    let windows = draft.fields.get("attribution_spec").and_then(Value::as_array).map(Vec::as_slice);
    let windows: Vec<(&str, i64)> = windows
        .unwrap_or_default()
        .iter()
        .map(|window| {
            (
                window["event_type"].as_str().unwrap_or_default(),
                window["window_days"].as_i64().unwrap_or_default(),
            )
        })
        .collect();
    let (clicks, others) = allowed_windows(&draft.fields);
    let clicked: Vec<i64> =
        windows.iter().filter(|(event, _)| *event == "CLICK_THROUGH").map(|(_, days)| *days).collect();
    let fits = matches!(clicked.as_slice(), [days] if clicks.contains(days))
        && windows
            .iter()
            .filter(|(event, _)| *event != "CLICK_THROUGH")
            .all(|(event, days)| *days == 1 && others.contains(event));
    if fits {
        return Ok(());
    }
    Err(with_blame(
        rule_violation(1885501, "The goal does not allow this attribution_spec."),
        &["attribution_spec"],
    ))
}

/// Returns the allowed click windows in days, and the other events that may count.
fn allowed_windows(fields: &Map<String, Value>) -> (&'static [i64], &'static [&'static str]) {
    const VIEW_EVENTS: &[&str] = &["VIEW_THROUGH", "ENGAGED_VIDEO_VIEW"];
    let of_app =
        fields.get("promoted_object").is_some_and(|promoted| promoted.get("application_id").is_some());
    match fields.get("optimization_goal").and_then(Value::as_str) {
        Some("OFFSITE_CONVERSIONS" | "VALUE") if of_app => (&[1, 7], &[]),
        Some("OFFSITE_CONVERSIONS" | "VALUE") => (&[1, 7], VIEW_EVENTS),
        Some("APP_INSTALLS") => (&[1], VIEW_EVENTS),
        _ => (&[1], &[]),
    }
}

/// Returns the default attribution of an ad set: the widest windows that its goal allows.
pub(super) fn default_attribution(fields: &Map<String, Value>) -> Value {
    let (clicks, others) = allowed_windows(fields);
    let mut windows =
        vec![json!({ "event_type": "CLICK_THROUGH", "window_days": clicks.last().copied().unwrap_or(1) })];
    if others.contains(&"VIEW_THROUGH") {
        windows.push(json!({ "event_type": "VIEW_THROUGH", "window_days": 1 }));
    }
    Value::Array(windows)
}
