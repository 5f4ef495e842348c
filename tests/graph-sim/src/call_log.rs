//! A log of the calls that clients sent, for tests to inspect.

use std::collections::{BTreeMap, VecDeque};

use crate::call::GraphCall;

/// The log keeps the newest calls up to this number.
const MAX_RECORDED_CALLS: usize = 10_000;
/// Parameter values are truncated to this size, because images can be sent as text.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Parameters that are secret.
const SECRET_PARAMS: [&str; 4] = ["client_secret", "code", "fb_exchange_token", "input_token"];

/// A call as a client sent it; an item of a batch is a call of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCall {
    /// In upper case.
    pub method: String,
    /// The class of the called object, as Meta's SDKs name it: `AdAccount`. Empty when the path does not begin with an
    /// object the simulator knows.
    pub class: String,
    /// The path without version and object: `campaigns`; empty for a call to the object itself. Where `class` is empty,
    /// the whole path.
    pub edge: String,
    /// All parameters of query and form, without token, proof and other secrets; very long values are truncated.
    pub params: BTreeMap<String, String>,
    /// The names of the parts of the form that are files.
    pub files: Vec<String>,
}

/// The newest calls.
#[derive(Default)]
pub(crate) struct CallLog(VecDeque<RecordedCall>);

impl CallLog {
    pub(crate) fn add(&mut self, call: &GraphCall, class: Option<&str>) {
        if self.0.len() == MAX_RECORDED_CALLS {
            self.0.pop_front();
        }
        let path = if class.is_some() { call.segments.get(1..).unwrap_or_default() } else { &call.segments };
        let params = call.params.iter().filter(|(name, _)| !SECRET_PARAMS.contains(&name.as_str()));
        self.0.push_back(RecordedCall {
            method: call.method.to_string(),
            class: class.unwrap_or_default().to_owned(),
            edge: path.join("/"),
            params: params.map(|(name, value)| (name.clone(), truncate(value))).collect(),
            files: call.files.keys().cloned().collect(),
        });
    }

    /// Returns the calls, oldest first.
    pub(crate) fn calls(&self) -> Vec<RecordedCall> {
        self.0.iter().cloned().collect()
    }
}

fn truncate(value: &str) -> String {
    let end = (0..=MAX_VALUE_BYTES.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
    value[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(truncate("short"), "short");
        let long = format!("x{}", "é".repeat(MAX_VALUE_BYTES));
        assert_eq!(truncate(&long).len(), MAX_VALUE_BYTES - 1);
    }
}
