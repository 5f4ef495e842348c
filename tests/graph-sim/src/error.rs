//! Graph's error object, and the errors the simulator returns.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::node::Kind;

/// An error as Graph returns it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GraphError {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) message: String,
    pub(crate) user_message: Option<&'static str>,
    /// When `None`, it is derived from the code.
    pub(crate) is_transient: Option<bool>,
    /// `error_data`.
    pub(crate) data: Option<Value>,
}

impl GraphError {
    /// Returns an error with Graph's usual status (400) and type.
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "OAuthException",
            code,
            subcode: None,
            message: message.into(),
            user_message: None,
            is_transient: None,
            data: None,
        }
    }

    pub(crate) fn subcode(mut self, subcode: i64) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn user_message(mut self, text: &'static str) -> Self {
        self.user_message = Some(text);
        self
    }

    /// Returns whether the error reports a rate limit.
    pub(crate) fn is_throttle(&self) -> bool {
        matches!(self.code, 4 | 17 | 613 | 80_000..=80_014)
    }

    /// Returns the response body.
    pub(crate) fn body(&self, trace: &str) -> Value {
        let mut error = Map::new();
        error.insert("message".into(), json!(self.message));
        error.insert("type".into(), json!(self.kind));
        error.insert("code".into(), json!(self.code));
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".into(), json!(subcode));
        }
        if matches!(self.code, 1 | 2) && self.status.is_server_error() {
            error.insert("is_transient".into(), json!(true));
        }
        if let Some(text) = self.user_message {
            error.insert("is_transient".into(), json!(false));
            let title = match self.code {
                2601 => "Loading Async Ads Report Failed",
                _ => "The change was not made",
            };
            error.insert("error_user_title".into(), json!(title));
            error.insert("error_user_msg".into(), json!(text));
        }
        if let Some(is_transient) = self.is_transient {
            error.insert("is_transient".into(), json!(is_transient));
        }
        if let Some(data) = &self.data {
            error.insert("error_data".into(), data.clone());
        }
        error.insert("fbtrace_id".into(), json!(trace));
        json!({ "error": error })
    }
}

/// Returns the error for an object that is missing, not accessible or does not support the method: Graph does not say
/// which.
pub(crate) fn unsupported(method: &str, id: &str) -> GraphError {
    let method = method.to_ascii_lowercase();
    GraphError::new(
        100,
        format!(
            "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api"
        ),
    )
    .subcode(33)
    .kind("GraphMethodException")
}

/// Returns the error for a field name (or edge) that the node type does not have.
pub(crate) fn nonexisting_field(field: &str, type_name: &str) -> GraphError {
    GraphError::new(
        100,
        format!("(#100) Tried accessing nonexisting field ({field}) on node type ({type_name})"),
    )
}

/// Returns the error for a missing required parameter.
pub(crate) fn required(name: &str) -> GraphError {
    GraphError::new(100, format!("(#100) The parameter {name} is required"))
}

/// Returns the error for a parameter with an invalid value.
pub(crate) fn invalid(text: impl std::fmt::Display) -> GraphError {
    GraphError::new(100, format!("(#100) {text}"))
}

/// Returns the error for a write that breaks one of Meta's rules, with the rule's subcode and a message for the user.
pub(crate) fn rule_violation(subcode: i64, text: &'static str) -> GraphError {
    GraphError::new(100, "Invalid parameter").subcode(subcode).user_message(text)
}

/// Adds the parameter at fault the way Meta mostly does: as JSON in a string.
pub(crate) fn with_blame(error: GraphError, path: &[&str]) -> GraphError {
    let data = json!({ "blame_field_specs": [path] });
    GraphError { data: Some(json!(data.to_string())), ..error }
}

/// Adds the parameter at fault the way Meta sometimes does: as an object.
pub(crate) fn with_blame_object(error: GraphError, path: &[&str]) -> GraphError {
    GraphError { data: Some(json!({ "blame_field_specs": [path] })), ..error }
}

/// Returns the error for an object that Meta is still processing.
pub(crate) fn busy() -> GraphError {
    GraphError::new(1, "An unknown error occurred").subcode(99).status(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns the name Graph's messages use for a node type.
pub(crate) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Account => "AdAccount",
        Kind::Campaign => "Campaign",
        Kind::AdSet => "AdSet",
        Kind::Ad => "Ad",
        Kind::Creative => "AdCreative",
        Kind::Image => "AdImage",
        Kind::Video => "AdVideo",
        Kind::BudgetSchedule => "HighDemandPeriod",
        Kind::CustomAudience => "CustomAudience",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_only_what_the_error_has() {
        assert_eq!(
            required("name").body("A1"),
            json!({"error": {"message": "(#100) The parameter name is required", "type": "OAuthException",
                             "code": 100, "fbtrace_id": "A1"}})
        );
        assert_eq!(rule_violation(4834011, "why").body("A1")["error"]["error_subcode"], 4834011);
    }
}
