//! Reading of recorded JSON files; errors contain the position of the problem.

use std::fmt;
use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::start_error::StartError;

/// The schema of a file's objects. Fields that are not listed may have any value.
#[derive(Clone, Copy)]
pub(super) struct ObjectSchema {
    /// Fields that must be present.
    pub(super) required: &'static [(&'static str, FieldType)],
    /// Fields that may be absent.
    pub(super) optional: &'static [(&'static str, FieldType)],
}

/// The type of a field's value.
#[derive(Clone, Copy)]
pub(super) enum FieldType {
    /// Text.
    Text,
    /// The digits of an id, as text.
    Id,
    /// An ad account's id, with its prefix.
    AccountId,
    /// A currency code.
    Currency,
    /// A date, as text.
    Day,
    /// A whole number that is not negative, as text.
    Count,
    /// A decimal number that is not negative, as text.
    Amount,
    /// A list of `{"action_type", "value"}`.
    Actions,
}

impl FieldType {
    fn fits(self, value: &Value) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let amount = |value: &Value| {
            let number = value.as_str().and_then(|text| text.parse::<Decimal>().ok());
            number.is_some_and(|number| !number.is_sign_negative())
        };
        let text = value.as_str();
        match self {
            Self::Text => text.is_some(),
            Self::Id => text.is_some_and(digits),
            Self::AccountId => text.and_then(|text| text.strip_prefix("act_")).is_some_and(digits),
            Self::Currency => {
                text.is_some_and(|text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()))
            }
            Self::Day => text.is_some_and(|text| text.parse::<Date>().is_ok()),
            Self::Count => text.is_some_and(|text| text.parse::<u64>().is_ok()),
            Self::Amount => amount(value),
            Self::Actions => value.as_array().is_some_and(|list| {
                list.iter().all(|item| item["action_type"].is_string() && amount(&item["value"]))
            }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Id => "the digits of an id, as text",
            Self::AccountId => "an ad account's id, such as \"act_1\"",
            Self::Currency => "a currency code, such as \"EUR\"",
            Self::Day => "a date",
            Self::Count => "a whole number as text",
            Self::Amount => "a decimal number as text",
            Self::Actions => "a list of {\"action_type\", \"value\"}",
        }
    }
}

/// Reads a file that contains one object.
pub(super) fn read_object(
    folder: &Path,
    file: &str,
    schema: ObjectSchema,
) -> Result<Map<String, Value>, StartError> {
    read(folder, file, schema)
}

/// Reads a file that contains `{"data": [..]}` or a bare list.
pub(super) fn read_list(
    folder: &Path,
    file: &str,
    schema: ObjectSchema,
) -> Result<Vec<Map<String, Value>>, StartError> {
    read(folder, file, Listing(schema))
}

fn read<S: for<'de> DeserializeSeed<'de, Value = T>, T>(
    folder: &Path,
    file: &str,
    seed: S,
) -> Result<T, StartError> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).map_err(|cause| StartError::File { file: path, cause })?;
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let read = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        StartError::Recording {
            file: file.to_owned(),
            line: error.line(),
            column: error.column(),
            message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
        }
    })
}

impl<'de> DeserializeSeed<'de> for ObjectSchema {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSchema {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            let field_type = self.required.iter().chain(self.optional).find(|(field, _)| *field == name);
            if let Some((_, field_type)) = field_type.filter(|(_, field_type)| !field_type.fits(&value)) {
                let expected = field_type.name();
                return Err(de::Error::custom(format!("expected `{name}` to be {expected}, found {value}")));
            }
            fields.insert(name, value);
        }
        match self.required.iter().find(|(name, _)| !fields.contains_key(*name)) {
            Some((missing, _)) => {
                Err(de::Error::custom(format!("expected a field `{missing}` in this object")))
            }
            None => Ok(fields),
        }
    }
}

/// The whole file.
struct Listing(ObjectSchema);

impl<'de> DeserializeSeed<'de> for Listing {
    type Value = Vec<Map<String, Value>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Listing {
    type Value = Vec<Map<String, Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or an object with a list in `data`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.0)? {
            items.push(item);
        }
        Ok(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut items = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == "data" {
                items = Some(map.next_value_seed(DataList(self.0))?);
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
        items.ok_or_else(|| de::Error::custom("expected a list in `data`"))
    }
}

/// The list inside `data`, which cannot be an object again.
struct DataList(ObjectSchema);

impl<'de> DeserializeSeed<'de> for DataList {
    type Value = Vec<Map<String, Value>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for DataList {
    type Value = Vec<Map<String, Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Listing(self.0).visit_seq(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("campaigns.json"), content).unwrap();
        let schema =
            ObjectSchema { required: &[("id", FieldType::Text)], optional: &[("spend", FieldType::Amount)] };
        read_list(folder.path(), "campaigns.json", schema).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_place() {
        assert_eq!(
            message("{\"data\": [\n  {\"id\": 5}\n]}"),
            "campaigns.json:2:11: expected `id` to be text, found 5"
        );
        assert_eq!(
            message("[{\"name\": \"a\"}]"),
            "campaigns.json:1:14: expected a field `id` in this object"
        );
        assert_eq!(message("[\n 7]"), "campaigns.json:2:2: invalid type: integer `7`, expected an object");
        assert_eq!(message("{\"data\": {}}"), "campaigns.json:1:9: invalid type: map, expected a list");
        assert_eq!(message("[{\"id\": \"1\"} {}]"), "campaigns.json:1:14: expected `,` or `]`");
        for spend in ["5", "\"abc\"", "\"-1\"", "null"] {
            let message = message(&format!("[{{\"id\": \"1\", \"spend\": {spend}}}]"));
            assert!(message.contains("expected `spend` to be a decimal number as text"), "{message}");
        }
        assert!(message("[").contains("EOF while parsing a list"));
    }
}
