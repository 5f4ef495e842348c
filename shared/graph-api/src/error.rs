//! What went wrong, named after what the caller does next.
//!
//! Decided on numbers only, `error_subcode` before `code`: Meta's texts and their language change.

use std::time::Duration;

use ads::Failure;
use serde::Deserialize;

/// Meta's own account of an error, for logs and for the person who must fix the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Meta's code; 0 when there was no error object.
    pub code: i64,
    /// Meta's subcode.
    pub subcode: Option<i64>,
    /// What Meta says: `error_user_msg` where given, else `message`.
    pub message: String,
    /// Meta's trace id, for a support case.
    pub trace: Option<String>,
}

impl std::fmt::Display for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        match (self.code, self.subcode) {
            (0, _) => Ok(()),
            (code, Some(subcode)) => write!(f, " (Meta's code {code}/{subcode})"),
            (code, None) => write!(f, " (Meta's code {code})"),
        }
    }
}

/// A call to Graph that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Throttled: come back after this time and not before.
    #[error("Meta asks us to wait {} s: {details}", after.as_secs())]
    Wait {
        /// How long, as Meta's headers say.
        after: Duration,
        /// Meta's words.
        details: Details,
    },
    /// A passing fault at Meta or on the way. The call was one that may be repeated, and another try can help.
    #[error("Meta does not answer properly at the moment: {0}")]
    TryLater(Details),
    /// Too much was asked for at once: a smaller page or range can help.
    #[error("Meta asks for a smaller request: {0}")]
    MakeSmaller(Details),
    /// The token is dead: a person must connect again.
    #[error("the connection to Meta must be renewed: {0}")]
    Reconnect(Details),
    /// The token lives but may not do this.
    #[error("a permission is missing at Meta: {0}")]
    NeedPermission(Details),
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

/// Graph's error object. `error_data` is left out: it comes as text or as an object.
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
}

impl GraphError {
    /// Reads an answer that is not a success, or a success that carries an error object.
    ///
    /// `wait` is what the headers say about throttling, `wrote` whether the call could have changed something.
    pub(crate) fn of_answer(status: u16, body: &[u8], wait: Option<Duration>, wrote: bool) -> Self {
        let Ok(Envelope { error }) = serde_json::from_slice::<Envelope>(body) else {
            // HTML of a proxy, half a JSON, an empty 413: Graph itself did not speak.
            let details =
                Details { message: format!("HTTP {status} without an error object"), ..Details::default() };
            return match (status, wrote) {
                (413, _) => Self::MakeSmaller(details),
                (_, true) => Self::UnknownOutcome(details),
                (_, false) => Self::TryLater(details),
            };
        };
        let details = Details {
            code: error.code,
            subcode: error.error_subcode,
            message: error.error_user_msg.unwrap_or(error.message),
            trace: error.fbtrace_id,
        };
        let subcode = error.error_subcode.unwrap_or(0);
        match (error.code, subcode) {
            // An ad set's budget may change four times an hour; then it is closed for an hour.
            (613, 1_487_632) => Self::Wait { after: Duration::from_secs(3600), details },
            (4 | 17 | 32 | 341 | 613, _) | (80_000..=80_014, _) => {
                Self::Wait { after: wait.unwrap_or(DEFAULT_WAIT), details }
            }
            // "Please reduce the amount of data": with these subcodes, or as a bare code 1 with HTTP 500.
            (_, 1_487_534 | 1_504_018 | 1_504_038 | 2_490_547 | 1_504_045) => Self::MakeSmaller(details),
            (1 | 99, _) if status == 500 && details.message.contains("reduce the amount of data") => {
                Self::MakeSmaller(details)
            }
            (190 | 102 | 104, _) => Self::Reconnect(details),
            (2635, _) => Self::UpgradeVersion(details),
            (100, 33) | (803, _) => Self::Gone(details),
            (3 | 10 | 200..=299, _) | (100, 3_191_001) => Self::NeedPermission(details),
            (1 | 2 | 960 | 5000 | 3_910_001, _) => Self::passing(details, wrote),
            _ if error.is_transient || status >= 500 => Self::passing(details, wrote),
            _ => Self::FixInput(details),
        }
    }

    /// A fault that passes. Meta's codes 1 and 2 do not say whether a write took effect.
    fn passing(details: Details, wrote: bool) -> Self {
        if wrote { Self::UnknownOutcome(details) } else { Self::TryLater(details) }
    }

    /// A call that got no answer at all. The URL is dropped, for it may carry parameters.
    pub(crate) fn of_transport(error: reqwest::Error, wrote: bool) -> Self {
        let details = Details { message: error.without_url().to_string(), ..Details::default() };
        Self::passing(details, wrote)
    }

    /// Whether the same call may help if it is made again at once or a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::TryLater(_))
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let why = error.to_string();
        match error {
            GraphError::Wait { after, .. } => Self::Wait { after, why },
            GraphError::TryLater(_) | GraphError::MakeSmaller(_) => Self::Unavailable(why),
            GraphError::Reconnect(_) => Self::Reconnect(why),
            GraphError::NeedPermission(_) => Self::NeedPermission(why),
            GraphError::FixInput(_) => Self::Refused(why),
            GraphError::Gone(_) => Self::NotFound("the object at Meta".to_owned()),
            GraphError::UnknownOutcome(_) => Self::UnknownOutcome(why),
            GraphError::UpgradeVersion(_) | GraphError::UnexpectedShape { .. } => Self::Defect(why),
        }
    }
}

/// Throttled without a word on how long: the longest block of the score model (Marketing API, "Rate limits").
const DEFAULT_WAIT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(status: u16, body: &str, wrote: bool) -> String {
        let error = GraphError::of_answer(status, body.as_bytes(), Some(Duration::from_secs(60)), wrote);
        let debug = format!("{error:?}");
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
            ("Gone", 100, 33, 400),
            ("FixInput", 100, 1_885_272, 400),
            ("MakeSmaller", 100, 1_487_534, 500),
            ("TryLater", 2, 0, 500),
            ("UpgradeVersion", 2635, 0, 400),
        ] {
            let body = format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode}}}}}"#);
            assert_eq!(name(status, &body, false), expected, "{code}/{subcode}");
        }
    }

    #[test]
    fn a_write_without_a_clear_answer_has_an_unknown_outcome() {
        assert_eq!(name(502, "<html>bad gateway</html>", true), "UnknownOutcome");
        assert_eq!(name(502, "<html>bad gateway</html>", false), "TryLater");
        assert_eq!(name(500, r#"{"error":{"code":1}}"#, true), "UnknownOutcome");
        assert_eq!(name(413, "", true), "MakeSmaller");
    }

    #[test]
    fn the_wait_is_what_the_header_said() {
        let body = br#"{"error":{"message":"m","code":80000}}"#;
        let Some(GraphError::Wait { after, .. }) =
            Some(GraphError::of_answer(400, body, Some(Duration::from_secs(60)), false))
        else {
            panic!("not a wait");
        };
        assert_eq!(after, Duration::from_secs(60));
    }
}
