//! Error responses of faults.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::GraphError;

/// A Graph error with all its parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorResponse {
    /// HTTP status; 0 means Graph's usual 400. With 200 the error is hidden in a success response.
    pub status: u16,
    /// Graph's code.
    pub code: i64,
    /// Graph's subcode.
    pub subcode: Option<i64>,
    /// `is_transient`, which Graph mostly leaves out.
    pub is_transient: Option<bool>,
    /// Graph's message; when `None`, the simulator's own.
    pub message: Option<String>,
    /// `error_data`.
    pub error_data: Option<ErrorData>,
    /// Response headers, added to the usual ones or replacing them.
    pub headers: Vec<(String, String)>,
}

/// `error_data`, which Graph writes in two ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorData {
    /// As a string that contains JSON.
    Text(Value),
    /// As JSON.
    Object(Value),
}

impl ErrorData {
    fn value(&self) -> Value {
        match self {
            Self::Text(value) => json!(value.to_string()),
            Self::Object(value) => value.clone(),
        }
    }
}

impl ErrorResponse {
    /// Returns an error of this code with Graph's usual status.
    pub fn new(code: i64, subcode: Option<i64>) -> Self {
        Self { status: 400, code, subcode, ..Self::default() }
    }

    /// Returns the error of an invalid token, with the subcode of the reason.
    pub fn token(subcode: i64) -> Self {
        Self::new(190, Some(subcode))
    }

    /// Returns "Please reduce the amount of data" in its most common form: code 1 with HTTP 500.
    pub fn too_much_data() -> Self {
        let message = "Please reduce the amount of data you're asking for, then retry your request";
        Self { status: 500, message: Some(message.to_owned()), ..Self::new(1, None) }
    }

    /// Sets the HTTP status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Sets `is_transient`.
    pub fn transient(self, is_transient: bool) -> Self {
        Self { is_transient: Some(is_transient), ..self }
    }

    pub(crate) fn error(&self) -> GraphError {
        let status = match self.status {
            0 => StatusCode::BAD_REQUEST,
            status => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        };
        let message = self.message.as_deref().unwrap_or("An error ordered by the test.");
        GraphError {
            subcode: self.subcode,
            is_transient: self.is_transient,
            data: self.error_data.as_ref().map(ErrorData::value),
            ..GraphError::new(self.code, message).status(status)
        }
    }
}

/// A quota that a throttled call is reported to have exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleKind {
    /// Code 4: all calls of the app.
    App,
    /// Code 17, subcode 2446079: the score of the ad account.
    Account,
    /// Code 613, subcode 1487742: calls to the ad account in quick succession.
    Burst,
    /// Code 80000: insights of the ad account.
    Insights,
    /// Code 80004: structure of the ad account.
    Management,
    /// Code 80003: audiences of the ad account.
    Audience,
}

impl ThrottleKind {
    /// Returns the error and the usage header of an exhausted quota. The header of use cases counts in minutes, that of
    /// the ad account in seconds, and that of the app contains no time (Marketing API, "Rate limiting").
    pub(crate) fn error_response(self, minutes: u32, account: &str) -> ErrorResponse {
        const TIER: &str = "standard_access";
        let use_case = |name: &str| {
            let usage = json!({
                "type": name, "call_count": 100, "total_cputime": 20, "total_time": 20,
                "estimated_time_to_regain_access": minutes, "ads_api_access_tier": TIER,
            });
            ("x-business-use-case-usage", json!({ account: [usage] }))
        };
        let seconds = u64::from(minutes) * 60;
        let score =
            json!({ "acc_id_util_pct": 100, "reset_time_duration": seconds, "ads_api_access_tier": TIER });
        let (header, usage) = match self {
            Self::App => ("x-app-usage", json!({ "call_count": 100, "total_cputime": 20, "total_time": 20 })),
            Self::Account | Self::Burst => ("x-ad-account-usage", score),
            Self::Insights => use_case("ads_insights"),
            Self::Management => use_case("ads_management"),
            Self::Audience => use_case("custom_audience"),
        };
        let headers = vec![(header.to_owned(), usage.to_string())];
        let error = self.error();
        let message = Some(error.message);
        ErrorResponse { message, headers, ..ErrorResponse::new(error.code, error.subcode) }
    }

    /// Returns the error without headers.
    pub(crate) fn error(self) -> GraphError {
        let (code, subcode, message) = match self {
            Self::App => (4, None, "Application request limit reached"),
            Self::Account => (17, Some(2_446_079), "User request limit reached"),
            Self::Burst => (613, Some(1_487_742), "There have been too many calls from this ad-account."),
            Self::Insights => (80_000, Some(2_446_079), TOO_MANY_CALLS_MESSAGE),
            Self::Management => (80_004, Some(2_446_079), TOO_MANY_CALLS_MESSAGE),
            Self::Audience => (80_003, Some(2_446_079), TOO_MANY_CALLS_MESSAGE),
        };
        GraphError { subcode, ..GraphError::new(code, format!("(#{code}) {message}")) }
    }
}

const TOO_MANY_CALLS_MESSAGE: &str =
    "There have been too many calls to this ad-account. Wait a bit and try again.";
