//! What went wrong, named after what the caller does next.
//!
//! | error | what the caller does | stories in `tests/graph_api` |
//! |---|---|---|
//! | [`Wait`](GraphError::Wait) | comes back after exactly this time; the app, the account or one action rests meanwhile | `errors::a_throttle_is_not_knocked_at_again`, `errors::an_app_that_is_throttled_calls_for_nobody_until_the_time_is_over`, `limits::a_throttle_of_a_minute_costs_a_minute`, `writing::a_fifth_change_of_a_budget_…` |
//! | [`TryLater`](GraphError::TryLater) | repeats with growing pauses, reads and settings only | `errors::what_passes_is_tried_four_times_with_growing_pauses`, `errors::settings_and_removals_are_repeated` |
//! | [`MakeSmaller`](GraphError::MakeSmaller) | asks for fewer rows, days or fields, or for a report | `paging::a_page_that_was_made_smaller_grows_again`, all of `insights` |
//! | [`Resume`](GraphError::Resume) | goes on with an upload where Meta stands | `errors::what_is_too_much_or_was_cut_says_how_to_go_on` |
//! | [`Reconnect`](GraphError::Reconnect) | has a person connect again | `errors::what_only_a_person_can_mend_is_asked_once`, `login::a_token_that_was_taken_back_is_known_to_be_dead` |
//! | [`NeedPermission`](GraphError::NeedPermission) | shows the person what is missing at Meta | `errors::what_only_a_person_can_mend_is_asked_once` |
//! | [`Blocked`](GraphError::Blocked) | stops automation for the account | `errors::what_only_a_person_can_mend_is_asked_once` |
//! | [`FixInput`](GraphError::FixInput) | shows the person what to change | `errors::what_only_a_person_can_mend_is_asked_once` |
//! | [`Gone`](GraphError::Gone) | takes the object as hidden, not as deleted | `writing::what_a_launch_creates_is_paused_found_by_name_and_deleted_once` |
//! | [`UpgradeVersion`](GraphError::UpgradeVersion) | tells the developers | `errors::what_only_a_person_can_mend_is_asked_once`, `version::a_version_that_has_ended_is_heard_of_once` |
//! | [`UnknownOutcome`](GraphError::UnknownOutcome) | looks before it repeats | `errors::a_create_is_sent_once_whatever_comes_back`, `writing::a_creation_whose_answer_is_lost_is_not_sent_again` |
//! | [`UnexpectedShape`](GraphError::UnexpectedShape) | tells the developers where in the JSON | `errors::an_answer_of_another_shape_says_where` |
//!
//! What a whole sync makes of each is told in `tests/journeys`, `faults`.

use std::time::Duration;

use ads::Failure;
use serde::Deserialize;
use serde_json::Value;

use crate::code::{Move, Scope, next_move};
use crate::usage::{Usage, UseCase};

/// Meta's own account of an error, for logs and for the person who must fix the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Meta's code; 0 when there was no error object.
    pub code: i64,
    /// Meta's subcode.
    pub subcode: Option<i64>,
    /// What Meta says: `error_user_msg` where given, else `message`.
    pub message: String,
    /// The parameters that Meta blames, each as a path such as `targeting_spec.geo_locations`.
    pub blames: Vec<String>,
    /// Meta's trace id, for a support case.
    pub trace: Option<String>,
}

impl Details {
    /// Whether an error about a token asks its person to do something at facebook.com, after which the token works
    /// again: log in (459), confirm the account (464), get the role of a Page back (492).
    pub fn is_for_the_person(&self) -> bool {
        matches!((self.code, self.subcode), (190 | 102, Some(459 | 464 | 492)))
    }

