//! A recorded account: Graph's responses, read from a folder. Fields that are absent there stay absent.

mod json_file;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::facts::{AdRef, Fact};
use crate::node::{Kind, Node};
use crate::processing::ProcessingState;
use crate::start_error::StartError;
use crate::world::{self, World};
use json_file::{FieldType, ObjectSchema, read_list, read_object};

const ACCOUNT: ObjectSchema = ObjectSchema {
    required: &[("id", FieldType::AccountId), ("name", FieldType::Text), ("currency", FieldType::Currency)],
    optional: &[("timezone_name", FieldType::Text)],
};
const OBJECT: &[(&str, FieldType)] = &[
    ("name", FieldType::Text),
    ("status", FieldType::Text),
    ("configured_status", FieldType::Text),
    ("effective_status", FieldType::Text),
    ("objective", FieldType::Text),
    ("daily_budget", FieldType::Count),
    ("lifetime_budget", FieldType::Count),
    ("created_time", FieldType::Text),
];
const CAMPAIGN: ObjectSchema =
    ObjectSchema { required: &[("id", FieldType::Id), ("name", FieldType::Text)], optional: OBJECT };
const ADSET: ObjectSchema =
    ObjectSchema { required: &[("id", FieldType::Id), ("campaign_id", FieldType::Id)], optional: OBJECT };
const AD: ObjectSchema = ObjectSchema {
    required: &[("id", FieldType::Id), ("campaign_id", FieldType::Id), ("adset_id", FieldType::Id)],
    optional: OBJECT,
};
const ROW: ObjectSchema = ObjectSchema {
    required: &[
        ("ad_id", FieldType::Id),
        ("adset_id", FieldType::Id),
        ("campaign_id", FieldType::Id),
        ("date_start", FieldType::Day),
        ("date_stop", FieldType::Day),
    ],
    optional: &[
        ("impressions", FieldType::Count),
        ("clicks", FieldType::Count),
        ("inline_link_clicks", FieldType::Count),
        ("reach", FieldType::Count),
        ("spend", FieldType::Amount),
        ("frequency", FieldType::Amount),
        ("actions", FieldType::Actions),
        ("action_values", FieldType::Actions),
        ("attribution_setting", FieldType::Text),
    ],
};

/// Time zone of a recording that does not contain one, if its creation times match it.
const FALLBACK_TIMEZONE: &str = "Europe/Prague";

/// Reads the account in `folder`; `timezone` is used when the recording contains none.
pub(crate) fn world(folder: &Path, timezone: Option<&str>) -> Result<World, StartError> {
    let account = read_object(folder, "account.json", ACCOUNT)?;
    let structure = [
        (Kind::Campaign, read_list(folder, "campaigns.json", CAMPAIGN)?),
        (Kind::AdSet, read_list(folder, "adsets.json", ADSET)?),
        (Kind::Ad, read_list(folder, "ads.json", AD)?),
    ];
    let rows = read_list(folder, "insights_ad_day.json", ROW)?;

    let zone_name = match account.get("timezone_name").and_then(Value::as_str).or(timezone) {
        Some(name) => name.to_owned(),
        None => likely_zone(structure.iter().flat_map(|(_, nodes)| nodes)).to_owned(),
    };
    let zone = TimeZone::get(&zone_name).map_err(|_| StartError::Timezone { name: zone_name.clone() })?;
    let text = |field: &str| account.get(field).and_then(Value::as_str).unwrap_or_default();
    let digits = text("id").trim_start_matches("act_").to_owned();
    let mut main = world::account(&digits, text("name"), text("currency"), &zone_name, zone);
    main.fields = account.clone();
    main.fields.insert("id".into(), json!(format!("act_{digits}")));
    main.fields.insert("account_id".into(), json!(digits));
    main.fields.insert("timezone_name".into(), json!(zone_name));

    let mut nodes_by_id = BTreeMap::new();
    for (kind, nodes) in structure {
        for (position, fields) in nodes.into_iter().enumerate() {
            if kind == Kind::Ad {
                main.facts.add_ad(ad_ref(&fields, "id"));
            }
            let id = text_of(&fields, "id");
            let node = Node {
                kind,
                account: digits.clone(),
                position: position as i64,
                fields,
                processing: ProcessingState::Idle,
            };
            nodes_by_id.insert(id, node);
        }
    }
    for (index, row) in rows.into_iter().enumerate() {
        if row.get("date_start") != row.get("date_stop") {
            return Err(invalid_row(format!(
                "row {}: expected a row of one day, as level ad by day has them",
                index + 1
            )));
        }
        let ad = main.facts.add_ad(ad_ref(&row, "ad_id"));
        if let Ok(day) = text_of(&row, "date_start").parse() {
            main.facts.set(ad, day, Fact::EventRecord(row));
        }
    }
    let mut world = World::new(main);
    world.nodes = nodes_by_id;
    Ok(world)
}

/// Returns the last day a recording has numbers for.
///
/// # Errors
/// When the insights file is missing, not JSON, of the wrong shape or without any row.
pub fn last_recorded_day(folder: &Path) -> Result<Date, StartError> {
    let rows = read_list(folder, "insights_ad_day.json", ROW)?;
    rows.iter()
        .filter_map(|row| text_of(row, "date_stop").parse().ok())
        .max()
        .ok_or_else(|| invalid_row("expected at least one row".to_owned()))
}

fn invalid_row(message: String) -> StartError {
    StartError::Recording { file: "insights_ad_day.json".into(), line: 1, column: 1, message }
}

fn ad_ref(fields: &Map<String, Value>, id: &str) -> AdRef {
    AdRef {
        ad: text_of(fields, id),
        adset: text_of(fields, "adset_id"),
        campaign: text_of(fields, "campaign_id"),
    }
}

fn text_of(fields: &Map<String, Value>, field: &str) -> String {
    fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Returns the fallback zone if every creation time has the offset that zone had at that time.
fn likely_zone<'a>(nodes: impl Iterator<Item = &'a Map<String, Value>>) -> &'static str {
    let Ok(zone) = TimeZone::get(FALLBACK_TIMEZONE) else { return "UTC" };
    let fits = |fields: &Map<String, Value>| {
        let Some(text) = fields.get("created_time").and_then(Value::as_str) else { return true };
        crate::node::parse_time(text).is_some_and(|at| crate::node::graph_time(at, &zone) == text)
    };
    if nodes.into_iter().all(fits) { FALLBACK_TIMEZONE } else { "UTC" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(created: &str) -> Map<String, Value> {
        json!({ "created_time": created }).as_object().unwrap().clone()
    }

    #[test]
    fn the_zone_follows_from_the_offsets() {
        let (winter, summer) = (node("2026-01-10T10:00:00+0100"), node("2026-05-10T10:00:00+0200"));
        assert_eq!(likely_zone([&winter, &summer].into_iter()), "Europe/Prague");
        assert_eq!(likely_zone([&winter, &node("2026-01-10T10:00:00+0200")].into_iter()), "UTC");
    }
}
