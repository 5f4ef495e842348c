//! Filters: which entities, and which rows.

use std::fmt;

use domain::FieldError;
use domain::dataset::Breakdown;
use domain::date::Weekdays;
use domain::entity::{EffectiveStatus, Entity, Level, Status};
use domain::id::{AdAccountId, EntityId};
use domain::text::searchable;
use rust_decimal::Decimal;
use serde::de::{self, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::measure::Measure;

/// Values of a filter at most.
const MAX_VALUES: usize = 500;

/// Longest text of a filter, in characters.
const MAX_TEXT_CHARS: usize = 400;

/// A condition on rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Only what is, or is not, about one of these ad accounts.
    Accounts {
        /// The ad accounts.
        accounts: Vec<AdAccountId>,
        /// Whether it must be one of them, or none.
        is_among: bool,
    },
    /// Only what is, or is not, one of these entities or below one.
    Entities {
        /// Their level.
        level: Level,
        /// The entities.
        ids: Vec<EntityId>,
        /// Whether it must be one of them, or none.
        is_among: bool,
    },
    /// Only what has, or has not, one of these values.
    Attribute {
        /// What is looked at.
        attribute: Attribute,
        /// The values; a name is compared whole.
        values: Vec<String>,
        /// Whether it must be one of them, or none.
        is_among: bool,
    },
    /// Only what has, or has not, this text in its name, in whatever case.
    NameContains {
        /// The text in lower case.
        text: String,
        /// Whether it must be there, or must not.
        is_there: bool,
    },
    /// Only these days of the week.
    Weekdays(Weekdays),
    /// Only the parts of rows that have, or have not, one of these values.
    Breakdown {
        /// What splits the rows.
        breakdown: Breakdown,
        /// The values, as the platform writes them.
        values: Vec<String>,
        /// Whether it must be one of them, or none.
        is_among: bool,
    },
    /// Only rows whose number compares so. Rows whose number is unknown are left out and counted.
    Number {
        /// The number.
        measure: Measure,
        /// How it is compared.
        operator: FilterOperator,
        /// With what.
        value: Decimal,
    },
}

/// What entities have beside their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// The name.
    Name,
    /// What a person set.
    Status,
    /// What the platform makes of it.
    EffectiveStatus,
    /// The campaign's objective.
    Objective,
}

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FilterOperator {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// The text is part of it.
    Contains,
    /// The text is no part of it.
    NotContains,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Equal.
    Eq,
}

impl FilterOperator {
    /// Returns whether a number passes.
    pub(crate) fn holds(self, number: Decimal, value: Decimal) -> bool {
        match self {
            Self::Gt => number > value,
            Self::Gte => number >= value,
            Self::Lt => number < value,
            Self::Lte => number <= value,
            Self::Eq => number == value,
            Self::In | Self::NotIn | Self::Contains | Self::NotContains => false,
        }
    }
}

impl Attribute {
    /// Returns an entity's value. An objective is the campaign's.
    pub(crate) fn of(self, entity: &Entity) -> Option<&str> {
        match self {
            Self::Name => entity.name.as_deref(),
            Self::Status => entity.status.as_ref().map(Status::as_str),
            Self::EffectiveStatus => entity.effective_status.as_ref().map(EffectiveStatus::as_str),
            Self::Objective => entity.objective.as_deref(),
        }
    }

    /// Returns the level of the entities that have it, for rows of a level.
    pub(crate) fn level(self, rows: Level) -> Level {
        match self {
            Self::Objective => Level::Campaign,
            _ => rows.max(Level::Campaign),
        }
    }
}

impl Filter {
    /// Returns the number that it compares.
    pub(crate) fn measure(&self) -> Option<&Measure> {
        match self {
            Self::Number { measure, .. } => Some(measure),
            _ => None,
        }
    }