    /// Whether an error about a token means that it will never work again. A wrong `appsecret_proof` (104) does not.
    pub fn ends_the_consent(&self) -> bool {
        matches!(self.code, 190 | 102) && !self.is_for_the_person()
    }

    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

impl std::fmt::Display for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.blames.is_empty() {
            write!(f, " [{}]", self.blames.join(", "))?;
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
    /// Throttled: come back after this time and not before.
    #[error("Meta asks us to wait {} s: {details}", after.as_secs())]
    Wait {
        /// How long, as Meta's headers or its documentation say.
        after: Duration,
        /// What has to wait.
        scope: Scope,
        /// Meta's words.
        details: Details,
    },
    /// A passing fault at Meta or on the way. The call was one that may be repeated, and another try can help.
    #[error("Meta does not answer properly at the moment: {0}")]
    TryLater(Details),
    /// Too much was asked for at once: a smaller page or range can help.
    #[error("Meta asks for a smaller request: {0}")]
    MakeSmaller(Details),
    /// A part of an upload did not arrive: go on from this byte.
    #[error("Meta asks to go on with the upload at byte {at}: {details}")]
    Resume {
        /// The first byte that Meta still needs.
        at: u64,
        /// Meta's words.
        details: Details,
    },
    /// The token is dead: a person must connect again.
    #[error("the connection to Meta must be renewed: {0}")]
    Reconnect(Details),
    /// The token lives but may not do this, or terms at Meta have not been accepted.
    #[error("a permission is missing at Meta: {0}")]
    NeedPermission(Details),
    /// Meta has closed this kind of action to the account or the person, for breaking its policies.
    #[error("Meta has blocked this action: {0}")]
    Blocked(Details),
    /// The request itself is refused: only another input can help.
    #[error("Meta refuses this input: {0}")]
    FixInput(Details),
    /// The object does not exist, or this token may not see it.
    #[error("Meta does not know this object, or does not show it to this connection: {0}")]
    Gone(Details),
    /// This Graph version is no longer served for this call.
    #[error("this version of the Graph API is no longer served: {0}")]
    UpgradeVersion(Details),
    /// A write was sent and its answer never came: it may have happened. Look before repeating.
    #[error("the outcome of a write at Meta is unknown: {0}")]
    UnknownOutcome(Details),
    /// An answer of a shape that we do not understand. A defect to report, on one side or the other.
    #[error("Meta answered in an unexpected shape at {at}: {problem}")]
    UnexpectedShape {
        /// Where in the JSON.
        at: String,
        /// What the decoder says.
        problem: String,
    },
}

/// Graph's error object.
#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: i64,
    error_subcode: Option<i64>,
    #[serde(default)]
    is_transient: bool,
    error_user_msg: Option<String>,
    fbtrace_id: Option<String>,
    /// JSON, or text that holds JSON: both have been seen.
    #[serde(default)]
    error_data: Value,
}

/// What the error objects of some faults add.
#[derive(Default, Deserialize)]
struct ErrorData {
    #[serde(default)]
    blame_field_specs: Vec<Vec<Value>>,
    start_offset: Option<Value>,
}

/// The call that an answer belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// Whether it creates something, so that a second time makes a second thing.
    pub(crate) creates: bool,
    /// What it counts as.
    pub(crate) case: UseCase,
}

impl GraphError {
    /// Reads an answer that is not a success, or a success that carries an error object.
    pub(crate) fn of_answer(status: u16, body: &[u8], usage: &Usage, asked: Asked) -> Self {
        let Ok(Envelope { error }) = serde_json::from_slice::<Envelope>(body) else {
            // HTML of a proxy, half a JSON, an empty 413: Graph itself did not speak.
            let details = Details::of(format!("HTTP {status} without an error object"));
            return if status == 413 { Self::MakeSmaller(details) } else { Self::passing(details, asked) };
        };
        let data = match &error.error_data {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            data => ErrorData::deserialize(data).unwrap_or_default(),
        };
        let details = Details {
            code: error.code,
            subcode: error.error_subcode,
            message: error.error_user_msg.unwrap_or(error.message),
            blames: data.blame_field_specs.iter().map(|path| path_of(path)).collect(),
            trace: error.fbtrace_id,
        };
        match next_move(error.code, error.error_subcode) {
            Some(Move::WaitAsTold(scope)) => {
                let after = usage.named_wait(asked.case).unwrap_or(DEFAULT_WAIT);
                Self::Wait { after, scope, details }
            }
            // "Please reduce the amount of data" also comes as a bare code 1 or 99 with HTTP 500, told from an
            // unknown fault by its words alone. A read that is taken for it wrongly is merely asked again, smaller.
            _ if status == 500 && details.message.contains("reduce the amount of data") => {
                Self::MakeSmaller(details)
            }
            Some(Move::Resume) => {
                let at = data.start_offset.as_ref().and_then(number);
                at.map_or(Self::FixInput(details.clone()), |at| Self::Resume { at, details })
            }
            Some(Move::TryLater) => Self::passing(details, asked),
            // Only a fault of the input is worth doubting: the answer itself may say that it passes.
            Some(Move::FixInput) | None if error.is_transient || status >= 500 => {
                Self::passing(details, asked)
            }
            None => Self::FixInput(details),
            Some(_) => Self::of_numbers(details),
        }
    }

