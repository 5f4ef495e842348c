//! A value that structs are deserialized from, with errors that name their field.

use std::fmt;

use super::words;
use domain::FieldError;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// A value as it was sent.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    /// The values that a query has under one name: text that may stand for a number, a boolean or a list.
    Query(Vec<String>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// Stands for a value that is missing or wrong, so that mistakes elsewhere are found as well. It is whatever its
    /// reader wants, if that can be empty.
    Any,
    /// As if it was not there. In a list it keeps its place.
    Absent,
}

/// Why a value could not be deserialized.
#[derive(Debug)]
pub(super) struct InputError {
    /// Where it is, such as `ad_set.countries[0]`; empty for the whole.
    pub(super) field: String,
    problem: String,
}

impl InputError {
    fn new(field: &str, problem: String) -> Self {
        Self { field: field.to_owned(), problem }
    }

    /// Prepends `segment` to the error's field path.
    fn prefixed(self, segment: &str) -> Self {
        let field = match self.field.as_str() {
            "" => segment.to_owned(),
            field if field.starts_with('[') => format!("{segment}{field}"),
            field => format!("{segment}.{field}"),
        };
        Self { field, ..self }
    }

    /// Converts into a field error; `whole` is the field's name when the path is empty.
    pub(super) fn into_field_error(self, whole: &str) -> FieldError {
        FieldError::new(if self.field.is_empty() { whole.to_owned() } else { self.field }, self.problem)
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for InputError {}

const GIVEN_TWICE: &str = "is given more than once";

fn join_names(words: &[&str]) -> String {
    words.join(", ")
}

impl de::Error for InputError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new("", problem.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("", format!("must be {}, not {}", words::expected(expected), words::found(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new("", format!("must be {}, not {length} values", words::expected(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let problem = match expected {
            [] => "is not a parameter here; this path takes none".to_owned(),
            expected => format!("is not known here; known are {}", join_names(expected)),
        };
        Self::new(field, problem)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new("", format!("must be one of {}", join_names(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(field, "is missing".to_owned())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(field, GIVEN_TWICE.to_owned())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = object.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Object(entries))
    }
}

/// Largest magnitude up to which a float represents every integer exactly.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

impl Value {
    /// Returns the value at a place such as `ad_set.countries[0]`. What is missing from an object is [`Self::Absent`]
    /// there.
    pub(super) fn at(&mut self, place: &str) -> Option<&mut Self> {
        let mut value = self;
        for part in place.split('.').flat_map(|part| part.split_inclusive(']')) {
            let (name, index) = part.split_once('[').unwrap_or((part, ""));
            if !name.is_empty() {
                let Self::Object(entries) = value else { return None };
                let known = entries.iter().position(|(known, _)| known == name);
                let known = known.unwrap_or_else(|| {
                    entries.push((name.to_owned(), Self::Absent));
                    entries.len().saturating_sub(1)
                });
                value = &mut entries.get_mut(known)?.1;
            }
            if !index.is_empty() {
                let index: usize = index.trim_end_matches(']').parse().ok()?;
                let Self::List(items) = value else { return None };
                value = items.get_mut(index)?;
            }
        }
        Some(value)
    }

    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Option,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Unsigned(value) => Unexpected::Unsigned(*value),
            Self::Signed(value) => Unexpected::Signed(*value),
            Self::Float(value) => Unexpected::Float(*value),
            Self::Text(_) | Self::Query(_) => Unexpected::Other("this text"),
            Self::List(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
            Self::Any | Self::Absent => Unexpected::Option,
        }
    }

    /// Converts into an integer where possible: `2.0` becomes 2, and a query's digits become a number.
    fn into_number(self) -> Self {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            Self::Float(value) if value.fract() == 0.0 && value.abs() < MAX_EXACT_INTEGER => {
                Self::Signed(value as i64)
            }
            Self::Query(texts) => {
                let [text] = texts.as_slice() else { return Self::Query(texts) };
                let digits = text.strip_prefix('-').unwrap_or(text);
                let plain =
                    digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
                match (plain, text.parse(), text.parse()) {
                    (true, Ok(value), _) => Self::Unsigned(value),
                    (true, _, Ok(value)) => Self::Signed(value),
                    _ => Self::Query(texts),
                }
            }
            Self::Any => Self::Unsigned(0),
            other => other,
        }
    }
}

macro_rules! deserialize_integers {
    ($($method:ident),+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
            self.into_number().deserialize_any(visitor)
        })+
    };
}

impl<'de> Deserializer<'de> for Value {
    type Error = InputError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
            // Non-negative values are passed as unsigned: some visitors accept only those.
            Self::Signed(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(value),
            },
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(text) => visitor.visit_string(text),
            Self::Query(mut texts) => match (texts.pop(), texts.is_empty()) {
                (Some(text), true) => visitor.visit_string(text),
                _ => Err(InputError::new("", GIVEN_TWICE.to_owned())),
            },
            Self::Any | Self::Absent => visitor.visit_unit(),
            Self::List(items) => visitor.visit_seq(Items { items: items.into_iter(), index: 0 }),
            Self::Object(entries) => {
                let present = entries.iter().filter(|(_, value)| !matches!(value, Self::Absent));
                let mut names: Vec<_> = present.map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
                    return Err(InputError::new(twice, GIVEN_TWICE.to_owned()));
                }
                visitor.visit_map(Entries { entries: entries.into_iter(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self {
            Self::Null | Self::Any => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    deserialize_integers!(
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_i64,
        deserialize_u8,
        deserialize_u16,
        deserialize_u32,
        deserialize_u64
    );

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self {
            Self::Query(texts) if texts == ["true"] => visitor.visit_bool(true),
            Self::Query(texts) if texts == ["false"] => visitor.visit_bool(false),
            Self::Any => visitor.visit_bool(false),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self {
            Self::Query(texts) => {
                let items = texts.iter().flat_map(|text| text.split(','));
                let items = items.map(|item| Self::Query(vec![item.to_owned()])).collect();
                Self::List(items).deserialize_any(visitor)
            }
            Self::Any => Self::List(Vec::new()).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self {
            Self::Any => visitor.visit_str(""),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self {
            Self::Object(_) => self.deserialize_any(visitor),
            Self::Any => Self::Object(Vec::new()).deserialize_any(visitor),
            other => Err(de::Error::invalid_type(other.unexpected(), &"an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, InputError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        match self {
            Self::Any => {
                let name = variants.first().copied().unwrap_or_default().to_owned();
                visitor.visit_enum(Variant { name, value: Some(Self::Any) })
            }
            Self::Text(name) => visitor.visit_enum(Variant { name, value: None }),
            Self::Query(mut texts) => match (texts.pop(), texts.is_empty()) {
                (Some(name), true) => visitor.visit_enum(Variant { name, value: None }),
                _ => Err(InputError::new("", GIVEN_TWICE.to_owned())),
            },
            Self::Object(entries) => {
                let mut entries = entries.into_iter();
                match (entries.next(), entries.next()) {
                    (Some((name, value)), None) => visitor.visit_enum(Variant { name, value: Some(value) }),
                    _ => Err(InputError::new("", "must have exactly one field".to_owned())),
                }
            }
            other => Err(de::Error::invalid_type(other.unexpected(), &"one of the known values")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = InputError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, InputError> {
        let mut present = self.items.by_ref().enumerate().filter(|(_, item)| !matches!(item, Value::Absent));
        let Some((skipped, item)) = present.next() else { return Ok(None) };
        let index = self.index.saturating_add(skipped);
        self.index = index.saturating_add(1);
        let here = format!("[{index}]");
        seed.deserialize(item).map(Some).map_err(|error| error.prefixed(&here))
    }
}

struct Entries {
    entries: std::vec::IntoIter<(String, Value)>,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = InputError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, InputError> {
        let present = self.entries.find(|(_, value)| !matches!(value, Value::Absent));
        let Some((name, value)) = present else { return Ok(None) };
        let key: StrDeserializer<'_, InputError> = name.as_str().into_deserializer();
        let key = seed.deserialize(key)?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, InputError> {
        let (name, value) = self.value.take().unwrap_or_else(|| (String::new(), Value::Null));
        seed.deserialize(value).map_err(|error| error.prefixed(&name))
    }
}

struct Variant {
    name: String,
    value: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = InputError;
    type Variant = VariantContent;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, VariantContent), InputError> {
        let name: StrDeserializer<'_, InputError> = self.name.as_str().into_deserializer();
        let variant = seed.deserialize(name)?;
        Ok((variant, VariantContent(self)))
    }
}

/// Content of an enum variant, if there is any.
struct VariantContent(Variant);

impl VariantContent {
    fn value(self) -> Result<(String, Value), InputError> {
        let Variant { name, value } = self.0;
        let missing = || InputError::new("", format!("must be an object such as {{\"{name}\": …}}"));
        Ok((name.clone(), value.ok_or_else(missing)?))
    }
}

impl<'de> VariantAccess<'de> for VariantContent {
    type Error = InputError;

    fn unit_variant(self) -> Result<(), InputError> {
        match self.0.value {
            None | Some(Value::Any) => Ok(()),
            Some(_) => Err(InputError::new("", format!("must be the text \"{}\"", self.0.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, InputError> {
        let (name, value) = self.value()?;
        seed.deserialize(value).map_err(|error| error.prefixed(&name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, InputError> {
        let (name, value) = self.value()?;
        value.deserialize_seq(visitor).map_err(|error| error.prefixed(&name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        let (name, value) = self.value()?;
        value.deserialize_map(visitor).map_err(|error| error.prefixed(&name))
    }
}