    /// Returns whether an entity passes, as far as the filter is about its level's attributes.
    pub(crate) fn passes(&self, entity: &Entity) -> bool {
        match self {
            Self::Attribute { attribute, values, is_among } => {
                let value = attribute.of(entity);
                value.is_some_and(|value| values.iter().any(|wanted| wanted == value)) == *is_among
            }
            Self::NameContains { text, is_there } => {
                let name = searchable(entity.name.as_deref().unwrap_or_default());
                name.contains(text.as_str()) == *is_there
            }
            Self::Accounts { .. }
            | Self::Entities { .. }
            | Self::Weekdays(_)
            | Self::Breakdown { .. }
            | Self::Number { .. } => true,
        }
    }

    /// Returns how many entities it names.
    pub(crate) fn ids(&self) -> usize {
        match self {
            Self::Entities { ids, .. } => ids.len(),
            _ => 0,
        }
    }

    /// Returns the breakdown that it is about.
    pub(crate) fn breakdown(&self) -> Option<Breakdown> {
        match self {
            Self::Breakdown { breakdown, .. } => Some(*breakdown),
            _ => None,
        }
    }

    /// Returns the attribute that it looks at.
    pub(crate) fn attribute(&self) -> Option<Attribute> {
        match self {
            Self::Attribute { attribute, .. } => Some(*attribute),
            Self::NameContains { .. } => Some(Attribute::Name),
            _ => None,
        }
    }
}

/// A filter as it is sent: what its value must be depends on the field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    field: String,
    op: FilterOperator,
    value: Value,
}

