//! Meta's webhooks: verifies the signature over the raw bytes, and parses the changes in the envelope.
// This code runs at the edge, where a panic ends every request of the isolate.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use domain::canonical;
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::job::{WebhookChange, WebhookSubject};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::lenient;

/// Returns whether `header` is the `X-Hub-Signature-256` of exactly these bytes.
///
/// Meta signs the body as sent, with non-ASCII characters escaped, so the body must not be parsed and serialized again
/// before this check. The comparison takes constant time.
pub fn is_signed(app_secret: &SecretString, header: &str, body: &[u8]) -> bool {
    let Some(claimed) = header.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok()) else {
        return false;
    };
    Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes())
        .is_ok_and(|mac| mac.chain_update(body).verify_slice(&claimed).is_ok())
}

/// What Meta delivers: changes of objects, in entries by account or Page. Entries and changes are read one by one, so
/// that an odd one costs none of the others.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(rename = "Webhook"))]
pub struct Envelope {
    object: String,
    #[cfg_attr(feature = "describe", schemars(with = "Vec<Entry>"))]
    entry: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(rename = "WebhookEntry"))]
struct Entry {
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "String"))]
    id: Value,
    /// Unix seconds, which may have a decimal point.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "f64"))]
    time: Value,
    #[cfg_attr(feature = "describe", schemars(with = "Option<Vec<Change>>"))]
    changes: Option<Vec<Box<RawValue>>>,
    #[cfg_attr(feature = "describe", schemars(with = "Option<Vec<String>>"))]
    changed_fields: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(rename = "WebhookChange"))]
struct Change {
    field: String,
    #[serde(default)]
    value: Value,
}

/// Splits a verified body into its changes. Changes of unknown fields have no subject. One that cannot be read has a
/// reason instead, and concerns the whole account if its entry names one. Fails only when the body is no envelope.
pub fn parse_changes(body: &[u8]) -> Result<Vec<WebhookChange>, serde_json::Error> {
    let Envelope { object, entry } = serde_json::from_str(&lenient::clean(body))?;
    let mut changes = Vec::new();
    for raw in entry {
        let Entry { id, time, changes: listed, changed_fields } = match serde_json::from_str(raw.get()) {
            Ok(entry) => entry,
            Err(error) => {
                changes.push(unreadable(&object, &Value::Null, 0, &raw, &error));
                continue;
            }
        };
        let time = seconds(&time);
        for raw in listed.unwrap_or_default() {
            changes.push(match serde_json::from_str(raw.get()) {
                Ok(change) => readable(&object, &id, time, change),
                Err(error) => unreadable(&object, &id, time, &raw, &error),
            });
        }
        // Subscriptions without values send only the names of the fields.
        let named = changed_fields.unwrap_or_default().into_iter();
        changes.extend(named.map(|field| readable(&object, &id, time, Change { field, value: Value::Null })));
    }
    Ok(changes)
}

fn readable(object: &str, entry: &Value, time: i64, change: Change) -> WebhookChange {
    WebhookChange {
        digest: digest(object, entry, time, &change),
        subject: subject(object, entry, &change),
        object: object.to_owned(),
        field: change.field,
        time,
        unreadable: None,
    }
}

fn unreadable(
    object: &str,
    entry: &Value,
    time: i64,
    raw: &RawValue,
    error: &serde_json::Error,
) -> WebhookChange {
    let change = Change { field: "unreadable".to_owned(), value: Value::String(raw.get().to_owned()) };
    WebhookChange {
        digest: digest(object, entry, time, &change),
        subject: account(entry).filter(|_| object == "ad_account").map(WebhookSubject::Account),
        object: object.to_owned(),
        field: change.field,
        time,
        unreadable: Some(lenient::without_values(&error.to_string())),
    }
}

/// Returns Unix seconds, 0 where Meta sends none. They tell equal changes apart and decide nothing.
fn seconds(time: &Value) -> i64 {
    let number = time.as_i64().or_else(|| time.as_f64().map(|seconds| seconds as i64));
    number.or_else(|| time.as_str()?.parse().ok()).unwrap_or_default()
}

