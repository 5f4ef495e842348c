//! Strict parsing of input: JSON bodies, queries and paths.
//!
//! serde alone accepts a list for a struct, by position, and the last of several values with one name. Here an object
//! must be an object, each name may occur once, and errors name their fields in the words of JSON.

mod mistakes;
mod value;
mod words;

use std::fmt;
use std::marker::PhantomData;

use domain::FieldError;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use self::value::{InputError, Value};

/// A list of 1 to `MAX` elements, each of which is read by itself: its mistakes are its own, with the fields of the element,
/// and do not refuse the rest of the body.
#[derive(Debug, Clone)]
pub struct EachOf<T, const MAX: usize>(pub Vec<Result<T, Vec<FieldError>>>);

impl<'de, T: DeserializeOwned, const MAX: usize> Deserialize<'de> for EachOf<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: DeserializeOwned, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = EachOf<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<EachOf<T, MAX>, A::Error> {
                let mut elements = Vec::new();
                while let Some(value) = list.next_element::<Value>()? {
                    if elements.len() == MAX {
                        return Err(A::Error::custom(format!("must have 1 to {MAX} entries")));
                    }
                    elements.push(mistakes::deserialize(value, "row"));
                }
                match elements.is_empty() {
                    true => Err(A::Error::custom(format!("must have 1 to {MAX} entries"))),
                    false => Ok(EachOf(elements)),
                }
            }
        }
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

#[cfg(feature = "describe")]
impl<T: schemars::JsonSchema, const MAX: usize> schemars::JsonSchema for EachOf<T, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("EachOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let items = generator.subschema_for::<T>();
        schemars::json_schema!({"type": "array", "items": items, "minItems": 1, "maxItems": MAX})
    }
}

/// Parses a JSON body. Returns every mistake that can be found.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Vec<FieldError>> {
    let invalid = |problem: String| vec![FieldError::new("body", problem)];
    if body.trim_ascii().is_empty() {
        return Err(invalid("is missing; send a JSON object".to_owned()));
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|error| invalid(format!("is not JSON: {error}")))?;
    if !matches!(value, Value::Object(_)) {
        return Err(invalid("must be a JSON object".to_owned()));
    }
    mistakes::deserialize(value, "body")
}

/// Parses a query: values are text, and a list is comma-separated, given several times, or both.
pub(crate) fn query<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Vec<FieldError>> {
    let mut values: Vec<(String, Value)> = Vec::new();
    for (name, value) in pairs {
        match values.iter_mut().find(|(known, _)| known == name) {
            Some((_, Value::Query(texts))) => texts.push(value.clone()),
            _ => values.push((name.clone(), Value::Query(vec![value.clone()]))),
        }
    }
    mistakes::deserialize(Value::Object(values), "query")
}

