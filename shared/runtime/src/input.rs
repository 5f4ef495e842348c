//! Strict parsing of input: JSON bodies, queries and paths.
//!
//! serde alone accepts a list for a struct, by position, and the last of several values with one name. Here an object
//! must be an object, each name may occur once, and an error names its field.

mod value;

use domain::FieldError;
use serde::de::DeserializeOwned;

use self::value::{InputError, Value};

/// Parses a JSON body.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, FieldError> {
    let invalid = |problem: String| FieldError::new("body", problem);
    if body.trim_ascii().is_empty() {
        return Err(invalid("is missing; send a JSON object".to_owned()));
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|error| invalid(format!("is not JSON: {error}")))?;
    if !matches!(value, Value::Object(_)) {
        return Err(invalid("must be a JSON object".to_owned()));
    }
    T::deserialize(value).map_err(|error| error.into_field_error("body"))
}

/// Parses a query: values are text, and lists are comma-separated.
pub(crate) fn query<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, FieldError> {
    let pairs = pairs.iter().map(|(name, value)| (name.clone(), Value::Query(value.clone())));
    T::deserialize(Value::Object(pairs.collect()))
        .map_err(|error: InputError| error.into_field_error("query"))
}

/// Parses the parameters of a path. The error names the parameter.
pub(crate) fn path<T: DeserializeOwned>(pairs: &[(&str, String)]) -> Result<T, FieldError> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::Query(value.clone())));
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
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
        Large,
    }

    fn error_of(body: &str) -> String {
        json::<Order>(body.as_bytes()).unwrap_err().to_string()
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
            (r#"{"name":1}"#, "name: "),
            (r#"{"name":"x","nmae":"y"}"#, "nmae: is not known here; known are name, sizes, count, to"),
            (r#"{"name":"x","name":"x"}"#, "name: is given more than once"),
            (r#"{"name":"x","sizes":["small","huge"]}"#, "sizes[1]: must be one of small, large"),
            (r#"{"name":"x","sizes":[{"small":null}]}"#, "sizes[0]: "),
            (r#"{"name":"x","count":1.5}"#, "count: "),
            (r#"{"name":"x","count":-1}"#, "count: "),
            (r#"{"name":"x","count":4294967296}"#, "count: "),
            (r#"{"name":"x","to":["y",[],1,null]}"#, "to: "),
            (r#"{"name":"x","to":{"name":"y","to":{"name":null}}}"#, "to.to.name: "),
        ] {
            let error = error_of(body);
            assert!(error.starts_with(said), "{body} → {error}");
        }
    }

    #[test]
    fn a_query_has_each_name_once_and_numbers_in_digits() {
        let ask = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            query::<Order>(&pairs).map_err(|invalid| invalid.to_string())
        };
        let order = ask(&[("name", "x"), ("sizes", "small,large"), ("count", "7")]).unwrap();
        assert_eq!(
            order,
            Order { name: "x".to_owned(), sizes: vec![Size::Small, Size::Large], count: Some(7), to: None }
        );
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
