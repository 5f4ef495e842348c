//! Parameter types, and validation of values against them.

use serde_json::Value;

use super::SPEC;
use crate::node::parse_time;

/// The type of a parameter. Parameters are sent as text, structured ones as JSON.
#[derive(Debug, PartialEq)]
pub(super) enum Type {
    /// Any text; also used for types that the specification leaves open.
    Text,
    Int,
    Uint,
    Float,
    Bool,
    Time,
    /// An object of any shape; some parameters accept arrays as well.
    Map,
    Enum(&'static str),
    List(Box<Self>),
}

impl Type {
    pub(super) fn read(text: &'static str) -> Self {
        if let Some(inner) = text.strip_prefix("list<").and_then(|text| text.strip_suffix('>')) {
            return Self::List(Box::new(Self::read(inner)));
        }
        if let Some(name) = text.strip_prefix('@') {
            return Self::Enum(name);
        }
        match text {
            "int" => Self::Int,
            "uint" => Self::Uint,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "datetime" => Self::Time,
            "string" | "file" => Self::Text,
            "list" => Self::List(Box::new(Self::Text)),
            // A map, an Object, or a class such as Targeting.
            _ => Self::Map,
        }
    }

    /// Returns a message saying what the value must be; `None` for a valid value.
    pub(super) fn value_error(&self, value: &str) -> Option<String> {
        match self {
            Self::List(inner) => inner.list_error(value),
            Self::Map => match serde_json::from_str::<Value>(value) {
                Ok(Value::Object(_) | Value::Array(_)) => None,
                _ => Some("must be a map".to_owned()),
            },
            // Meta accepts quoted numbers and names too.
            scalar => scalar.scalar_error(value.trim().trim_matches('"')),
        }
    }

    fn list_error(&self, value: &str) -> Option<String> {
        match serde_json::from_str(value) {
            Ok(Value::Array(items)) => items.iter().find_map(|item| self.item_error(item)),
            // A list with keys, as PHP clients write it.
            Ok(Value::Object(_)) if matches!(self, Self::Map) => None,
            _ if matches!(self, Self::Map | Self::List(_)) || value.trim_start().starts_with('[') => {
                Some("must be an array".to_owned())
            }
            _ => value
                .split(',')
                .map(str::trim)
                .filter(|one| !one.is_empty())
                .find_map(|one| self.value_error(one)),
        }
    }

    fn item_error(&self, item: &Value) -> Option<String> {
        match (self, item) {
            (Self::Map, Value::String(text)) => self.value_error(text),
            (Self::Map, _) => (!item.is_object()).then(|| "must be an array of maps".to_owned()),
            (Self::List(_), _) => None,
            (scalar, Value::String(text)) => scalar.scalar_error(text),
            (scalar, other) => scalar.scalar_error(&other.to_string()),
        }
    }

    fn scalar_error(&self, text: &str) -> Option<String> {
        let (fits, what) = match self {
            Self::Int => (text.parse::<i64>().is_ok(), "an integer"),
            Self::Uint => (text.parse::<u64>().is_ok(), "an unsigned integer"),
            Self::Float => (text.parse::<f64>().is_ok_and(f64::is_finite), "a number"),
            Self::Bool => {
                (matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "0" | "1"), "a boolean")
            }
            Self::Time => (parse_time(text).is_some(), "a valid datetime"),
            Self::Enum(name) => {
                let values = SPEC.enums.get(name).map_or(&[][..], Vec::as_slice);
                let named = format!("must be one of {{{}}} - got \"{text}\".", values.join(", "));
                return (!values.contains(&text)).then_some(named);
            }
            Self::Text | Self::Map | Self::List(_) => return None,
        };
        (!fits).then(|| format!("must be {what}"))
    }

    /// Returns the name of the enum that the values belong to.
    #[cfg(test)]
    pub(super) fn enum_name(&self) -> Option<&'static str> {
        match self {
            Self::Enum(name) => Some(name),
            Self::List(inner) => inner.enum_name(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_in_the_forms_clients_write() {
        let takes = |kind: &'static str, value: &str| Type::read(kind).value_error(value).is_none();
        assert!(takes("uint", "1250") && takes("uint", "\"1250\"") && takes("int", "-1"));
        assert!(!takes("uint", "12.5") && !takes("uint", "-1") && !takes("uint", "") && !takes("int", "x"));
        assert!(takes("bool", "True") && takes("bool", "0") && !takes("bool", "yes"));
        assert!(takes("float", "1.5") && !takes("float", "NaN"));
        assert!(takes("datetime", "1795140000") && takes("datetime", "2026-11-20T10:00:00+0800"));
        assert!(takes("Targeting", "{\"geo_locations\":{}}") && !takes("map", "geo"));
        assert!(takes("list<Object>", "[{\"a\":1}]") && takes("list<Object>", "{\"0\":{}}"));
        assert!(!takes("list<Object>", "[1]") && !takes("list<Object>", "a"));
        assert!(
            takes("list<string>", "a,b")
                && takes("list<string>", "[\"a\"]")
                && !takes("list<string>", "[\"a\"")
        );
    }

    #[test]
    fn an_enum_names_what_it_takes() {
        let status = Type::read("@status");
        assert_eq!(status.value_error("ACTIVE"), None);
        assert_eq!(
            status.value_error("active").unwrap(),
            "must be one of {ACTIVE, ARCHIVED, DELETED, PAUSED} - got \"active\"."
        );
        let list = Type::read("list<@status>");
        assert!(
            list.value_error("[\"ACTIVE\",\"PAUSED\"]").is_none()
                && list.value_error("ACTIVE,PAUSED").is_none()
        );
        assert!(list.value_error("[\"ON\"]").is_some());
    }
}