    /// What the numbers mean on their own, as those of a failed report. Without any the fault is one that passes.
    pub(crate) fn of_numbers(details: Details) -> Self {
        match next_move(details.code, details.subcode) {
            Some(Move::MakeSmaller) => Self::MakeSmaller(details),
            Some(Move::Reconnect) => Self::Reconnect(details),
            Some(Move::NeedPermission) => Self::NeedPermission(details),
            Some(Move::Blocked) => Self::Blocked(details),
            Some(Move::Gone) => Self::Gone(details),
            Some(Move::UpgradeVersion) => Self::UpgradeVersion(details),
            Some(Move::FixInput) => Self::FixInput(details),
            Some(Move::WaitAsTold(scope)) => Self::Wait { after: DEFAULT_WAIT, scope, details },
            Some(Move::WaitFixed(scope, after)) => Self::Wait { after, scope, details },
            Some(Move::TryLater | Move::Resume) | None => Self::TryLater(details),
        }
    }

    /// A fault that passes. Meta's codes 1 and 2 do not say whether a write took effect.
    pub(crate) fn passing(details: Details, asked: Asked) -> Self {
        if asked.creates { Self::UnknownOutcome(details) } else { Self::TryLater(details) }
    }

    /// A call that got no answer at all. The URL is dropped, for it may carry parameters.
    pub(crate) fn of_transport(error: reqwest::Error, asked: Asked) -> Self {
        let error = error.without_url();
        let details = Details::of(describe(&error));
        if asked.case == UseCase::AdsInsights && error.is_timeout() {
            // Meta counts for as long as it is let: the same question once more takes as long again.
            return Self::MakeSmaller(Details { subcode: Some(TIMED_OUT), ..details });
        }
        // A connection that was refused has carried nothing.
        if refused(&error) { Self::TryLater(details) } else { Self::passing(details, asked) }
    }

    /// Whether the same call may help if it is made again at once or a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::TryLater(_))
    }
}

/// The error with its causes: reqwest's own text alone does not say what happened.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).skip(1).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let kinds = causes(error).filter_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::ConnectionRefused)
}

/// An error, what caused it, what caused that, and so on.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// A path of `blame_field_specs`.
fn path_of(path: &[Value]) -> String {
    let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// An offset, which Meta writes as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let why = error.to_string();
        match error {
            GraphError::Wait { after, .. } => Self::Wait { after, why },
            GraphError::TryLater(_) | GraphError::MakeSmaller(_) | GraphError::Resume { .. } => {
                Self::Unavailable(why)
            }
            GraphError::Reconnect(_) => Self::Reconnect(why),
            GraphError::NeedPermission(_) | GraphError::Blocked(_) => Self::NeedPermission(why),
            GraphError::FixInput(_) => Self::Refused(why),
            GraphError::Gone(_) => Self::NotFound("the object at Meta".to_owned()),
            GraphError::UnknownOutcome(_) => Self::UnknownOutcome(why),
            GraphError::UpgradeVersion(_) | GraphError::UnexpectedShape { .. } => Self::Defect(why),
        }
    }
}

/// Meta's own number for an insights query that took too long; also ours, when no answer came in time.
pub(crate) const TIMED_OUT: i64 = 1_504_018;