/// Returns a digest of a change's content, which identifies it: Meta sends no delivery id and re-batches freely.
fn digest(object: &str, entry: &Value, time: i64, change: &Change) -> String {
    let mut hash = Sha256::new();
    for part in
        [object, &canonical::json(entry), &time.to_string(), &change.field, &canonical::json(&change.value)]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Returns the object that a change concerns, if it is synced. `entry.id` is "0" in the samples of the `ad_account`
/// object, so it names the account only when it is not.
fn subject(object: &str, entry: &Value, change: &Change) -> Option<WebhookSubject> {
    let value = &change.value;
    let (id, level) = match (object, change.field.as_str()) {
        ("ad_account", "in_process_ad_objects" | "with_issues_ad_objects") => {
            (value.get("id")?, level_of(value.get("level")?.as_str()?)?)
        }
        ("ad_account", "creative_fatigue") => (value.get("adgroup_id")?, Level::Ad),
        // Since July 2026: edits, and statuses of all levels, without their new values.
        ("ad_account", "field_changed" | "subscriptions") => {
            (value.get("object_id")?, level_of(value.get("object_type")?.as_str()?)?)
        }
        ("permissions", _) => {
            let user = value.get("uid").or(Some(entry)).and_then(digits)?;
            return user.parse().ok().map(WebhookSubject::User);
        }
        ("application", "ad_account") => return account(value.get("id")?).map(WebhookSubject::Account),
        _ => return None,
    };
    let named = ["ad_account_id", "account_id"].iter().find_map(|name| value.get(*name).and_then(account));
    let ad_account = named.or_else(|| account(entry));
    Some(WebhookSubject::Entity { id: digits(id)?.parse().ok()?, level, ad_account })
}

/// Returns the level that Meta means: `AD_SET` in older pushes, `adset` in newer ones.
fn level_of(word: &str) -> Option<Level> {
    match word.replace('_', "").to_ascii_lowercase().as_str() {
        "campaign" => Some(Level::Campaign),
        "adset" => Some(Level::AdSet),
        "ad" => Some(Level::Ad),
        _ => None,
    }
}

fn account(id: &Value) -> Option<AdAccountId> {
    let digits = digits(id).filter(|digits| digits != "0")?;
    format!("act_{digits}").parse().ok()
}

/// Parses an id, which comes as text or as a number, with or without `act_`.
fn digits(id: &Value) -> Option<String> {
    match id {
        Value::String(text) => Some(text.trim_start_matches("act_").to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"object":"ad_account","entry":[{"id":"0","time":1796000000,"changes":[
        {"field":"with_issues_ad_objects","value":{"id":"23","level":"AD_SET","error_summary":"\u00fc"}},
        {"field":"creative_fatigue","value":{"ad_account_id":"77","adgroup_id":42}},
        {"field":"ad_recommendations","value":{"ad_account_id":"77"}},
        {"field":"brand_new","value":{"x":1}}]}]}"#;

    #[test]
    fn each_change_names_what_it_is_about() {
        let subjects: Vec<_> =
            parse_changes(BODY.as_bytes()).unwrap().into_iter().map(|c| c.subject).collect();
        let object = |id: &str, level, account: Option<&str>| {
            let ad_account = account.map(|account| account.parse().unwrap());
            Some(WebhookSubject::Entity { id: id.parse().unwrap(), level, ad_account })
        };
        let expected =
            [object("23", Level::AdSet, None), object("42", Level::Ad, Some("act_77")), None, None];
        assert_eq!(subjects, expected);
        let status = r#"{"object":"application","entry":[{"id":"1","time":1,"changes":[
            {"field":"ad_account","value":{"id":"77","account_status":2}}]}]}"#;
        let status = parse_changes(status.as_bytes()).unwrap().remove(0).subject;
        assert_eq!(status, Some(WebhookSubject::Account("act_77".parse().unwrap())));
    }

    #[test]
    fn an_odd_change_costs_none_of_the_others() {
        let good = r#"{"field":"in_process_ad_objects","value":{"id":"1","level":"AD"}}"#;
        let deep = format!(r#"{{"field":"f","value":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for (odd, is_readable) in [
            (r#"{"field":"f","value":{"error_message":"cut \ud83d"}}"#, true),
            ("{\"field\":\"f\",\"value\":\"form\u{c}feed\"}", true),
            (r#"{"field":7}"#, false),
            (r#"{"value":{}}"#, false),
            (r#""text""#, false),
            ("null", false),
            (&deep, false),
        ] {
            let body = format!(
                r#"{{"object":"ad_account","entry":[7,{{"id":"77","time":"x","changes":[{good},{odd},{good}]}},
                    {{"id":"0","time":1.5,"changes":null,"changed_fields":null}},{{"id":null,"changes":[{good}]}}]}}"#
            );
            let changes = parse_changes(body.as_bytes()).unwrap();
            assert_eq!(changes.len(), 5, "{odd}");
            assert!(changes[0].unreadable.is_some() && changes[0].subject.is_none(), "an entry that is none");
            for good in [&changes[1], &changes[3], &changes[4]] {
                assert!(
                    matches!(&good.subject, Some(WebhookSubject::Entity { id, .. }) if id.as_str() == "1")
                );
            }
            assert_eq!(changes[2].unreadable.is_none(), is_readable, "{odd}");
            if !is_readable {
                let account = WebhookSubject::Account("act_77".parse().unwrap());
                assert_eq!(changes[2].subject, Some(account), "the whole account is synced instead");
            }
        }
        for none in ["", "[]", r#"{"object":"o"}"#, r#"{"object":"o","entry":7}"#] {
            assert!(parse_changes(none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn the_same_change_has_the_same_digest_however_it_is_batched() {
        let digests = |body: &str| -> Vec<_> {
            parse_changes(body.as_bytes()).unwrap().into_iter().map(|change| change.digest).collect()
        };
        let one = r#"{"object":"o","entry":[{"id":"1","time":5,"changes":[{"field":"f","value":{"a":1,"b":[{"c":2,"d":3}]}}]}]}"#;
        let reordered = r#"{"entry":[{"changes":[{"value":{"b":[{"d":3,"c":2}],"a":1},"field":"f"}],"time":5,"id":"1"}],"object":"o"}"#;
        assert_eq!(digests(one), digests(reordered));
        assert_ne!(digests(one), digests(&one.replace("\"time\":5", "\"time\":6")));
    }

    #[test]
    fn a_signature_is_over_the_bytes_as_they_came() {
        let secret = SecretString::from("app-secret");
        let mac = Hmac::<Sha256>::new_from_slice(b"app-secret").unwrap().chain_update(BODY).finalize();
        let header = format!("sha256={}", hex::encode(mac.into_bytes()));
        assert!(is_signed(&secret, &header, BODY.as_bytes()));
        assert!(!is_signed(&secret, &header, BODY.replace("\\u00fc", "ü").as_bytes()));
        for wrong in ["", "sha256=", "sha256=zz", &header[7..], &format!("{header},{header}"), &header[..40]]
        {
            assert!(!is_signed(&secret, wrong, BODY.as_bytes()), "{wrong}");
        }
    }
}