/// Parses the parameters of a path. The error names the parameter.
pub(crate) fn path<T: DeserializeOwned>(pairs: &[(&str, String)]) -> Result<T, FieldError> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::Query(vec![value.clone()])));
    T::deserialize(Value::Object(pairs.collect())).map_err(|error: InputError| error.into_field_error("path"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        name: String,
        #[serde(default)]
        sizes: Vec<Size>,
        count: Option<u32>,
        to: Option<Box<Self>>,
        strict: Option<Strict>,
    }

    /// A field that no empty value can stand for.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Strict {
        at: std::net::Ipv4Addr,
        until: std::net::Ipv4Addr,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
        Large,
    }

    fn error_of(body: &str) -> String {
        let mistakes = json::<Order>(body.as_bytes()).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn a_body_is_read_as_it_is_described() {
        let order: Order = json(br#"{"name":"x","sizes":["small"],"count":2.0,"to":{"name":"y"}}"#).unwrap();
        assert_eq!((order.count, order.sizes.len()), (Some(2), 1));
        assert_eq!(order.to.unwrap().name, "y");
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_of_its_field() {
        for (body, said) in [
            ("", "body: is missing"),
            ("[]", "body: must be a JSON object"),
            (r#"{"name":"x""#, "body: is not JSON"),
            (r#"{"name":"\ud800"}"#, "body: is not JSON"),
            (r#"{"name":"x"} {}"#, "body: is not JSON"),
            ("{}", "name: is missing"),
            (r#"{"name":1}"#, "name: must be a text, not 1"),
            (r#"{"name":null}"#, "name: must be a text, not null"),
            (r#"{"name":"x","sizes":{}}"#, "sizes: must be a list, not an object"),
            (
                r#"{"name":"x","nmae":"y"}"#,
                "nmae: is not known here; known are name, sizes, count, to, strict",
            ),
            (r#"{"name":"x","name":"x"}"#, "name: is given more than once"),
            (r#"{"name":"x","sizes":["small","huge"]}"#, "sizes[1]: must be one of small, large"),
            (r#"{"name":"x","sizes":[{"small":null}]}"#, "sizes[0]: "),
            (r#"{"name":"x","count":1.5}"#, "count: "),
            (r#"{"name":"x","count":-1}"#, "count: must be a whole number from 0 to 4294967295, not -1"),
            (r#"{"name":"x","count":true}"#, "count: must be a whole number from 0 to 4294967295, not true"),
            (r#"{"name":"x","count":4294967296}"#, "count: "),
            (r#"{"name":"x","to":["y",[],1,null]}"#, "to: "),
            (r#"{"name":"x","to":{"name":"y","to":{"name":null}}}"#, "to.to.name: "),
        ] {
            let error = error_of(body);
            assert!(error.starts_with(said), "{body} → {error}");
            assert!(!error.contains(" | "), "{body} → {error}");
        }
    }

    #[test]
    fn the_mistakes_of_each_element_are_its_own() {
        #[derive(Debug, Deserialize)]
        struct Orders {
            orders: EachOf<Order, 4>,
        }
        let body = br#"{"orders":[{"name":"x"},{"name":1,"count":-1},null,{"nmae":"z"}]}"#;
        let EachOf(orders) = json::<Orders>(body).unwrap().orders;
        let said = |order: Result<Order, Vec<FieldError>>| match order {
            Ok(order) => order.name,
            Err(mistakes) => mistakes.into_iter().map(|one| one.field).collect::<Vec<_>>().join(" "),
        };
        assert_eq!(orders.into_iter().map(said).collect::<Vec<_>>(), ["x", "name count", "row", "nmae name"]);
        for body in [r#"{"orders":[]}"#, r#"{"orders":[1,2,3,4,5]}"#] {
            let error = json::<Orders>(body.as_bytes()).unwrap_err();
            assert_eq!(error, [FieldError::new("orders", "must have 1 to 4 entries")], "{body}");
        }
    }

    #[test]
    fn every_mistake_is_said_once() {
        for (body, said) in [
            (r#"{"name":1,"count":-1,"nmae":2}"#, &["name", "count", "nmae"][..]),
            (r#"{"sizes":["huge","small",null],"count":"1"}"#, &["sizes[0]", "sizes[2]", "count", "name"]),
            (
                r#"{"to":{"count":"x","to":{}},"count":[]}"#,
                &["to.count", "to.to.name", "to.name", "count", "name"],
            ),
            (
                r#"{"to":{"sizes":["huge"],"level":1},"nmae":1}"#,
                &["to.sizes[0]", "to.level", "to.name", "nmae", "name"],
            ),
            (r#"{"strict":{"at":"x"},"nmae":1}"#, &["strict.at", "nmae", "name"]),
            (r#"{"name":"x","name":"y","count":{}}"#, &["name", "count"]),
        ] {
            let mistakes = json::<Order>(body.as_bytes()).unwrap_err();
            let mut fields: Vec<_> = mistakes.iter().map(|mistake| mistake.field.as_str()).collect();
            let mut said = said.to_vec();
            fields.sort_unstable();
            said.sort_unstable();
            assert_eq!(fields, said, "{body} → {mistakes:?}");
        }
    }

    #[test]
    fn a_query_has_each_name_once_and_numbers_in_digits() {
        let ask = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let said = |mistakes: Vec<FieldError>| {
                mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
            };
            query::<Order>(&pairs).map_err(said)
        };
        let order = ask(&[("name", "x"), ("sizes", "small,large"), ("count", "7")]).unwrap();
        assert_eq!(
            order,
            Order {
                name: "x".to_owned(),
                sizes: vec![Size::Small, Size::Large],
                count: Some(7),
                to: None,
                strict: None
            }
        );
        let several = [("name", "x"), ("sizes", "small"), ("sizes", "large,small")];
        assert_eq!(ask(&several).unwrap().sizes, [Size::Small, Size::Large, Size::Small]);
        for (pairs, said) in [
            (&[("name", "x"), ("name", "x")][..], "name: is given more than once"),
            (&[("name", "x"), ("count", "+7")], "count: "),
            (&[("name", "x"), ("count", "07")], "count: "),
            (&[("name", "x"), ("count", "")], "count: "),
            (&[("name", "x"), ("sizes", "")], "sizes[0]: must be one of"),
            (&[("name", "x"), ("size", "small")], "size: is not known here"),
            (&[("count", "1")], "name: is missing"),
        ] {
            let error = ask(pairs).unwrap_err();
            assert!(error.starts_with(said), "{pairs:?} → {error}");
        }
    }
}
