//! Recorded JSON files, read so that whatever is wrong in one is reported with its place.

use std::fmt;
use std::path::Path;

use jiff::civil::Date;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::start_error::StartError;

/// What each object of a file must have.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Fields that must be there, as text.
    pub(super) texts: &'static [&'static str],
    /// Those of them that must be a date.
    pub(super) days: &'static [&'static str],
}

/// Reads a file that holds one object.
pub(super) fn read_object(folder: &Path, file: &str, shape: Shape) -> Result<Map<String, Value>, StartError> {
    read(folder, file, shape)
}

/// Reads a file that holds `{"data": [..]}` or a bare list.
pub(super) fn read_list(
    folder: &Path,
    file: &str,
    shape: Shape,
) -> Result<Vec<Map<String, Value>>, StartError> {
    read(folder, file, Listing(shape))
}

fn read<S: for<'de> DeserializeSeed<'de, Value = T>, T>(
    folder: &Path,
    file: &str,
    seed: S,
) -> Result<T, StartError> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).map_err(|source| StartError::File { file: path, source })?;
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

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            if self.texts.contains(&name.as_str()) && !value.is_string() {
                return Err(de::Error::custom(format!("expected `{name}` to be text, found {value}")));
            }
            if self.days.contains(&name.as_str())
                && value.as_str().is_none_or(|day| day.parse::<Date>().is_err())
            {
                return Err(de::Error::custom(format!("expected `{name}` to be a date, found {value}")));
            }
            fields.insert(name, value);
        }
        match self.texts.iter().find(|name| !fields.contains_key(**name)) {
            Some(missing) => Err(de::Error::custom(format!("expected a field `{missing}` in this object"))),
            None => Ok(fields),
        }
    }
}

/// The whole file.
struct Listing(Shape);

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
struct DataList(Shape);

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
        let shape = Shape { texts: &["id"], days: &[] };
        read_list(folder.path(), "campaigns.json", shape).unwrap_err().to_string()
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
        assert!(message("[").contains("EOF while parsing a list"));
    }
}
