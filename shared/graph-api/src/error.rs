//! Errors of Graph calls. Each variant requires a different action of the caller.
//!
//! | error | action of the caller | tests in `tests/graph_api` |
//! |---|---|---|
//! | [`RateLimited`](GraphError::RateLimited) | retries after exactly this time; the app, the account or one action is blocked meanwhile | `errors::a_throttled_call_is_not_retried`, `errors::an_app_that_is_throttled_calls_for_nobody_until_the_time_is_over`, `limits::a_throttle_of_a_minute_costs_a_minute`, `writing::a_fifth_change_of_a_budget_…` |
//! | [`Transient`](GraphError::Transient) | retries reads and idempotent writes with growing pauses | `errors::transient_errors_are_tried_four_times_with_growing_pauses`, `errors::settings_and_removals_are_repeated` |
//! | [`RequestTooLarge`](GraphError::RequestTooLarge) | requests fewer rows, days or fields, or a report | `paging::a_page_that_was_made_smaller_grows_again`, all of `insights` |
//! | [`UploadInterrupted`](GraphError::UploadInterrupted) | resumes the upload at the byte that Meta names | `errors::too_large_or_interrupted_requests_say_how_to_continue` |
//! | [`Reconnect`](GraphError::Reconnect) | has a person connect again | `errors::errors_that_only_a_person_can_fix_are_not_retried`, `login::a_revoked_token_is_known_to_be_invalid` |
//! | [`NeedPermission`](GraphError::NeedPermission) | shows the person what is missing at Meta | `errors::errors_that_only_a_person_can_fix_are_not_retried` |
//! | [`Blocked`](GraphError::Blocked) | stops automation for the account | `errors::errors_that_only_a_person_can_fix_are_not_retried` |
//! | [`InvalidInput`](GraphError::InvalidInput) | shows the person what to change | `errors::errors_that_only_a_person_can_fix_are_not_retried` |
//! | [`NotFound`](GraphError::NotFound) | treats the object as hidden, not as deleted | `writing::what_a_launch_creates_is_paused_found_by_name_and_deleted_once` |
//! | [`UnsupportedVersion`](GraphError::UnsupportedVersion) | asks the operator for another version | `errors::errors_that_only_a_person_can_fix_are_not_retried`, `version::a_version_that_does_not_exist_is_not_retried` |
//! | [`Indeterminate`](GraphError::Indeterminate) | looks for the object before it retries | `errors::a_create_is_sent_once_whatever_comes_back`, `writing::a_creation_whose_answer_is_lost_is_not_sent_again` |
//! | [`UnexpectedShape`](GraphError::UnexpectedShape) | notifies the developers of the JSON path | `errors::an_answer_of_another_shape_says_where` |
//!
//! `faults` in `tests/journeys` tests how a whole sync handles each of them.

use std::time::Duration;

use domain::Error;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error_code::{ErrorClass, ThrottleScope, classify};
use crate::lenient;
use crate::usage::{Usage, UseCase};

/// Meta's description of an error, for logs and for the person who must fix the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Meta's code; 0 when there was no error object.
    pub code: i64,
    /// Meta's subcode.
    pub subcode: Option<i64>,
    /// What Meta says to people: its title and explanation, `error_user_msg` or else `message`.
    pub message: String,
    /// The parameters that Meta blames, each as a path such as `targeting_spec.geo_locations`.
    pub blamed_fields: Vec<String>,
    /// Meta's trace id, for a support case.
    pub trace_id: Option<String>,
}

impl Details {
    /// Returns whether an error about a token requires the user to act at facebook.com, after which the token works
    /// again: log in (459), confirm the account (464), regain the role on a Page (492).
    pub fn needs_user_action(&self) -> bool {
        matches!((self.code, self.subcode), (190 | 102, Some(459 | 464 | 492)))
    }

    /// Returns whether an error about a token means that it never works again. A wrong `appsecret_proof` (104) does
    /// not.
    pub fn invalidates_token(&self) -> bool {
        matches!(self.code, 190 | 102) && !self.needs_user_action()
    }

