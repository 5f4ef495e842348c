//! Answers with one odd field: every field of every kind of row, changed in every way that has been seen. Nothing may
//! panic, no other row may suffer, and what is lost is reported.

use domain::entity::Level;
use domain::gap::Gap;
use graph_api::account::AccessibleAccount;
use graph_api::entities::GraphEntity;
use graph_api::insights::GraphRow;
use graph_api::{GraphError, fuzzing};
use serde_json::{Value, json};

/// Stands for text that no JSON library writes: it is replaced after the document was serialized.
const CUT: &str = "@cut@";
const CONTROL: &str = "@control@";

/// Returns the documents in which this value was replaced, with a name for each.
fn mutations(value: &Value) -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("null", Some(Value::Null)),
        ("missing", None),
        ("a number", Some(json!(7))),
        ("a fraction", Some(json!(0.5))),
        ("a flag", Some(json!(true))),
        ("text", Some(json!("x"))),
        ("no text", Some(json!(""))),
        ("cut text", Some(json!(CUT))),
        ("a control character", Some(json!(CONTROL))),
        ("a list", Some(json!([value, null]))),
        ("an empty list", Some(json!([]))),
        ("an object", Some(json!({"nested": value}))),
        ("a huge number", Some(json!(1e300))),
    ]
}

/// Returns the pointers of every value below this one.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect()
        }
        _ => Vec::new(),
    };
    below.into_iter().flat_map(|(at, value)| [vec![at.clone()], pointers(value, &at)].concat()).collect()
}

fn replaced(document: &Value, pointer: &str, value: Option<Value>) -> Vec<u8> {
    let mut document = document.clone();
    match value {
        Some(value) => *document.pointer_mut(pointer).unwrap() = value,
        None => {
            let (parent, last) = pointer.rsplit_once('/').unwrap();
            match document.pointer_mut(parent).unwrap() {
                Value::Array(items) => drop(items.remove(last.parse().unwrap())),
                Value::Object(fields) => drop(fields.remove(last)),
                _ => {}
            }
        }
    }
    let text = document.to_string().replace(CUT, "cut \\ud83d").replace(CONTROL, "form\u{c}feed\u{1}");
    text.into_bytes()
}

