//! Decodes a recorded account and checks that nothing to be stored is lost.

use std::fs;
use std::path::PathBuf;

use domain::entity::{Entity, Level};
use graph_api::account::AccessibleAccount;
use graph_api::entities::GraphEntity;
use graph_api::insights::GraphRow;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::rows::{flatten_decoded_row, flatten_graph_row};

/// Reads a response that was recorded outside of the project. Tests are skipped where the file is missing.
fn recorded(file: &str) -> Option<Value> {
    let path = PathBuf::from("../../../shared/recordings/keboola").join(file);
    if !path.is_file() {
        println!("Skipped: {} is missing.", path.display());
        return None;
    }
    serde_json::from_str(&fs::read_to_string(path).unwrap()).ok()
}

/// Returns each row as Graph wrote it and as decoded from text, as responses are.
fn rows<T: DeserializeOwned>(file: &str) -> Vec<(Value, T)> {
    let Some(answer) = recorded(file) else { return Vec::new() };
    let rows = answer["data"].as_array().unwrap();
    assert!(!rows.is_empty());
    rows.iter().map(|row| (row.clone(), serde_json::from_str(&row.to_string()).unwrap())).collect()
}

#[test]
fn recorded_days_keep_every_number() {
    for (given, GraphRow(read)) in rows::<GraphRow>("insights_ad_day.json") {
        assert_eq!(flatten_decoded_row(&read), flatten_graph_row(&given));
        assert_eq!(given["date_start"], given["date_stop"]);
    }
}

#[test]
fn recorded_objects_keep_what_they_say() {
    for (level, file) in
        [(Level::Campaign, "campaigns.json"), (Level::AdSet, "adsets.json"), (Level::Ad, "ads.json")]
    {
        for (given, read) in rows::<GraphEntity>(file) {
            let read: Entity = read.into_entity(level);
            let fields = serde_json::to_value(&read).unwrap();
            let mut fields = fields.as_object().unwrap().clone();
            assert_eq!(fields.remove("level"), Some(level.as_str().into()));
            // The domain's `status` is Meta's, which older responses name `configured_status`.
            let status = given.get("status").or(given.get("configured_status"));
            assert_eq!(fields.remove("status").as_ref(), status);
            for name in ["daily_budget", "lifetime_budget", "spend_cap"] {
                let given = given[name].as_str().filter(|amount| *amount != "0");
                assert_eq!(fields.remove(name).map(|amount| amount.to_string()).as_deref(), given);
            }
            for name in [
                "id",
                "name",
                "campaign_id",
                "adset_id",
                "effective_status",
                "objective",
                "created_time",
                "bid_strategy",
            ] {
                assert_eq!(fields.remove(name).as_ref(), given.get(name), "{name}");
            }
            assert!(fields.is_empty(), "{fields:?}");
        }
    }
}

#[test]
fn the_recorded_account_is_read_once_it_names_its_zone() {
    let Some(mut given) = recorded("account.json") else { return };
    // The recording lacks a field that the client always requests.
    given["timezone_name"] = "Europe/Prague".into();
    let read: AccessibleAccount = serde_json::from_value(given.clone()).unwrap();
    assert_eq!(given["id"], read.id.to_string());
    assert_eq!(given["name"].as_str(), read.name.as_deref());
    assert_eq!(given["currency"], read.currency.code());
    assert_eq!(given["account_status"].as_i64(), read.details.account_status);
}