    /// Returns whether Meta documents that this error ends a consent: the app was removed (458), the password changed
    /// (460), the token expired (463), or was invalidated (466, 467); code 102 also without a subcode.
    pub fn ends_consent(&self) -> bool {
        let is_documented = matches!(self.subcode, Some(458 | 460 | 463 | 466 | 467));
        matches!(self.code, 190 | 102) && (is_documented || (self.code == 102 && self.subcode.is_none()))
    }

    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

impl std::fmt::Display for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.blamed_fields.is_empty() {
            write!(f, " [{}]", self.blamed_fields.join(", "))?;
        }
        match (self.code, self.subcode) {
            (0, _) => Ok(()),
            (code, Some(subcode)) => write!(f, " (Meta's code {code}/{subcode})"),
            (code, None) => write!(f, " (Meta's code {code})"),
        }
    }
}

/// A call to Graph that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GraphError {
    /// Throttled: retry after this time and not before.
    #[error("Meta asks us to wait {} s: {details}", after.as_secs())]
    RateLimited {
        /// The time to wait, from Meta's headers or documentation.
        after: Duration,
        /// The calls that are throttled.
        scope: ThrottleScope,
        /// Meta's description.
        details: Details,
    },
    /// A transient fault at Meta or in the network. The call may be repeated, and a retry can succeed.
    #[error("Meta does not answer properly at the moment: {0}")]
    Transient(Details),
    /// The request asks for too much at once: a smaller page or range can succeed.
    #[error("Meta asks for a smaller request: {0}")]
    RequestTooLarge(Details),
    /// A part of an upload did not arrive: resume from this byte.
    #[error("Meta asks to go on with the upload at byte {at}: {details}")]
    UploadInterrupted {
        /// The first byte that Meta still needs.
        at: u64,
        /// Meta's description.
        details: Details,
    },
    /// The token is invalid: a person must connect again.
    #[error("the connection to Meta must be renewed: {0}")]
    Reconnect(Details),
    /// The token is valid but lacks this permission, or terms at Meta have not been accepted.
    #[error("a permission is missing at Meta: {0}")]
    NeedPermission(Details),
    /// Meta has blocked this kind of action for the account or the user, for a violation of its policies.
    #[error("Meta has blocked this action: {0}")]
    Blocked(Details),
    /// Meta rejects the request itself: only another input can succeed.
    #[error("Meta refuses this input: {0}")]
    InvalidInput(Details),
    /// The object does not exist, or this token may not see it.
    #[error("Meta does not know this object, or does not show it to this connection: {0}")]
    NotFound(Details),
    /// This Graph version is no longer served for this call.
    #[error("this version of the Graph API is no longer served: {0}")]
    UnsupportedVersion(Details),
    /// A write was sent and no response came: it may have taken effect. Look for it before repeating.
    #[error("the outcome of a write at Meta is unknown: {0}")]
    Indeterminate(Details),
    /// A response of an unexpected shape: a defect to report, in this crate or at Meta.
    #[error("Meta answered in an unexpected shape at {at}: {problem}")]
    UnexpectedShape {
        /// The path in the JSON.
        at: String,
        /// The decoder's message.
        problem: String,
    },
}

/// Graph's error object. A field of another type than usual counts as absent.
struct Body(Map<String, Value>);

impl Body {
    fn parse(body: &[u8]) -> Option<Self> {
        let mut answer: Value = serde_json::from_str(&lenient::clean(body)).ok()?;
        match answer.get_mut("error")?.take() {
            Value::Object(error) => Some(Self(error)),
            _ => None,
        }
    }

    /// Returns a text that says something.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    fn integer(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Returns what a person needs to read: title and explanation, as far as Meta gives them.
    fn message(&self) -> String {
        let explanation = self.text("error_user_msg").or_else(|| self.text("message"));
        match (self.text("error_user_title"), explanation) {
            (Some(title), Some(explanation)) if title != explanation => {
                format!("{}: {explanation}", title.trim_end_matches(['.', ':']))
            }
            (Some(text), _) | (None, Some(text)) => text.to_owned(),
            (None, None) => "Meta gives no reason".to_owned(),
        }
    }
}