/// Throttled without a word on how long: the longest block of the score model (Marketing API, "Rate limiting").
const DEFAULT_WAIT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Asked = Asked { creates: false, case: UseCase::AdsInsights };
    const CREATE: Asked = Asked { creates: true, case: UseCase::AdsManagement };

    fn read(status: u16, body: &str, asked: Asked) -> GraphError {
        let usage = Usage { waits: vec![(None, Duration::from_secs(60))], ..Usage::default() };
        GraphError::of_answer(status, body.as_bytes(), &usage, asked)
    }

    fn name(status: u16, body: &str, asked: Asked) -> String {
        let debug = format!("{:?}", read(status, body, asked));
        debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn numbers_decide_the_next_move() {
        for (expected, code, subcode, status) in [
            ("Wait", 80_004, 2_446_079, 400),
            ("Wait", 17, 2_446_079, 400),
            ("Wait", 613, 1_487_632, 400),
            ("Reconnect", 190, 463, 400),
            ("NeedPermission", 200, 0, 403),
            ("NeedPermission", 100, 1_870_090, 400),
            ("Blocked", 368, 0, 400),
            ("Gone", 100, 33, 400),
            ("FixInput", 100, 1_885_272, 400),
            ("MakeSmaller", 100, 1_487_534, 500),
            ("TryLater", 2, 0, 500),
            ("TryLater", 777, 0, 503),
            ("FixInput", 777, 0, 400),
            ("UpgradeVersion", 2635, 0, 400),
        ] {
            let body = format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode}}}}}"#);
            assert_eq!(name(status, &body, READ), expected, "{code}/{subcode}");
        }
        let passing = r#"{"error":{"message":"m","code":100,"is_transient":true}}"#;
        assert_eq!(name(400, passing, READ), "TryLater");
    }

    #[test]
    fn a_write_without_a_clear_answer_has_an_unknown_outcome() {
        assert_eq!(name(502, "<html>bad gateway</html>", CREATE), "UnknownOutcome");
        assert_eq!(name(502, "<html>bad gateway</html>", READ), "TryLater");
        assert_eq!(name(500, r#"{"error":{"code":1}}"#, CREATE), "UnknownOutcome");
        assert_eq!(name(413, "", CREATE), "MakeSmaller");
    }

    #[test]
    fn a_wait_is_what_the_headers_said_or_what_is_known_of_the_action() {
        let wait = |body| match read(400, body, READ) {
            GraphError::Wait { after, scope, .. } => (after.as_secs(), scope),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(r#"{"error":{"message":"m","code":80000}}"#), (60, Scope::UseCase));
        assert_eq!(wait(r#"{"error":{"message":"m","code":4}}"#), (60, Scope::App));
        assert_eq!(wait(r#"{"error":{"code":613,"error_subcode":1487632}}"#), (3600, Scope::Action));
        assert_eq!(wait(r#"{"error":{"code":613,"error_subcode":5044001}}"#), (1, Scope::Account));
    }

    #[test]
    fn what_is_blamed_is_read_from_text_and_from_an_object() {
        let text = r#"{"error":{"message":"m","code":100,"error_subcode":3858079,
            "error_data":"{\"blame_field_specs\":[[\"dsa_payor\"]]}"}}"#;
        let object = r#"{"error":{"message":"m","code":100,"error_data":{"blame_field_specs":[["targeting",0,"age"]]}}}"#;
        let nonsense = r#"{"error":{"message":"m","code":100,"error_data":"<html>"}}"#;
        let blames = |body| match read(400, body, CREATE) {
            GraphError::FixInput(details) => details.blames,
            other => panic!("{other:?}"),
        };
        assert_eq!(blames(text), ["dsa_payor"]);
        assert_eq!(blames(object), ["targeting.0.age"]);
        assert!(blames(nonsense).is_empty());
        let cut = r#"{"error":{"code":6000,"error_subcode":1363037,"error_data":{"start_offset":"52428800","end_offset":"9"}}}"#;
        assert!(matches!(read(400, cut, CREATE), GraphError::Resume { at: 52_428_800, .. }));
    }
}
