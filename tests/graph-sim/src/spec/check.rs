//! Validation of requests against the specification alone.

use std::collections::BTreeMap;

use super::{Call, call, field_class, has_class, has_field};
use crate::error::{GraphError, invalid, nonexisting_field, required};
use crate::selection::{self, Field};

/// Parameters that every call accepts and that are in no specification. `pretty`, `debug` and `metadata` have no effect
/// any more.
const COMMON_PARAMS: [&str; 20] = [
    "access_token",
    "appsecret_proof",
    "appsecret_time",
    "fields",
    "limit",
    "after",
    "before",
    "since",
    "until",
    "offset",
    "filtering",
    "summary",
    "locale",
    "method",
    "format",
    "suppress_http_code",
    "__paging_token",
    "pretty",
    "debug",
    "metadata",
];
/// Modifiers of an edge within `fields`, in addition to the edge's own parameters.
const MODIFIERS: [&str; 2] = ["as", "order"];

type Params = BTreeMap<String, String>;

impl Call {
    /// Returns the parameters that the call does not have; Graph silently ignores them.
    pub(crate) fn unknown<'a>(&self, params: &'a Params) -> Vec<&'a str> {
        let names = params.keys().map(String::as_str);
        names.filter(|name| !self.params.contains_key(name) && !COMMON_PARAMS.contains(name)).collect()
    }

    /// Returns whether the call itself has a parameter of this name.
    pub(crate) fn has_param(&self, name: &str) -> bool {
        self.params.contains_key(name)
    }

    /// Rejects a call without a required parameter.
    pub(crate) fn check_required(&self, params: &Params) -> Result<(), GraphError> {
        let given = |name: &str| params.get(name).is_some_and(|value| !value.trim().is_empty());
        match self.params.iter().find(|(name, param)| param.required && !given(name)) {
            Some((missing, _)) => Err(required(missing)),
            None => Ok(()),
        }
    }

    /// Rejects a call with a value that is not of its parameter's type.
    pub(crate) fn check_values(&self, params: &Params) -> Result<(), GraphError> {
        self.value_errors(params).next().map_or(Ok(()), Err)
    }

    fn value_errors<'a>(&'a self, params: &'a Params) -> impl Iterator<Item = GraphError> + 'a {
        params.iter().filter_map(|(name, value)| {
            let error = self.params.get(name.as_str())?.kind.value_error(value)?;
            Some(invalid(format_args!("Param {name} {error}")))
        })
    }
}

/// Rejects names that objects of a class do not have, including nested ones. Returns the modifiers that Graph would
/// ignore.
pub(crate) fn check_fields(class: &str, fields: &[Field]) -> Result<Vec<String>, GraphError> {
    let mut ignored = Vec::new();
    for field in fields {
        let inner = field.inner.as_deref().unwrap_or_default();
        if has_field(class, &field.name) {
            if let Some(held) = field_class(class, &field.name) {
                ignored.extend(check_fields(held, inner)?);
            }
        } else if let Some(edge) = call(class, "GET", &field.name) {
            edge.check_values(&field.modifiers)?;
            let unknown = edge.unknown(&field.modifiers).into_iter().filter(|name| !MODIFIERS.contains(name));
            ignored.extend(unknown.map(|name| format!("{}.{name}", field.name)));
            if has_class(edge.returned) {
                ignored.extend(check_fields(edge.returned, inner)?);
            }
        } else {
            return Err(nonexisting_field(&field.name, class));
        }
    }
    Ok(ignored)
}

/// Returns everything that is wrong with a request, with Graph's messages where it has them. The request is given as
/// method, class as Meta's SDKs name it (`AdAccount`), edge (`campaigns`; empty for the object itself) and decoded
/// parameters of query and form. The result is empty for a valid request.
///
/// Graph itself stops at its first error and ignores unknown parameters; here all are reported. Requests that the
/// specification does not cover (logins, `/debug_token`) and rules between parameters are not validated.
pub fn validate(method: &str, class: &str, edge: &str, params: &BTreeMap<String, String>) -> Vec<String> {
    if !has_class(class) {
        return vec![format!("There is no class {class} in the specification")];
    }
    let Some(call) = call(class, method, edge) else {
        return vec![format!("There is no {method} {class}/{edge} in the specification")];
    };
    let mut errors = Vec::new();
    let mut known = params.clone();
    for removed in ["ids", "date_format"] {
        if known.remove(removed).is_some() {
            errors.push(format!("Parameter {removed} was removed from all versions on 2026-10-27"));
        }
    }
    errors.extend(call.check_required(&known).err().map(|error| error.message));
    errors.extend(call.value_errors(&known).map(|error| error.message));
    errors.extend(
        call.unknown(&known).into_iter().map(|name| format!("Graph would ignore the parameter {name}")),
    );
    if let Some(fields) = known.get("fields").filter(|_| method == "GET" && has_class(call.returned)) {
        match selection::parse(fields).and_then(|fields| check_fields(call.returned, &fields)) {
            Ok(ignored) => {
                errors.extend(ignored.iter().map(|name| format!("Graph would ignore the modifier {name}")));
            }
            Err(error) => errors.push(error.message),
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(method: &str, class: &str, edge: &str, pairs: &[(&str, &str)]) -> Vec<String> {
        let params = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        validate(method, class, edge, &params)
    }

    #[test]
    fn a_proper_request_is_valid() {
        let nested =
            "id,name,adsets.limit(5){id,insights.date_preset(today){spend}},promoted_object{pixel_id}";
        assert_eq!(
            validated("GET", "AdAccount", "campaigns", &[("fields", nested), ("limit", "50")]),
            [""; 0]
        );
        assert_eq!(
            validated("POST", "Campaign", "", &[("status", "PAUSED"), ("daily_budget", "500")]),
            [""; 0]
        );
        assert_eq!(validated("DELETE", "Campaign", "", &[]), [""; 0]);
        let goal = [("name", "a"), ("destination_type", "PHONE_CALL")];
        assert_eq!(validated("POST", "AdAccount", "adsets", &goal), [""; 0]);
    }

    #[test]
    fn everything_wrong_is_told() {
        let wrong = [("nmae", "x"), ("daily_budget", "12.5"), ("status", "ON"), ("ids", "1")];
        assert_eq!(
            validated("POST", "AdAccount", "adsets", &wrong),
            [
                "Parameter ids was removed from all versions on 2026-10-27",
                "(#100) The parameter name is required",
                "(#100) Param daily_budget must be an unsigned integer",
                "(#100) Param status must be one of {ACTIVE, ARCHIVED, DELETED, PAUSED} - got \"ON\".",
                "Graph would ignore the parameter nmae",
            ]
        );
        assert_eq!(
            validated("GET", "AdAccount", "ads", &[("fields", "adset{insights.day(1){spend}}")]),
            ["Graph would ignore the modifier insights.day"]
        );
        assert_eq!(
            validated("GET", "AdAccount", "ads", &[("fields", "adset{ads{foo}}")]),
            ["(#100) Tried accessing nonexisting field (foo) on node type (Ad)"]
        );
        assert_eq!(validated("GET", "Thing", "", &[]), ["There is no class Thing in the specification"]);
        assert_eq!(validated("POST", "Ad", "likes", &[]), ["There is no POST Ad/likes in the specification"]);
    }
}