/// Additional data in the error objects of some faults.
#[derive(Default, Deserialize)]
struct ErrorData {
    #[serde(default)]
    blame_field_specs: Vec<Vec<Value>>,
    start_offset: Option<Value>,
}

/// The properties of a call that the classification of its response needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallKind {
    /// Whether it creates an object, so that repeating it creates a second one.
    pub(crate) creates: bool,
    /// The use case that it counts as.
    pub(crate) case: UseCase,
}

impl GraphError {
    /// Classifies a response that is not a success, or a success that carries an error object.
    pub(crate) fn from_response(status: u16, body: &[u8], usage: &Usage, kind: CallKind) -> Self {
        let Some(error) = Body::parse(body) else {
            // A proxy's HTML, truncated JSON, an empty 413: not a response of Graph itself.
            let details = Details::of(format!("HTTP {status} without an error object"));
            return if status == 413 {
                Self::RequestTooLarge(details)
            } else {
                Self::unconfirmed(details, kind)
            };
        };
        // JSON, or a string that holds JSON; both have been seen.
        let data: ErrorData = match error.0.get("error_data") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(data) => ErrorData::deserialize(data).unwrap_or_default(),
            None => ErrorData::default(),
        };
        let is_transient = error.0.get("is_transient") == Some(&Value::Bool(true));
        let details = Details {
            code: error.integer("code").unwrap_or_default(),
            subcode: error.integer("error_subcode"),
            message: error.message(),
            blamed_fields: data.blame_field_specs.iter().map(|path| path_of(path)).collect(),
            trace_id: error.text("fbtrace_id").map(str::to_owned),
        };
        match classify(details.code, details.subcode) {
            Some(ErrorClass::RateLimited(scope)) => {
                let after = usage.retry_after(kind.case).unwrap_or(DEFAULT_RETRY_AFTER);
                Self::RateLimited { after, scope, details }
            }
            // "Please reduce the amount of data" also comes as a bare code 1 or 99 with HTTP 500, which only its text
            // distinguishes from an unknown fault. A misclassified read is only repeated with a smaller request.
            _ if status == 500 && details.message.contains("reduce the amount of data") => {
                Self::RequestTooLarge(details)
            }
            Some(ErrorClass::UploadInterrupted) => {
                let at = data.start_offset.as_ref().and_then(number);
                at.map_or(Self::InvalidInput(details.clone()), |at| Self::UploadInterrupted { at, details })
            }
            Some(ErrorClass::Transient) => Self::unconfirmed(details, kind),
            // Only `InvalidInput` and unknown codes yield to the response's own statement that the fault is transient.
            Some(ErrorClass::InvalidInput) | None if is_transient || status >= 500 => {
                Self::unconfirmed(details, kind)
            }
            None => Self::InvalidInput(details),
            Some(_) => Self::from_codes(details),
        }
    }

    /// Classifies an error by its codes alone, such as those of a failed report. Without a known code it is transient.
    pub(crate) fn from_codes(details: Details) -> Self {
        match classify(details.code, details.subcode) {
            Some(ErrorClass::RequestTooLarge) => Self::RequestTooLarge(details),
            Some(ErrorClass::Reconnect) => Self::Reconnect(details),
            Some(ErrorClass::NeedPermission) => Self::NeedPermission(details),
            Some(ErrorClass::Blocked) => Self::Blocked(details),
            Some(ErrorClass::NotFound) => Self::NotFound(details),
            Some(ErrorClass::UnsupportedVersion) => Self::UnsupportedVersion(details),
            Some(ErrorClass::InvalidInput) => Self::InvalidInput(details),
            Some(ErrorClass::RateLimited(scope)) => {
                Self::RateLimited { after: DEFAULT_RETRY_AFTER, scope, details }
            }
            Some(ErrorClass::RateLimitedFor(scope, after)) => Self::RateLimited { after, scope, details },
            Some(ErrorClass::Transient | ErrorClass::UploadInterrupted) | None => Self::Transient(details),
        }
    }

    /// Returns the error of a call that may have taken effect: indeterminate for creations, else transient. Meta's
    /// codes 1 and 2 do not say whether a write took effect.
    pub(crate) fn unconfirmed(details: Details, kind: CallKind) -> Self {
        if kind.creates { Self::Indeterminate(details) } else { Self::Transient(details) }
    }

    /// Classifies a call that got no response. Drops the URL, which may carry parameters.
    pub(crate) fn from_transport(error: reqwest::Error, kind: CallKind) -> Self {
        let error = error.without_url();
        let details = Details::of(describe(&error));
        if kind.case == UseCase::AdsInsights && error.is_timeout() {
            // Meta computes until the client gives up: as a rule the same query would take as long again.
            return Self::RequestTooLarge(Details { subcode: Some(TIMED_OUT_SUBCODE), ..details });
        }
        // A refused connection has sent nothing.
        if is_connection_refused(&error) {
            Self::Transient(details)
        } else {
            Self::unconfirmed(details, kind)
        }
    }

    /// Returns whether the same call can succeed when it is repeated at once or a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Transient(_))
    }

    /// Returns the error of a write that was tried before: a try that may have taken effect still may have when Meta asks to
    /// wait at the next one, or refuses it. So after these nothing was written.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        let is_refusal = matches!(
            self,
            Self::RateLimited { .. }
                | Self::InvalidInput(_)
                | Self::NeedPermission(_)
                | Self::Reconnect(_)
                | Self::Blocked(_)
        );
        earlier.filter(|earlier| is_refusal && earlier.is_retryable()).unwrap_or(self)
    }
}