/// A text, or a list of texts.
enum Value {
    Text(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element::<String>()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl TryFrom<Parts> for Filter {
    type Error = String;

    fn try_from(Parts { field, op, value }: Parts) -> Result<Self, String> {
        use FilterOperator::{Contains, In, NotContains, NotIn};
        let is_among = op == In;
        match (field.as_str(), op, value) {
            (_, In | NotIn, Value::List(values)) if values.is_empty() || values.len() > MAX_VALUES => {
                Err(format!("value: must have 1 to {MAX_VALUES} entries"))
            }
            ("account", In | NotIn, Value::List(values)) => {
                Ok(Self::Accounts { accounts: parse_all(&values)?, is_among })
            }
            ("campaign" | "adset" | "ad", In | NotIn, Value::List(values)) => {
                let level = field.parse().map_err(|error: FieldError| error.message)?;
                Ok(Self::Entities { level, ids: parse_all(&values)?, is_among })
            }
            ("weekday", In | NotIn, Value::List(values)) => {
                let days = Weekdays::named(&values, is_among);
                let unknown = || format!("value: must hold days such as {}", Weekdays::NAMES.join(", "));
                days.map(Self::Weekdays).ok_or_else(unknown)
            }
            ("name", In | NotIn, Value::List(values)) => {
                Ok(Self::Attribute { attribute: Attribute::Name, values, is_among })
            }
            ("objective", In | NotIn, Value::List(values)) => {
                Ok(Self::Attribute { attribute: Attribute::Objective, values, is_among })
            }
            ("status", In | NotIn, Value::List(values)) => {
                check_known(&values, Status::KNOWN)?;
                Ok(Self::Attribute { attribute: Attribute::Status, values, is_among })
            }
            ("effective_status", In | NotIn, Value::List(values)) => {
                check_known(&values, EffectiveStatus::KNOWN)?;
                Ok(Self::Attribute { attribute: Attribute::EffectiveStatus, values, is_among })
            }
            ("name", Contains | NotContains, Value::Text(text)) => {
                if text.is_empty() || text.chars().count() > MAX_TEXT_CHARS {
                    return Err(format!("value: must have 1 to {MAX_TEXT_CHARS} characters"));
                }
                Ok(Self::NameContains { text: searchable(&text), is_there: op == Contains })
            }
            (
                "account" | "campaign" | "adset" | "ad" | "weekday" | "objective" | "status"
                | "effective_status",
                ..,
            ) => Err(format!("{field} takes in or not_in with a list of texts")),
            ("name", ..) => {
                Err("name takes contains or not_contains with a text, or in or not_in with a list".to_owned())
            }
            (name, op, value) if let Some(breakdown) = Breakdown::named(name) => match (op, value) {
                (In | NotIn, Value::List(values)) => Ok(Self::Breakdown { breakdown, values, is_among }),
                _ => Err(format!("{field} takes in or not_in with a list of texts")),
            },
            (name, In | NotIn | Contains | NotContains, _) | (name, _, Value::List(_)) => {
                name.parse::<Measure>().map_err(|error| format!("field: {error}; or {FIELDS}"))?;
                Err(format!("{field} takes gt, gte, lt, lte or eq with a decimal such as \"12.50\""))
            }
            (name, operator, Value::Text(text)) => {
                let measure = name.parse().map_err(|error| format!("field: {error}; or {FIELDS}"))?;
                let text: de::value::StringDeserializer<de::value::Error> = text.into_deserializer();
                let value =
                    domain::text::deserialize_decimal(text).map_err(|error| format!("value: {error}"))?;
                Ok(Self::Number { measure, operator, value })
            }
        }
    }
}

const FIELDS: &str =
    "account, campaign, adset, ad, weekday, name, objective, status, effective_status, or a breakdown";

fn parse_all<T: std::str::FromStr<Err = FieldError>>(values: &[String]) -> Result<Vec<T>, String> {
    let parse = |value: &String| {
        value.parse().map_err(|error: FieldError| format!("value: {value:?} {}", error.message))
    };
    values.iter().map(parse).collect()
}

/// Refuses an unknown status: a misspelled one would silently match nothing.
fn check_known(values: &[String], known: &[&str]) -> Result<(), String> {
    if values.iter().all(|value| known.contains(&value.as_str())) {
        return Ok(());
    }
    Err(format!("value: must hold some of {}", known.join(", ")))
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Filter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let list = |items: serde_json::Value| {
            serde_json::json!({
                "type": "array", "items": items, "minItems": 1, "maxItems": MAX_VALUES,
            })
        };
        let among = |field: &str, items: serde_json::Value| {
            serde_json::json!({
                "type": "object",
                "properties": {"field": {"const": field}, "op": {"enum": ["in", "not_in"]}, "value": list(items)},
                "required": ["field", "op", "value"],
                "additionalProperties": false,
            })
        };
        let text = serde_json::json!({"type": "string"});
        let id = serde_json::to_value(generator.subschema_for::<EntityId>()).unwrap_or_default();
        let account = serde_json::to_value(generator.subschema_for::<AdAccountId>()).unwrap_or_default();
        let words = |known: &[&str]| serde_json::json!({"type": "string", "enum": known});
        let measure = serde_json::to_value(generator.subschema_for::<Measure>()).unwrap_or_default();
        let breakdown = serde_json::to_value(generator.subschema_for::<Breakdown>()).unwrap_or_default();
        schemars::json_schema!({
            "description": "A condition on rows: on ids, attributes or the name of entities, on days of the week, or on a number. Rows whose number is unknown are left out and counted in `unknown_rows`.",
            "anyOf": [
                among("account", account),
                among("campaign", id.clone()),
                among("adset", id.clone()),
                among("ad", id),
                among("objective", text.clone()),
                among("name", text.clone()),
                among("status", words(Status::KNOWN)),
                among("effective_status", words(EffectiveStatus::KNOWN)),
                among("weekday", words(&Weekdays::NAMES)),
                {
                    "type": "object",
                    "properties": {
                        "field": breakdown,
                        "op": {"enum": ["in", "not_in"]},
                        "value": list(text),
                    },
                    "required": ["field", "op", "value"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {
                        "field": {"const": "name"},
                        "op": {"enum": ["contains", "not_contains"]},
                        "value": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS},
                    },
                    "required": ["field", "op", "value"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {
                        "field": measure,
                        "op": {"enum": ["gt", "gte", "lt", "lte", "eq"]},
                        "value": {"type": "string", "pattern": domain::text::DECIMAL_PATTERN},
                    },
                    "required": ["field", "op", "value"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
