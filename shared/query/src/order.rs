//! The order of rows, and the position of a row in it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use domain::FieldError;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::value::StrDeserializer;
use serde::de::{self, IntoDeserializer};
use serde::{Deserialize, Serialize};

use crate::document::Dimension;
use crate::measure::Measure;

/// A key by which rows are ordered.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderBy {
    /// A measure, one of the query's dimensions, `name`, `status` or `effective_status`.
    pub by: OrderKey,
    /// Which comes first.
    pub direction: Direction,
    /// Whether a measure's value counts, or its change against the days that are compared.
    #[serde(default)]
    pub of: OrderOf,
}

impl OrderBy {
    /// The lowest first.
    pub fn ascending(by: OrderKey) -> Self {
        Self { by, direction: Direction::Ascending, of: OrderOf::Value }
    }

    /// The highest first.
    pub fn descending(by: OrderKey) -> Self {
        Self { by, direction: Direction::Descending, of: OrderOf::Value }
    }
}

/// What rows are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum OrderKey {
    /// A number.
    Measure(Measure),
    /// A dimension of the query.
    Dimension(Dimension),
    /// The entity's name.
    Name,
}

/// Which comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub enum Direction {
    /// The lowest, or first in the alphabet.
    #[serde(rename = "asc")]
    Ascending,
    /// The highest.
    #[default]
    #[serde(rename = "desc")]
    Descending,
}

/// What of a measure counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OrderOf {
    /// Its value.
    #[default]
    Value,
    /// Its difference to the days that are compared.
    Change,
}

impl FromStr for OrderKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name: StrDeserializer<'_, de::value::Error> = text.into_deserializer();
        match (text, Dimension::deserialize(name)) {
            ("name", _) => Ok(Self::Name),
            (_, Ok(dimension)) => Ok(Self::Dimension(dimension)),
            _ => text.parse().map(Self::Measure).map_err(|error| format!("{error}; or name, or a dimension")),
        }
    }
}

impl TryFrom<String> for OrderKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A value by which rows are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SortValue {
    /// Unknown values come last in both directions.
    #[serde(rename = "u")]
    Unknown,
    #[serde(rename = "n")]
    Number(Decimal),
    #[serde(rename = "t")]
    Text(String),
}

impl From<Option<Decimal>> for SortValue {
    fn from(number: Option<Decimal>) -> Self {
        number.map_or(Self::Unknown, Self::Number)
    }
}

impl From<Option<String>> for SortValue {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Unknown, Self::Text)
    }
}

impl SortValue {
    fn compare(&self, other: &Self, direction: Direction) -> Ordering {
        let of_known = match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.to_lowercase().cmp(&b.to_lowercase()).then_with(|| a.cmp(b)),
            (Self::Unknown, Self::Unknown) => return Ordering::Equal,
            (Self::Unknown, _) => return Ordering::Greater,
            (_, Self::Unknown) => return Ordering::Less,
            // Of one key, all values are of one kind.
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if direction == Direction::Descending { of_known.reverse() } else { of_known }
    }
}

/// The place of a row in the order: the values of its keys, then what no two rows have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) values: Vec<SortValue>,
    pub(crate) row: String,
}

impl Position {
    /// Compares two places.
    pub(crate) fn compare(&self, other: &Self, order: &[OrderBy]) -> Ordering {
        let values = self.values.iter().zip(&other.values).zip(order);
        let by_values = values.map(|((a, b), order)| a.compare(b, order.direction));
        by_values.fold(Ordering::Equal, Ordering::then).then_with(|| self.row.cmp(&other.row))
    }
}

/// Returns the day of a position among rows that are ordered by days first.
pub fn day_of_position(position: &str) -> Option<Date> {
    let position: Position = position.parse().ok()?;
    match position.values.first()? {
        SortValue::Text(day) => day.parse().ok(),
        SortValue::Unknown | SortValue::Number(_) => None,
    }
}

impl FromStr for Position {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let invalid = |_| FieldError::new("after", "must be the `after` of the page before");
        serde_json::from_str(text).map_err(invalid)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for OrderKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OrderKey".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (dimension, measure) =
            (generator.subschema_for::<Dimension>(), generator.subschema_for::<Measure>());
        schemars::json_schema!({"anyOf": [{"type": "string", "const": "name"}, dimension, measure]})
    }
}