/// Describes an error with its causes: reqwest's own text does not say what happened.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).skip(1).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn is_connection_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let kinds = causes(error).filter_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::ConnectionRefused)
}

/// Iterates over an error and its chain of causes.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Joins a path of `blame_field_specs` with dots.
fn path_of(path: &[Value]) -> String {
    let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// Parses an offset, which Meta writes as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl From<GraphError> for Error {
    fn from(error: GraphError) -> Self {
        let why = error.to_string();
        match error {
            GraphError::RateLimited { after, .. } => Self::RateLimited { retry_after: after, reason: why },
            GraphError::Transient(_)
            | GraphError::RequestTooLarge(_)
            | GraphError::UploadInterrupted { .. } => Self::Unavailable(why),
            GraphError::Reconnect(_) => Self::Reconnect(why),
            GraphError::NeedPermission(_) | GraphError::Blocked(_) => Self::NeedPermission(why),
            GraphError::InvalidInput(_) => Self::RejectedByPlatform(why),
            GraphError::NotFound(_) => Self::NotFound("the object at Meta".to_owned()),
            GraphError::Indeterminate(_) => Self::Indeterminate(why),
            GraphError::UnsupportedVersion(_) => {
                let remedy = "the operator chooses another one by MetaGraphVersion";
                Self::PlatformVersion(format!("{why}; {remedy}"))
            }
            GraphError::UnexpectedShape { .. } => Self::Internal(why),
        }
    }
}

/// Meta's subcode for an insights query that timed out; also used here when no response came in time.
pub(crate) const TIMED_OUT_SUBCODE: i64 = 1_504_018;

