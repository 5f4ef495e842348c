//! Errors named after what happens next. Every function returns one of these; each host maps them, in one place, to an
//! HTTP response or to the handling of a queue message.

use std::time::Duration;

use crate::FieldError;

/// The reason why a request or job failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The sender must change the input; every field error is listed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The resource does not exist or belongs to another workspace; callers cannot distinguish the two.
    #[error("{0} was not found")]
    NotFound(String),
    /// The state of the resource forbids the operation.
    #[error("{0}")]
    Conflict(String),
    /// The same request is being executed; its response is available in a moment.
    #[error("{0}")]
    InProgress(String),
    /// The `Idempotency-Key` belongs to another request; a new request takes a new key.
    #[error("{0}")]
    KeyReused(String),
    /// The ad account is not selected, so nothing of it is synced.
    #[error("{0}")]
    NotSelected(String),
    /// The entity holds no budget; it is on the campaign, or on its ad sets.
    #[error("{0}")]
    NoBudget(String),
    /// The resource was changed since the client read it.
    #[error(
        "it was changed since {sent} was read and is {current} now; read it again and repeat the change on what it is now"
    )]
    StaleVersion {
        /// The entity tag of `If-Match`.
        sent: String,
        /// The entity tag of the resource now.
        current: String,
    },
    /// The session's role does not allow the operation.
    #[error("{0}")]
    Forbidden(String),
    /// The platform's limits, or work in progress, require a wait.
    #[error("{reason}")]
    RateLimited {
        /// Minimum wait.
        retry_after: Duration,
        /// Reason for the wait.
        reason: String,
    },
    /// A person must connect again.
    #[error("{0}")]
    Reconnect(String),
    /// The connection lacks a permission at the platform.
    #[error("{0}")]
    NeedPermission(String),
    /// The platform rejected the input.
    #[error("{0}")]
    RejectedByPlatform(String),
    /// The platform does not serve the version of its API that this installation asks for; its operator must choose
    /// another one.
    #[error("{0}")]
    PlatformVersion(String),
    /// A part of the system or the platform is unreachable; a retry can succeed.
    #[error("{0}")]
    Unavailable(String),
    /// A write may or may not have happened. The next run checks before it writes.
    #[error("{0}")]
    Indeterminate(String),
    /// An internal error that only we can fix. The text is logged and never returned to a client.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Names a field at fault as the caller knows it.
    #[must_use]
    pub fn with_field_renamed(self, from: &str, to: &str) -> Self {
        let Self::Invalid(errors) = self else { return self };
        let rename = |error: FieldError| {
            if error.field == from { FieldError::new(to, error.message) } else { error }
        };
        Self::Invalid(errors.into_iter().map(rename).collect())
    }

    /// Returns whether a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable(_) | Self::Indeterminate(_) => true,
            Self::Invalid(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::InProgress(_)
            | Self::KeyReused(_)
            | Self::NotSelected(_)
            | Self::NoBudget(_)
            | Self::StaleVersion { .. }
            | Self::Forbidden(_)
            | Self::Reconnect(_)
            | Self::NeedPermission(_)
            | Self::RejectedByPlatform(_)
            | Self::PlatformVersion(_)
            | Self::Internal(_) => false,
        }
    }

    /// Describes the error for the client that caused it. Hides the texts of [`Error::Internal`] and
    /// [`Error::Unavailable`], which are for the log.
    pub fn public_detail(&self) -> String {
        match self {
            Self::Internal(_) => "An error on our side, which was logged.".to_owned(),
            Self::Unavailable(_) => {
                "The platform or a part of the system is unavailable. Try again in a moment.".to_owned()
            }
            shown => shown.to_string(),
        }
    }
}

impl Error {
    /// Describes the error for the audit log, which outlives the deletion of a person's data: leaves out the platform's
    /// messages about a token or its permissions, which may name the person.
    pub fn audit_detail(&self) -> String {
        match self {
            Self::Reconnect(_) => "The connection must be reconnected.".to_owned(),
            Self::NeedPermission(_) => "The connection lacks a permission at the platform.".to_owned(),
            other => other.public_detail(),
        }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}
