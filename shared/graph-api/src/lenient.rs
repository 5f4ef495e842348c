//! Reads answers of unexpected shape as far as possible: one odd field or row is left out and reported, the rest counts.
//!
//! Only answers that the decoders refuse come here, so that the usual ones cost nothing more.

use domain::gap::Gap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// The odd fields of one row or object that are left out before the whole of it is.
const MAX_ODD_FIELDS: usize = 16;

/// What happens to a row with an odd field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OddFields {
    /// The field is left out, where the row can do without it.
    LeaveOut,
    /// The whole row is left out, because a number without one of its parts is a wrong number.
    RejectRow,
}

/// Replaces what no JSON text may contain: bytes that are not UTF-8, halves of surrogate pairs (text that was cut inside
/// an emoji), and bare control characters.
pub(crate) fn clean(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut clean = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (&*text, false);
    while let Some(letter) = rest.chars().next() {
        let (kept, length) = match letter {
            '\\' if in_string => match (code_unit(rest), rest.get(6..).and_then(code_unit)) {
                (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (rest.get(..12), 12),
                (Some(0xD800..=0xDFFF), _) => (Some("\u{FFFD}"), 6),
                _ => (rest.get(..2), 2),
            },
            control if control < ' ' && (in_string || !control.is_ascii_whitespace()) => (Some(" "), 1),
            other => (rest.get(..other.len_utf8()), other.len_utf8()),
        };
        in_string ^= letter == '"';
        clean.push_str(kept.unwrap_or_default());
        // An escape that ends the text, or stands before a letter of several bytes, is not valid JSON anyway.
        rest = rest.get(length..).unwrap_or_default();
    }
    clean
}

/// Returns the code unit of an escape such as `\ud83d`.
fn code_unit(escape: &str) -> Option<u32> {
    u32::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Decodes a value after [`normalize`]. Returns what was left out of it, or, when it cannot be read at all, the first
/// field at fault.
pub(crate) fn decode<T: DeserializeOwned>(value: Value, odd: OddFields) -> Result<(T, Vec<Gap>), Gap> {
    let mut value = normalize(value);
    let (id, day) = (id_of(&value), text_of(&value, "date_start"));
    let mut gaps: Vec<Gap> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(read) => return Ok((read, gaps)),
            Err(error) => error,
        };
        let field = Some(error.path().to_string()).filter(|path| path != ".");
        let reason = without_values(&error.inner().to_string());
        let gap = Gap { id: id.clone(), day: day.clone(), field, ..Gap::new(reason) };
        let is_removed =
            odd == OddFields::LeaveOut && gaps.len() < MAX_ODD_FIELDS && remove(&mut value, error.path());
        if !is_removed {
            return Err(gaps.into_iter().next().unwrap_or(gap));
        }
        gaps.push(gap);
    }
}

/// Decodes the rows of a page one by one. Returns those that can be read, and what was left out.
pub(crate) fn decode_rows<T: DeserializeOwned>(rows: Vec<Value>, odd: OddFields) -> (Vec<T>, Vec<Gap>) {
    let (mut read, mut gaps) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match decode(row, odd) {
            Ok((row, left_out)) => {
                read.push(row);
                gaps.extend(left_out);
            }
            Err(Gap { id, day, field, reason }) => {
                let reason = field.map(|field| format!("{field}: {reason}")).unwrap_or(reason);
                gaps.push(Gap { id, day, ..Gap::new(reason) });
            }
        }
    }
    (read, gaps)
}

/// Drops nulls, which say the same as absence, and writes ids as text.
fn normalize(value: Value) -> Value {
    let id = |name: &str, value: Value| match value {
        Value::Number(number) if (name == "id" || name.ends_with("_id")) && !number.is_f64() => {
            Value::String(number.to_string())
        }
        value => normalize(value),
    };
    match value {
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(normalize).collect(),
        Value::Object(fields) => {
            let known = fields.into_iter().filter(|(_, value)| !value.is_null());
            let known = known.map(|(name, value)| {
                let value = id(&name, value);
                (name, value)
            });
            known.collect()
        }
        value => value,
    }
}

/// Removes the smallest part that contains this path and can be left out. Returns false for the whole value.
fn remove(value: &mut Value, path: &Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let parent = parents.iter().try_fold(value, |value, segment| match segment {
        Segment::Map { key } => value.get_mut(key),
        Segment::Seq { index } => value.get_mut(index),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    match (parent, last) {
        (Some(Value::Object(fields)), Segment::Map { key }) => fields.remove(key).is_some(),
        (Some(Value::Array(items)), Segment::Seq { index }) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

fn id_of(value: &Value) -> Option<String> {
    text_of(value, "ad_id").or_else(|| text_of(value, "id"))
}

/// Returns a short text, as ids and days are.
fn text_of(value: &Value, name: &str) -> Option<String> {
    let is_plain = |text: &&str| {
        text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    value.get(name)?.as_str().filter(is_plain).map(str::to_owned)
}

/// Removes what a decoder's message quotes of the answer: it may be personal.
pub(crate) fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let (before, after) = (message.get(..first), message.get(last + 1..));
            format!("{}…{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_cut_is_repaired_and_everything_else_stays() {
        for (odd, repaired) in [
            (br#"{"a":"cut \ud83d"}"#.as_slice(), "{\"a\":\"cut \u{FFFD}\"}"),
            (br#"{"a":"\ude00 b \ud83d\ude00 \\ud83d"}"#, r#"{"a":"X b \ud83d\ude00 \\ud83d"}"#),
            (b"{\"a\":\"form\x0cfeed\nand \xff\"}\n", "{\"a\":\"form feed and \u{FFFD}\"}\n"),
            (br#"{"a":"\"\\","b":1}"#, r#"{"a":"\"\\","b":1}"#),
        ] {
            let clean = clean(odd);
            assert_eq!(clean, repaired.replace('X', "\u{FFFD}"));
            assert!(serde_json::from_str::<Value>(&clean).is_ok(), "{clean}");
        }
    }

    #[test]
    fn a_message_loses_what_it_quotes() {
        assert_eq!(
            without_values(r#"invalid type: string "Ada \"L\"", expected i64"#),
            "invalid type: string …, expected i64"
        );
        assert_eq!(without_values("missing field `id`"), "missing field `id`");
    }
}