/// The wait for a throttle that states no duration: the longest block of the score model (Marketing API, "Rate
/// limiting").
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const READ: CallKind = CallKind { creates: false, case: UseCase::AdsInsights };
    const CREATE: CallKind = CallKind { creates: true, case: UseCase::AdsManagement };

    fn read(status: u16, body: &str, kind: CallKind) -> GraphError {
        let usage = Usage { waits: vec![(None, Duration::from_secs(60))], ..Usage::default() };
        GraphError::from_response(status, body.as_bytes(), &usage, kind)
    }

    fn name(status: u16, body: &str, kind: CallKind) -> String {
        let debug = format!("{:?}", read(status, body, kind));
        debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn codes_decide_the_error_class() {
        for (expected, code, subcode, status) in [
            ("RateLimited", 80_004, 2_446_079, 400),
            ("RateLimited", 17, 2_446_079, 400),
            ("RateLimited", 613, 1_487_632, 400),
            ("Reconnect", 190, 463, 400),
            ("NeedPermission", 200, 0, 403),
            ("NeedPermission", 100, 1_870_090, 400),
            ("Blocked", 368, 0, 400),
            ("NotFound", 100, 33, 400),
            ("InvalidInput", 100, 1_885_272, 400),
            ("RequestTooLarge", 100, 1_487_534, 500),
            ("Transient", 2, 0, 500),
            ("Transient", 777, 0, 503),
            ("InvalidInput", 777, 0, 400),
            ("UnsupportedVersion", 2635, 0, 400),
        ] {
            let body = format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode}}}}}"#);
            assert_eq!(name(status, &body, READ), expected, "{code}/{subcode}");
        }
        let passing = r#"{"error":{"message":"m","code":100,"is_transient":true}}"#;
        assert_eq!(name(400, passing, READ), "Transient");
    }

    #[test]
    fn a_write_without_a_clear_answer_has_an_unknown_outcome() {
        assert_eq!(name(502, "<html>bad gateway</html>", CREATE), "Indeterminate");
        assert_eq!(name(502, "<html>bad gateway</html>", READ), "Transient");
        assert_eq!(name(500, r#"{"error":{"code":1}}"#, CREATE), "Indeterminate");
        assert_eq!(name(413, "", CREATE), "RequestTooLarge");
    }

    #[test]
    fn a_rate_limit_lasts_as_the_headers_say_or_as_documented_for_the_action() {
        let rate_limit = |body| match read(400, body, READ) {
            GraphError::RateLimited { after, scope, .. } => (after.as_secs(), scope),
            other => panic!("{other:?}"),
        };
        assert_eq!(rate_limit(r#"{"error":{"message":"m","code":80000}}"#), (60, ThrottleScope::UseCase));
        assert_eq!(rate_limit(r#"{"error":{"message":"m","code":4}}"#), (60, ThrottleScope::App));
        assert_eq!(
            rate_limit(r#"{"error":{"code":613,"error_subcode":1487632}}"#),
            (3600, ThrottleScope::Action)
        );
        assert_eq!(
            rate_limit(r#"{"error":{"code":613,"error_subcode":5044001}}"#),
            (1, ThrottleScope::Account)
        );
    }

    #[test]
    fn what_is_blamed_is_read_from_text_and_from_an_object() {
        let text = r#"{"error":{"message":"m","code":100,"error_subcode":3858079,
            "error_data":"{\"blame_field_specs\":[[\"dsa_payor\"]]}"}}"#;
        let object = r#"{"error":{"message":"m","code":100,"error_data":{"blame_field_specs":[["targeting",0,"age"]]}}}"#;
        let nonsense = r#"{"error":{"message":"m","code":100,"error_data":"<html>"}}"#;
        let blamed_fields = |body| match read(400, body, CREATE) {
            GraphError::InvalidInput(details) => details.blamed_fields,
            other => panic!("{other:?}"),
        };
        assert_eq!(blamed_fields(text), ["dsa_payor"]);
        assert_eq!(blamed_fields(object), ["targeting.0.age"]);
        assert!(blamed_fields(nonsense).is_empty());
        let cut = r#"{"error":{"code":6000,"error_subcode":1363037,"error_data":{"start_offset":"52428800","end_offset":"9"}}}"#;
        assert!(matches!(read(400, cut, CREATE), GraphError::UploadInterrupted { at: 52_428_800, .. }));
    }
}