/// Changes every value of every row in every way, and checks what is left.
fn check_rows<T>(
    page: &Value,
    read: impl Fn(&[u8]) -> Result<(Vec<T>, Vec<Gap>), GraphError>,
    show: fn(T) -> String,
) {
    let all: Vec<String> = read(page.to_string().as_bytes()).unwrap().0.into_iter().map(show).collect();
    let mut checked = 0;
    for pointer in pointers(&page["data"], "/data") {
        let index: usize = pointer.split('/').nth(2).unwrap().parse().unwrap();
        let value = page.pointer(&pointer).unwrap();
        for (name, mutation) in mutations(value) {
            if mutation.as_ref() == Some(value) {
                continue;
            }
            let what = format!("{pointer} as {name}");
            let is_whole_row = pointer.matches('/').count() == 2;
            let body = replaced(page, &pointer, mutation.clone());
            let (rows, gaps) = read(&body).unwrap_or_else(|error| panic!("{what}: {error}"));
            let rows: Vec<String> = rows.into_iter().map(show).collect();
            let others: Vec<&String> =
                all.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, row)| row).collect();
            for other in others {
                assert!(rows.contains(other), "{what}: another row is lost");
            }
            let is_lost = rows.len() < all.len();
            let says_nothing = matches!(mutation, None | Some(Value::Null));
            if is_lost && !(is_whole_row && says_nothing) {
                assert!(!gaps.is_empty(), "{what}: the row is lost without a word");
            }
            for gap in &gaps {
                assert!(!gap.reason.contains("Ada"), "{what}: a value is shown: {gap:?}");
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn one_odd_field_of_insights_costs_one_row_at_most() {
    let row = |ad: &str| {
        json!({
            "ad_id": ad, "adset_id": "3", "campaign_id": "2", "date_start": "2026-11-19", "date_stop": "2026-11-19",
            "impressions": "8801", "clicks": "120", "inline_link_clicks": "7", "spend": "42.17", "reach": "7000",
            "frequency": "1.257286", "attribution_setting": "7d_click",
            "actions": [{"action_type": "omni_purchase", "value": "3", "7d_click": "2"}, {"action_type": "lead", "value": "1"}],
            "action_values": [{"action_type": "omni_purchase", "value": "289.9"}],
        })
    };
    let page = json!({"data": [row("4"), row("5"), row("6")], "paging": {"cursors": {"after": "b"}}});
    check_rows(&page, |body| fuzzing::rows::<GraphRow>(body, true), |row| format!("{row:?}"));
}

#[test]
fn one_odd_field_of_an_entity_costs_that_field() {
    let entity = |id: &str| {
        json!({
            "id": id, "campaign_id": "7", "adset_id": "8", "name": "Ada's", "status": "PAUSED",
            "configured_status": "PAUSED", "effective_status": "CAMPAIGN_PAUSED", "objective": "OUTCOME_SALES",
            "daily_budget": "5000", "lifetime_budget": "0", "created_time": "2026-05-06T15:32:58+0200",
        })
    };
    let page = json!({"data": [entity("120"), entity("121"), entity("122")]});
    let read = |body: &[u8]| fuzzing::rows::<GraphEntity>(body, false);
    check_rows(&page, read, |entity| format!("{:?}", entity.into_entity(Level::Ad)));
    // Whatever an optional field is, the entity stays.
    for field in
        ["name", "status", "effective_status", "objective", "daily_budget", "created_time", "campaign_id"]
    {
        for (name, mutation) in mutations(&page["data"][0][field]) {
            let (rows, _) = read(&replaced(&page, &format!("/data/0/{field}"), mutation)).unwrap();
            assert_eq!(rows.len(), 3, "{field} as {name}");
        }
    }
}

#[test]
fn one_odd_field_of_an_ad_account_costs_that_account_at_most() {
    let account = |id: &str| {
        json!({
            "id": id, "name": "Ada's", "account_status": 1, "disable_reason": 0, "currency": "EUR",
            "timezone_name": "Europe/Berlin", "business": {"id": "9", "name": "B"}, "user_tasks": ["ADVERTISE"],
            "default_dsa_payor": "P", "default_dsa_beneficiary": "B",
        })
    };
    let page = json!({"data": [account("act_1"), account("act_2"), account("act_3")]});
    let read = |body: &[u8]| fuzzing::rows::<AccessibleAccount>(body, false);
    check_rows(&page, read, |account| format!("{account:?}"));
}

#[test]
fn nulls_say_nothing_and_numbers_are_ids() {
    let page =
        br#"{"data":[{"ad_id":4,"adset_id":"3","campaign_id":120210000000000001,"date_start":"2026-11-19",
        "date_stop":"2026-11-19","impressions":"8","spend":"1.5","actions":null,"action_values":[null]}]}"#;
    let (rows, gaps) = fuzzing::rows::<GraphRow>(page, true).unwrap();
    assert_eq!((gaps, rows.len()), (Vec::new(), 1));
    let GraphRow(row) = &rows[0];
    assert_eq!((row.ad.as_str(), row.campaign.as_str()), ("4", "120210000000000001"));
}

/// Every error of Meta's says something to people, whatever is odd about it.
#[test]
fn an_error_has_a_message_and_its_class_whatever_is_odd_about_it() {
    let error = json!({"error": {
        "message": "Invalid parameter", "type": "OAuthException", "code": 100, "error_subcode": 1_885_272,
        "is_transient": false, "error_user_title": "Budget too low", "error_user_msg": "Spend at least 1.",
        "error_data": {"blame_field_specs": [["daily_budget"]]}, "fbtrace_id": "A",
    }});
    for pointer in pointers(&error["error"], "/error") {
        for (name, mutation) in mutations(error.pointer(&pointer).unwrap()) {
            let body = replaced(&error, &pointer, mutation);
            let read = fuzzing::error(400, &body, false);
            let what = format!("{pointer} as {name}: {read}");
            if pointer != "/error/code"
                && pointer != "/error/error_subcode"
                && pointer != "/error/is_transient"
            {
                assert!(matches!(read, GraphError::InvalidInput(_)), "{what}");
            }
            for hole in [":  (", ": (", ": :", "  "] {
                assert!(!read.to_string().contains(hole), "{what}");
            }
        }
    }
    for (parts, says) in [
        (json!({"code": 100, "error_user_title": "Terms not accepted"}), "Terms not accepted"),
        (
            json!({"code": 100, "message": "Invalid parameter", "error_user_title": "Budget too low", "error_user_msg": ""}),
            "Budget too low: Invalid parameter",
        ),
        (json!({"code": 100, "message": "m", "error_user_msg": "Accept them."}), "Accept them."),
        (json!({"code": 100}), "Meta gives no reason"),
    ] {
        let read = fuzzing::error(400, json!({"error": parts}).to_string().as_bytes(), false);
        assert_eq!(read.to_string(), format!("Meta refuses this input: {says} (Meta's code 100)"));
    }
}
