//! The body of a delivery, and its signatures.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha1::Sha1;

use super::Change;
use crate::crypto;

/// Builds the body for these changes of one kind of object.
pub(super) fn body(object: &str, changes: &[Change], include_values: bool) -> String {
    let entries: Vec<Value> = changes
        .chunk_by(|one, next| one.entry == next.entry && one.time == next.time)
        .map(|changes| entry(object, changes, include_values))
        .collect();
    escaped(&json!({ "object": object, "entry": entries }).to_string())
}

/// Builds the entry for the changes of one object at one time.
fn entry(object: &str, changes: &[Change], include_values: bool) -> Value {
    let mut entry = Map::new();
    if let Some(first) = changes.first() {
        entry.insert("id".into(), json!(first.entry));
        entry.insert("time".into(), json!(first.time));
        if matches!(object, "user" | "permissions") {
            entry.insert("uid".into(), json!(first.entry));
        }
    }
    if include_values {
        let changes = changes.iter().map(|change| json!({ "field": change.field, "value": change.value }));
        entry.insert("changes".into(), changes.collect());
    } else {
        let mut fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        fields.dedup();
        entry.insert("changed_fields".into(), json!(fields));
    }
    Value::Object(entry)
}

/// Escapes non-ASCII characters in lower-case hexadecimal. Meta signs the escaped text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ok = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}

/// Converts ids to JSON numbers. Unlike all other ids, those of a lead are numbers.
pub(super) fn write_ids_as_numbers(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| name.ends_with("_id")) {
            *value = json!(number);
        }
    }
}

/// Returns the `X-Hub-Signature-256` header.
pub(crate) fn signature_256(secret: &str, body: &str) -> String {
    format!("sha256={}", hex::encode(crypto::sign(secret, body)))
}

/// Returns the legacy `X-Hub-Signature` header.
pub(super) fn signature_1(secret: &str, body: &str) -> String {
    // HMAC accepts keys of any length, so this branch is never reached.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body.as_bytes());
    format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(field: &str, value: Value, time: i64) -> Change {
        Change { object: "ad_account".into(), entry: "0".into(), field: field.into(), value, time }
    }

    #[test]
    fn what_is_not_ascii_is_escaped_in_lower_case() {
        let body = body("ad_account", &[change("f", json!({ "text": "Größe 🎉" }), 7)], true);
        assert!(body.contains(r#""text":"Gr\u00f6\u00dfe \ud83c\udf89""#), "{body}");
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap()["entry"][0]["changes"][0]["value"]["text"],
            "Größe 🎉"
        );
    }

    #[test]
    fn changes_of_one_time_share_an_entry() {
        let changes = [change("a", json!(1), 7), change("a", json!(2), 7), change("b", json!(3), 8)];
        let whole: Value = serde_json::from_str(&body("ad_account", &changes, true)).unwrap();
        assert_eq!(
            (whole["entry"][0]["changes"].as_array().unwrap().len(), &whole["entry"][1]["time"]),
            (2, &json!(8))
        );
        let named: Value = serde_json::from_str(&body("ad_account", &changes, false)).unwrap();
        assert_eq!(named["entry"][0], json!({"id": "0", "time": 7, "changed_fields": ["a"]}));
    }

    #[test]
    fn the_old_signature_is_the_one_of_the_rfc() {
        // RFC 2202, test case 2.
        assert_eq!(
            signature_1("Jefe", "what do ya want for nothing?"),
            "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
    }
}
