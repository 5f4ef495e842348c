//! Parameter rules of writes beyond the specification, checked before rules that involve several parameters.

use crate::error::{GraphError, invalid, required};
use crate::params::Params;

/// Maximum length of a campaign, ad set or ad name, in characters.
const MAX_NAME_CHARS: usize = 400;

/// The parameter rules of one kind of object.
pub(super) struct ParamRules {
    /// Parameters that a new object requires.
    pub(super) required: &'static [&'static str],
    /// Parameters whose length is limited, with the limit in characters.
    pub(super) max_chars: &'static [(&'static str, usize)],
    /// Parameters that accept fewer values than the specification says.
    pub(super) one_of: &'static [(&'static str, &'static [&'static str])],
}

impl ParamRules {
    /// Rejects a new object without a required parameter.
    pub(super) fn check_required(&self, params: Params<'_>) -> Result<(), GraphError> {
        self.required.iter().try_for_each(|name| params.required(name).map(drop))
    }

    /// Checks the parameters of a new object.
    pub(super) fn check_new(&self, params: Params<'_>) -> Result<(), GraphError> {
        params.one_of("status", &["ACTIVE", "PAUSED"])?;
        self.check(params)
    }

    /// Checks the parameters of a change.
    pub(super) fn check_change(&self, params: Params<'_>) -> Result<(), GraphError> {
        if params.text("name").is_some_and(|name| name.trim().is_empty()) {
            return Err(required("name"));
        }
        self.check(params)
    }

    fn check(&self, params: Params<'_>) -> Result<(), GraphError> {
        for (name, values) in self.one_of {
            params.one_of(name, values)?;
        }
        for (name, max) in self.max_chars.iter().chain(&[("name", MAX_NAME_CHARS)]) {
            if params.text(name).is_some_and(|text| text.chars().count() > *max) {
                return Err(invalid(format!("Param {name} must be at most {max} characters long")));
            }
        }
        let options = params.names("execution_options")?.unwrap_or_default();
        if options == ["include_recommendations"] {
            return Err(invalid("include_recommendations cannot be used alone in execution_options"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PARAM_RULES: ParamRules =
        ParamRules { required: &["name"], max_chars: &[("payor", 3)], one_of: &[("kind", &["A", "B"])] };

    fn error_message(pairs: &[(&str, &str)]) -> String {
        let params: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let checked =
            PARAM_RULES.check_required(Params(&params)).and_then(|()| PARAM_RULES.check_new(Params(&params)));
        checked.err().map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn some_parameters_must_be_there_and_some_take_few_values() {
        assert_eq!(error_message(&[("kind", "A")]), "(#100) The parameter name is required");
        assert_eq!(
            error_message(&[("name", "n"), ("kind", "C")]),
            "(#100) Param kind must be one of {A, B} - got \"C\"."
        );
        assert_eq!(error_message(&[("name", "n"), ("kind", "A"), ("payor", "abc")]), "");
    }

    #[test]
    fn names_and_texts_have_their_length() {
        assert!(error_message(&[("name", "n"), ("payor", "abcd")]).contains("payor must be at most 3"));
        assert_eq!(error_message(&[("name", &"é".repeat(400))]), "");
        assert!(error_message(&[("name", &"é".repeat(401))]).contains("400 characters"));
    }

    #[test]
    fn recommendations_are_asked_for_beside_something_else() {
        let alone = [("name", "n"), ("execution_options", "[\"include_recommendations\"]")];
        assert!(error_message(&alone).contains("alone"));
        let both = [("name", "n"), ("execution_options", "[\"validate_only\",\"include_recommendations\"]")];
        assert_eq!(error_message(&both), "");
    }
}
