//! Why work could not be done, named after what happens next. Every function ends in one of these,
//! the hosts turn them into an answer or into the fate of a message, in one place each.

use std::time::Duration;

use crate::FieldError;

/// A request or job that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The sender must change the input; every finding is named.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// It is not there, or not this workspace's: the two are not told apart.
    #[error("{0} was not found")]
    NotFound(String),
    /// It is there in a state that forbids this.
    #[error("{0}")]
    Conflict(String),
    /// The session's role does not allow this.
    #[error("{0}")]
    Forbidden(String),
    /// Meta wants us to wait.
    #[error("{reason}")]
    RateLimited {
        /// How long, at least.
        retry_after: Duration,
        /// Why.
        reason: String,
    },
    /// A person must connect to Meta again.
    #[error("{0}")]
    Reconnect(String),
    /// The connection lacks a permission at Meta.
    #[error("{0}")]
    NeedPermission(String),
    /// Meta refused the input.
    #[error("{0}")]
    RejectedByPlatform(String),
    /// A part of the system or Meta is out of reach for now; another try can help.
    #[error("{0}")]
    Unavailable(String),
    /// A write may or may not have happened. The next run looks before it acts.
    #[error("{0}")]
    Indeterminate(String),
    /// Ours to mend. The text is for the log and is never shown.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Whether doing the same again may end otherwise.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable(_) | Self::Indeterminate(_) => true,
            Self::Invalid(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Forbidden(_)
            | Self::Reconnect(_)
            | Self::NeedPermission(_)
            | Self::RejectedByPlatform(_)
            | Self::Internal(_) => false,
        }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}
