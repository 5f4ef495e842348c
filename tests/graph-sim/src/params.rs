//! Parameters of a call, parsed as Graph parses them: plain text, with structured values as JSON.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::error::{GraphError, invalid, required};
use crate::node::{graph_time, parse_time};

/// The parameters of one call.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a>(pub(crate) &'a BTreeMap<String, String>);

impl<'a> Params<'a> {
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn required(self, name: &str) -> Result<&'a str, GraphError> {
        self.text(name).filter(|text| !text.trim().is_empty()).ok_or_else(|| required(name))
    }

    /// Parses a structured value.
    pub(crate) fn json(self, name: &str) -> Result<Option<Value>, GraphError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = serde_json::from_str(text);
        value.map(Some).map_err(|_| invalid(format!("Param {name} must be valid JSON")))
    }

    /// Parses a list of names, also in the lenient forms Graph accepts: a single name, or comma-separated names.
    pub(crate) fn names(self, name: &str) -> Result<Option<Vec<String>>, GraphError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if !text.trim_start().starts_with('[') {
            return Ok(Some(
                text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect(),
            ));
        }
        let list = serde_json::from_str(text);
        list.map(Some).map_err(|_| invalid(format!("Param {name} must be an array of text")))
    }

    /// Returns a parameter that must be one of several values; `None` when it is absent.
    pub(crate) fn one_of(self, name: &str, allowed: &[&str]) -> Result<Option<&'a str>, GraphError> {
        match self.text(name) {
            Some(text) if !allowed.contains(&text) => Err(invalid(format!(
                "Param {name} must be one of {{{}}} - got \"{text}\".",
                allowed.join(", ")
            ))),
            text => Ok(text),
        }
    }

    /// Parses an amount in minor units.
    pub(crate) fn amount(self, name: &str) -> Result<Option<u64>, GraphError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(format!("Param {name} must be an unsigned integer")))
    }

    /// Returns whether the call is to be validated only.
    pub(crate) fn validate_only(self) -> Result<bool, GraphError> {
        Ok(self
            .names("execution_options")?
            .is_some_and(|options| options.iter().any(|o| o == "validate_only")))
    }
}

/// Converts a written parameter into the form in which it is read back.
pub(crate) fn stored(name: &str, text: &str, zone: &TimeZone) -> Result<Value, GraphError> {
    if name.ends_with("_time") {
        let at = parse_time(text).ok_or_else(|| invalid(format!("Param {name} must be a valid datetime")))?;
        return Ok(json!(graph_time(at, zone)));
    }
    if name == "bid_amount" {
        let amount: u64 =
            text.parse().map_err(|_| invalid("Param bid_amount must be an unsigned integer"))?;
        return Ok(json!(amount));
    }
    match text {
        "true" => Ok(json!(true)),
        "false" => Ok(json!(false)),
        text if text.starts_with(['{', '[']) && name != "name" => {
            serde_json::from_str(text).map_err(|_| invalid(format!("Param {name} must be valid JSON")))
        }
        text => Ok(json!(text)),
    }
}
